"""Gemini's ``Schema`` objects as plain JSON Schema."""

from typing import Any

from proxy.errors import BadRequest

MOST_LEVELS = 64
#: Keywords of Gemini's that JSON Schema does not know.
_FOREIGN = frozenset({"nullable", "propertyOrdering", "example"})
_NUMBERS = frozenset(
    {
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
    }
)


def plain_schema(schema: Any, level: int = 0) -> Any:
    """Return a JSON Schema for a Schema of Google's (types in capitals, numbers as
    text, ``nullable``); what is JSON Schema already stays as it is.

    Raises BadRequest for one that is nested too deeply.
    """
    if level > MOST_LEVELS:
        raise BadRequest("The schema is nested too deeply.")
    if not isinstance(schema, dict):
        return schema
    found = {
        name: _value(name, value, level + 1)
        for name, value in schema.items()
        if name not in _FOREIGN
    }
    if schema.get("format") == "enum":
        del found["format"]
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    return found


def _value(name: str, value: Any, level: int) -> Any:
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name in _NUMBERS and isinstance(value, str) and value.isdecimal():
        return int(value)
    if name == "properties" and isinstance(value, dict):
        return {key: plain_schema(item, level) for key, item in value.items()}
    if name in ("items", "additionalProperties"):
        return plain_schema(value, level)
    if name in ("anyOf", "prefixItems") and isinstance(value, list):
        return [plain_schema(item, level) for item in value]
    return value
