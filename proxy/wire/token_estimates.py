"""How many tokens a request may count, guessed before the provider says so."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

#: Gemini's tokeniser takes about four letters of Latin script for one ("Understand and
#: count tokens", Gemini API docs); of denser scripts it takes one or two.
_LETTERS_PER_TOKEN = 4
#: A picture tile, as the same page says; other media are rarely less.
_MEDIA_TOKENS = 258
_TURN_TOKENS = 4


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Return a guess at the input tokens of a generateContent or embedding body."""
    found = sum(map(_turn, _turns(body)))
    tools = body.get("tools")
    return found + (_json(tools) if tools else 0)


def _turns(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    requests = body.get("requests")
    embedded = [
        request.get("content")
        for request in (requests if isinstance(requests, list) else ())
        if isinstance(request, Mapping)
    ]
    single = [body.get("systemInstruction"), body.get("content")]
    for turns in (body.get("contents"), single, embedded):
        if isinstance(turns, list):
            yield from (turn for turn in turns if isinstance(turn, Mapping))


def _turn(turn: Mapping[str, Any]) -> int:
    parts = turn.get("parts")
    if not isinstance(parts, list):
        return 0
    return _TURN_TOKENS + sum(_part(part) for part in parts if isinstance(part, dict))


def _part(part: Mapping[str, Any]) -> int:
    text = part.get("text")
    if isinstance(text, str):
        return _text(text)
    if "inlineData" in part or "fileData" in part:
        return _MEDIA_TOKENS
    return _json(part)


def _text(text: str) -> int:
    per_token = _LETTERS_PER_TOKEN if text.isascii() else 1
    return -(-len(text) // per_token)


def _json(value: Any) -> int:
    return -(-len(orjson.dumps(value)) // _LETTERS_PER_TOKEN)
