"""JSON values and schemas by chance, with what is hard for models and Markdown."""

import random
from typing import Any

HARD = (
    "",
    " ",
    "plain words",
    "get_weather *now* [x](y) #1 ~~z~~ > q",
    "line\nbreak\r\n\ttab",
    "```\ncode\n```",
    '```toolcall\n{"name": "inner", "arguments": {}}\n```',
    "~~~",
    "back\\slash \\_ \\n \\u0041",
    "quotes \" and ' and }],{[",
    "ünïcödé ąß 東京 😀 \u2028",
    "<b>&amp;</b>",
    "\x00\x1f",
)


def any_text(dice: random.Random) -> str:
    return "".join(dice.choices(HARD, k=dice.randint(0, 3)))


def any_value(dice: random.Random, depth: int = 0) -> Any:
    """Return a JSON value that survives JSON as it is."""
    kinds = ["text", "text", "int", "float", "bool", "null"]
    kind = dice.choice(kinds if depth > 3 else [*kinds, "list", "object", "object"])
    if kind == "list":
        return [any_value(dice, depth + 1) for _ in range(dice.randint(0, 3))]
    if kind == "object":
        return any_object(dice, depth + 1)
    plain = {
        "text": any_text(dice),
        "int": dice.randint(-(2**53), 2**53),
        "float": dice.randint(-1000, 1000) / 8,
        "bool": dice.random() < 0.5,
    }
    return plain.get(kind)


def any_object(dice: random.Random, depth: int = 0) -> dict[str, Any]:
    names = {any_text(dice) or f"p{n}" for n in range(dice.randint(0, 3))}
    return {name: any_value(dice, depth + 1) for name in sorted(names)}


def schema_of(value: Any, dice: random.Random) -> dict[str, Any]:
    """Return a schema that a value fits."""
    if value is None:
        return {"type": dice.choice(["null", ["null", "string"]])}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return dice.choice([{"type": "integer"}, {"type": "number", "maximum": 2**53}])
    if isinstance(value, float):
        return {"type": "number", "minimum": -1000}
    if isinstance(value, str):
        return dice.choice([{"type": "string"}, {"type": "string", "maxLength": 400}])
    if isinstance(value, list):
        branches = [schema_of(item, dice) for item in value] or [{"type": "string"}]
        return {"type": "array", "items": {"anyOf": branches}, "maxItems": len(value)}
    return {
        "type": "object",
        "properties": {name: schema_of(item, dice) for name, item in value.items()},
        "required": sorted(value)[: dice.randint(0, len(value))],
        "additionalProperties": False,
    }
