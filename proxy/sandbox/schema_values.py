"""Valid values for a schema, filled from the user's words where they fit."""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from proxy.sandbox.patterns import matching_text
from proxy.sandbox.refusals import invalid_argument
from proxy.sandbox.schema_rules import resolve

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)")
_PLACED = re.compile(
    r"\b(?:in|for|of|at|to|from|about|near)\s+"
    r"([A-ZÀ-ÞΑ-ΩА-Я][\w-]*(?:\s+[A-ZÀ-ÞΑ-ΩА-Я][\w-]*)*)"
)
_CAPITALISED = re.compile(r"(?<=[\w,;:] )[A-ZÀ-ÞΑ-ΩА-Я][\w-]*")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "PT1M",
    "email": "sandbox@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000001",
}
_WHOLE_TEXT = ("query", "text", "prompt", "question", "message", "input", "content")
_DEEPEST = 12
_MOST_ITEMS = 1000
_LONGEST = 100_000


class Words:
    """What a text offers as values: quoted words, places, names and numbers."""

    def __init__(self, text: str, avoid: tuple[str, ...] = ()) -> None:
        self.text = text
        quoted = ["".join(match) for match in _QUOTED.findall(text)]
        named = [*_PLACED.findall(text), *_CAPITALISED.findall(text)]
        found = quoted or list(dict.fromkeys(named))
        kept = [phrase for phrase in found if phrase not in avoid]
        self._phrases: Iterator[str] = iter(kept)
        self._numbers: list[float] = [float(n) for n in _NUMBER.findall(text)]
        self.has_any = bool(kept or self._numbers)

    def phrase(self) -> str | None:
        """The next unused phrase of the text."""
        return next(self._phrases, None)

    def number(self, low: float, high: float, *, whole: bool) -> float | None:
        """The next unused number of the text within a range."""
        for index, number in enumerate(self._numbers):
            if low <= number <= high and (number.is_integer() or not whole):
                return self._numbers.pop(index)
        return None

    def mentioned(self, choices: list[Any]) -> Any:
        """The first choice that the text mentions, or ``None``."""
        for choice in choices:
            if re.search(rf"\b{re.escape(str(choice))}\b", self.text, re.IGNORECASE):
                return choice
        return None


def fill(schema: Any, words: Words, *, optional: bool = True) -> Any:
    """A value that satisfies a Schema or JSON Schema.

    Properties which are not required are left out unless ``optional``. Raises
    ``Refusal`` for a schema that no finite value satisfies.
    """
    root = schema if isinstance(schema, dict) else {}
    try:
        return _Filler(root, words, optional=optional).value(root, "value", 0)
    except RecursionError as error:
        raise invalid_argument("The schema is nested too deeply.") from error


class _Filler:
    def __init__(self, root: dict[str, Any], words: Words, *, optional: bool) -> None:
        self._root = root
        self._words = words
        self._optional = optional

    def value(self, schema: Any, name: str, depth: int) -> Any:
        schema = resolve(schema, self._root) if isinstance(schema, dict) else {}
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._branch(schema, branches, name, depth)
        if schema.get("enum"):
            mentioned = self._words.mentioned(schema["enum"])
            return schema["enum"][0] if mentioned is None else mentioned
        return self._typed(schema, name, depth)

    def _branch(
        self, schema: dict[str, Any], branches: list[Any], name: str, depth: int
    ) -> Any:
        rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}
        solid = [branch for branch in branches if _kind(branch) != "null"]
        if depth > _DEEPEST and len(solid) < len(branches):
            return None
        if depth > _DEEPEST:
            solid.sort(key=lambda branch: "$ref" in str(branch))
        chosen = (solid or branches)[0]
        chosen = chosen if isinstance(chosen, dict) else {}
        return self.value({**rest, **resolve(chosen, self._root)}, name, depth + 1)

    def _typed(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        return self._string(schema, name)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required") or ()
        properties = _ordered(schema, required)
        all_of_them = self._optional and depth < _DEEPEST
        return {
            name: self.value(nested, name, depth + 1)
            for name, nested in properties.items()
            if name in required or (all_of_them and not self._recurs(nested, depth))
        }

    def _recurs(self, schema: Any, depth: int) -> bool:
        """Whether an optional property would only lead back to where we are."""
        return depth > 2 and isinstance(schema, dict) and "$ref" in str(schema)

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        fixed = schema.get("prefixItems") or []
        values = [self.value(item, name, depth + 1) for item in fixed]
        least = schema.get("minItems", 0)
        recurs = self._recurs(schema.get("items"), depth)
        wanted = max(least, 0 if recurs or depth > _DEEPEST or fixed else 1)
        wanted = min(wanted, schema.get("maxItems", wanted), _MOST_ITEMS)
        while len(values) < wanted:
            values.append(self.value(schema.get("items", {}), name, depth + 1))
        return values

    def _number(self, schema: dict[str, Any], *, whole: bool) -> float | int:
        low = schema.get("minimum", float("-inf"))
        high = schema.get("maximum", float("inf"))
        number = self._words.number(low, high, whole=whole)
        if number is None and "minimum" in schema:
            number = math.ceil(low) if whole else low
        if number is None:
            number = math.floor(min(1, high)) if whole else min(1, high)
        return int(number) if float(number).is_integer() else number

    def _string(self, schema: dict[str, Any], name: str) -> str:
        made = _FORMATS.get(schema.get("format", ""))
        if made is None and "pattern" in schema:
            made = matching_text(schema["pattern"])
        if made is None:
            made = self._words.phrase()
        if made is None:
            whole = name.lower() in _WHOLE_TEXT and self._words.text
            made = self._words.text if whole else f"sample {name}"
        return _fitted(made, schema)


def _ordered(schema: dict[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """The properties in the wanted order, those that are only required last."""
    properties = schema.get("properties") or {}
    wanted = schema.get("propertyOrdering") or schema.get("property_ordering") or ()
    names = [name for name in wanted if name in properties]
    return {name: properties.get(name) for name in (*names, *properties, *required)}


def _fitted(text: str, schema: dict[str, Any]) -> str:
    longest = schema.get("maxLength", len(text))
    shortest = min(schema.get("minLength", 0), _LONGEST)
    return text[:longest].ljust(shortest, "x")


def _kind(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "string"
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each.lower() != "null"), "null")
    if kind is None or kind == "TYPE_UNSPECIFIED":
        return _guessed(schema)
    return str(kind).lower()


def _guessed(schema: dict[str, Any]) -> str:
    if "properties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if "minimum" in schema or "maximum" in schema else "string"
