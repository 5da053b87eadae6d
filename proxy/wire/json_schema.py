"""JSON Schema for Gemini: as clients write it, as Gemini takes it, and the strict
OpenAPI form to fall back to."""

from typing import Any

from proxy.wire.openai_fields import record
from proxy.wire.openapi_schema import to_openapi
from proxy.wire.schema_rewriter import rewrite

__all__ = ["normalise", "strict_body", "to_openapi", "tool_parameters"]


def normalise(schema: object, *, param: str = "") -> dict[str, Any]:
    """Return the schema for a ``…JsonSchema`` field of Gemini.

    ``schema`` is what a client sent, ``param`` the request field that held it.
    Raises BadRequest for wrong types, references that lead nowhere, nesting deeper
    than 64 levels, and schemas too large to look at.
    """
    root, definitions = rewrite(schema, param=param)
    return {**root, "$defs": definitions} if definitions else root


def tool_parameters(
    parameters: object, param: str
) -> tuple[dict[str, Any] | None, bool]:
    """Return (parametersJsonSchema or None, wrapped) for a tool's ``parameters``.

    A tool without parameters has none at all. A root that is not an object is put
    into an object's property ``value``, and ``wrapped`` says so.
    """
    if parameters is None or parameters == {}:
        return None, False
    schema = normalise(record(parameters, param), param=param)
    if "type" not in schema:
        return (schema or None), False
    if schema["type"] != "object":
        definitions = schema.pop("$defs", None)
        outer = {
            "type": "object",
            "properties": {"value": schema},
            "required": ["value"],
        }
        return ({**outer, "$defs": definitions} if definitions else outer), True
    free = isinstance(schema.get("additionalProperties"), dict)
    if not schema.get("properties") and not free and "anyOf" not in schema:
        return None, False
    return schema, False


def strict_body(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return a copy of a generateContent body that has OpenAPI schemas in place of
    JSON Schemas; None when it holds no JSON Schema."""
    tools = [_strict_tool(tool) for tool in _list(body.get("tools"))]
    config = _strict_config(body.get("generationConfig"))
    if config is None and not any(tool is not None for tool in tools):
        return None
    copy = dict(body)
    if tools:
        pairs = zip(tools, body["tools"], strict=True)
        copy["tools"] = [old if new is None else new for new, old in pairs]
    if config is not None:
        copy["generationConfig"] = config
    return copy


def _strict_tool(tool: object) -> dict[str, Any] | None:
    declared = tool.get("functionDeclarations") if isinstance(tool, dict) else None
    made = [_replaced(d, "parametersJsonSchema", "parameters") for d in _list(declared)]
    if not isinstance(tool, dict) or all(new is None for new in made):
        return None
    pairs = zip(made, _list(declared), strict=True)
    return tool | {
        "functionDeclarations": [old if new is None else new for new, old in pairs]
    }


def _strict_config(config: object) -> dict[str, Any] | None:
    for key in ("responseJsonSchema", "_responseJsonSchema"):
        made = _replaced(config, key, "responseSchema")
        if made is not None:
            return made
    return None


def _replaced(holder: object, key: str, strict_key: str) -> dict[str, Any] | None:
    if not isinstance(holder, dict) or not isinstance(holder.get(key), dict):
        return None
    kept = {name: value for name, value in holder.items() if name != key}
    return kept | {strict_key: to_openapi(holder[key], param=key)}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
