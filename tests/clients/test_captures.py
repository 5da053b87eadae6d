"""Requests that real SDKs sent, replayed: the answers are such as they can read."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.genai import types as google
from openai.types import (
    CreateEmbeddingResponse,
    ImageGenCompletedEvent,
    ImagesResponse,
    Model,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.models import Route
from tests.clients.conftest import Gateway, eventually
from tests.imaging import samples

FOLDER = Path(__file__).parent.parent / "data" / "captures"
#: Model names of the captures that no shipped route has.
STAND_INS = {
    "m": "gemini-2.5-flash",
    "gemini-3-pro": "gemini-3-pro-preview",
    "e": "gemini-embedding-001",
}
OURS = ("/chat/completions", "/embeddings", "/models", "/tunedModels")
PICTURES = "/images/"
#: In the captures of pictures "m" is a model that draws, and this stands for a file.
DRAWS = "gemini-2.5-flash-image"
A_FILE = re.compile(rb"\r\n\r\n[^\r\n]*PNG\r\n")
#: Google's own answer to what a capture asks for is a refusal.
REFUSED_UPSTREAM = {
    "g_full",
    "g_hist",
    "continuation",
    "js_gen_tool_gemini-3-flash-preview_json_false",
    "ai_gg_object",
}


def captured() -> list[Any]:
    """Return every captured request once, named by its file and place."""
    seen, found = set(), []
    for path in sorted(FOLDER.glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines()):
            request = json.loads(line)
            key = json.dumps([request["raw_path"], request["body"]], sort_keys=True)
            if key not in seen and not request["raw_path"].startswith("/pfx"):
                seen.add(key)
                found.append(pytest.param(request, id=f"{path.stem}-{number}"))
    return found


def stand_in_routes() -> None:
    for name, upstream in STAND_INS.items():
        category = "embedding" if "embedding" in upstream else "text"
        route = Route.objects.create(name=name, category=category)
        route.targets.create(kind="gemini_api", upstream_model=upstream)


def replay(gateway: Gateway, request: dict[str, Any]) -> httpx.Response:
    body = request["body"]
    if isinstance(body, dict) and set(body) == {"__raw"}:
        content = body["__raw"].encode()
    else:
        content = b"" if body is None else json.dumps(body).encode()
    if PICTURES in request["raw_path"]:
        content = _with_pictures(content)
    skipped = ("host", "content-length", "connection", "accept-encoding")
    headers = {k: v for k, v in request["headers"].items() if k.lower() not in skipped}
    for name in headers:
        if name.lower() == "authorization":
            headers[name] = f"Bearer {gateway.token}"
        if name.lower() == "x-goog-api-key":
            headers[name] = gateway.token
    headers.pop("X-Server-Timeout", None)
    url = httpx.URL(gateway.url).copy_with(raw_path=request["raw_path"].encode())
    with httpx.Client(timeout=20) as client:
        return client.request(request["method"], url, headers=headers, content=content)


def _with_pictures(content: bytes) -> bytes:
    for model in (b'"model": "%b"', b'name="model"\r\n\r\n%b\r\n'):
        content = content.replace(model % b"m", model % DRAWS.encode())
    picture = samples.drawing(64, 48, "RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 20, 20))
    data = b"\r\n\r\n" + samples.file(picture) + b"\r\n"
    return A_FILE.sub(lambda _: data, content)


def is_google(request: dict[str, Any]) -> bool:
    return any(name.lower().startswith("x-goog") for name in request["headers"])


def events(text: str) -> list[Any]:
    payloads = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]


def read_openai(request: dict[str, Any], answer: httpx.Response) -> None:
    path = request["raw_path"]
    if path.endswith("/chat/completions") and request["body"].get("stream"):
        chunks = [ChatCompletionChunk.model_validate(e) for e in events(answer.text)]
        assert any(c.choices and c.choices[0].finish_reason for c in chunks)
        assert answer.text.endswith("data: [DONE]\n\n")
    elif path.endswith("/chat/completions"):
        ChatCompletion.model_validate(answer.json())
    elif path.endswith("/embeddings"):
        read = CreateEmbeddingResponse.model_validate_json(
            json.dumps(_with_floats(answer.json()))
        )
        assert read.data
    elif PICTURES in path and request["body"].get("stream"):
        assert [e["type"] for e in events(answer.text)] == [
            "image_generation.completed"
        ]
        assert ImageGenCompletedEvent.model_validate(events(answer.text)[0]).b64_json
    elif PICTURES in path:
        read_pictures = ImagesResponse.model_validate(answer.json())
        assert read_pictures.data and read_pictures.data[0].b64_json
    elif path.endswith("/models"):
        assert [Model.model_validate(item) for item in answer.json()["data"]]
    else:
        Model.model_validate(answer.json())


def _with_floats(body: dict[str, Any]) -> dict[str, Any]:
    for item in body["data"]:
        if isinstance(item["embedding"], str):
            assert len(base64.b64decode(item["embedding"])) % 4 == 0
            item["embedding"] = [0.0]
    return body


def read_google(request: dict[str, Any], answer: httpx.Response) -> None:
    path = request["raw_path"].partition("?")[0]
    if path.endswith(":streamGenerateContent"):
        chunks = [
            google.GenerateContentResponse.model_validate(e)
            for e in events(answer.text)
        ]
        assert chunks[-1].candidates[0].finish_reason
        assert "[DONE]" not in answer.text
    elif path.endswith(":generateContent"):
        read = google.GenerateContentResponse.model_validate(answer.json())
        assert read.candidates
        assert read.usage_metadata
    elif path.endswith(":countTokens"):
        assert answer.json()["totalTokens"] > 0
    elif path.endswith(":embedContent"):
        assert answer.json()["embedding"]["values"]
    elif path.endswith(":batchEmbedContents"):
        assert answer.json()["embeddings"][0]["values"]
    elif path.endswith("/tunedModels"):
        assert answer.json() == {"tunedModels": []}
    elif path.endswith("/models"):
        assert answer.json()["models"][0]["name"].startswith("models/")
    else:
        assert answer.json()["name"].startswith("models/")
        assert answer.json()["supportedGenerationMethods"]


def read_error(request: dict[str, Any], answer: httpx.Response) -> None:
    error = answer.json()["error"]
    assert error["message"]
    if is_google(request):
        assert (error["code"], bool(error["status"])) == (answer.status_code, True)
    else:
        assert error["type"]


def is_ours(request: dict[str, Any]) -> bool:
    path = request["raw_path"].partition("?")[0]
    return any(path.endswith(end) or f"{end}/" in path for end in OURS)


@pytest.fixture
def warm(gateway: Gateway) -> Gateway:
    stand_in_routes()
    names = lambda: {m["id"] for m in gateway.get("/v1/models").json()["data"]}  # noqa: E731
    eventually(lambda: STAND_INS.keys() <= names(), "the routes are not seen")
    return gateway


@pytest.mark.parametrize("request_", captured())
def test_a_captured_request_gets_an_answer_its_sdk_reads(
    warm: Gateway, request_: dict[str, Any]
) -> None:
    answer = replay(warm, request_)
    label = request_["label"]
    if answer.status_code != 200:
        known = is_ours(request_) and "tunedModels/foo" not in request_["raw_path"]
        expected = 400 if known else 404
        assert answer.status_code == expected, (label, answer.text[:400])
        if expected == 400:
            assert label in REFUSED_UPSTREAM, answer.text[:400]
        read_error(request_, answer)
    elif is_google(request_):
        read_google(request_, answer)
    else:
        read_openai(request_, answer)
