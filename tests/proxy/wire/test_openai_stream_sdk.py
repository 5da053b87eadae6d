"""Rendered answers as the real openai SDK reads them, whole and streamed."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from proxy.errors import Fault, Overloaded, RateLimited
from proxy.wire.error_bodies import headers, openai_error
from proxy.wire.gemini import fold
from proxy.wire.openai_answer import render_chat
from proxy.wire.openai_stream import ChatStream
from tests.proxy.wire.answer_samples import (
    call,
    chunk,
    image,
    stream,
    style,
    text,
    thought,
)

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
USAGE = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 15,
}
GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 0, "endIndex": 7}, "groundingChunkIndices": [0]}
    ],
}


def client(answer: httpx.Response) -> openai.OpenAI:
    transport = httpx.MockTransport(lambda _: answer)
    return openai.OpenAI(
        api_key="k",
        base_url="http://gateway/v1",
        max_retries=0,
        http_client=httpx.Client(transport=transport),
    )


def streaming(raw: bytes) -> openai.OpenAI:
    kind = {"content-type": "text/event-stream"}
    return client(httpx.Response(200, headers=kind, content=raw))


def accumulated(raw: bytes) -> Any:
    with streaming(raw).chat.completions.stream(**ASK) as events:
        return events.get_final_completion()


TALK = [
    chunk(thought("Let ")),
    chunk(thought("me see.")),
    chunk(text("Größe")),
    chunk(text(": "), groundingMetadata=GROUNDING),
    chunk(text("5 m."), thoughtSignature="no"),
    chunk(image()),
    chunk(text("More."), image()),
    chunk(text("", thoughtSignature="T")),
    chunk(finish="STOP", usage=USAGE, groundingMetadata=GROUNDING),
]
TOOLS = [
    chunk(text("Calling.")),
    chunk(call("f", {"a": 1}, id="c1", signature="S")),
    chunk(call("g", {"b": [2]}, id="c2")),
    chunk(call("f", {}, id="c3")),
    chunk(text(""), finish="STOP", usage=USAGE),
]
BLOCKED = [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE}]
CODE = [
    chunk({"executableCode": {"language": "PYTHON", "code": "1"}}),
    chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}),
    chunk(text("One."), finish="STOP", usage=USAGE),
]
ANSWERS = {"talk": TALK, "tools": TOOLS, "code": CODE}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("images", ["images", "markdown", "both"])
def test_a_stream_adds_up_to_the_whole_answer(name: str, images: Any) -> None:
    how = {"include_usage": True, "images": images}
    whole, _ = render_chat(fold(ANSWERS[name]), style(**how))
    streamed = accumulated(stream(ANSWERS[name], **how)).model_dump(mode="json")
    expected = whole["choices"][0]["message"]
    message = streamed["choices"][0]["message"]
    for key in ("content", "refusal"):
        assert (message[key] or None) == (expected[key] or None)
    for key in ("reasoning_content", "images", "annotations", "extra_content"):
        assert message.get(key) == expected.get(key)
    ours = [(r["id"], r["function"]) for r in expected.get("tool_calls", ())]
    theirs = [
        (row["id"], {k: row["function"][k] for k in ("name", "arguments")})
        for row in message.get("tool_calls") or ()
    ]
    assert theirs == ours
    assert (
        streamed["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    )
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert streamed["usage"][key] == whole["usage"][key]


def test_a_blocked_prompt_is_the_sdks_content_filter_error() -> None:
    with pytest.raises(openai.ContentFilterFinishReasonError):
        accumulated(stream(BLOCKED))
    chunks = list(
        streaming(stream(BLOCKED)).chat.completions.create(**ASK, stream=True)
    )
    refusals = [c.choices[0].delta.refusal for c in chunks]
    assert [r for r in refusals if r] == ["Blocked: SAFETY"]
    assert chunks[-1].choices[0].finish_reason == "content_filter"


def test_the_raw_stream_is_read_to_its_end() -> None:
    raw = stream(TALK, include_usage=True).replace(
        b"data: [DONE]", ChatStream.keep_alive + b"data: [DONE]"
    )
    chunks = list(streaming(raw).chat.completions.create(**ASK, stream=True))
    words = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(words) == "Größe: 5 m.More."
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens_details is not None
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 3
    assert len({c.id for c in chunks}) == 1


def test_whole_answers_are_read_by_the_sdk() -> None:
    whole, _ = render_chat(fold(TOOLS), style())
    read = client(httpx.Response(200, json=whole)).chat.completions.create(**ASK)
    found = read.choices[0].message.tool_calls or []
    assert [row.id for row in found] == ["c1", "c2", "c3"]
    assert read.choices[0].finish_reason == "tool_calls"
    assert read.usage is not None
    assert read.usage.total_tokens == 15


class Size(BaseModel):
    metres: int


def test_fenced_json_is_parsed_by_the_sdk_whole_and_streamed() -> None:
    wrote = ["```js", 'on\n{"met', 'res": 5}\n', "``", "`"]
    chunks = [chunk(text(piece)) for piece in wrote] + [chunk(finish="STOP")]
    whole, _ = render_chat(fold(chunks), style(json_text=True))
    reader = client(httpx.Response(200, json=whole))
    parsed = reader.chat.completions.parse(**ASK, response_format=Size)
    assert parsed.choices[0].message.parsed == Size(metres=5)
    source = streaming(stream(chunks, json_text=True))
    with source.chat.completions.stream(**ASK, response_format=Size) as events:
        final = events.get_final_completion()
    assert final.choices[0].message.parsed == Size(metres=5)


def test_several_choices_are_told_apart() -> None:
    rows = [
        {"index": i, "content": {"parts": [text(w)]}, "finishReason": "STOP"}
        for i, w in enumerate(("one", "two"))
    ]
    final = accumulated(stream([{"candidates": rows}]))
    assert [c.message.content for c in final.choices] == ["one", "two"]
    assert [c.message.role for c in final.choices] == ["assistant", "assistant"]


def test_log_probabilities_are_accumulated() -> None:
    def spoken(token: str) -> dict[str, Any]:
        result = {"chosenCandidates": [{"token": token, "logProbability": -1.0}]}
        return chunk(text(token), logprobsResult=result)

    final = accumulated(stream([spoken("a"), spoken("b"), chunk(finish="STOP")]))
    found = final.choices[0].logprobs.content
    assert [row.token for row in found] == ["a", "b"]


def test_a_fault_in_mid_stream_raises_with_its_code_after_the_text() -> None:
    renderer = ChatStream(style())
    raw = renderer.start() + renderer.render([chunk(text("half"))])
    raw += renderer.fault(Overloaded("Too busy.", retry_after=3))
    seen: list[str] = []

    def read(chunks: Iterator[Any]) -> None:
        seen.extend(c.choices[0].delta.content or "" for c in chunks)

    with pytest.raises(openai.APIError) as caught:
        read(iter(streaming(raw).chat.completions.create(**ASK, stream=True)))
    assert "".join(seen) == "half"
    assert caught.value.code == "overloaded"
    assert caught.value.type == "server_error"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["retry_after"] == 3


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (RateLimited(retry_after=38.601), openai.RateLimitError),
        (Overloaded(), openai.InternalServerError),
    ],
)
def test_faults_before_the_stream_raise_the_right_class(
    fault: Fault, raised: type[openai.APIStatusError]
) -> None:
    answer = httpx.Response(
        fault.status,
        headers=headers(fault),
        content=json.dumps(openai_error(fault)),
    )
    with pytest.raises(raised) as caught:
        client(answer).chat.completions.create(**ASK)
    assert caught.value.code == fault.code
