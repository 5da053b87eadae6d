"""Merging of JSON Schemas that must hold together (``allOf``)."""

from typing import Any

#: Keywords that describe but do not constrain: beside a reference they may go.
_REMARKS = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "nullable",
    }
)


def is_plain_reference(schema: dict[str, Any]) -> bool:
    """Is this a reference, bare or as the only member of an ``allOf``?

    Keywords beside a ``$ref`` count for nothing: Gemini allows none there.
    """
    if "$ref" in schema:
        return True
    parts = schema.get("allOf")
    if not isinstance(parts, list) or len(parts) != 1:
        return False
    bare = isinstance(parts[0], dict) and "$ref" in parts[0]
    return bare and schema.keys() - {"allOf"} <= _REMARKS


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that holds where both hold, as far as keywords can say it.

    The first schema's remarks win; a property that both describe becomes an ``allOf``
    of the two.
    """
    out = dict(first)
    for key, value in second.items():
        if key not in out:
            out[key] = value
        elif combine := _COMBINE.get(key):
            out[key] = combine(out[key], value)
    return out


def _properties(first: Any, second: Any) -> Any:
    if not isinstance(first, dict) or not isinstance(second, dict):
        return first
    both = dict(first)
    for name, schema in second.items():
        both[name] = {"allOf": [both[name], schema]} if name in both else schema
    return both


def _united(first: Any, second: Any) -> Any:
    if not isinstance(first, list) or not isinstance(second, list):
        return first
    return list(dict.fromkeys(item for item in first + second if isinstance(item, str)))


def _common(first: Any, second: Any) -> Any:
    """Return what both lists allow; the first when they have nothing in common."""
    one = first if isinstance(first, list) else [first]
    two = second if isinstance(second, list) else [second]
    # Values may be unhashable; their text also tells true from 1.
    allowed = {repr(item) for item in two}
    return [item for item in one if repr(item) in allowed] or first


def _extreme(pick: Any) -> Any:
    def choose(first: Any, second: Any) -> Any:
        both = isinstance(first, int | float) and isinstance(second, int | float)
        return pick(first, second) if both else first

    return choose


_COMBINE = {
    "properties": _properties,
    "required": _united,
    "type": _common,
    "enum": _common,
    **dict.fromkeys(
        ("minimum", "exclusiveMinimum", "minItems", "minLength"), _extreme(max)
    ),
    **dict.fromkeys(
        ("maximum", "exclusiveMaximum", "maxItems", "maxLength"), _extreme(min)
    ),
}
