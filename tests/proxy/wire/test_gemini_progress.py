"""What Progress says while the chunks of an answer pass."""

from typing import Any

import pytest

from proxy.wire.gemini import Progress
from tests.proxy.wire.answer_samples import call, chunk, image, text, thought


def after(*chunks: dict[str, Any]) -> Progress:
    progress = Progress()
    for data in chunks:
        progress.see(data)
    return progress


BLOCK = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
TRACE = {"toolCall": {"id": "1", "toolType": "URL_CONTEXT", "args": {}}}


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (text("hi"), True),
        (text(""), False),
        (thought("hmm"), False),
        (call("f"), True),
        (image(), True),
        ({**image(), "thought": True}, False),
        (CODE, True),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}, True),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, False),
        (TRACE, False),
        (text("", thoughtSignature="abc"), False),
    ],
    ids=[
        "text",
        "empty-text",
        "thought",
        "call",
        "picture",
        "thought-picture",
        "code",
        "output",
        "no-output",
        "server-side-tool",
        "lone-signature",
    ],
)
def test_only_what_a_caller_sees_is_content(part: dict[str, Any], shown: bool) -> None:
    progress = after(chunk(part))
    assert progress.has_content is shown
    assert progress.verdict() == ("content" if shown else "wait")


def test_thoughts_are_noticed_but_do_not_count_as_content() -> None:
    progress = after(chunk(thought("let me see")))
    assert progress.has_thoughts
    assert not progress.has_content


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("STOP", "content"),
        ("MAX_TOKENS", "content"),
        ("SAFETY", "blocked"),
        ("SPII", "blocked"),
        ("IMAGE_SAFETY", "blocked"),
        ("MALFORMED_FUNCTION_CALL", "malformed"),
        ("MISSING_THOUGHT_SIGNATURE", "malformed"),
        ("OTHER", "malformed"),
        ("NO_IMAGE", "malformed"),
        ("SOMETHING_NEW", "malformed"),
        ("FINISH_REASON_UNSPECIFIED", "wait"),
    ],
)
def test_an_answer_without_output_is_judged_by_its_finish(
    finish: str, expected: str
) -> None:
    assert after(chunk(finish=finish)).verdict() == expected


def test_a_malformed_finish_with_visible_output_is_content() -> None:
    progress = after(chunk(text("half")), chunk(finish="MALFORMED_FUNCTION_CALL"))
    assert progress.verdict() == "content"


def test_a_blocked_prompt_is_blocked_and_complete() -> None:
    progress = after(BLOCK)
    assert progress.blocked == "PROHIBITED_CONTENT"
    assert progress.verdict() == "blocked"
    assert progress.complete


def test_prompt_feedback_without_a_reason_blocks_nothing() -> None:
    progress = after({"promptFeedback": {"safetyRatings": []}})
    assert progress.blocked is None
    assert progress.verdict() == "wait"


def test_an_answer_with_neither_candidates_nor_feedback_is_empty_at_its_end() -> None:
    progress = after({"usageMetadata": {"promptTokenCount": 3}})
    assert progress.verdict() == "wait"
    assert progress.verdict(ended=True) == "empty"
    assert not progress.complete


def test_a_stream_that_broke_off_while_thinking_is_empty_and_not_complete() -> None:
    progress = after(chunk(thought("hm")))
    assert progress.verdict(ended=True) == "empty"
    assert not progress.complete


def test_every_candidate_must_finish_before_the_answer_is_complete() -> None:
    first = {"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1}]}
    progress = after(first)
    assert not progress.complete
    progress.see({"candidates": [{"index": 1, "finishReason": "MAX_TOKENS"}]})
    assert progress.complete
    assert progress.finish == "STOP"
    assert progress.finishes == {0: "STOP", 1: "MAX_TOKENS"}


def test_the_position_stands_in_for_a_missing_index() -> None:
    progress = after({"candidates": [{"finishReason": "STOP"}, {"content": {}}]})
    assert progress.finishes == {0: "STOP", 1: None}


def test_cumulative_usage_is_taken_once_from_the_last_snapshot() -> None:
    chunks = [
        chunk(
            text("x"),
            usage={
                "promptTokenCount": 5,
                "candidatesTokenCount": n,
                "totalTokenCount": 5 + n,
            },
        )
        for n in range(1, 11)
    ]
    usage = after(*chunks).usage
    assert (usage.prompt, usage.output, usage.total) == (5, 10, 15)


def test_a_chunk_without_usage_does_not_erase_the_snapshot() -> None:
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    assert after(chunk(usage=usage), chunk(finish="STOP")).usage.prompt == 5


def test_pictures_are_counted_but_not_those_of_thoughts() -> None:
    progress = after(chunk(image(), image()), chunk({**image(), "thought": True}))
    assert progress.usage.images == 2


def test_model_version_and_response_id_are_remembered() -> None:
    progress = after(chunk(text("x")), {"candidates": []})
    assert progress.model_version == "gemini-3-flash-002"
    assert progress.response_id == "resp-1"


@pytest.mark.parametrize(
    "data",
    [
        {"candidates": "x"},
        {"candidates": [None, 3]},
        {"candidates": [{"content": {"parts": [None, "x"]}}]},
        {"candidates": [{"content": [], "finishReason": ["STOP"]}]},
        {"promptFeedback": "no", "usageMetadata": [1]},
    ],
)
def test_odd_shapes_from_a_provider_do_not_raise(data: dict[str, Any]) -> None:
    progress = after(data)
    assert progress.verdict(ended=True) == "empty"
    assert progress.usage.total == 0
