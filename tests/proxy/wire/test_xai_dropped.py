"""What is left out of a request to xAI is named; what would change it is refused."""

from typing import Any

import pytest

from proxy.errors import BadRequest
from proxy.wire.xai_dropped import dropped_names
from proxy.wire.xai_images import image_request
from proxy.wire.xai_request import chat_request

GROK, DRAWS, OLD = "grok-4.3", "grok-imagine-image-2.0", "grok-4.20-0309-reasoning"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def body(config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {**HELLO, "generationConfig": config or {}, **fields}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (body(), []),
        (body({"topK": 40}), ["topK"]),
        (body({"top_k": 40}), ["topK"]),
        (body({"topK": None, "temperature": 0.5, "seed": 1, "topP": 1}), []),
        (body({"mediaResolution": "LOW", "audioTimestamp": True}),
         ["mediaResolution", "audioTimestamp"]),
        (body(safetySettings=[{"category": "x"}], labels={"a": "b"}),
         ["safetySettings", "labels"]),
        (body(safety_settings=[{"category": "x"}]), ["safetySettings"]),
        (body(safetySettings=[], labels={}), []),
        (body({"responseMimeType": "text/x.enum"}), ["responseMimeType"]),
        (body({"responseMimeType": "text/plain"}), []),
        (body({"responseMimeType": "application/json"}), []),
        (body({"stopSequences": ["x"], "candidateCount": 2}), []),
        (body({"responseModalities": ["TEXT"]}), []),
        (body({"thinkingConfig": {"thinkingLevel": "HIGH"}}), []),
        (body({"thinkingConfig": {"includeThoughts": True}}), []),
        (body(toolConfig={"retrievalConfig": {"languageCode": "de"}}),
         ["toolConfig.retrievalConfig"]),
        (body(toolConfig={"functionCallingConfig": {"mode": "NONE"}}), []),
    ],
)  # fmt: skip
def test_knobs_that_a_chat_cannot_take_are_named(
    asked: dict[str, Any], names: list[str]
) -> None:
    assert dropped_names(asked, GROK) == names
    # They are left out, not refused.
    assert chat_request(asked, GROK, stream=False)["model"] == GROK


@pytest.mark.parametrize(
    ("thinking", "names"),
    [
        ({"thinkingBudget": 0}, ["thinkingConfig"]),
        ({"thinkingBudget": 4096}, ["thinkingConfig"]),
        ({"thinkingLevel": "LOW"}, ["thinkingConfig"]),
        ({"thinkingBudget": -1}, []),
        ({"includeThoughts": False}, []),
    ],
)
def test_an_effort_that_a_model_does_not_take_is_named(
    thinking: dict[str, Any], names: list[str]
) -> None:
    assert dropped_names(body({"thinkingConfig": thinking}), OLD) == names
    sent = chat_request(body({"thinkingConfig": thinking}), OLD, stream=False)
    assert "reasoning_effort" not in sent


def test_what_a_picture_cannot_heed_is_named() -> None:
    asked = body(
        {
            "candidateCount": 2,
            "temperature": 1,
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "4K"},
            "responseModalities": ["IMAGE"],
        },
        systemInstruction={"parts": [{"text": "You draw."}]},
        safetySettings=[{"category": "x"}],
    )
    assert dropped_names(asked, DRAWS) == [
        "systemInstruction",
        "safetySettings",
        "temperature",
        "imageConfig.imageSize",
    ]
    assert image_request(asked, DRAWS)["aspect_ratio"] == "1:1"


def test_the_request_is_left_as_it_was() -> None:
    asked = body({"top_k": 3})
    dropped_names(asked, GROK)
    assert asked == body({"top_k": 3})


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"responseModalities": ["AUDIO"]}, "responseModalities"),
        ({"responseModalities": ["TEXT", "IMAGE"]}, "responseModalities"),
        ({"speechConfig": {"voiceConfig": {}}}, "speechConfig"),
        ({"imageConfig": {"aspectRatio": "1:1"}}, "imageConfig"),
    ],
)
def test_what_would_change_the_answers_nature_is_refused(
    config: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        chat_request(body(config), GROK, stream=False)
    assert caught.value.param == param


def test_tools_of_googles_are_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="urlContext"):
        chat_request(body(tools=[{"urlContext": {}}]), GROK, stream=False)
