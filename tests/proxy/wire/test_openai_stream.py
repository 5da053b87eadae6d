"""Gemini chunks as OpenAI stream events, chunk by chunk."""

import json
from typing import Any

import pytest

from proxy.errors import LimitReached, Overloaded
from proxy.wire.gemini import Usage
from proxy.wire.openai_stream import ChatStream
from tests.proxy.wire.answer_samples import (
    call,
    chunk,
    deltas,
    events,
    finishes,
    image,
    stream,
    style,
    text,
    thought,
)

STOP = chunk(finish="STOP")


def calls(raw: bytes) -> list[dict[str, Any]]:
    return [row for delta in deltas(raw) for row in delta.get("tool_calls", ())]


def test_a_text_stream_has_role_text_finish_and_done_in_order() -> None:
    found = events(stream([chunk(text("Hel")), chunk(text("lo"), finish="STOP")]))
    assert found[-1] == "[DONE]"
    rows = [event["choices"][0] for event in found[:-1]]
    assert [row["delta"] for row in rows] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert [row["finish_reason"] for row in rows] == [None, None, None, "stop"]
    assert rows[-1]["native_finish_reason"] == "STOP"
    for event in found[:-1]:
        assert event["id"] == "chatcmpl-abc"
        assert event["object"] == "chat.completion.chunk"
        assert event["created"] == 1_700_000_000
        assert event["model"] == "gemini-3-flash"
        assert "usage" not in event


def test_the_template_for_plain_text_makes_the_same_object_as_the_long_way() -> None:
    words = 'quote " back \\ line \n sep \u2028 emoji 🚡'
    stream_of = ChatStream(style(id='a"b', model="m\\x"))
    stream_of.start()
    (plain,) = stream_of.payloads([chunk(text(words))])
    (long,) = stream_of.payloads([chunk(text(words), safetyRatings=[])])
    assert json.loads(plain) == json.loads(long)
    assert json.loads(plain)["choices"][0]["delta"] == {"content": words}
    (plain,) = stream_of.payloads([chunk(thought(words))])
    (long,) = stream_of.payloads([chunk(thought(words), safetyRatings=[])])
    assert json.loads(plain) == json.loads(long)
    assert json.loads(plain)["choices"][0]["delta"] == {"reasoning_content": words}


def test_events_are_the_payloads_in_frames() -> None:
    chunks = [chunk(text("a")), chunk(call("f", id="1")), chunk(text("b"))]
    framed, bare = ChatStream(style()), ChatStream(style())
    payloads = bare.start_payloads() + bare.payloads(chunks)
    expected = b"".join(b"data: " + payload + b"\n\n" for payload in payloads)
    assert framed.start() + framed.render(chunks) == expected


def test_the_role_comes_once_even_if_nobody_asked_to_start() -> None:
    unstarted = ChatStream(style())
    first = events(unstarted.render([chunk(text("a"))]))
    assert first[0]["choices"][0]["delta"]["role"] == "assistant"
    assert unstarted.start() == b""


def test_chunks_with_nothing_to_show_make_no_event() -> None:
    renderer = ChatStream(style())
    renderer.start()
    assert renderer.render([]) == b""
    assert renderer.render([chunk(text(""))]) == b""
    assert renderer.render([chunk()]) == b""
    assert renderer.render([{"usageMetadata": {"totalTokenCount": 1}}]) == b""
    assert renderer.render([chunk(text("", thoughtSignature="S"))]) == b""


def test_parallel_calls_in_separate_chunks_count_up() -> None:
    raw = stream([chunk(call("read_file", {"p": p})) for p in "abc"] + [STOP])
    rows = calls(raw)
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert len({row["id"] for row in rows}) == 3
    arguments = [json.loads(row["function"]["arguments"]) for row in rows]
    assert arguments == [{"p": "a"}, {"p": "b"}, {"p": "c"}]
    assert finishes(raw) == ["tool_calls"]


def test_a_call_and_its_finish_may_be_in_different_chunks() -> None:
    raw = stream([chunk(call("f")), chunk(text(""), finish="STOP")])
    assert [list(delta) for delta in deltas(raw)] == [["tool_calls"]]
    assert finishes(raw) == ["tool_calls"]


@pytest.mark.parametrize(
    ("native", "expected"),
    [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("NEW", "tool_calls")],
)
def test_a_call_does_not_hide_that_the_answer_was_cut(
    native: str, expected: str
) -> None:
    assert finishes(stream([chunk(call("f")), chunk(finish=native)])) == [expected]


def test_a_finish_reason_on_every_chunk_is_sent_once_at_the_end() -> None:
    raw = stream([chunk(text(letter), finish="STOP") for letter in "abc"])
    assert finishes(raw) == ["stop"]
    assert [delta["content"] for delta in deltas(raw)] == ["a", "b", "c"]


def test_usage_comes_once_from_the_last_chunk_if_asked_for() -> None:
    def count(n: int) -> dict[str, int]:
        return {
            "promptTokenCount": 5,
            "candidatesTokenCount": n,
            "totalTokenCount": 5 + n,
        }

    chunks = [chunk(text("x"), usage=count(n)) for n in range(1, 10)]
    chunks.append(chunk(finish="STOP", usage=count(10)))
    found = events(stream(chunks, include_usage=True))
    assert found[-1] == "[DONE]"
    assert found[-2]["choices"] == []
    assert found[-2]["usage"]["completion_tokens"] == 10
    assert sum("usage" in event for event in found[:-1]) == 1
    assert not any("usage" in event for event in events(stream(chunks))[:-1])


def test_usage_of_several_upstreams_can_be_given() -> None:
    renderer = ChatStream(style(include_usage=True))
    renderer.render([chunk(text("x"), finish="STOP")])
    found = events(renderer.finish(Usage(prompt=7, output=3, total=10)))
    assert found[-2]["usage"]["total_tokens"] == 10


def test_a_lone_signature_makes_no_text_but_is_in_the_last_delta() -> None:
    raw = stream(
        [chunk(text("hi")), chunk(text("", thoughtSignature="S"), finish="STOP")]
    )
    assert deltas(raw) == [
        {"content": "hi"},
        {"extra_content": {"google": {"thought_signature": "S"}}},
    ]


def test_call_signatures_are_sent_and_kept_to_remember() -> None:
    renderer = ChatStream(style())
    raw = renderer.render([chunk(call("f", id="c1", signature="S")), chunk(call("g"))])
    first, second = calls(raw)
    assert first["extra_content"] == {"google": {"thought_signature": "S"}}
    assert "extra_content" not in second
    assert renderer.signatures == {"c1": "S"}


def test_legacy_functions_stream_one_function_call() -> None:
    raw = stream(
        [chunk(call("f", {"a": 1})), chunk(call("g")), STOP], legacy_functions=True
    )
    assert deltas(raw) == [{"function_call": {"name": "f", "arguments": '{"a":1}'}}]
    assert finishes(raw) == ["function_call"]


def test_a_blocked_prompt_is_a_whole_stream_with_a_refusal() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
    }
    raw = stream([blocked], include_usage=True)
    assert deltas(raw) == [{"refusal": "Blocked: PROHIBITED_CONTENT"}]
    assert finishes(raw) == ["content_filter"]
    found = events(raw)
    assert found[-2]["usage"]["prompt_tokens"] == 9
    assert found[-1] == "[DONE]"


def test_thinking_that_ate_all_tokens_ends_with_length() -> None:
    raw = stream([chunk(thought("hm")), chunk(finish="MAX_TOKENS")])
    assert deltas(raw) == [{"reasoning_content": "hm"}]
    assert finishes(raw) == ["length"]


@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        pytest.param([], "upstream_empty", id="nothing"),
        pytest.param([{"usageMetadata": {}}], "upstream_empty", id="only-usage"),
        pytest.param([chunk(text("half"))], "stream_cut", id="no-finish"),
        pytest.param(
            [chunk(finish="MALFORMED_FUNCTION_CALL")], "bad_gateway", id="malformed"
        ),
        pytest.param(
            [chunk(thought("hm")), chunk(finish="OTHER")], "bad_gateway", id="other"
        ),
    ],
)
def test_a_stream_that_may_not_look_complete_ends_with_an_error(
    chunks: list[dict[str, Any]], code: str
) -> None:
    raw = stream(chunks)
    found = events(raw)
    assert found[-1]["error"]["code"] == code
    assert found[-1]["error"]["type"] == "server_error"
    assert "[DONE]" not in found
    assert finishes(raw) == []


def test_a_malformed_finish_after_text_is_a_stop() -> None:
    raw = stream([chunk(text("x")), chunk(finish="MALFORMED_FUNCTION_CALL")])
    assert finishes(raw) == ["stop"]


def test_a_fault_is_a_typed_event_that_says_when_to_return() -> None:
    renderer = ChatStream(style())
    renderer.render([chunk(text("half"))])
    raw = renderer.fault(Overloaded("Too busy.", retry_after=2.5))
    assert events(raw) == [
        {
            "error": {
                "message": "Too busy.",
                "type": "server_error",
                "param": None,
                "code": "overloaded",
                "retry_after": 2.5,
            }
        }
    ]


def test_a_stream_ends_only_once() -> None:
    finished = ChatStream(style())
    finished.render([chunk(text("x"), finish="STOP")])
    assert finished.finish().endswith(b"data: [DONE]\n\n")
    assert finished.finish() == b""
    assert finished.finish_payloads() == []
    assert finished.fault(LimitReached()) == b""
    failed = ChatStream(style())
    assert b"error" in failed.fault(LimitReached())
    assert failed.finish() == b""


def test_the_keep_alive_is_a_comment() -> None:
    assert ChatStream.keep_alive == b": ping\n\n"


def candidates(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": list(rows)}


def row(index: int, words: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "content": {"parts": [text(words)]}, **more}


def test_every_candidate_is_a_choice_with_role_and_finish() -> None:
    raw = stream(
        [
            candidates(row(0, "a"), row(1, "x")),
            candidates(row(1, "y", finishReason="MAX_TOKENS")),
            candidates(row(0, "b", finishReason="STOP")),
        ]
    )
    assert [d["content"] for d in deltas(raw, 0)] == ["a", "b"]
    assert [d["content"] for d in deltas(raw, 1)] == ["x", "y"]
    roles = [
        choice["index"]
        for event in events(raw)[:-1]
        for choice in event["choices"]
        if choice["delta"].get("role")
    ]
    assert roles == [0, 1]
    assert finishes(raw) == ["stop", "length"]


def test_a_chunk_of_a_later_candidate_alone_goes_to_its_own_choice() -> None:
    ends = [{"index": index, "finishReason": "STOP"} for index in (0, 1)]
    raw = stream([candidates(row(1, "x")), candidates(row(0, "a")), candidates(*ends)])
    assert deltas(raw, 0) == [{"content": "a"}]
    assert deltas(raw, 1) == [{"content": "x"}]


def test_a_later_chunk_without_usage_does_not_erase_it() -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
    chunks = [chunk(text("a"), usage=usage), chunk(text("b")), STOP]
    assert events(stream(chunks, include_usage=True))[-2]["usage"]["total_tokens"] == 4


def test_call_numbers_run_per_choice_and_ids_over_all() -> None:
    both = [
        {"index": index, "content": {"parts": [call("f", id="7")]}} for index in (0, 1)
    ]
    ends = [{"index": index, "finishReason": "STOP"} for index in (0, 1)]
    raw = stream([candidates(*both), candidates(*ends)])
    rows = [deltas(raw, index)[0]["tool_calls"][0] for index in (0, 1)]
    assert [row["index"] for row in rows] == [0, 0]
    assert rows[0]["id"] != rows[1]["id"]


def test_pictures_are_numbered_over_the_stream() -> None:
    raw = stream([chunk(image()), chunk(text("and")), chunk(image(), finish="STOP")])
    numbers = [row["index"] for d in deltas(raw) for row in d.get("images", ())]
    assert numbers == [0, 1]


def test_sound_comes_whole_at_the_end() -> None:
    piece = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AQA="}}
    raw = stream([chunk(piece), chunk(piece), STOP])
    (delta,) = deltas(raw)
    assert list(delta) == ["audio"]
    assert delta["audio"]["data"].startswith("UklGR")


def test_log_probabilities_ride_on_the_first_delta_of_their_chunk() -> None:
    result = {"chosenCandidates": [{"token": "a", "logProbability": -1.0}]}
    raw = stream([chunk(text("a"), text("b"), finish="STOP", logprobsResult=result)])
    rows = [event["choices"][0] for event in events(raw)[1:3]]
    assert rows[0]["logprobs"]["content"][0]["token"] == "a"
    assert rows[1]["logprobs"] is None


def test_annotations_and_raw_grounding_come_once_at_the_end() -> None:
    wrote = "Größe: 5 m."
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 7}, "groundingChunkIndices": [0]}
        ],
    }
    chunks = [chunk(text(letter), groundingMetadata=grounding) for letter in wrote[:3]]
    chunks += [chunk(text(wrote[3:]))]
    chunks += [chunk(finish="STOP", groundingMetadata=grounding)]
    raw = stream(chunks)
    last = deltas(raw)[-1]
    assert [list(d) for d in deltas(raw) if "content" not in d] == [list(last)]
    (note,) = last["annotations"]
    place = note["url_citation"]
    assert wrote[place["start_index"] : place["end_index"]] == "Größe"
    assert last["grounding_metadata"] == grounding


def test_offsets_in_a_stream_count_from_the_start_of_all_text() -> None:
    """Plain chunks pass by the long way, and part positions restart in each."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 6, "endIndex": 11}, "groundingChunkIndices": [0]}
        ],
    }
    raw = stream(
        [
            chunk(text("hello ")),
            chunk(text("world"), finish="STOP", groundingMetadata=grounding),
        ]
    )
    place = deltas(raw)[-1]["annotations"][0]["url_citation"]
    assert (place["start_index"], place["end_index"]) == (6, 11)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_json_text_loses_its_fence_while_it_streams(size: int) -> None:
    wrote = '```json\n{"a": "``"}\n```\n'
    pieces = [wrote[at : at + size] for at in range(0, len(wrote), size)]
    raw = stream([chunk(text(piece)) for piece in pieces] + [STOP], json_text=True)
    assert "".join(delta["content"] for delta in deltas(raw)) == '{"a": "``"}'


def test_the_finish_names_who_answered() -> None:
    usage = {"promptTokenCount": 1, "totalTokenCount": 1, "serviceTier": "FLEX"}
    last = events(stream([chunk(text("x"), finish="STOP", usage=usage)]))[-2]
    assert last["system_fingerprint"] == "gemini-3-flash-002"
    assert last["service_tier"] == "flex"


@pytest.mark.parametrize(
    "data",
    [
        {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
        {"candidates": [{"content": {"parts": [{"text": None}]}}]},
        {"candidates": [None]},
        {"candidates": {"a": 1}},
        {"candidates": [{"content": "x"}], "usageMetadata": 3},
    ],
)
def test_odd_shapes_from_a_provider_do_not_raise(data: dict[str, Any]) -> None:
    raw = stream([data, chunk(text("ok"), finish="STOP")])
    assert deltas(raw)[-1] == {"content": "ok"}
