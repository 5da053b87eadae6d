"""Values from a model, held against the JSON Schema that was asked for.

It knows the keywords to which ``schema_rewriter`` rewrites every schema, so nothing
is fetched, and no regular expression of a caller's runs: patterns are for the model
only. Its work is bounded, because schemas can multiply it without end.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from proxy.wire.gemini_answer import Json, mapping
from proxy.wire.schema_rewriter import rewrite
from proxy.wire.schema_values import kind_of

#: Nodes looked at for one value.
MOST_STEPS = 50_000
#: Schemas within schemas, those of references and choices counted.
_DEEPEST = 150

_SIZES: dict[type, tuple[str, str]] = {
    str: ("minLength", "maxLength"),
    list: ("minItems", "maxItems"),
    dict: ("minProperties", "maxProperties"),
}


class Misfit(ValueError):
    """A value does not fit a schema; says where and which keyword, not what it is."""


def readable(schema: object, param: str) -> Json:
    """Return a JSON Schema or OpenAPI schema as JSON Schema in few keywords.

    Raises BadRequest, with ``param``, for what is no schema.
    """
    root, definitions = rewrite(schema, param=param, wide=True)
    return {**root, "$defs": definitions} if definitions else root


def fitted(value: Any, schema: Json) -> Any:
    """Return a value that fits a ``readable`` schema; raises Misfit.

    A value that fits is returned as it is. Otherwise small slips are mended: numbers,
    booleans, objects and lists written as strings, numbers for strings, null for what
    may be left out.
    """
    try:
        return _Fit(schema, mends=False).of(value, schema)
    except Misfit:
        return _Fit(schema, mends=True).of(value, schema)


class _Fit:
    """One comparison. With ``mends`` slips are mended, else only looked for."""

    def __init__(self, root: Json, *, mends: bool) -> None:
        self._definitions = mapping(root.get("$defs"))
        self._mends = mends
        self._steps = MOST_STEPS
        self._depth = 0
        self._path: list[str] = ["$"]

    def of(self, value: Any, schema: Any) -> Any:
        """Return the value as it fits; raises Misfit."""
        if self._depth > _DEEPEST:
            raise Misfit("it is nested too deeply")
        self._depth += 1
        try:
            return self._of(value, self._resolved(schema))
        finally:
            self._depth -= 1

    def _of(self, value: Any, schema: Json) -> Any:
        kinds = schema.get("type")
        if kinds is not None:
            value = self._of_kind(value, [kinds] if isinstance(kinds, str) else kinds)
        if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
            raise self._misfit("enum")
        self._check_bounds(value, schema)
        if isinstance(value, dict):
            value = self._object(value, schema)
        elif isinstance(value, list):
            value = self._list(value, schema)
        return self._any_of(value, schema["anyOf"]) if "anyOf" in schema else value

    def _resolved(self, schema: Any) -> Json:
        found = mapping(schema)
        self._step()
        while "$ref" in found:
            self._step()
            name = str(found["$ref"]).removeprefix("#/$defs/")
            found = mapping(self._definitions.get(name))
        return found

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise Misfit("it has too many ways to fit")

    def _of_kind(self, value: Any, kinds: Sequence[str]) -> Any:
        if _is_of(value, kinds):
            return value
        if self._mends:
            for other in _readings(value, kinds):
                if _is_of(other, kinds):
                    return other
        raise self._misfit("type")

    def _check_bounds(self, value: Any, schema: Json) -> None:
        measure, names = value, ("minimum", "maximum")
        if type(value) in _SIZES:
            measure, names = len(value), _SIZES[type(value)]
        elif isinstance(value, bool) or not isinstance(value, int | float):
            return
        least, most = (schema.get(name) for name in names)
        if least is not None and measure < least:
            raise self._misfit(names[0])
        if most is not None and measure > most:
            raise self._misfit(names[1])

    def _object(self, value: Json, schema: Json) -> Json:
        known = mapping(schema.get("properties"))
        required = schema.get("required") or ()
        made: Json = {}
        for name, item in value.items():
            with self._at(f".{name}"):
                try:
                    made[name] = self._property(name, item, known, schema)
                except Misfit:
                    if not self._mends or item is not None or name in required:
                        raise
        for name in required:
            if name not in made:
                with self._at(f".{name}"):
                    raise self._misfit("required")
        return made

    def _property(self, name: str, item: Any, known: Json, schema: Json) -> Any:
        if name in known:
            return self.of(item, known[name])
        more = schema.get("additionalProperties", True)
        if more is False:
            raise self._misfit("additionalProperties")
        return item if more is True else self.of(item, more)

    def _list(self, value: list[Any], schema: Json) -> list[Any]:
        front = schema.get("prefixItems") or ()
        rest = schema.get("items", {})
        made = []
        for place, item in enumerate(value):
            with self._at(f"[{place}]"):
                one = front[place] if place < len(front) else rest
                made.append(self.of(item, one))
        return made

    def _any_of(self, value: Any, branches: Sequence[Any]) -> Any:
        """Return what fits a branch; one that fits as it is goes before the mended."""
        for mends in dict.fromkeys((False, self._mends)):
            for branch in branches:
                try:
                    return self._tried(value, branch, mends=mends)
                except Misfit:
                    continue
        raise self._misfit("anyOf")

    def _tried(self, value: Any, branch: Any, *, mends: bool) -> Any:
        before, self._mends = self._mends, mends
        depth = len(self._path)
        try:
            return self.of(value, branch)
        finally:
            self._mends = before
            del self._path[depth:]

    @contextmanager
    def _at(self, step: str) -> Iterator[None]:
        self._path.append(step)
        yield
        self._path.pop()

    def _misfit(self, keyword: str) -> Misfit:
        return Misfit(f"{keyword} does not hold at {''.join(self._path)[:200]}")


def _is_of(value: Any, kinds: Sequence[str]) -> bool:
    kind = kind_of(value)
    if kind == "integer":
        return "integer" in kinds or "number" in kinds
    if kind == "number" and "integer" in kinds:
        return True if "number" in kinds else float(value).is_integer()
    return kind in kinds


def _readings(value: Any, kinds: Sequence[str]) -> Iterator[Any]:
    """Yield what may have been meant by a value of another kind."""
    if isinstance(value, str):
        try:
            yield orjson.loads(value)
        except ValueError:
            return
    elif "string" in kinds and isinstance(value, int | float):
        yield orjson.dumps(value).decode()


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) is isinstance(other, bool) and bool(value == other)
