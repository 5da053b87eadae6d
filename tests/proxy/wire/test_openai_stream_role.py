"""The first chunk of a choice: the role, and content only where there is text."""

from typing import Any

import pytest

from proxy.wire.openai_stream import ChatStream
from tests.proxy.wire.answer_samples import (
    call,
    chunk,
    events,
    image,
    stream,
    style,
    text,
    thought,
)

EMPTY = {"role": "assistant", "content": ""}
NOTHING = {"role": "assistant", "content": None}


def roles(raw: bytes) -> list[dict[str, Any]]:
    found = [e["choices"][0]["delta"] for e in events(raw) if e != "[DONE]"]
    return [delta for delta in found if "role" in delta]


@pytest.mark.parametrize(
    ("first", "role"),
    [
        pytest.param(chunk(text("a")), EMPTY, id="text"),
        pytest.param(chunk(thought("hm")), EMPTY, id="a thought"),
        pytest.param(chunk(image()), EMPTY, id="a picture"),
        pytest.param(chunk(call("f")), NOTHING, id="a call"),
        pytest.param(chunk(call("f"), call("g")), NOTHING, id="calls"),
        pytest.param(chunk(text("a"), call("f")), EMPTY, id="text before a call"),
    ],
)
def test_content_is_null_where_a_call_comes_first(
    first: dict[str, Any], role: dict[str, Any]
) -> None:
    ended = ChatStream(style())
    raw = ended.render([first, chunk(finish="STOP")])
    assert roles(raw) == [role]


def test_each_choice_says_for_itself_whether_it_begins_with_a_call() -> None:
    chunks = [chunk(text("a")), chunk(call("f"), index=1)]
    raw = ChatStream(style()).render(chunks)
    assert roles(raw) == [EMPTY, NOTHING]


def test_a_stream_that_was_started_before_its_first_chunk_is_left_alone() -> None:
    made = ChatStream(style())
    assert roles(made.start()) == [EMPTY]
    assert roles(made.render([chunk(call("f"))])) == []


def test_a_stream_without_content_still_has_a_role() -> None:
    raw = stream([chunk(finish="MAX_TOKENS")])
    assert roles(raw) == [EMPTY]
