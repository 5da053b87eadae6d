"""Models that draw, asked by real clients: sizes, shapes and predictions."""

import base64
import importlib
import io
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from google import genai
from google.genai import types
from openai import OpenAI
from PIL import Image

from proxy.models import Route
from proxy.runtime import runtime
from tests.clients.conftest import Gateway, eventually

ROUTES = importlib.import_module("proxy.migrations.0011_picture_routes")
PRO, IMAGEN = "gemini-3-pro-image-preview", "imagen-4.0-generate-001"


class Editor:
    connection = connection


@pytest.fixture
def pictures(gateway: Gateway, settings: Any, tmp_path: Any) -> Gateway:
    settings.IMAGE_STORAGE_DIR = str(tmp_path / "images")
    ROUTES.ship(apps, Editor)
    # Rows of a migration tell nobody that they came.
    for route in Route.objects.all():
        route.save()
    names = {row[0] for row in (*ROUTES.GEMINI, *ROUTES.IMAGEN)}

    def known() -> bool:
        return names <= {info.name for info in runtime.gateway.catalog.models()}

    eventually(known, "the routes were not noticed")
    return gateway


def opened(data: Any) -> Image.Image:
    content = base64.b64decode(data) if isinstance(data, str) else data
    return Image.open(io.BytesIO(content))


def predict(gateway: Gateway, model: str, **parameters: Any) -> Any:
    body = {"instances": {"prompt": "a red fox"}, "parameters": parameters}
    return gateway.post(f"/v1beta/models/{model}:predict", json=body)


@pytest.mark.parametrize(
    ("model", "config", "size"),
    [
        (PRO, {"image_size": "2K", "aspect_ratio": "16:9"}, (2720, 1536)),
        (f"{PRO}-2k", {}, (2048, 2048)),
        (f"{PRO}-4k", {"image_size": "1K"}, (1024, 1024)),
        ("gemini-2.5-flash-image-2k", {"aspect_ratio": "1:1"}, (2048, 2048)),
        ("gemini-2.0-flash-exp-image-generation", {}, (1024, 1024)),
        (IMAGEN, {"aspect_ratio": "9:16"}, (768, 1376)),
    ],
)
def test_googles_sdk_gets_the_size_that_it_asked_for(
    pictures: Gateway, model: str, config: dict[str, str], size: tuple[int, int]
) -> None:
    client = genai.Client(
        api_key=pictures.token, http_options=types.HttpOptions(base_url=pictures.url)
    )
    image = types.ImageConfig(**config) if config else None
    answer = client.models.generate_content(
        model=model,
        contents="a red fox",
        config=types.GenerateContentConfig(image_config=image),
    )
    found = [part.inline_data for part in answer.parts or [] if part.inline_data]
    assert [opened(one.data).size for one in found] == [size]


def test_imagen_answers_openais_chat(pictures: Gateway) -> None:
    client = OpenAI(api_key=pictures.token, base_url=f"{pictures.url}/v1")
    answer = client.chat.completions.create(
        model=IMAGEN, messages=[{"role": "user", "content": "a red fox"}]
    )
    assert answer.choices[0].finish_reason == "stop"
    assert "![" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("model", [IMAGEN, "gemini-2.5-flash-image"])
def test_every_picture_model_takes_predictions(pictures: Gateway, model: str) -> None:
    options = {"mimeType": "image/jpeg"}
    answer = predict(pictures, model, sampleCount=2, outputOptions=options)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert [row["mimeType"] for row in rows] == ["image/jpeg"] * 2
    found = [opened(row["bytesBase64Encoded"]) for row in rows]
    assert [(one.format, one.size) for one in found] == [("JPEG", (1024, 1024))] * 2


@pytest.mark.parametrize(
    ("model", "parameters", "text"),
    [
        (IMAGEN, {"aspectRatio": "21:9"}, "9:16"),
        (IMAGEN, {"sampleCount": 99}, "sampleCount"),
        (IMAGEN, {"sampleImageSize": "4K"}, "4K"),
        ("gemini-2.5-flash", {}, "draws no pictures"),
    ],
)
def test_refusals_are_googles(
    pictures: Gateway, model: str, parameters: dict[str, Any], text: str
) -> None:
    answer = predict(pictures, model, **parameters)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert text in error["message"]


def test_a_filtered_picture_is_a_refusal_with_its_reason(pictures: Gateway) -> None:
    body = {"instances": [{"prompt": "all filtered"}]}
    answer = pictures.post(f"/v1beta/models/{IMAGEN}:predict", json=body)
    assert answer.status_code == 400
    assert "Responsible AI" in answer.json()["error"]["message"]


def test_what_has_no_effect_is_said(pictures: Gateway) -> None:
    answer = predict(pictures, "gemini-2.5-flash-image", seed=3)
    assert answer.headers["x-gemproxy-dropped"] == "seed"


def test_imagen_takes_no_pictures(pictures: Gateway) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    body = {"contents": [{"parts": [part, {"text": "a fox"}]}]}
    answer = pictures.post(f"/v1beta/models/{IMAGEN}:generateContent", json=body)
    assert answer.status_code == 400
    assert "images_in" in answer.json()["error"]["message"]
