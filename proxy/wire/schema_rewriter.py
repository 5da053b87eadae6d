"""Rewrites JSON Schema as clients write it into the few keywords Gemini knows.

Gemini documents a short list of keywords for ``responseJsonSchema`` and
``parametersJsonSchema`` and refuses much of the rest. What can be said in that list
is rewritten, the remainder is left out.
"""

import re
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import unquote

from proxy.wire.openai_fields import (
    MAX_NESTING,
    bounded,
    record,
    sequence,
    text,
    whole,
    wrong,
)
from proxy.wire.schema_merge import is_plain_reference, merged
from proxy.wire.schema_values import Choices, choices, kinds, tightened

#: Schema nodes one request may make us look at: references that repeat each other
#: would grow without bound.
MAX_NODES = 10_000

#: A schema may nest deeper in JSON than in levels: properties and names alternate.
_MAX_JSON_NESTING = MAX_NESTING * 3

_STRINGS = ("title", "description", "format")
_COUNTS = ("minItems", "maxItems")
#: Keywords that only the OpenAPI form knows.
_MORE_STRINGS = ("pattern",)
_MORE_COUNTS = ("minLength", "maxLength", "minProperties", "maxProperties")

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class Rewritten(NamedTuple):
    """A schema in the short list of keywords, and the definitions it refers to."""

    root: dict[str, Any]
    definitions: dict[str, Any]


def rewrite(schema: object, *, param: str, wide: bool = False) -> Rewritten:
    """Rewrite a schema; ``wide`` keeps the keywords that only OpenAPI knows too."""
    return _Rewriter(schema, param, wide).run()


class _Rewriter:
    """Rewrites one document; referenced definitions are collected as they are met."""

    def __init__(self, document: object, param: str, wide: bool) -> None:
        bounded(document, param or "schema", _MAX_JSON_NESTING)
        self._document = document
        self._param = param or "schema"
        self._strings = _STRINGS + _MORE_STRINGS if wide else _STRINGS
        self._counts = _COUNTS + _MORE_COUNTS if wide else _COUNTS
        self._wide = wide
        self._nodes = 0
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._used: Counter[str] = Counter()
        self._waiting: list[tuple[str, object]] = []

    def run(self) -> Rewritten:
        root = self._schema(self._document, 0) or {}
        definitions: dict[str, Any] = {}
        while self._waiting:
            name, target = self._waiting.pop()
            definitions[name] = self._schema(target, 0) or {}
        return Rewritten(root, definitions)

    def _schema(self, node: object, depth: int) -> dict[str, Any] | None:
        """Return the rewritten schema; None for ``false``, which nothing fits."""
        if isinstance(node, bool):
            return {} if node else None
        self._count(depth)
        source = record(node, self._param)
        if is_plain_reference(source):
            return {"$ref": self._reference(_reference_of(source, self._param))}
        source = self._without_all_of(source, depth)
        found = choices(source, kinds(source, self._param), self._param)
        out = self._scalars(source, found)
        if "object" in found.kinds:
            self._add_object(out, source, depth)
        if "array" in found.kinds:
            self._add_array(out, source, depth)
        self._add_any_of(out, source, depth)
        return out

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_NESTING:
            raise wrong(self._param, f"is nested deeper than {MAX_NESTING} levels")
        if self._nodes > MAX_NODES:
            raise wrong(self._param, f"has more than {MAX_NODES} schema nodes")

    def _scalars(self, source: dict[str, Any], found: Choices) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if found.kinds:
            single = len(found.kinds) == 1
            out["type"] = found.kinds[0] if single else list(found.kinds)
        for key in self._strings:
            if source.get(key) is not None:
                out[key] = text(source[key], f"{self._param}: {key}")
        if found.values:
            out["enum"] = found.values
        if found.note:
            out["description"] = " ".join(
                filter(None, [out.get("description"), found.note])
            )
        for key in self._counts:
            if source.get(key) is not None:
                out[key] = whole(source[key], f"{self._param}: {key}")
        out |= tightened(source, found.kinds, self._param)
        if self._wide:
            out |= {k: source[k] for k in ("default", "example") if k in source}
        return out

    def _add_object(
        self, out: dict[str, Any], source: dict[str, Any], depth: int
    ) -> None:
        if source.get("properties") is not None:
            given = record(source["properties"], f"{self._param}: properties")
            made = {key: self._schema(node, depth + 1) for key, node in given.items()}
            out["properties"] = {
                k: node for k, node in made.items() if node is not None
            }
        known = out.get("properties", {})
        for key in ("required", "propertyOrdering"):
            # Draft 3 had a boolean ``required`` on the property itself.
            listed = source.get(key) if not isinstance(source.get(key), bool) else None
            names = sequence(listed or [], f"{self._param}: {key}")
            kept = [n for n in names if isinstance(n, str) and n in known]
            if kept:
                out[key] = list(dict.fromkeys(kept))
        if source.get("additionalProperties") is not None:
            more = self._schema(source["additionalProperties"], depth + 1)
            plain = isinstance(source["additionalProperties"], bool)
            out["additionalProperties"] = (more is not None) if plain else more

    def _add_array(
        self, out: dict[str, Any], source: dict[str, Any], depth: int
    ) -> None:
        items = source.get("items")
        front = source.get("prefixItems")
        if isinstance(items, list):
            front, items = items, source.get("additionalItems")
        if front is not None:
            listed = sequence(front, f"{self._param}: prefixItems")
            made = [self._schema(node, depth + 1) for node in listed]
            out["prefixItems"] = [node for node in made if node is not None]
        inner = self._schema(items, depth + 1) if items is not None else None
        if inner:
            out["items"] = inner
        elif not out.get("prefixItems"):
            # Google refuses an array that does not say what is in it.
            out.pop("prefixItems", None)
            out["items"] = {"type": "string"}

    def _add_any_of(
        self, out: dict[str, Any], source: dict[str, Any], depth: int
    ) -> None:
        given = source.get("anyOf") or source.get("oneOf")
        if not given:
            return
        listed = sequence(given, f"{self._param}: anyOf")
        made = [self._schema(node, depth + 1) for node in listed]
        kept = [node for node in made if node is not None]
        # A branch that allows anything makes the whole choice say nothing.
        if kept and {} not in kept:
            out["anyOf"] = kept

    def _without_all_of(self, source: dict[str, Any], depth: int) -> dict[str, Any]:
        """Merge ``allOf``, and the target of a reference beside other keywords."""
        if source.get("allOf") is None:
            return source
        whole_node = {key: value for key, value in source.items() if key != "allOf"}
        for part in sequence(source["allOf"], f"{self._param}: allOf"):
            if isinstance(part, bool):
                continue
            self._count(depth + 1)
            piece = record(part, f"{self._param}: allOf")
            whole_node = merged(whole_node, self._inlined(piece, depth + 1))
        return whole_node

    def _inlined(self, piece: dict[str, Any], depth: int) -> dict[str, Any]:
        while is_plain_reference(piece):
            self._count(depth)
            target = self._resolve(_reference_of(piece, self._param))
            if isinstance(target, bool):
                return {}
            piece = record(target, self._param)
            depth += 1
        return self._without_all_of(piece, depth)

    def _reference(self, pointer: str) -> str:
        if pointer not in self._names:
            target = self._resolve(pointer)
            self._names[pointer] = self._free_name(pointer)
            self._waiting.append((self._names[pointer], target))
        return f"#/$defs/{self._names[pointer]}"

    def _free_name(self, pointer: str) -> str:
        base = (
            _UNSAFE.sub("_", unquote(pointer.rpartition("/")[2])).strip("_") or "root"
        )
        name = base
        while name in self._taken:
            self._used[base] += 1
            name = f"{base}_{self._used[base]}"
        self._taken.add(name)
        return name

    def _resolve(self, pointer: str) -> object:
        """Return what a local reference points at."""
        node: object = self._document
        if pointer != "#" and not pointer.startswith("#/"):
            raise wrong(self._param, f"has a reference that is not local: {pointer!r}")
        for step in pointer.split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and _is_index(key, len(node)):
                node = node[int(key)]
            else:
                raise wrong(self._param, f"has a dangling reference: {pointer!r}")
        return node


def _is_index(key: str, size: int) -> bool:
    plain = key.isascii() and key.isdigit() and len(key) < len(str(size)) + 1
    return plain and int(key) < size


def _reference_of(source: dict[str, Any], param: str) -> str:
    value = source["$ref"] if "$ref" in source else source["allOf"][0]["$ref"]
    return text(value, f"{param}: $ref")
