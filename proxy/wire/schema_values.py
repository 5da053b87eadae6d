"""What values a JSON Schema allows: types, choices and bounds."""

from json import dumps
from math import ceil, floor
from typing import Any, NamedTuple, TypeGuard

from proxy.wire.openai_fields import number, sequence, wrong

_KINDS = frozenset(
    {"string", "number", "integer", "boolean", "object", "array", "null"}
)


class Choices(NamedTuple):
    """Types a schema allows, its enumerated values if they can be enumerated, and
    else a note for the description."""

    kinds: tuple[str, ...]
    values: list[Any]
    note: str = ""


def kinds(schema: dict[str, Any], param: str) -> tuple[str, ...]:
    """Return the types a schema names, lower-case; guessed from its other keywords
    when it names none. Names that are no types are left out."""
    named = schema.get("type")
    listed = named if isinstance(named, list) else [named] if named is not None else []
    if any(not isinstance(kind, str) for kind in listed):
        raise wrong(f"{param}: type", "must be a string or an array of strings")
    found = [kind.lower() for kind in listed if kind.lower() in _KINDS]
    if not found:
        found = _guessed(schema)
    if schema.get("nullable") is True and found:
        found.append("null")
    return tuple(dict.fromkeys(found))


def _guessed(schema: dict[str, Any]) -> list[str]:
    if isinstance(schema.get("properties"), dict):
        return ["object"]
    if schema.get("items") is not None or schema.get("prefixItems") is not None:
        return ["array"]
    return []


def choices(schema: dict[str, Any], named: tuple[str, ...], param: str) -> Choices:
    """Return the choices of ``enum`` or ``const``.

    Gemini enumerates strings and numbers only: null becomes a type, the empty string
    goes, and where anything else is listed the description has to say it.
    """
    given = _given(schema, param)
    if not given:
        return Choices(named, [])
    values = [value for value in given if value is not None and value != ""]
    found = named or tuple(dict.fromkeys(kind_of(value) for value in given))
    if None in given and "null" not in found:
        found = (*found, "null")
    if any(isinstance(value, bool | dict | list) for value in values):
        both = {False, True} <= {v for v in values if isinstance(v, bool)}
        return Choices(found, [], "" if both else _note(values))
    return Choices(found, _distinct(values))


def _given(schema: dict[str, Any], param: str) -> list[Any]:
    if "const" in schema:
        return [schema["const"]]
    if schema.get("enum") is None:
        return []
    return sequence(schema["enum"], f"{param}: enum")


def _note(values: list[Any]) -> str:
    shown = ", ".join(dumps(value, ensure_ascii=False) for value in values)
    return f"Must be {'' if len(values) == 1 else 'one of '}{shown}."


def _distinct(values: list[Any]) -> list[Any]:
    return list({(type(value), value): value for value in values}.values())


def kind_of(value: object) -> str:
    """Return the JSON Schema type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    plain = {str: "string", int: "integer", float: "number", dict: "object"}
    return plain.get(type(value), "array")


def tightened(
    schema: dict[str, Any], named: tuple[str, ...], param: str
) -> dict[str, float]:
    """Return ``minimum`` and ``maximum`` with the exclusive bounds folded in.

    For integers an exclusive bound moves by one; for numbers it stays, because Gemini
    has no other word for it.
    """
    step = 1 if "integer" in named and "number" not in named else 0
    out: dict[str, float] = {}
    low = _bounds(schema, "minimum", "exclusiveMinimum", param)
    high = _bounds(schema, "maximum", "exclusiveMaximum", param)
    lows = [v for v in (low[0], _above(low[1], step)) if v is not None]
    highs = [v for v in (high[0], _below(high[1], step)) if v is not None]
    if lows:
        out["minimum"] = max(lows)
    if highs:
        out["maximum"] = min(highs)
    return out


def _bounds(
    schema: dict[str, Any], key: str, exclusive: str, param: str
) -> tuple[float | None, float | None]:
    """Return the inclusive and the exclusive bound; draft 4 wrote the latter as a
    boolean beside the former."""
    bound, sharp = schema.get(key), schema.get(exclusive)
    plain = None if bound is None else number(bound, f"{param}: {key}")
    if sharp is None or sharp is False:
        return plain, None
    if sharp is True:
        return None, plain
    return plain, number(sharp, f"{param}: {exclusive}")


def _above(bound: float | None, step: int) -> float | None:
    return floor(bound) + step if _steps(bound, step) else bound


def _below(bound: float | None, step: int) -> float | None:
    return ceil(bound) - step if _steps(bound, step) else bound


def _steps(bound: float | None, step: int) -> TypeGuard[float]:
    """Does moving by ``step`` make sense? Past 2**53 a float has no next integer."""
    return bound is not None and step > 0 and abs(bound) < 2**53
