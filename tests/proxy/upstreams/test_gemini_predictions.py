"""Imagen by an API key: asked by predict, heard as a Gemini answer."""

import base64
from dataclasses import replace

import orjson
import pytest

from proxy.errors import BadRequest, UpstreamRefused
from proxy.wire.remarks import KEY
from tests.proxy.upstreams.test_gemini_api import Google, account, ok, order, refused

MODEL = "imagen-4.0-generate-001"
DATA = base64.b64encode(b"picture").decode()
DRAWN = {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": DATA}]}
BODY = {
    "contents": [{"role": "user", "parts": [{"text": "a fox"}]}],
    "generationConfig": {"imageConfig": {"aspectRatio": "16:9"}, "seed": 4},
}


def asked(**fields):
    return order(model=MODEL, body={**BODY, **fields})


async def chunks(adapter, one):
    return [batch async for batch in adapter.stream(account(), one)]


async def test_a_prediction_is_asked_for_and_becomes_a_candidate():
    google = Google(ok(DRAWN))
    event = await google.adapter().answer(account(), asked())
    (request,) = google.requests
    assert request.url.path == f"/v1beta/models/{MODEL}:predict"
    assert request.url.query == b""
    assert orjson.loads(request.content) == {
        "instances": [{"prompt": "a fox"}],
        "parameters": {
            "sampleCount": 1,
            "includeRaiReason": True,
            "aspectRatio": "16:9",
        },
    }
    (candidate,) = event.data["candidates"]
    assert candidate["finishReason"] == "STOP"
    (part,) = candidate["content"]["parts"]
    assert part["inlineData"] == {"mimeType": "image/png", "data": DATA}
    assert event.data[KEY] == {"dropped": ["seed"]}
    assert orjson.loads(event.raw) == event.data


async def test_a_stream_has_one_chunk():
    google = Google(ok(DRAWN))
    ((event,),) = await chunks(google.adapter(), asked())
    assert event.data["candidates"][0]["content"]["parts"][0]["inlineData"]
    assert google.requests[0].url.path.endswith(":predict")


async def test_a_filter_tells_its_reason():
    google = Google(ok({"predictions": [{"raiFilteredReason": "people"}]}))
    event = await google.adapter().answer(account(), asked())
    (candidate,) = event.data["candidates"]
    assert candidate["finishReason"] == "IMAGE_SAFETY"
    assert candidate["finishMessage"] == "people"


async def test_a_refusal_is_the_fault_that_it_means():
    google = Google(refused(400, status="INVALID_ARGUMENT", message="no"))
    with pytest.raises(UpstreamRefused):
        await google.adapter().answer(account(), asked())


async def test_a_test_draws_nothing():
    google = Google(ok({"models": [{"name": f"models/{MODEL}"}]}))
    event = await google.adapter().answer(account(), replace(asked(), test=True))
    assert google.requests[0].method == "GET"
    assert event.data["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("method", ["countTokens", "embedContent"])
async def test_other_methods_are_not_known(method):
    google = Google()
    with pytest.raises(BadRequest, match=method):
        await google.adapter().answer(account(), replace(asked(), method=method))
    assert not google.requests
