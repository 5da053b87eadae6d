"""Pictures in chat, as real clients ask for them and find them."""

import base64
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest
from google import genai
from google.genai import types
from PIL import Image as Drawing
from websockets.asyncio.client import connect

from imaging import library
from imaging.models import Image
from tests.clients.conftest import Gateway
from tests.imaging.conftest import own_storages  # noqa: F401  (for each test here)

MODEL = "gemini-2.5-flash-image"
LINK = re.compile(r"!\[image\]\((\S+)\)")
ASK = [{"role": "user", "content": "draw a red circle"}]
OPEN_WEBUI = "Python/3.11 aiohttp/3.12.15"
CHATBOX = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "xyz.chatboxapp.app/1.16.0 Chrome/130.0.0.0 Electron/33.0.0 Safari/537.36"
)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    url = f"{gateway.url}/v1"
    with openai.OpenAI(base_url=url, api_key=gateway.token, max_retries=0) as found:
        yield found


def size_of(data: bytes) -> tuple[int, int]:
    with Drawing.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return image.size


def fetched(url: str) -> bytes:
    """Return a picture as a browser gets it: with no token."""
    if url.startswith("data:image/png;base64,"):
        return base64.b64decode(url.partition(",")[2])
    answer = httpx.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return answer.content


def streamed(gateway: Gateway, agent: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the deltas of a streamed answer."""
    body = {"model": MODEL, "messages": ASK, "stream": True, **fields}
    headers = {"User-Agent": agent}
    answer = gateway.post("/v1/chat/completions", json=body, headers=headers)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    rows = [json.loads(line) for line in lines[:-1] if line.startswith("{")]
    return [choice["delta"] for row in rows for choice in row["choices"]]


def said(deltas: list[dict[str, Any]]) -> str:
    return "".join(delta.get("content") or "" for delta in deltas)


def test_open_webui_finds_the_picture_in_a_delta(gateway: Gateway) -> None:
    messages = [{"role": "system", "content": "You draw."}, *ASK]
    deltas = streamed(gateway, OPEN_WEBUI, messages=messages)
    (picture,) = [image for delta in deltas for image in delta.get("images", ())]
    assert (picture["type"], picture["index"]) == ("image_url", 0)
    assert size_of(fetched(picture["image_url"]["url"])) == (1024, 1024)
    assert "![" not in said(deltas)


def test_chatbox_finds_a_link_that_its_window_can_open(gateway: Gateway) -> None:
    deltas = streamed(
        gateway,
        CHATBOX,
        temperature=0.7,
        top_p=1,
        stream_options={"include_usage": True},
    )
    (link,) = LINK.findall(said(deltas))
    assert link.startswith(f"{gateway.url}/images/")
    assert size_of(fetched(link)) == (1024, 1024)
    assert not any("images" in delta for delta in deltas)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openais_sdk_finds_a_link_in_the_text(
    client: openai.OpenAI, gateway: Gateway, stream: bool
) -> None:
    create = client.chat.completions.create
    if stream:
        chunks = create(model=MODEL, messages=ASK, stream=True)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    else:
        text = create(model=MODEL, messages=ASK).choices[0].message.content
    (link,) = LINK.findall(text)
    image = Image.objects.get()
    assert fetched(link) == library.content(image)
    assert (image.prompt, image.model) == ("draw a red circle", MODEL)
    assert gateway.row().images == 1


def test_a_link_stands_on_the_public_address(
    client: openai.OpenAI, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://gate.example"
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    (link,) = LINK.findall(answer.choices[0].message.content)
    assert link.startswith("https://gate.example/images/")


@pytest.mark.parametrize(
    ("way", "listed", "scheme"),
    [
        ("images", 1, ""),
        ("markdown", 0, "http:"),
        ("data_url", 0, "data:"),
        ("both", 1, "http:"),
    ],
)
def test_a_request_chooses_by_a_header(
    client: openai.OpenAI, way: str, listed: int, scheme: str
) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=ASK, extra_headers={"x-gemproxy-images": way}
    )
    message = answer.choices[0].message
    images = (message.model_extra or {}).get("images", [])
    links = LINK.findall(message.content)
    assert len(images) == listed
    assert [link.partition("/")[0].partition("image")[0] for link in links] == (
        [scheme] if scheme else []
    )
    for url in [*links, *(image["image_url"]["url"] for image in images)]:
        assert size_of(fetched(url)) == (1024, 1024)


def test_an_unknown_way_is_refused_and_noted(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=ASK, extra_headers={"x-gemproxy-images": "inline"}
        )
    assert caught.value.param == "x-gemproxy-images"
    row = gateway.row()
    assert (row.status, row.model_asked) == (400, MODEL)


def test_a_picture_model_is_asked_for_pictures(
    gateway: Gateway, client: openai.OpenAI
) -> None:
    client.chat.completions.create(model=MODEL, messages=ASK)
    (request,) = gateway.sandbox.requests(1)
    config = request["body"]["generationConfig"]
    assert config["responseModalities"] == ["TEXT", "IMAGE"]


def test_what_the_caller_says_of_modalities_stands(
    gateway: Gateway, client: openai.OpenAI
) -> None:
    client.chat.completions.create(
        model=MODEL, messages=ASK, extra_body={"modalities": ["image"]}
    )
    (request,) = gateway.sandbox.requests(1)
    assert request["body"]["generationConfig"]["responseModalities"] == ["IMAGE"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_googles_sdk_gets_the_stored_bytes_and_nothing_else(
    gateway: Gateway, stream: bool
) -> None:
    options = types.HttpOptions(base_url=gateway.url)
    native = genai.Client(api_key=gateway.token, http_options=options)
    ask = native.models.generate_content_stream if stream else None
    found = (
        list(ask(model=MODEL, contents="draw a red circle"))
        if ask
        else [native.models.generate_content(model=MODEL, contents="draw a red circle")]
    )
    parts = [p for one in found for p in one.candidates[0].content.parts or ()]
    (picture,) = [part.inline_data for part in parts if part.inline_data]
    assert picture.mime_type == "image/png"
    assert picture.data == library.content(Image.objects.get())


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
def test_native_answers_do_not_tell_our_own_notes(
    gateway: Gateway, method: str
) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "draw a red circle"}]}]}
    answer = gateway.post(f"/v1beta/models/{MODEL}:{method}", json=body)
    assert answer.status_code == 200
    assert "inlineData" in answer.text
    assert "_kept" not in answer.text
    assert "/images/" not in answer.text


async def test_a_websocket_gets_a_link_on_its_own_host(gateway: Gateway) -> None:
    address = gateway.url.replace("http", "ws", 1) + "/ws/chat"
    headers = {"Authorization": f"Bearer {gateway.token}"}
    async with connect(address, additional_headers=headers, max_size=None) as socket:
        await socket.send(orjson.dumps({"model": MODEL, "messages": ASK}).decode())
        deltas = []
        while not (message := orjson.loads(await socket.recv())).get("done"):
            deltas += [choice["delta"] for choice in message.get("choices", ())]
    (link,) = LINK.findall(said(deltas))
    assert link.startswith(f"{gateway.url}/images/")


def test_two_pictures_are_two_choices_with_a_link_each(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK, n=2)
    links = [link for c in answer.choices for link in LINK.findall(c.message.content)]
    assert len(set(links)) == len(answer.choices) == 2
    assert Image.objects.count() == 2
