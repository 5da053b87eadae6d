"""Imagen in the sandbox: its pictures and its refusals."""

import base64
import io

import pytest
from PIL import Image

from tests.proxy.sandbox.calling import answer, asking, refusal

MODEL, FAST = "imagen-4.0-generate-001", "imagen-4.0-fast-generate-001"


def predicting(prompt="a red fox", **parameters):
    return {"instances": [{"prompt": prompt}], "parameters": parameters}


async def predict(client, body, to=MODEL):
    return await answer(client, body, to=to, method="predict")


def sizes(made):
    found = [base64.b64decode(row["bytesBase64Encoded"]) for row in made["predictions"]]
    return [Image.open(io.BytesIO(data)).size for data in found]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [(1024, 1024)]),
        ({"sampleCount": 2, "aspectRatio": "16:9"}, [(1376, 768)] * 2),
        ({"sampleImageSize": "2K"}, [(2048, 2048)]),
        ({"personGeneration": "ALLOW_ADULT"}, [(1024, 1024)]),
    ],
)
async def test_pictures_have_the_size_that_was_asked_for(client, parameters, expected):
    assert sizes(await predict(client, predicting(**parameters))) == expected


async def test_pictures_of_one_request_differ(client):
    made = await predict(client, predicting(sampleCount=3))
    assert len({row["bytesBase64Encoded"] for row in made["predictions"]}) == 3


async def test_a_filter_tells_its_reason_only_if_it_is_asked(client):
    wordy = predicting("one filtered", sampleCount=2, includeRaiReason=True)
    first, second = (await predict(client, wordy))["predictions"]
    assert (
        first["bytesBase64Encoded"] and "Support codes" in second["raiFilteredReason"]
    )
    assert await predict(client, predicting("all filtered")) == {}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "instance"),
        ({"instances": {"prompt": "a"}}, "instance"),
        ({"instances": [{"prompt": " "}]}, "prompt is required"),
        (predicting(sampleCount=5), "between 1 and 4"),
        (predicting(aspectRatio="21:9"), "21:9"),
        (predicting(sampleImageSize="4K"), "4K"),
        (predicting(personGeneration="everybody"), "everybody"),
        (predicting(seed=1), 'Unknown name "seed"'),
        ({**predicting(), "contents": []}, 'Unknown name "contents"'),
        ({"instances": [{"prompt": "a"}], "parameters": []}, "object"),
    ],
)
async def test_what_imagen_does_not_know_is_refused(client, body, text):
    refused = await refusal(client, body, to=MODEL, method="predict")
    assert refused["code"] == 400
    assert text in refused["message"]


async def test_the_fast_model_knows_no_size(client):
    body = predicting(sampleImageSize="1K")
    refused = await refusal(client, body, to=FAST, method="predict")
    assert "isn't supported" in refused["message"]


@pytest.mark.parametrize(
    ("model", "method"),
    [(MODEL, "generateContent"), ("gemini-2.5-flash-image", "predict")],
)
async def test_each_model_answers_its_own_method_only(client, model, method):
    refused = await refusal(client, asking("a"), to=model, method=method)
    assert refused["code"] == 404
