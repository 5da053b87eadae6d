"""What a caller sees, read from the bytes of both dialects."""

import json
from typing import Any

import pytest

from proxy.faultlab.answers import EventReader, Seen, read_headers, read_whole

ERROR = {"message": "no", "code": "overloaded", "status": "UNAVAILABLE"}


def chat_event(content: str | None = None, finish: str | None = None) -> str:
    delta = {} if content is None else {"content": content}
    return "data: " + json.dumps(
        {"choices": [{"delta": delta, "finish_reason": finish}]}
    )


def native_event(text: str = "", finish: str = "", thought: bool = False) -> str:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}]}}
    if thought:
        candidate["content"]["parts"][0]["thought"] = True
    if finish:
        candidate["finishReason"] = finish
    return "data: " + json.dumps({"candidates": [candidate]})


def read(dialect: Any, *lines: str) -> Seen:
    seen = Seen(dialect, status=200)
    reader = EventReader(seen)
    for line in lines:
        reader.feed(line)
    return seen


def whole(dialect: Any, data: Any, status: int = 200) -> Seen:
    seen = Seen(dialect, status=status)
    read_whole(seen, data if isinstance(data, bytes) else json.dumps(data).encode())
    return seen


def test_an_openai_stream_is_put_together() -> None:
    lines = ("", ": ping", chat_event(""), chat_event("a"), chat_event("b", None))
    seen = read("openai", *lines, chat_event(None, "stop"), "data: [DONE]")
    assert (seen.text, seen.finishes, seen.done) == ("ab", ["stop"], True)
    assert (seen.errors, seen.odd, seen.after_end) == ([], "", 0)


def test_a_native_stream_is_put_together_without_thoughts() -> None:
    thought = native_event("hm", thought=True)
    seen = read("gemini", thought, native_event("a"), "", native_event("b", "STOP"))
    assert (seen.text, seen.finishes, seen.errors) == ("ab", ["STOP"], [])


@pytest.mark.parametrize(
    ("dialect", "code"), [("openai", "overloaded"), ("gemini", "UNAVAILABLE")]
)
def test_an_error_frame_is_no_content_and_has_the_word_of_its_dialect(
    dialect: str, code: str
) -> None:
    seen = read(dialect, "data: " + json.dumps({"error": ERROR}))
    assert (seen.text, seen.code, len(seen.errors)) == ("", code, 1)
    assert seen.brief == f"200, then {code}"


def test_two_error_frames_are_counted() -> None:
    frame = "data: " + json.dumps({"error": ERROR})
    seen = read("openai", frame, frame)
    assert (len(seen.errors), seen.after_end) == (2, 1)
    assert seen.brief.endswith("x2")


@pytest.mark.parametrize(
    "line", ["event: error", "nonsense", "data: {", "data: [1]", 'data: "x"']
)
def test_what_no_sdk_could_read_is_noticed(line: str) -> None:
    assert read("openai", chat_event("a"), line).odd


def test_events_after_the_end_are_noticed() -> None:
    seen = read("openai", chat_event("a", "stop"), "data: [DONE]", chat_event("b"))
    assert seen.after_end == 1


def test_usage_after_the_finish_is_no_event_after_the_end() -> None:
    usage = "data: " + json.dumps({"choices": [], "usage": {"total_tokens": 3}})
    seen = read("openai", chat_event("a", "stop"), usage, "data: [DONE]")
    assert seen.after_end == 0


def test_whole_answers_of_both_dialects_are_read() -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "length"}
    chat = whole("openai", {"choices": [choice]})
    native = whole(
        "gemini",
        {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "X"}]},
    )
    assert (chat.text, chat.finishes, chat.done) == ("a", ["length"], True)
    assert (native.text, native.finishes) == ("a", ["X"])


def test_a_refusal_without_text_is_read() -> None:
    message = {"content": None, "refusal": "no"}
    choice = {"message": message, "finish_reason": "content_filter"}
    seen = whole("openai", {"choices": [choice]})
    assert (seen.text, seen.finishes) == ("", ["content_filter"])


def test_a_blocked_prompt_ends_with_its_reason() -> None:
    seen = whole("gemini", {"promptFeedback": {"blockReason": "OTHER"}})
    assert seen.finishes == ["OTHER"]
    assert seen.brief == "200 OTHER"


def test_a_body_that_is_no_json_object_is_odd() -> None:
    assert whole("openai", b"<html>").odd
    assert whole("openai", b"[]").odd
    assert not whole("openai", b"{}").odd


def test_the_head_says_when_to_come_back() -> None:
    seen = Seen("openai")
    headers = {
        "retry-after": "39",
        "x-should-retry": "false",
        "x-request-id": "req_1",
    }
    read_headers(seen, 429, headers)
    assert (seen.status, seen.retry_after) == (429, 39.0)
    assert (seen.should_retry, seen.request_id) == ("false", "req_1")
    seen.errors.append(ERROR)
    assert seen.brief == "429 overloaded, retry after 39 s"


def test_a_head_without_words_leaves_them_empty() -> None:
    seen = Seen("openai")
    read_headers(seen, 200, {})
    assert (seen.retry_after, seen.should_retry) == (None, "")
    assert seen.brief == "200 without a finish"


def test_a_broken_connection_is_told_first() -> None:
    seen = Seen("openai", status=200, broken="ReadError", errors=[ERROR])
    assert seen.brief == "200 broken off: ReadError"
