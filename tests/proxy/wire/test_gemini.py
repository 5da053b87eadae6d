"""Token counts, the canonical view and needed capabilities of native requests."""

import copy
import json
from typing import Any

import pytest

from proxy.wire.gemini import needs, normalise, read_usage, sum_metadata


def counts(**given: int) -> tuple[int, int, int, int, int]:
    names = {
        "prompt": "promptTokenCount",
        "candidates": "candidatesTokenCount",
        "thoughts": "thoughtsTokenCount",
        "tool": "toolUsePromptTokenCount",
        "total": "totalTokenCount",
    }
    usage = read_usage({names[name]: value for name, value in given.items()})
    return usage.prompt, usage.tool_use, usage.output, usage.thoughts, usage.total


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"prompt": 10, "candidates": 20, "thoughts": 5, "tool": 3, "total": 38},
            (10, 3, 20, 5, 38),
            id="all-add-up",
        ),
        pytest.param(
            {"prompt": 21, "thoughts": 60, "total": 81},
            (21, 0, 0, 60, 81),
            id="only-thoughts",
        ),
        pytest.param(
            {"prompt": 10, "candidates": 50, "thoughts": 30, "total": 60},
            (10, 0, 20, 30, 60),
            id="candidates-hold-the-thoughts",
        ),
        pytest.param(
            {"prompt": 10, "candidates": 20, "total": 45},
            (10, 0, 35, 0, 45),
            id="hidden-thoughts-are-output",
        ),
        pytest.param(
            {"prompt": 30, "candidates": 5, "tool": 10, "total": 35},
            (20, 10, 5, 0, 35),
            id="tool-use-inside-the-prompt",
        ),
        pytest.param(
            {"prompt": 10, "candidates": 5, "thoughts": 30, "total": 30},
            (10, 0, 0, 20, 30),
            id="thoughts-never-exceed-what-was-made",
        ),
        pytest.param(
            {"prompt": 4, "candidates": 6}, (4, 0, 6, 0, 10), id="no-total-given"
        ),
        pytest.param(
            {"prompt": 40, "candidates": 6, "total": 12},
            (40, 0, 6, 0, 46),
            id="total-below-the-prompt-is-not-believed",
        ),
        pytest.param({"prompt": 7, "total": 7}, (7, 0, 0, 0, 7), id="nothing-made"),
    ],
)
def test_usage_is_total_minus_what_was_sent(
    given: dict[str, int], expected: tuple[int, ...]
) -> None:
    assert counts(**given) == expected


@pytest.mark.parametrize("metadata", [None, {}], ids=["none", "empty"])
def test_missing_usage_is_zero(metadata: dict[str, Any] | None) -> None:
    usage = read_usage(metadata)
    assert (usage.prompt, usage.output, usage.total, usage.details) == (0, 0, 0, {})


def test_usage_keeps_cached_tokens_and_the_raw_metadata() -> None:
    metadata = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 80,
        "candidatesTokenCount": 1,
        "totalTokenCount": 101,
        "trafficType": "ON_DEMAND",
    }
    usage = read_usage(metadata)
    assert usage.cached == 80
    assert usage.prompt == 100
    assert usage.details == metadata
    assert usage.details is not metadata


@pytest.mark.parametrize(
    ("value", "expected"),
    [("12", 12), (12.0, 12), (-4, 0), ("x", 0), (None, 0), ([], 0), ("9" * 30, 0)],
    ids=["int64-string", "float", "negative", "word", "null", "list", "absurd"],
)
def test_counts_of_odd_types_do_not_break_usage(value: Any, expected: int) -> None:
    assert read_usage({"promptTokenCount": value}).prompt == expected


def test_metadata_of_parallel_answers_is_added_up() -> None:
    one = {
        "promptTokenCount": 5,
        "candidatesTokenCount": 2,
        "totalTokenCount": 7,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
        "serviceTier": "flex",
    }
    two = {
        "promptTokenCount": 5,
        "candidatesTokenCount": 4,
        "totalTokenCount": 9,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 3},
            {"modality": "IMAGE", "tokenCount": 2},
        ],
    }
    assert sum_metadata([one, two]) == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 6,
        "totalTokenCount": 16,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 8},
            {"modality": "IMAGE", "tokenCount": 2},
        ],
        "serviceTier": "flex",
    }


def test_both_casings_become_camel_case_at_every_level() -> None:
    body = {
        "system_instruction": {"parts": [{"text": "be kind"}]},
        "contents": [
            {"parts": [{"inlineData": {"mime_type": "image/png", "data": "_-"}}]}
        ],
        "generation_config": {
            "speechConfig": {"voice_config": {"prebuilt_voice_config": {"x_y": 1}}}
        },
    }
    assert normalise(body) == {
        "systemInstruction": {"parts": [{"text": "be kind"}]},
        "contents": [
            {"parts": [{"inlineData": {"mimeType": "image/png", "data": "_-"}}]}
        ],
        "generationConfig": {
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"xY": 1}}}
        },
    }


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("function_call", "args"),
        ("functionResponse", "response"),
        ("function_declarations", "parameters_json_schema"),
        ("functionDeclarations", "parameters"),
        ("generationConfig", "response_schema"),
        ("generationConfig", "_responseJsonSchema"),
        ("generationConfig", "responseJsonSchema"),
    ],
)
def test_what_belongs_to_the_caller_is_not_looked_into(outer: str, inner: str) -> None:
    own = {"snake_key": {"other_key": [1]}}
    view = normalise({outer: {inner: own}})
    ((_, held),) = view.items()
    ((_, kept),) = held.items()
    assert kept is own


def test_normalise_leaves_the_request_alone() -> None:
    body = {"generation_config": {"top_k": 1}, "contents": [{"parts": []}]}
    before = copy.deepcopy(body)
    normalise(body)
    assert body == before


def test_camel_case_wins_where_both_are_given() -> None:
    assert normalise({"top_k": 1, "topK": 2}) == {"topK": 2}
    assert normalise({"topK": 2, "top_k": 1}) == {"topK": 2}


def test_absurd_nesting_does_not_exhaust_the_stack() -> None:
    body: dict[str, Any] = {}
    for _ in range(5000):
        body = {"a_b": body}
    view = normalise(body)
    assert "aB" in view
    assert needs(body) == frozenset()


def parts(*given: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(given)}]}


def config(**given: Any) -> dict[str, Any]:
    return {"generationConfig": given}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(parts({"text": "hi"}), set(), id="plain-text"),
        pytest.param(
            {"tools": [{"function_declarations": [{"name": "f"}]}]},
            {"tools"},
            id="functions-in-snake-case",
        ),
        pytest.param(
            {"tools": [{"functionDeclarations": []}]}, set(), id="no-function"
        ),
        pytest.param(
            {"tools": [{"googleSearch": {}}, {"codeExecution": {}}]},
            {"search", "code"},
            id="built-in-tools",
        ),
        pytest.param({"tools": [{"url_context": {}}]}, {"search"}, id="url-context"),
        pytest.param(
            config(response_mime_type="application/json"), {"json_schema"}, id="json"
        ),
        pytest.param(
            config(responseJsonSchema={"type": "object"}), {"json_schema"}, id="schema"
        ),
        pytest.param(config(responseMimeType="text/plain"), set(), id="plain-type"),
        pytest.param(
            config(responseModalities=["TEXT", "IMAGE"]), {"images_out"}, id="pictures"
        ),
        pytest.param(
            config(image_config={"aspectRatio": "1:1"}), {"images_out"}, id="ratio"
        ),
        pytest.param(config(responseModalities=["audio"]), {"audio_out"}, id="speech"),
        pytest.param(
            config(thinkingConfig={"thinking_level": "LOW"}), {"thinking"}, id="level"
        ),
        pytest.param(
            config(thinkingConfig={"thinkingBudget": 0, "includeThoughts": False}),
            set(),
            id="thinking-off",
        ),
        pytest.param(
            {"system_instruction": {"parts": [{"text": "x"}]}}, {"system"}, id="system"
        ),
        pytest.param({"systemInstruction": {"parts": []}}, set(), id="empty-system"),
        pytest.param(
            parts({"inline_data": {"mime_type": "image/png", "data": ""}}),
            {"images_in"},
            id="picture-in",
        ),
        pytest.param(
            parts({"inlineData": {"mimeType": "audio/wav", "data": ""}}),
            {"audio_in"},
            id="sound-in",
        ),
        pytest.param(
            parts({"inlineData": {"mimeType": "application/pdf", "data": ""}}),
            {"files_in"},
            id="pdf-in",
        ),
        pytest.param(
            parts({"fileData": {"file_uri": "https://x/f/1", "mimeType": "image/png"}}),
            {"files_in", "images_in"},
            id="uploaded-picture",
        ),
        pytest.param(
            parts({"fileData": {"fileUri": "https://youtu.be/abc"}}),
            {"video_in"},
            id="youtube",
        ),
        pytest.param(
            parts(
                {
                    "functionResponse": {
                        "name": "f",
                        "response": {"inline_data": {"mime_type": "audio/wav"}},
                        "parts": [{"inline_data": {"mime_type": "image/png"}}],
                    }
                }
            ),
            {"images_in"},
            id="picture-in-a-tool-result",
        ),
    ],
)
def test_a_request_names_the_capabilities_it_needs(
    body: dict[str, Any], expected: set[str]
) -> None:
    assert needs(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        '{"contents": "hi"}',
        '{"contents": [1, null, {"parts": "x"}]}',
        '{"tools": 5, "generationConfig": [], "systemInstruction": "x"}',
        '{"generationConfig": {"responseModalities": 5, "thinkingConfig": 1}}',
        '{"generationConfig": {"responseMimeType": {}}}',
        '{"contents": [{"parts": [{"inlineData": 3, "fileData": []}]}]}',
    ],
)
def test_malformed_requests_need_nothing_and_do_not_raise(body: str) -> None:
    assert needs(json.loads(body)) == frozenset()
