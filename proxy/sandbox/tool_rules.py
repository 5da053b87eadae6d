"""Rules for declared tools and for how they may be combined."""

import re
from typing import Any

from proxy.sandbox.catalogue import Card
from proxy.sandbox.refusals import Complaints, invalid_argument
from proxy.sandbox.schema_rules import check_json_schema, check_schema

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_BAD_NAME = (
    "Invalid function name. Must start with a letter or an underscore. Must be"
    " alphameric (a-z, A-Z, 0-9), underscores (_), dots (.) or dashes (-), with a"
    " maximum length of 64."
)
_NO_TYPE = "required one_of 'tool_type' must have one initialized field"


def declarations_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """All function declarations of a request, in order."""
    return [
        declaration
        for tool in request.get("tools", ())
        for declaration in tool.get("functionDeclarations", ())
    ]


def built_in(request: dict[str, Any]) -> set[str]:
    """Names of the built-in tools of a request, such as ``googleSearch``."""
    names = {name for tool in request.get("tools", ()) for name in tool}
    return names - {"functionDeclarations"}


def check_tools(request: dict[str, Any], card: Card, complaints: Complaints) -> None:
    """Refuse or note what is wrong with tools, their schemas and their choice."""
    for index, tool in enumerate(request.get("tools", ())):
        if not any(tool.get(name) or name in _EMPTY_ALLOWED for name in tool):
            complaints.add(f"tools[{index}].tool_type", _NO_TYPE)
        for place, declaration in enumerate(tool.get("functionDeclarations", ())):
            path = f"tools[{index}].function_declarations[{place}]"
            _check_declaration(declaration, path, complaints)
    _check_duplicates(request)
    _check_built_in(request, card)
    _check_choice(request, complaints)


_EMPTY_ALLOWED = (
    "googleSearch",
    "googleSearchRetrieval",
    "urlContext",
    "codeExecution",
    "googleMaps",
)


def _check_declaration(
    declaration: dict[str, Any], path: str, complaints: Complaints
) -> None:
    if not _NAME.fullmatch(declaration.get("name", "")):
        complaints.add(f"{path}.name", _BAD_NAME)
    for kind in ("parameters", "response"):
        both = kind in declaration and f"{kind}JsonSchema" in declaration
        if both:
            text = f"{kind} and {kind}_json_schema are mutually exclusive."
            complaints.add(f"{path}.{kind}", text)
        if kind in declaration:
            _check_proto_schema(declaration[kind], f"{path}.{kind}", complaints)
        if declaration.get(f"{kind}JsonSchema") is not None:
            check_json_schema(
                declaration[f"{kind}JsonSchema"], f"{path}.{kind}_json_schema"
            )
    _check_root(declaration, path, complaints)


def _check_proto_schema(
    schema: dict[str, Any], path: str, complaints: Complaints
) -> None:
    # A function without parameters may be declared as an object with none.
    if schema == {"type": "OBJECT"}:
        return
    check_schema(schema, path, complaints)


def _check_root(declaration: dict[str, Any], path: str, complaints: Complaints) -> None:
    kind = declaration.get("parameters", {}).get("type", "OBJECT")
    if kind != "OBJECT":
        complaints.add(f"{path}.parameters.type", "schema should be of type OBJECT.")
    schema = declaration.get("parametersJsonSchema")
    if isinstance(schema, dict) and schema.get("type", "object") != "object":
        text = "schema should be of type object."
        complaints.add(f"{path}.parameters_json_schema.type", text)


def _check_duplicates(request: dict[str, Any]) -> None:
    seen = set()
    for declaration in declarations_of(request):
        name = declaration.get("name", "")
        if name in seen:
            raise invalid_argument(f"Duplicate function declaration found: {name}")
        seen.add(name)


def _check_built_in(request: dict[str, Any], card: Card) -> None:
    names = built_in(request)
    functions = bool(declarations_of(request))
    serving = _serving(request)
    if card.draws and functions:
        raise invalid_argument(f"Function calling is not enabled for {card.name}")
    if names and not card.searches:
        raise invalid_argument(f"Search as tool is not enabled for {card.name}")
    if "googleSearchRetrieval" in names:
        raise invalid_argument(
            "google_search_retrieval is not supported; please use google_search field"
            " instead."
        )
    if serving and card.generation < 3:
        raise invalid_argument(
            "tool_config.include_server_side_tool_invocations is not supported by"
            f" {card.name}"
        )
    if names and functions and not serving:
        raise invalid_argument(_mixed(card))
    _check_json_answer(request, card, functions=functions)


def _serving(request: dict[str, Any]) -> bool:
    config = request.get("toolConfig", {})
    return bool(config.get("includeServerSideToolInvocations"))


def _mixed(card: Card) -> str:
    if card.generation >= 3:
        return (
            "Please enable tool_config.include_server_side_tool_invocations to use"
            " Built-in tools with Function calling."
        )
    return (
        "Built-in tools and Function Calling cannot be combined in the same request."
        " Please choose one to continue."
    )


def _check_json_answer(request: dict[str, Any], card: Card, *, functions: bool) -> None:
    mime_type = request.get("generationConfig", {}).get("responseMimeType", "")
    if card.generation >= 3 or mime_type != "application/json":
        return
    if functions:
        raise invalid_argument(
            "Function calling with a response mime type: 'application/json' is"
            " unsupported"
        )
    if built_in(request):
        raise invalid_argument(
            "Tool use with a response mime type: 'application/json' is unsupported"
        )


def _check_choice(request: dict[str, Any], complaints: Complaints) -> None:
    config = request.get("toolConfig", {}).get("functionCallingConfig", {})
    path = "tool_config.function_calling_config"
    mode = config.get("mode", "AUTO")
    allowed = config.get("allowedFunctionNames", ())
    declared = {declaration.get("name") for declaration in declarations_of(request)}
    if mode in ("ANY", "VALIDATED") and not declared:
        text = "Function calling config is set without function_declarations."
        complaints.add(path, text)
    if allowed and mode not in ("ANY", "VALIDATED"):
        text = "only allowed when mode is ANY or VALIDATED."
        complaints.add(f"{path}.allowed_function_names", text)
    for index, name in enumerate(allowed):
        if declared and name not in declared:
            text = f"{name} is not a declared function."
            complaints.add(f"{path}.allowed_function_names[{index}]", text)
