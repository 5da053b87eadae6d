"""Chat completions, pictures and relayed answers of xAI's, read."""

from typing import Any

import orjson
import pytest

from proxy.errors import BadAnswer, BadRequest
from proxy.wire.gemini import Progress, fold, read_usage
from proxy.wire.xai_answer import ChatReader, usage_metadata
from proxy.wire.xai_dropped import dropped_names
from proxy.wire.xai_images import image_answer, image_request, joined
from proxy.wire.xai_relay import (
    content_of,
    done_view,
    relay_body,
    usage_of,
    view_of,
    whole_view,
)

USAGE = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"text_tokens": 30, "image_tokens": 2, "cached_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 94},
}


def completion(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "a-1", "model": "grok-4.3", "choices": list(choices), **more}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> Any:
    return completion({"index": index, "delta": delta, "finish_reason": finish})


def tool(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **more.pop("function", {})}
    return {"index": index, "function": function, **more}


def parts(view: dict[str, Any], index: int = 0) -> list[Any]:
    found: list[Any] = view["candidates"][index]["content"].get("parts", [])
    return found


def test_a_whole_answer_is_read_with_thoughts_text_and_usage() -> None:
    message = {"role": "assistant", "content": "303", "reasoning_content": "hm"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    view = ChatReader().read(completion(choice, usage=USAGE))
    assert view["candidates"] == [
        {
            "index": 0,
            "content": {
                "role": "model",
                "parts": [{"text": "hm", "thought": True}, {"text": "303"}],
            },
            "finishReason": "STOP",
        }
    ]
    assert (view["modelVersion"], view["responseId"]) == ("grok-4.3", "a-1")
    usage = read_usage(view["usageMetadata"])
    found = (usage.prompt, usage.cached, usage.output, usage.thoughts, usage.total)
    assert found == (32, 6, 9, 94, 135)


def test_thoughts_can_be_left_out() -> None:
    message = {"content": "303", "reasoning_content": "hm"}
    view = ChatReader(thoughts=False).read(completion({"message": message}))
    assert parts(view) == [{"text": "303"}]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "STOP"),
        ("length", "MAX_TOKENS"),
        ("tool_calls", "STOP"),
        ("content_filter", "SAFETY"),
        ("something_new", "OTHER"),
        (None, None),
    ],
)
def test_finish_reasons_are_translated(finish: str | None, reason: str | None) -> None:
    view = ChatReader().read(chunk({"content": "a"}, finish))
    assert view["candidates"][0].get("finishReason") == reason


def test_a_call_in_pieces_comes_whole_with_the_finish() -> None:
    reader = ChatReader()
    first = tool(0, '{"a"', id="c1", function={"name": "f"})
    assert parts(reader.read(chunk({"tool_calls": [first]}))) == []
    second = [tool(0, ":1}"), tool(1, "", id="c2", function={"name": "g"})]
    assert parts(reader.read(chunk({"tool_calls": second}))) == []
    last = reader.read(chunk({}, "tool_calls"))
    assert parts(last) == [
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c1"}},
        {"functionCall": {"name": "g", "args": {}, "id": "c2"}},
    ]
    assert reader.rest() == {}


def test_calls_of_several_choices_stay_apart() -> None:
    reader = ChatReader()
    for index in (0, 1):
        call = tool(0, f'{{"n":{index}}}', function={"name": "f"})
        reader.read(chunk({"tool_calls": [call]}, index=index))
    view = reader.read(chunk({}, "tool_calls", index=1))
    assert parts(view) == [{"functionCall": {"name": "f", "args": {"n": 1}}}]
    rest = reader.rest()
    assert parts(rest) == [{"functionCall": {"name": "f", "args": {"n": 0}}}]
    assert rest["candidates"][0]["index"] == 0


@pytest.mark.parametrize("arguments", ["{", "[1]", "null x"])
def test_a_call_that_is_no_json_is_a_bad_answer(arguments: str) -> None:
    call = tool(0, arguments, function={"name": "f"})
    with pytest.raises(BadAnswer):
        ChatReader().read(chunk({"tool_calls": [call]}, "tool_calls"))


def test_chunks_add_up_to_the_whole() -> None:
    reader = ChatReader()
    chunks = [
        chunk({"role": "assistant", "reasoning_content": "hm"}),
        chunk({"content": "3"}),
        chunk({"content": "03"}, "stop"),
        {"choices": [], "usage": USAGE, "id": "a-1", "model": "grok-4.3"},
    ]
    views = [reader.read(each) for each in chunks]
    assert "candidates" not in views[-1]
    whole = fold(views)
    assert parts(whole) == [{"text": "hm", "thought": True}, {"text": "303"}]
    assert whole["usageMetadata"]["totalTokenCount"] == 135


def test_sources_become_grounding() -> None:
    view = ChatReader().read(
        completion({"message": {"content": "a"}}, citations=["https://a.b", 7])
    )
    (source,) = view["candidates"][0]["groundingMetadata"]["groundingChunks"]
    assert source == {"web": {"uri": "https://a.b", "title": "https://a.b"}}


@pytest.mark.parametrize("usage", [None, "x", {}, {"prompt_tokens": None}])
def test_missing_counts_are_none(usage: Any) -> None:
    assert usage_metadata(usage) == {}


def asking(text: str, **config: Any) -> dict[str, Any]:
    said = {"role": "user", "parts": [{"text": text}]}
    return {"contents": [said], "generationConfig": config}


def test_the_last_words_are_the_prompt() -> None:
    body = asking("a cat", candidateCount=3, imageConfig={"aspectRatio": "16:9"})
    body["contents"] = [
        {"role": "user", "parts": [{"text": "old"}]},
        {"role": "model", "parts": [{"text": "![image](u)"}]},
        *body["contents"],
    ]
    asked = {"model": "grok-2-image", "prompt": "a cat", "n": 3}
    assert image_request(body, "grok-2-image") == asked


def test_a_shape_is_for_models_that_take_one() -> None:
    body = asking("a cat", imageConfig={"aspectRatio": "16:9"})
    assert "aspect_ratio" not in image_request(body, "grok-2-image-1212")
    assert dropped_names(body, "grok-2-image-1212") == ["imageConfig.aspectRatio"]
    assert image_request(body, "grok-imagine-image-2.0")["aspect_ratio"] == "16:9"
    assert dropped_names(body, "grok-imagine-image-2.0") == []


@pytest.mark.parametrize(
    "body",
    [
        asking(" "),
        {"contents": []},
        asking("a", candidateCount=11),
        asking("a", candidateCount="2"),
        asking("a", responseMimeType="application/json"),
        {**asking("a"), "tools": [{"functionDeclarations": [{"name": "f"}]}]},
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]},
    ],
)
def test_what_makes_no_picture_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        image_request(body, "grok-2-image")


def test_pictures_become_candidates_and_one_message_again() -> None:
    rows = [
        {"url": "https://a/1", "mime_type": "image/png", "revised_prompt": "A cat."},
        {"b64_json": "eA==", "revised_prompt": "Another."},
        {"respect_moderation": False},
    ]
    view = image_answer({"data": rows}, "grok-2-image")
    assert [c["index"] for c in view["candidates"]] == [0, 1]
    first, second = parts(view), parts(view, 1)
    assert first[1] == {"fileData": {"mimeType": "image/png", "fileUri": "https://a/1"}}
    assert second[1] == {"inlineData": {"mimeType": "image/jpeg", "data": "eA=="}}
    whole = joined(view)
    assert parts(whole) == [{"text": "A cat."}, first[1], second[1]]
    progress = Progress()
    progress.see(whole)
    assert (progress.images, progress.complete) == (2, True)


def test_an_answer_without_pictures_is_a_bad_one() -> None:
    with pytest.raises(BadAnswer):
        image_answer({"data": [{}]}, "grok-2-image")


def followed(*data: dict[str, Any]) -> Progress:
    progress = Progress()
    for each in data:
        progress.see(view_of(each))
    return progress


def test_a_relayed_chat_stream_is_followed() -> None:
    before = followed(chunk({"role": "assistant"}))
    assert not before.has_content
    thinking = followed(chunk({"reasoning_content": "hm"}))
    assert (thinking.has_content, thinking.has_thoughts) == (False, True)
    done = followed(
        chunk({"content": "a"}),
        chunk({}, "length"),
        {"choices": [], "usage": USAGE, "id": "a-1"},
    )
    assert (done.complete, done.finish) == (True, "MAX_TOKENS")
    assert (done.usage.total, done.response_id) == (135, "a-1")
    assert followed(chunk({"tool_calls": [{}]})).has_content


def test_a_relayed_response_is_followed() -> None:
    begun = {"id": "r-1", "object": "response", "status": "in_progress", "usage": None}
    counted = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    ended = {**begun, "status": "completed", "usage": counted, "error": None}
    opening = followed({"type": "response.created", "response": begun})
    assert not opening.has_content
    assert not opening.has_thoughts
    done = followed(
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.completed", "response": ended},
    )
    assert (done.complete, done.usage.prompt, done.usage.total) == (True, 5, 12)
    whole = followed(ended)
    assert (whole.response_id, whole.complete, whole.usage.total) == ("r-1", True, 12)
    failed = followed(
        {"type": "response.failed", "response": {**begun, "status": "failed"}}
    )
    assert failed.complete


def test_relayed_pictures_are_counted() -> None:
    progress = followed({"data": [{"url": "u"}, {"b64_json": "x"}, {}]})
    assert (progress.images, progress.complete) == (2, True)


@pytest.mark.parametrize(
    "raw", [b"", b"no json", b"[1]", b'{"object":"list","data":[]}']
)
def test_whatever_comes_can_be_looked_at(raw: bytes) -> None:
    progress = Progress()
    progress.see(whole_view(raw))
    assert not progress.has_content


def test_the_mark_at_the_end_is_an_end() -> None:
    progress = Progress()
    progress.see(done_view())
    assert progress.complete


def test_both_dialects_count_alike() -> None:
    response = {
        "input_tokens": 32,
        "output_tokens": 103,
        "total_tokens": 135,
        "input_tokens_details": {"cached_tokens": 6},
        "output_tokens_details": {"reasoning_tokens": 94},
    }
    both = [read_usage(usage_of(each)) for each in (USAGE, response)]
    assert [(u.prompt, u.cached, u.output, u.thoughts, u.total) for u in both] == [
        (32, 6, 9, 94, 135)
    ] * 2


def test_any_bytes_survive_a_relay_order() -> None:
    content = bytes(range(256))
    body = relay_body("PUT", "/v1/x", query="a=b", headers={"a": "b"}, content=content)
    assert content_of(orjson.loads(orjson.dumps(body))) == content
