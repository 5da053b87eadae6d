"""Predictions as callers ask for them."""

import base64

import pytest

from proxy.errors import BadRequest
from proxy.wire.openai_images import gemini_body
from proxy.wire.predictions import parse_prediction, prediction_answer
from tests.proxy.wire.image_samples import FLASH, delivered, picture_file

IMAGEN = "imagen-4.0-generate-001"


def parsed(instances, upstream=IMAGEN, **parameters):
    body = {"instances": instances, "parameters": parameters}
    return parse_prediction(body, default_model=FLASH, upstream_model=upstream)


@pytest.mark.parametrize("instances", [{"prompt": "a fox"}, [{"prompt": "a fox"}]])
def test_an_instance_may_stand_alone_or_in_a_list(instances):
    made = parsed(instances)
    assert (made.prompt, made.copies, made.config) == ("a fox", 1, {})
    assert made.needs == {"images_out"}
    assert gemini_body(made)["contents"][0]["parts"] == [{"text": "a fox"}]


def test_parameters_are_said_in_the_middle_language():
    made = parsed(
        {"prompt": "a fox"},
        sampleCount=4,
        aspectRatio="16:9",
        sampleImageSize="2k",
        personGeneration="allow_adult",
        includeRaiReason=True,
        outputOptions={"mimeType": "image/jpeg", "compressionQuality": 70},
    )
    assert made.copies == 4
    assert made.config == {
        "aspectRatio": "16:9",
        "imageSize": "2K",
        "personGeneration": "allow_adult",
    }
    assert (made.output_format, made.compression) == ("jpeg", 70)
    assert made.dropped == []


def test_png_has_no_quality():
    options = {"mimeType": "image/png", "compressionQuality": 70}
    made = parsed({"prompt": "a"}, outputOptions=options)
    assert (made.output_format, made.compression) == ("png", None)


def test_what_has_no_effect_is_named():
    made = parsed(
        {"prompt": "a"}, FLASH, seed=3, negativePrompt="", personGeneration="allow_all"
    )
    assert made.dropped == ["seed", "personGeneration"]
    assert made.config == {}


def test_a_picture_to_begin_with_makes_it_an_edit():
    data = base64.b64encode(picture_file()).decode()
    made = parsed({"prompt": "a", "image": {"bytesBase64Encoded": data}}, FLASH)
    assert made.operation == "edit"
    assert made.needs == {"images_in", "images_out"}
    assert made.pictures[0]["inlineData"]["data"] == data


@pytest.mark.parametrize(
    ("instances", "parameters", "param"),
    [
        (None, {}, "instances"),
        ([], {}, "instances"),
        ([{"prompt": "a"}] * 2, {}, "instances"),
        ([{}], {}, "instances.prompt"),
        ([{"prompt": " "}], {}, "instances.prompt"),
        ([{"prompt": 1}], {}, "instances.prompt"),
        ([{"prompt": "a", "image": {"gcsUri": "gs://x"}}], {}, "instances.image"),
        ([{"prompt": "a"}], {"sampleCount": 0}, "sampleCount"),
        ([{"prompt": "a"}], {"sampleCount": 11}, "sampleCount"),
        ([{"prompt": "a"}], {"storageUri": "gs://x"}, "parameters.storageUri"),
        (
            [{"prompt": "a"}],
            {"outputOptions": {"mimeType": "image/gif"}},
            "parameters.outputOptions.mimeType",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(instances, parameters, param):
    with pytest.raises(BadRequest) as caught:
        parsed(instances, **parameters)
    assert caught.value.param.startswith(param)


def test_pictures_come_first_and_reasons_after_them():
    made = prediction_answer(
        [delivered(b"one", revised_prompt="a red fox"), delivered(b"two")],
        ["content_policy: filtered"],
    )
    first, second, third = made["predictions"]
    assert first == {
        "mimeType": "image/png",
        "bytesBase64Encoded": base64.b64encode(b"one").decode(),
        "prompt": "a red fox",
    }
    assert "prompt" not in second
    assert third == {"raiFilteredReason": "content_policy: filtered"}
