"""Counting the tokens of a request to xAI: its words by xAI, all else by a guess.

xAI counts a text (POST /v1/tokenize-text, its API reference), not a conversation: what
it puts between turns, pictures and tools are guessed. So every count says that it is
an estimate.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.remarks import remarks
from proxy.wire.token_estimates import estimated_tokens

_WRAPPED = "generateContentRequest"


def token_request(body: Mapping[str, Any], model: str) -> Json:
    """Return the body that asks for the tokens of a request's words; {} without any."""
    words = "\n".join(_words(_asked(body)))
    return {"model": model, "text": words} if words.strip() else {}


def token_count(body: Mapping[str, Any], counted: Json | None) -> Json:
    """Return the answer of countTokens; ``counted`` is xAI's, None where it has none."""
    asked = _asked(body)
    ids = (counted or {}).get("token_ids")
    if isinstance(ids, list):
        total = len(ids) + estimated_tokens(_wordless(asked))
    else:
        total = estimated_tokens(asked)
    return {"totalTokens": total, **remarks(estimated=True)}


def _asked(body: Mapping[str, Any]) -> Json:
    view = normalise(dict(body))
    return mapping(view.get(_WRAPPED)) or view


def _turns(view: Json) -> Iterator[Json]:
    if view.get("systemInstruction"):
        yield mapping(view["systemInstruction"])
    yield from dicts(view.get("contents"))


def _words(view: Json) -> Iterator[str]:
    for turn in _turns(view):
        for part in dicts(turn.get("parts")):
            if isinstance(part.get("text"), str):
                yield part["text"]


def _wordless(view: Json) -> Json:
    """Return a request with all that is no words."""
    turns = [
        {"parts": [part for part in dicts(turn.get("parts")) if "text" not in part]}
        for turn in _turns(view)
    ]
    return {"contents": turns, "tools": view.get("tools")}
