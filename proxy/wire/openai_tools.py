"""OpenAI's tools, functions and tool_choice as Gemini's tools and toolConfig."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.wire.builtin_tools import Builtin, builtin_of, search_options
from proxy.wire.json_schema import tool_parameters
from proxy.wire.model_names import ModelName, model_name
from proxy.wire.openai_fields import flag, maybe, name, record, sequence, text, wrong
from proxy.wire.tool_choice import ToolChoice
from proxy.wire.tool_names import ToolNames


@dataclass(slots=True, kw_only=True)
class Toolbox:
    """What a request says about tools, in Gemini's words.

    ``tools`` and ``config`` are the body's ``tools`` and ``toolConfig``. ``wrapped``
    names the functions (upstream names) whose arguments were put into an object under
    ``value``, because their schema's root was not one.
    """

    names: ToolNames
    tools: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] | None = None
    wrapped: set[str] = field(default_factory=set)
    needs: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    legacy: bool = False


@dataclass(slots=True)
class _Function:
    name: str
    declaration: dict[str, Any]
    param: str
    strict: bool = False
    wrapped: bool = False


@dataclass(slots=True)
class _Declared:
    """The function declarations and built-in tools of a request, as listed."""

    functions: dict[str, _Function] = field(default_factory=dict)
    builtins: dict[str, Builtin] = field(default_factory=dict)

    def add_builtin(self, builtin: Builtin) -> None:
        self.builtins.setdefault(builtin.key, builtin)

    def add_function(self, function: _Function) -> None:
        first = self.functions.setdefault(function.name, function)
        if first.declaration != function.declaration:
            raise wrong(f"{function.param}.name", "is used by two different tools")


def read_tools(body: Mapping[str, Any], model: str) -> Toolbox:
    """Read every field about tools of an OpenAI request.

    Raises BadRequest for malformed tools, for tool types that have no counterpart,
    and for a tool_choice of a function that is not declared.
    """
    declared = _Declared()
    dropped: list[str] = []
    for index, tool in enumerate(maybe(body, "tools", sequence) or []):
        _read_tool(tool, f"tools[{index}]", declared, dropped)
    asked_as_functions = [body.get("functions"), body.get("function_call")] != [
        None
    ] * 2
    legacy = not declared.functions and asked_as_functions
    for index, function in enumerate(maybe(body, "functions", sequence) or []):
        where = f"functions[{index}]"
        declared.add_function(_function(record(function, where), where))
    search = search_options(body, dropped)
    if search is not None:
        declared.add_builtin(search)
    return _filled(body, declared, model_name(model), dropped, legacy)


def _filled(
    body: Mapping[str, Any],
    declared: _Declared,
    model: ModelName,
    dropped: list[str],
    legacy: bool,
) -> Toolbox:
    box = Toolbox(
        names=ToolNames(declared.functions),
        dropped=dropped,
        legacy=legacy,
    )
    choice = ToolChoice.read(body, declared.functions, declared.builtins)
    _choose_builtins(box, declared, choice, model)
    _add_functions(box, declared)
    box.config = _config(box, declared, choice, model)
    if maybe(body, "parallel_tool_calls", flag) is False and declared.functions:
        box.dropped.append("parallel_tool_calls")
    return box


def _read_tool(
    value: object, where: str, declared: _Declared, dropped: list[str]
) -> None:
    tool = record(value, where)
    builtin = builtin_of(tool, where, dropped)
    if builtin is not None:
        declared.add_builtin(builtin)
        return
    kind = tool.get("type", "function")
    if kind == "function":
        inner = record(tool.get("function"), f"{where}.function")
        declared.add_function(_function(inner, f"{where}.function"))
    elif kind == "custom":
        inner = record(tool.get("custom"), f"{where}.custom")
        declared.add_function(_custom(inner, f"{where}.custom"))
    else:
        shown = text(kind, f"{where}.type")
        raise wrong(f"{where}.type", f"{shown!r} is not offered here")


def _function(function: dict[str, Any], where: str) -> _Function:
    own = name(function.get("name"), f"{where}.name")
    description = maybe(function, "description", text, where) or ""
    schema, wrapped = tool_parameters(function.get("parameters"), f"{where}.parameters")
    declaration: dict[str, Any] = {"description": description}
    if schema is not None:
        declaration["parametersJsonSchema"] = schema
    strict = maybe(function, "strict", flag, where) is True
    return _Function(own, declaration, where, strict, wrapped)


def _custom(custom: dict[str, Any], where: str) -> _Function:
    """Declare a custom tool: a function whose only parameter is the free text."""
    own = name(custom.get("name"), f"{where}.name")
    description = maybe(custom, "description", text, where) or ""
    form = maybe(custom, "format", record, where) or {}
    grammar = maybe(form, "grammar", record, f"{where}.format")
    if grammar is not None:
        rules = text(grammar.get("definition"), f"{where}.format.grammar.definition")
        syntax = maybe(grammar, "syntax", text, f"{where}.format.grammar") or "grammar"
        description += f"\nThe input must match this {syntax} grammar:\n{rules}"
    schema = {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
    }
    declaration = {"description": description.strip(), "parametersJsonSchema": schema}
    return _Function(own, declaration, where)


def _choose_builtins(
    box: Toolbox, declared: _Declared, choice: ToolChoice, model: ModelName
) -> None:
    """Add the built-in tools; beside functions only Gemini 3 and newer takes them."""
    chosen = list(declared.builtins.values())
    if choice.builtins is not None:
        chosen = [item for item in chosen if item.key in choice.builtins]
    if declared.functions and not model.gemini3:
        box.dropped += [f"tools.{item.key}" for item in chosen]
        return
    box.tools += [{item.key: item.value} for item in chosen]
    box.needs |= {item.need for item in chosen}


def _add_functions(box: Toolbox, declared: _Declared) -> None:
    declarations = []
    for function in declared.functions.values():
        upstream = box.names.upstream(function.name)
        declarations.append({"name": upstream, **function.declaration})
        if function.wrapped:
            box.wrapped.add(upstream)
    if declarations:
        box.tools.append({"functionDeclarations": declarations})
        box.needs.add("tools")


def _config(
    box: Toolbox, declared: _Declared, choice: ToolChoice, model: ModelName
) -> dict[str, Any] | None:
    config: dict[str, Any] = {}
    calling = _calling(box, declared, choice, model)
    if calling:
        config["functionCallingConfig"] = calling
    if declared.functions and len(box.tools) > 1:
        config["includeServerSideToolInvocations"] = True
    return config or None


def _calling(
    box: Toolbox, declared: _Declared, choice: ToolChoice, model: ModelName
) -> dict[str, Any] | None:
    if not declared.functions:
        if choice.mode == "ANY" and declared.builtins:
            box.dropped.append("tool_choice")
        return None
    mode = choice.mode
    strict = any(function.strict for function in declared.functions.values())
    validates = model.family == "gemini" and model.version >= (2, 5)
    if strict and validates and mode in (None, "AUTO"):
        mode = "VALIDATED"
    if mode is None:
        return None
    if not choice.names:
        return {"mode": mode}
    allowed = [box.names.upstream(own) for own in choice.names]
    return {"mode": mode, "allowedFunctionNames": allowed}
