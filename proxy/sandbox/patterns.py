"""A text that matches a regular expression, made from the expression itself."""

import re
from collections.abc import Iterable
from re import _parser  # the only parser of re's own syntax
from typing import Any

_PRINTABLE = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ _-.,:;!?@"
_CLASSES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_MOST_REPEATS = 64


def matching_text(pattern: str) -> str | None:
    """The simplest text that matches ``pattern``, or ``None`` if none was found."""
    try:
        text = _Maker().sequence(_parser.parse(pattern))
    except (re.error, OverflowError, RecursionError):
        return None
    return text if re.search(pattern, text) else None


class _Maker:
    def __init__(self) -> None:
        self._groups: dict[int, str] = {}

    def sequence(self, nodes: Iterable[tuple[Any, Any]]) -> str:
        return "".join(self._node(str(kind), value) for kind, value in nodes)

    def _node(self, kind: str, value: Any) -> str:
        if kind == "LITERAL":
            return chr(value)
        if kind in ("NOT_LITERAL", "ANY", "IN", "CATEGORY"):
            return _first_of(kind, value)
        if kind == "BRANCH":
            return self.sequence(value[1][0])
        if kind == "SUBPATTERN":
            return self._group(value)
        if kind == "GROUPREF":
            return self._groups.get(value, "")
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self.sequence(value[2]) * min(value[0], _MOST_REPEATS)
        return ""

    def _group(self, value: Any) -> str:
        text = self.sequence(value[3])
        if value[0] is not None:
            self._groups[value[0]] = text
        return text


def _first_of(kind: str, value: Any) -> str:
    if kind == "ANY":
        return "a"
    items = value if kind == "IN" else [(kind, value)]
    names = [(str(name), operand) for name, operand in items]
    negated = any(name in ("NEGATE", "NOT_LITERAL") for name, _ in names)
    first = next((chr(low) for low in _lowest(names)), None)
    if first is not None and not negated:
        return first
    for character in _PRINTABLE:
        if any(_covers(name, operand, character) for name, operand in names) != negated:
            return character
    return ""


def _lowest(names: list[tuple[str, Any]]) -> Iterable[int]:
    for name, operand in names:
        if name == "LITERAL":
            yield operand
        if name == "RANGE":
            yield operand[0]


def _covers(name: str, operand: Any, character: str) -> bool:
    if name in ("LITERAL", "NOT_LITERAL"):
        return chr(operand) == character
    if name == "RANGE":
        return operand[0] <= ord(character) <= operand[1]
    if name == "CATEGORY":
        return re.match(_CLASSES[str(operand)], character) is not None
    return False
