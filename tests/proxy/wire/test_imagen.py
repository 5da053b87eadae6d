"""Imagen's predictions in the middle language."""

import pytest

from proxy.errors import BadRequest
from proxy.wire.image_models import lacks_of
from proxy.wire.imagen import dropped_names, predict_answer, predict_request
from proxy.wire.openai_image_answer import drawn
from proxy.wire.openai_images import gemini_body
from tests.proxy.wire.chat_samples import data_url
from tests.proxy.wire.image_samples import edit, generation, picture_file

MODEL = "imagen-4.0-generate-001"


def asked(words: str = "a fox", **config):
    body = {"contents": [{"role": "user", "parts": [{"text": words}]}]}
    return body | ({"generationConfig": config} if config else {})


def test_the_last_words_are_the_prompt():
    body = asked()
    body["contents"][:0] = [
        {"role": "user", "parts": [{"text": "before"}]},
        {"role": "model", "parts": [{"text": "answer"}]},
    ]
    assert predict_request(body, MODEL) == {
        "instances": [{"prompt": "a fox"}],
        "parameters": {"sampleCount": 1, "includeRaiReason": True},
    }


def test_shape_size_and_count_are_parameters():
    body = asked(
        candidateCount=4,
        imageConfig={
            "aspectRatio": "16:9",
            "imageSize": "2K",
            "personGeneration": "ALLOW_ADULT",
        },
    )
    assert predict_request(body, MODEL)["parameters"] == {
        "sampleCount": 4,
        "includeRaiReason": True,
        "aspectRatio": "16:9",
        "sampleImageSize": "2K",
        "personGeneration": "ALLOW_ADULT",
    }


def test_an_openai_request_becomes_a_prediction():
    body = gemini_body(generation(MODEL, size="1792x1024"))
    made = predict_request(body, MODEL)
    assert made["instances"] == [{"prompt": "a red fox"}]
    assert made["parameters"]["aspectRatio"] == "16:9"
    assert made["parameters"]["sampleImageSize"] == "1K"


def test_the_usual_size_is_not_sent_to_models_without_sizes():
    body = asked(imageConfig={"imageSize": "1K"})
    made = predict_request(body, "imagen-3.0-generate-002")
    assert "sampleImageSize" not in made["parameters"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (asked(" "), None),
        ({"contents": []}, None),
        (asked(candidateCount=5), "n"),
        (asked(candidateCount="2"), "n"),
        (asked(imageConfig={"aspectRatio": "21:9"}), "size"),
        (asked(imageConfig={"imageSize": "4K"}), "size"),
        (asked(responseMimeType="application/json"), None),
        ({**asked(), "tools": [{"googleSearch": {}}]}, None),
        (gemini_body(edit(image=data_url(picture_file()))), None),
    ],
)
def test_what_imagen_cannot_do_is_refused(body, param):
    with pytest.raises(BadRequest) as caught:
        predict_request(body, MODEL)
    assert caught.value.param == param


def test_predictions_become_candidates():
    answer = predict_answer(
        {
            "predictions": [
                {
                    "bytesBase64Encoded": "QQ==",
                    "mimeType": "image/jpeg",
                    "prompt": "better",
                },
                {"bytesBase64Encoded": "Qg=="},
                {"raiFilteredReason": "Unsafe. Code: 5"},
            ]
        },
        MODEL,
    )
    first, second, third = answer["candidates"]
    assert first["content"]["parts"] == [
        {"text": "better"},
        {"inlineData": {"mimeType": "image/jpeg", "data": "QQ=="}},
    ]
    assert second["content"]["parts"][0]["inlineData"]["mimeType"] == "image/png"
    assert third == {
        "finishReason": "IMAGE_SAFETY",
        "finishMessage": "Unsafe. Code: 5",
        "index": 2,
    }
    assert [row["index"] for row in answer["candidates"]] == [0, 1, 2]
    pictures = drawn(answer, MODEL)
    assert [p.revised_prompt for p in pictures] == ["better", ""]
    assert answer["modelVersion"] == MODEL


@pytest.mark.parametrize("data", [{}, {"predictions": []}, {"predictions": None}])
def test_nothing_predicted_is_no_image(data):
    (candidate,) = predict_answer(data, MODEL)["candidates"]
    assert candidate["finishReason"] == "NO_IMAGE"


def test_what_a_prediction_has_no_place_for_is_named():
    body = asked(
        temperature=1,
        candidateCount=2,
        responseModalities=["IMAGE"],
        imageConfig={"aspectRatio": "1:1", "outputMimeType": "image/png"},
    )
    body |= {"safetySettings": [{"category": "x"}], "tools": [], "labels": {}}
    assert dropped_names(body) == [
        "safetySettings",
        "temperature",
        "imageConfig.outputMimeType",
    ]
    assert dropped_names(asked()) == []


@pytest.mark.parametrize("word", ["tools", "images_in", "system", "count_tokens"])
def test_imagen_lacks_what_a_prediction_cannot_say(word):
    assert word in lacks_of(MODEL)
    assert not lacks_of("gemini-2.5-flash-image")
    assert not lacks_of(MODEL) & {"images_out", "stream"}
