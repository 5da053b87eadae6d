"""The strict form of schemas: Gemini's OpenAPI ``Schema``, for endpoints and models
that refuse JSON Schema."""

from typing import Any

from proxy.wire.openai_fields import MAX_NESTING, wrong
from proxy.wire.schema_rewriter import MAX_NODES, rewrite
from proxy.wire.schema_values import kind_of

_FORMATS = frozenset({"enum", "date-time", "int32", "int64", "float", "double"})
#: Which keywords make sense for which type, when a list of types is taken apart.
_OF_KIND = {
    "string": ("enum", "format", "pattern", "minLength", "maxLength"),
    "number": ("enum", "format", "minimum", "maximum"),
    "integer": ("enum", "format", "minimum", "maximum"),
    "boolean": (),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "object": (
        "properties",
        "required",
        "propertyOrdering",
        "minProperties",
        "maxProperties",
    ),
}
_PLAIN = (
    "title",
    "description",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "example",
)


def to_openapi(schema: object, *, param: str = "schema") -> dict[str, Any]:
    """Return the schema for ``parameters`` or ``responseSchema``.

    References are inlined; one that leads back into itself becomes an object of any
    shape. Raises BadRequest as ``normalise`` does.
    """
    root, definitions = rewrite(schema, param=param, wide=True)
    return _Strict(definitions, param).schema(root, ())


class _Strict:
    """Turns rewritten schemas into OpenAPI ones."""

    def __init__(self, definitions: dict[str, Any], param: str) -> None:
        self._definitions = definitions
        self._param = param
        self._nodes = 0

    def schema(self, node: dict[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        """``trail`` holds the references and keywords that we are inside of."""
        self._nodes += 1
        if self._nodes > MAX_NODES or len(trail) > MAX_NESTING:
            raise wrong(self._param, "is too large once its references are written out")
        if "$ref" in node:
            return self._inlined(node["$ref"], trail)
        named = node.get("type", [])
        found = [named] if isinstance(named, str) else list(named)
        if "null" in found:
            rest = [kind for kind in found if kind != "null"]
            return self.schema(node | {"type": rest}, trail) | {"nullable": True}
        if len(found) > 1:
            return self._taken_apart(node, found, trail)
        if "anyOf" in node and "properties" not in node:
            return self._any_of(node, trail)
        return self._single(node, found[0] if found else "string", trail)

    def _inlined(self, reference: str, trail: tuple[str, ...]) -> dict[str, Any]:
        if reference in trail:
            return {"type": "OBJECT"}
        target = self._definitions[reference.removeprefix("#/$defs/")]
        return self.schema(target, (*trail, reference))

    def _taken_apart(
        self, node: dict[str, Any], found: list[str], trail: tuple[str, ...]
    ) -> dict[str, Any]:
        branches = []
        for kind in found:
            kept = {key: node[key] for key in _OF_KIND[kind] if key in node}
            if "enum" in kept:
                kept["enum"] = [v for v in kept["enum"] if kind_of(v) == kind]
            branches.append(self._single(kept, kind, trail))
        return _remarks(node) | {"anyOf": branches}

    def _any_of(self, node: dict[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        given: list[dict[str, Any]] = node["anyOf"]
        branches = [branch for branch in given if branch.get("type") != "null"]
        nullable = {"nullable": True} if len(branches) < len(given) else {}
        if not branches:
            return self._single(_remarks(node), "string", trail) | nullable
        inner = (*trail, "anyOf")
        if len(branches) == 1:
            return self.schema(branches[0], inner) | _remarks(node) | nullable
        made = [self.schema(branch, inner) for branch in branches]
        return _remarks(node) | {"anyOf": made} | nullable

    def _single(
        self, node: dict[str, Any], kind: str, trail: tuple[str, ...]
    ) -> dict[str, Any]:
        out: dict[str, Any] = {"type": kind.upper()}
        out |= {key: node[key] for key in _PLAIN if key in node}
        _add_format(out, node.get("format"))
        if node.get("enum"):
            _add_enum(out, node["enum"])
        if kind == "object":
            self._add_properties(out, node, trail)
        if kind == "array":
            self._add_items(out, node, trail)
        return out

    def _add_properties(
        self, out: dict[str, Any], node: dict[str, Any], trail: tuple[str, ...]
    ) -> None:
        inner = (*trail, "properties")
        made = {k: self.schema(v, inner) for k, v in node.get("properties", {}).items()}
        if not made:
            return
        out["properties"] = made
        out |= {
            key: node[key] for key in ("required", "propertyOrdering") if key in node
        }

    def _add_items(
        self, out: dict[str, Any], node: dict[str, Any], trail: tuple[str, ...]
    ) -> None:
        inner = (*trail, "items")
        front = node.get("prefixItems")
        if not front:
            out["items"] = self.schema(node.get("items", {}), inner)
            return
        made = [self.schema(branch, inner) for branch in front]
        out["items"] = made[0] if len(made) == 1 else {"anyOf": made}
        out.setdefault("minItems", len(front))
        out.setdefault("maxItems", len(front))


def _remarks(node: dict[str, Any]) -> dict[str, Any]:
    return {key: node[key] for key in ("title", "description") if key in node}


def _add_format(out: dict[str, Any], word: str | None) -> None:
    if word in _FORMATS:
        out["format"] = word
    elif word:
        _describe(out, f"Format: {word}.")


def _add_enum(out: dict[str, Any], values: list[Any]) -> None:
    if all(isinstance(value, str) for value in values) and out["type"] == "STRING":
        out["enum"] = values
        return
    _describe(out, f"One of: {', '.join(str(value) for value in values)}.")


def _describe(out: dict[str, Any], sentence: str) -> None:
    out["description"] = " ".join(filter(None, [out.get("description"), sentence]))
