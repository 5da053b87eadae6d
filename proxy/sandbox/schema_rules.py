"""What a schema may say: Google's OpenAPI subset, and its subset of JSON Schema."""

from collections.abc import Iterator
from typing import Any

from proxy.sandbox.refusals import Complaints, invalid_argument

_SUPPORTED = frozenset(
    {
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "property_ordering",
    }
)
# Not enforced by the model, but Google's own SDKs send them and are answered.
_IGNORED = frozenset(
    {"$schema", "$comment", "default", "minLength", "maxLength", "pattern"}
)
_TYPES = frozenset(
    {"string", "number", "integer", "boolean", "array", "object", "null"}
)
_SHAPES: dict[str, type | tuple[type, ...]] = {
    "properties": dict,
    "$defs": dict,
    "anyOf": list,
    "oneOf": list,
    "prefixItems": list,
    "required": list,
    "enum": list,
    "minItems": int,
    "maxItems": int,
    "minimum": (int, float),
    "maximum": (int, float),
    "minLength": int,
    "maxLength": int,
    "pattern": str,
    "format": str,
    "$ref": str,
}
_STRING_FORMATS = ("enum", "date-time")


def check_schema(schema: dict[str, Any], path: str, complaints: Complaints) -> None:
    """Note what is wrong with a ``Schema`` message found at ``path``."""
    kind = schema.get("type", "TYPE_UNSPECIFIED")
    if kind == "TYPE_UNSPECIFIED" and not schema.get("anyOf"):
        complaints.add(f"{path}.type", "schema didn't specify the schema type field")
    _check_enum(schema, kind, path, complaints)
    if kind == "ARRAY" and "items" not in schema:
        complaints.add(f"{path}.items", "missing field.")
    if kind == "OBJECT":
        _check_object(schema, path, complaints)
    if kind == "STRING" and schema.get("format", "enum") not in _STRING_FORMATS:
        text = "only 'enum' and 'date-time' are supported for STRING type"
        complaints.add(f"{path}.format", text)
    for name, nested in schema.get("properties", {}).items():
        check_schema(nested, f"{path}.properties[{name}]", complaints)
    for index, nested in enumerate(schema.get("anyOf", ())):
        check_schema(nested, f"{path}.any_of[{index}]", complaints)
    if "items" in schema:
        check_schema(schema["items"], f"{path}.items", complaints)


def _check_enum(
    schema: dict[str, Any], kind: str, path: str, complaints: Complaints
) -> None:
    choices = schema.get("enum", ())
    if choices and kind != "STRING":
        complaints.add(f"{path}.enum", "only allowed for STRING type")
    for index, choice in enumerate(choices):
        if choice == "":
            complaints.add(f"{path}.enum[{index}]", "cannot be empty")


def _check_object(schema: dict[str, Any], path: str, complaints: Complaints) -> None:
    properties = schema.get("properties", {})
    if not properties:
        complaints.add(f"{path}.properties", "should be non-empty for OBJECT type")
        return
    for index, name in enumerate(schema.get("required", ())):
        if name not in properties:
            complaints.add(f"{path}.required[{index}]", "property is not defined")


def check_json_schema(schema: Any, path: str) -> None:
    """Refuse a JSON Schema that uses what Google's documentation does not list."""
    if not isinstance(schema, dict):
        raise invalid_argument(f"{path}: a JSON schema must be an object.")
    _check_keywords(schema, path)
    if _requires_itself(schema, schema, frozenset()):
        raise invalid_argument(
            f"{path}: cyclic references are only allowed within non-required"
            " properties."
        )


def _check_keywords(schema: dict[str, Any], path: str) -> None:
    unknown = [key for key in schema if key not in _SUPPORTED | _IGNORED]
    if unknown:
        raise invalid_argument(
            f"{path}: JSON schema keyword {unknown[0]!r} is not supported."
        )
    if "$ref" in schema and any(not key.startswith("$") for key in schema):
        raise invalid_argument(f"{path}: only $-keywords may stand next to $ref.")
    for key, shape in _SHAPES.items():
        if key in schema and not isinstance(schema[key], shape):
            raise invalid_argument(f"{path}.{key}: invalid value.")
    _check_values(schema, path)
    for key, nested in _children(schema):
        if isinstance(nested, dict):
            _check_keywords(nested, f"{path}.{key}")
        elif not isinstance(nested, bool):
            raise invalid_argument(f"{path}.{key}: a JSON schema must be an object.")


def _check_values(schema: dict[str, Any], path: str) -> None:
    for key in ("required", "propertyOrdering", "property_ordering"):
        names = schema.get(key, [])
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise invalid_argument(f"{path}.{key}: must be a list of names.")
    kinds = schema.get("type", "string")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise invalid_argument(f"{path}.type: {kind!r} is not a JSON schema type.")
    for choice in schema.get("enum", ()):
        if isinstance(choice, bool) or not isinstance(choice, str | int | float):
            raise invalid_argument(f"{path}.enum: only strings and numbers.")


def _children(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in ("properties", "$defs"):
        for name, nested in (schema.get(keyword) or {}).items():
            yield f"{keyword}.{name}", nested
    for keyword in ("anyOf", "oneOf", "prefixItems"):
        for index, nested in enumerate(schema.get(keyword) or ()):
            yield f"{keyword}[{index}]", nested
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield keyword, schema[keyword]


def resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema a ``$ref`` points at, or the schema itself.

    Raises ``Refusal`` when the reference leads nowhere.
    """
    seen = set()
    while "$ref" in schema:
        reference = schema["$ref"]
        if reference in seen:
            raise invalid_argument(f"$ref {reference!r} refers to itself.")
        seen.add(reference)
        schema = _target(reference, root)
    return schema


def _target(reference: Any, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    if reference not in ("#", root.get("$id")):
        for step in str(reference).removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
    if found is None:
        found = _anchored(str(reference), root)
    if not isinstance(found, dict):
        raise invalid_argument(f"$ref {reference!r} cannot be resolved.")
    return found


def _anchored(reference: str, root: dict[str, Any]) -> Any:
    for definition in (root.get("$defs") or {}).values():
        if not isinstance(definition, dict):
            continue
        if reference in (f"#{definition.get('$anchor')}", definition.get("$id")):
            return definition
    return None


def _requires_itself(schema: Any, root: dict[str, Any], above: frozenset[int]) -> bool:
    if not isinstance(schema, dict):
        return False
    schema = resolve(schema, root)
    if id(schema) in above:
        return True
    below = above | {id(schema)}
    branches = schema.get("anyOf") or schema.get("oneOf") or ()
    if branches and all(_requires_itself(each, root, below) for each in branches):
        return True
    return any(_requires_itself(each, root, below) for each in _needed(schema))


def _needed(schema: dict[str, Any]) -> Iterator[Any]:
    """Schemas of which a value must always be there."""
    properties = schema.get("properties") or {}
    yield from (properties.get(name) for name in schema.get("required") or ())
    yield from schema.get("prefixItems") or ()
    if schema.get("minItems", 0) > 0:
        yield schema.get("items")
