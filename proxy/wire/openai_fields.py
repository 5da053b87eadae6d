"""Typed reading of an OpenAI request: each reader returns a value or names a field."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeVar

from proxy.errors import BadRequest

T = TypeVar("T")

#: Deepest nesting of objects and arrays taken from a caller in one free-form value.
MAX_NESTING = 64


def wrong(param: str, message: str) -> BadRequest:
    """Return the fault that says what is wrong with the field ``param``, or with the
    request as a whole when that is empty."""
    return BadRequest(f"{param or 'The request'} {message}.", param=param or None)


def record(value: object, param: str) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object; raise BadRequest otherwise."""
    if not isinstance(value, dict):
        raise wrong(param, "must be an object")
    return value


def sequence(value: object, param: str) -> list[Any]:
    """Return ``value`` if it is a JSON array; raise BadRequest otherwise."""
    if not isinstance(value, list):
        raise wrong(param, "must be an array")
    return value


def text(value: object, param: str) -> str:
    """Return ``value`` if it is a string; raise BadRequest otherwise."""
    if not isinstance(value, str):
        raise wrong(param, "must be a string")
    return value


def name(value: object, param: str) -> str:
    """Return ``value`` if it is a string with something in it."""
    found = text(value, param)
    if not found.strip():
        raise wrong(param, "must not be empty")
    return found


def flag(value: object, param: str) -> bool:
    """Return ``value`` if it is true or false; raise BadRequest otherwise."""
    if not isinstance(value, bool):
        raise wrong(param, "must be true or false")
    return value


def number(value: object, param: str) -> float:
    """Return ``value`` if it is a finite number; raise BadRequest otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(param, "must be a number")
    if isinstance(value, float) and not isfinite(value):
        raise wrong(param, "must be a finite number")
    return value


def whole(value: object, param: str) -> int:
    """Return ``value`` as an integer; 40.0 counts as one, 40.5 does not."""
    found = number(value, param)
    if isinstance(found, float) and not found.is_integer():
        raise wrong(param, "must be an integer")
    if abs(found) >= 2**63:
        raise wrong(param, "is out of range")
    return int(found)


def whole_from(least: int, most: int) -> Callable[[object, str], int]:
    """Return a reader of integers from ``least`` to ``most``."""

    def read(value: object, param: str) -> int:
        found = whole(value, param)
        if not least <= found <= most:
            raise wrong(param, f"must be from {least} to {most}")
        return found

    return read


def choice(value: object, param: str, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``allowed``; raise BadRequest otherwise."""
    found = text(value, param)
    if found not in allowed:
        raise wrong(param, f"must be one of: {', '.join(allowed)}")
    return found


def maybe(
    source: Mapping[str, Any],
    key: str,
    read: Callable[[object, str], T],
    prefix: str = "",
) -> T | None:
    """Read ``source[key]``; None when it is missing or null."""
    value = source.get(key)
    if value is None:
        return None
    return read(value, f"{prefix}.{key}" if prefix else key)


def either(
    source: Mapping[str, Any],
    keys: tuple[str, ...],
    read: Callable[[object, str], T],
    prefix: str = "",
) -> T | None:
    """Read the first of ``keys`` that is neither missing nor null."""
    for key in keys:
        found = maybe(source, key, read, prefix)
        if found is not None:
            return found
    return None


def bounded(value: object, param: str, limit: int = MAX_NESTING) -> None:
    """Raise BadRequest when ``value`` nests deeper than ``limit`` levels."""
    if nests_deeper(value, limit):
        raise wrong(param, f"is nested deeper than {limit} levels")


def nests_deeper(value: object, limit: int = MAX_NESTING) -> bool:
    """Tell whether objects and arrays in ``value`` nest deeper than ``limit``."""
    level = [value]
    for _ in range(limit + 1):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
