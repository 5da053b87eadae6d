"""Answers that a key's behaviour changes: shortened, spoilt, broken off, repeated."""

from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Any

from proxy.sandbox.answers import Answer
from proxy.sandbox.behaviours import Behaviour
from proxy.sandbox.exchange import compact
from proxy.sandbox.faults import overloaded
from proxy.sandbox.model import Reply

BROKEN_EVENT = '{"candidates": [{"content": {"parts": [{"text": "bro'
_ENDS_EARLY = ("stall", "cut", "cutclean", "errormid")
_HAS_ONE_CHUNK = ("empty", "blocked", "erroronly")
_CITED = {"startIndex": 0, "endIndex": 60, "uri": "https://example.com/a-known-text"}


class Break(Enum):
    """Ways in which a stream stops being one."""

    STALL = "silence until the client leaves"
    CUT = "the connection is aborted"


#: A chunk of a stream: a response, what stands in the place of one, or the end.
Chunk = dict[str, Any] | str | Break


def whole(answer: Answer, behaviour: Behaviour) -> dict[str, Any] | str | Break:
    """The unary response, text that is none, or the way in which it does not come."""
    name = behaviour.name
    if name == "errormid":
        raise overloaded()
    if name == "stall":
        return Break.STALL
    if name == "erroronly":
        return overloaded().body()
    _spoil(answer, name)
    if name == "empty":
        return answer.empty()
    if name == "blocked":
        return answer.blocked()
    response = _uncounted(answer.whole(), name)
    return compact(response)[:-20] if name == "oneline" else response


def stream(answer: Answer, behaviour: Behaviour) -> Iterator[Chunk]:
    """The chunks of a stream, with the break or the error that ends it early."""
    name = behaviour.name
    if name in _HAS_ONE_CHUNK:
        yield whole(answer, behaviour)
        return
    _spoil(answer, name)
    if name in _ENDS_EARLY:
        yield from _broken(answer, behaviour)
        return
    chunks = [_uncounted(chunk, name) for chunk in answer.chunks()]
    for index, chunk in enumerate(chunks):
        # After the first and before the last, which holds the finish reason.
        if name == "oneline" and index == max(1, len(chunks) // 2):
            yield BROKEN_EVENT
        yield chunk
    if name == "duplicate":
        yield chunks[-1]


def _broken(answer: Answer, behaviour: Behaviour) -> Iterator[Chunk]:
    # The last chunk holds the finish reason, so it must never get out.
    most = sum(1 for _ in answer.chunks()) - 1
    yield from islice(answer.chunks(), min(most, behaviour.params.get("chunks", 1)))
    if behaviour.name == "stall":
        yield Break.STALL
    elif behaviour.name == "cut":
        yield Break.CUT
    elif behaviour.name == "errormid":
        yield overloaded().body()


def _uncounted(response: dict[str, Any], name: str) -> dict[str, Any]:
    if name == "nousage":
        del response["usageMetadata"]
    return response


def _spoil(answer: Answer, name: str) -> None:
    if name == "maxtokens":
        answer.only_think()
    for reply in answer.replies:
        if name == "malformed":
            _say_nothing(reply, "MALFORMED_FUNCTION_CALL")
            reply.extras = {"finishMessage": "Malformed function call: print(call("}
        elif name == "recitation":
            _say_nothing(reply, "RECITATION")
            reply.extras = {"citationMetadata": {"citationSources": [_CITED]}}
        elif name == "cutclean":
            reply.finish = ""
        elif name == "safety":
            _stop_for_safety(reply)


def _say_nothing(reply: Reply, finish: str) -> None:
    reply.parts, reply.signature, reply.thought = [], "", ""
    reply.finish = finish


def _stop_for_safety(reply: Reply) -> None:
    _half(reply.parts)
    reply.finish, reply.signature = "SAFETY", ""
    rating = {
        "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
        "probability": "HIGH",
        "blocked": True,
    }
    reply.extras = {"safetyRatings": [rating]}


def _half(parts: list[dict[str, Any]]) -> None:
    for index, part in enumerate(parts):
        if "text" in part:
            part["text"] = part["text"][: len(part["text"]) // 2]
            del parts[index + 1 :]
