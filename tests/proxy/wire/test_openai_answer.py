"""Whole Gemini answers as OpenAI chat completions."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from proxy.errors import BadAnswer
from proxy.wire.gemini import Usage, merge_candidates, read_usage
from proxy.wire.openai_answer import new_call_id, render_chat, render_usage
from tests.proxy.wire.answer_samples import call, chunk, style, text, thought


def rendered(data: dict[str, Any], **how: Any) -> dict[str, Any]:
    completion, _ = render_chat(data, style(**how))
    ChatCompletion.model_validate(completion)
    return completion


def choice(data: dict[str, Any], **how: Any) -> dict[str, Any]:
    return dict(rendered(data, **how)["choices"][0])


def message(data: dict[str, Any], **how: Any) -> dict[str, Any]:
    return dict(choice(data, **how)["message"])


def test_a_plain_answer_has_every_field_that_sdks_read() -> None:
    usage = {
        "promptTokenCount": 4,
        "candidatesTokenCount": 2,
        "totalTokenCount": 6,
        "serviceTier": "STANDARD",
    }
    data = chunk(text("Hel"), text("lo"), finish="STOP", usage=usage)
    assert rendered(data) == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gemini-3-flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
                "native_finish_reason": "STOP",
            }
        ],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 2,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "system_fingerprint": "gemini-3-flash-002",
        "service_tier": "default",
    }


def test_thoughts_are_reasoning_and_never_content() -> None:
    found = message(chunk(thought("a "), thought("b"), text("c"), finish="STOP"))
    assert found["content"] == "c"
    assert found["reasoning_content"] == "a b"


def test_a_function_call_has_null_content_and_its_own_finish_reason() -> None:
    found = choice(chunk(call("f", {"x": [1, "é"]}, id="call_7"), finish="STOP"))
    assert found["finish_reason"] == "tool_calls"
    assert found["message"]["content"] is None
    (row,) = found["message"]["tool_calls"]
    assert row["id"] == "call_7"
    assert row["type"] == "function"
    assert row["function"]["name"] == "f"
    assert json.loads(row["function"]["arguments"]) == {"x": [1, "é"]}
    assert "index" not in row


@pytest.mark.parametrize(
    "given", [{}, {"args": None}, {"args": {}}, {"args": "x"}], ids=str
)
def test_arguments_are_always_a_json_object(given: dict[str, Any]) -> None:
    data = chunk({"functionCall": {"name": "f", **given}}, finish="STOP")
    assert message(data)["tool_calls"][0]["function"]["arguments"] == "{}"


def test_text_beside_calls_is_kept() -> None:
    found = message(chunk(text("Looking."), call("f"), finish="STOP"))
    assert found["content"] == "Looking."
    assert len(found["tool_calls"]) == 1


def test_two_calls_without_ids_differ_also_from_those_of_the_next_turn() -> None:
    data = chunk(call("f"), call("f"), finish="STOP")
    ids = [row["id"] for _ in range(2) for row in message(data)["tool_calls"]]
    assert len(set(ids)) == 4
    assert all(call_id.startswith("call_") for call_id in ids)


def test_an_id_that_the_provider_repeats_is_replaced_the_second_time() -> None:
    data = chunk(call("f", id="1"), call("g", id="1"), finish="STOP")
    first, second = (row["id"] for row in message(data)["tool_calls"])
    assert first == "1"
    assert second != "1"


def test_new_call_ids_never_repeat_and_stay_short() -> None:
    made = {new_call_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(call_id) <= 40 for call_id in made)


def test_the_callers_own_tool_names_come_back() -> None:
    data = chunk(call("srv_tool_name"), call("plain"), finish="STOP")
    rows = message(data, tool_names={"srv_tool_name": "srv/tool.name"})["tool_calls"]
    assert [row["function"]["name"] for row in rows] == ["srv/tool.name", "plain"]


def test_call_signatures_are_sent_and_given_back_to_remember() -> None:
    data = chunk(call("f", id="c1", signature="SIG"), call("g", id="c2"), finish="STOP")
    completion, signatures = render_chat(data, style())
    first, second = completion["choices"][0]["message"]["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "SIG"}}
    assert "extra_content" not in second
    assert signatures == {"c1": "SIG"}


def test_a_text_signature_stands_in_the_message() -> None:
    data = chunk(text("hi"), text("", thoughtSignature="T"), finish="STOP")
    found = message(data)
    assert found["content"] == "hi"
    assert found["extra_content"] == {"google": {"thought_signature": "T"}}


def test_legacy_functions_are_answered_with_function_call() -> None:
    data = chunk(call("f", {"a": 1}), call("g"), finish="STOP")
    found = choice(data, legacy_functions=True)
    assert found["finish_reason"] == "function_call"
    assert found["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in found["message"]
    assert found["message"]["content"] is None


FINISHES = [
    ("STOP", "stop", "tool_calls"),
    ("MAX_TOKENS", "length", "length"),
    ("CONTINUATION", "length", "length"),
    ("SAFETY", "content_filter", "content_filter"),
    ("RECITATION", "content_filter", "content_filter"),
    ("SPII", "content_filter", "content_filter"),
    ("IMAGE_SAFETY", "content_filter", "content_filter"),
    ("MODEL_ARMOR", "content_filter", "content_filter"),
    ("MALFORMED_FUNCTION_CALL", "stop", "tool_calls"),
    ("OTHER", "stop", "tool_calls"),
    ("INVENTED_TOMORROW", "stop", "tool_calls"),
]


@pytest.mark.parametrize(("native", "with_text", "with_call"), FINISHES)
def test_finish_reasons_are_openai_words(
    native: str, with_text: str, with_call: str
) -> None:
    found = choice(chunk(text("x"), finish=native))
    assert found["finish_reason"] == with_text
    assert found["native_finish_reason"] == native
    assert choice(chunk(call("f"), finish=native))["finish_reason"] == with_call


def test_thinking_that_ate_all_tokens_is_an_empty_answer_of_full_length() -> None:
    usage = {
        "promptTokenCount": 10,
        "thoughtsTokenCount": 2999,
        "totalTokenCount": 3009,
    }
    completion = rendered(chunk(finish="MAX_TOKENS", usage=usage))
    (found,) = completion["choices"]
    assert found["message"]["content"] == ""
    assert found["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 2999
    details = completion["usage"]["completion_tokens_details"]
    assert details == {"reasoning_tokens": 2999}


def test_a_blocked_prompt_is_a_refusal_with_its_usage() -> None:
    data = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
    }
    completion = rendered(data)
    (found,) = completion["choices"]
    assert found["finish_reason"] == "content_filter"
    assert found["message"]["refusal"] == "Blocked: PROHIBITED_CONTENT"
    assert found["message"]["content"] == ""
    assert completion["usage"]["prompt_tokens"] == 9


def test_a_filtered_answer_without_text_says_what_filtered_it() -> None:
    assert message(chunk(finish="RECITATION"))["refusal"] == "Blocked: RECITATION"
    assert message(chunk(text("half"), finish="SAFETY"))["refusal"] is None


def test_an_empty_answer_is_a_fault() -> None:
    with pytest.raises(BadAnswer) as caught:
        render_chat({"usageMetadata": {"totalTokenCount": 1}}, style())
    assert (caught.value.status, caught.value.code) == (502, "upstream_empty")


@pytest.mark.parametrize("native", ["MALFORMED_FUNCTION_CALL", "OTHER", "NEW_ONE"])
def test_a_malformed_answer_without_output_is_never_an_empty_success(
    native: str,
) -> None:
    with pytest.raises(BadAnswer, match=native):
        render_chat(chunk(thought("hm"), finish=native), style())


@pytest.mark.parametrize("candidate", [{}, {"content": {"role": "model"}}], ids=str)
def test_a_candidate_that_says_nothing_at_all_is_a_fault(
    candidate: dict[str, Any],
) -> None:
    with pytest.raises(BadAnswer):
        render_chat({"candidates": [candidate]}, style())


def test_a_malformed_choice_beside_a_good_one_does_not_spoil_it() -> None:
    data = merge_candidates([chunk(finish="OTHER"), chunk(text("ok"), finish="STOP")])
    first, second = rendered(data)["choices"]
    assert first["native_finish_reason"] == "OTHER"
    assert second["message"]["content"] == "ok"


def test_every_candidate_is_a_choice_of_its_own() -> None:
    data = merge_candidates(
        [
            chunk(text("a"), finish="STOP"),
            chunk(call("f", id="x"), finish="STOP"),
            chunk(call("f", id="x"), finish="MAX_TOKENS"),
        ]
    )
    rows = rendered(data)["choices"]
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["finish_reason"] for row in rows] == ["stop", "tool_calls", "length"]
    ids = [row["message"]["tool_calls"][0]["id"] for row in rows[1:]]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("wrote", "shown"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('\n ```\n{"a": 1}\n```\n', '{"a": 1}'),
        ('```json\r\n{"a": 1}```', '{"a": 1}'),
        ('{"a": "```json"}', '{"a": "```json"}'),
        ('{"a": 1}\n', '{"a": 1}\n'),
        ('```json\n{"a": "x```y"}\n```', '{"a": "x```y"}'),
        ('```json\n{"a": 1', '{"a": 1'),
        ("``", "``"),
    ],
)
def test_json_text_loses_its_fence_and_nothing_else(wrote: str, shown: str) -> None:
    assert (
        message(chunk(text(wrote), finish="STOP"), json_text=True)["content"] == shown
    )


def test_without_json_text_a_fence_stays() -> None:
    wrote = "```json\n{}\n```"
    assert message(chunk(text(wrote), finish="STOP"))["content"] == wrote


def test_grounding_is_annotated_and_shown_raw() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [
            {
                "segment": {"partIndex": 1, "startIndex": 3, "endIndex": 8},
                "groundingChunkIndices": [0],
            }
        ],
        "webSearchQueries": ["q"],
    }
    data = chunk(
        thought("hmm"), text("Ä wörd!"), finish="STOP", groundingMetadata=grounding
    )
    found = message(data)
    (note,) = found["annotations"]
    place = note["url_citation"]
    assert found["content"][place["start_index"] : place["end_index"]] == "wörd"
    assert found["grounding_metadata"] == grounding


def test_usage_is_split_by_modality() -> None:
    usage = read_usage(
        {
            "promptTokenCount": 300,
            "cachedContentTokenCount": 100,
            "toolUsePromptTokenCount": 20,
            "candidatesTokenCount": 50,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 400,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 42},
                {"modality": "IMAGE", "tokenCount": 258},
            ],
            "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
        }
    )
    assert render_usage(usage) == {
        "prompt_tokens": 320,
        "completion_tokens": 80,
        "total_tokens": 400,
        "prompt_tokens_details": {
            "cached_tokens": 100,
            "text_tokens": 62,
            "image_tokens": 258,
        },
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 50},
    }


def test_usage_that_nobody_counted_is_zero_not_null() -> None:
    assert rendered(chunk(text("x"), finish="STOP"))["usage"] == render_usage(Usage())
    assert render_usage(Usage())["total_tokens"] == 0
