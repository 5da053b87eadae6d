"""Every way in which an answer can differ from what a row expects is a complaint."""

from dataclasses import replace
from typing import Any

import pytest

from proxy.faultlab.answers import Seen
from proxy.faultlab.expectations import (
    ANSWERED,
    Answer,
    attention,
    finished,
    framed,
    resting,
    retried,
    spent,
    told,
)

TEXT = "1 2 3"
ERROR = {"code": "overloaded", "status": "UNAVAILABLE"}
FULL = Seen("openai", status=200, text=TEXT, finishes=["stop"], done=True)
NATIVE = Seen("gemini", status=200, text=TEXT, finishes=["STOP"])
CUT = Seen("openai", status=200, text="1 ", errors=[ERROR])
REFUSED = Seen("openai", status=503, errors=[ERROR], done=True)
OVERLOADED = told(503, "overloaded", "UNAVAILABLE")
FRAMED = framed("overloaded", "UNAVAILABLE")


def complaints(answer: Answer, seen: Seen, **changes: Any) -> list[str]:
    return list(answer.complaints(replace(seen, **changes), TEXT))


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (ANSWERED, FULL),
        (ANSWERED, NATIVE),
        (OVERLOADED, REFUSED),
        (OVERLOADED, replace(REFUSED, dialect="gemini")),
        (FRAMED, CUT),
        (FRAMED, replace(CUT, dialect="gemini")),
        (finished("length", "MAX_TOKENS"), replace(FULL, finishes=["length"], text="")),
        (retried(OVERLOADED, 1, 10), replace(REFUSED, retry_after=5.0)),
    ],
)
def test_what_is_expected_is_no_complaint(answer: Answer, seen: Seen) -> None:
    assert complaints(answer, seen) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "1 2"}, "said '1 2'"),
        ({"finishes": []}, "finished []"),
        ({"finishes": ["stop", "stop"]}, "expected once stop"),
        ({"finishes": ["length"]}, "expected once stop"),
        ({"done": False}, "no [DONE]"),
        ({"errors": [ERROR]}, "error overloaded in an answer"),
        ({"status": 502}, "status 502"),
        ({"broken": "ReadError"}, "broke: ReadError"),
        ({"odd": "data: {"}, "broke: data: {"),
        ({"after_end": 2}, "2 events came after the end"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_complaint(
    changes: dict[str, Any], words: str
) -> None:
    found = complaints(ANSWERED, FULL, **changes)
    assert any(words in text for text in found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finishes": ["stop"]}, "an end like a clean one"),
        ({"done": True}, "an end like a clean one"),
        ({"errors": [ERROR, ERROR]}, "2 errors, expected one"),
        ({"errors": []}, "0 errors, expected one"),
        ({"errors": [{"code": "timeout"}]}, "error timeout, expected overloaded"),
        ({"text": ""}, "not retried unseen"),
        ({"status": 503}, "status 503"),
    ],
)
def test_a_stream_must_end_in_one_error_frame_after_content(
    changes: dict[str, Any], words: str
) -> None:
    assert any(words in text for text in complaints(FRAMED, CUT, **changes))


def test_an_error_of_its_own_status_needs_no_content_and_no_done() -> None:
    assert complaints(OVERLOADED, REFUSED, done=False) == []


@pytest.mark.parametrize("wait", [None, 0.5, 11.0])
def test_a_wait_outside_its_bounds_is_a_complaint(wait: float | None) -> None:
    found = complaints(retried(OVERLOADED, 1, 10), REFUSED, retry_after=wait)
    assert found == [f"Retry-After {wait}, expected 1 to 10 s"]


@pytest.mark.parametrize(("word", "count"), [("false", 0), ("true", 1), ("", 1)])
def test_a_spent_quota_must_tell_sdks_not_to_retry(word: str, count: int) -> None:
    answer = spent("insufficient_quota", "RESOURCE_EXHAUSTED")
    error = {"code": "insufficient_quota"}
    seen = Seen("openai", status=429, errors=[error], should_retry=word)
    assert len(complaints(answer, seen)) == count


def test_an_early_finish_need_not_be_the_whole_text() -> None:
    answer = finished("content_filter", "SAFETY")
    seen = replace(FULL, finishes=["content_filter"], text="1 ")
    assert complaints(answer, seen) == []
    assert complaints(answer, FULL) != []


def test_expectations_are_told_in_few_words() -> None:
    assert OVERLOADED.brief == "503 overloaded / UNAVAILABLE"
    assert ANSWERED.brief == "200 stop / STOP"
    assert resting("quota_minute", 1, 2).brief == "account_model quota_minute"
    assert attention("leaked", "x").brief == "account leaked or x"
