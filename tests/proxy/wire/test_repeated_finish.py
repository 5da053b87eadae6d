"""The finishing chunk of a stream that comes twice is told once."""

from typing import Any

import orjson

from proxy.calls import Event
from proxy.wire.repeated_finish import RepeatedFinish


def chunk(*candidates: dict[str, Any], **more: Any) -> Event:
    data = {"candidates": list(candidates), **more}
    return Event(orjson.dumps(data), data)


def candidate(text: str, finish: str = "", index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"parts": [{"text": text}]}, "index": index}
    return {**found, "finishReason": finish} if finish else found


def test_chunks_pass_as_they_are() -> None:
    stream = RepeatedFinish()
    chunks = [
        chunk(candidate("a")),
        chunk(candidate("a")),
        chunk(candidate("b", "STOP")),
    ]
    assert [stream.without(one) for one in chunks] == chunks


def test_a_finish_that_comes_again_keeps_only_its_counts() -> None:
    stream = RepeatedFinish()
    last = chunk(candidate("b", "STOP"), usageMetadata={"totalTokenCount": 7})
    assert stream.without(last) is last
    again = stream.without(chunk(candidate("b", "STOP"), usageMetadata={"x": 8}))
    assert again.data == {"usageMetadata": {"x": 8}}
    assert orjson.loads(again.raw) == again.data


def test_chunks_that_all_have_a_finish_reason_lose_nothing() -> None:
    stream = RepeatedFinish()
    chunks = [chunk(candidate(word, "STOP")) for word in ("one", "two", "three")]
    assert [stream.without(one) for one in chunks] == chunks


def test_each_candidate_is_looked_at_alone() -> None:
    stream = RepeatedFinish()
    stream.without(chunk(candidate("a", "STOP", 0)))
    both = stream.without(chunk(candidate("a", "STOP", 0), candidate("x", "STOP", 1)))
    assert [found["index"] for found in both.data["candidates"]] == [1]


def test_a_chunk_without_candidates_passes() -> None:
    stream = RepeatedFinish()
    stream.without(chunk(candidate("a", "STOP")))
    usage = Event(b"{}", {"usageMetadata": {}})
    assert stream.without(usage) is usage
