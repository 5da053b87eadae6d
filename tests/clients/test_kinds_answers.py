"""Each kind of account alone answers the real SDKs: whole, streamed, pictures in and out."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from google import genai
from google.genai import types
from PIL import Image

from accounts.models import Account
from proxy.faultlab.credentials import PROVIDERS, new_credential
from proxy.models import Route
from tests.clients.conftest import Gateway, Sandbox
from tests.proxy.upstreams.web_accounts import Site, png, served

COUNT, COUNTED = "count to 30", " ".join(map(str, range(1, 31)))
CHAT, DRAWING = "of-kind", "of-kind-draws"
#: The model that draws, of the kinds that have one.
DRAWS = {"gemini_web": "gemini-flash-image", "xai": "grok-2-image-1212"}
KINDS = ("gemini_web", "code_assist", "xai")


@dataclass
class House:
    """A gateway whose only account is of one kind."""

    gateway: Gateway
    kind: str
    account: Account

    def served(self) -> list[tuple[str, int | None, str]]:
        """Return kind, account and outcome of the usage rows."""
        return [(row.kind, row.account_id, row.outcome) for row in self.gateway.rows()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def account(
    transactional_db: None, settings: Any, sandbox: Sandbox, site: Site, kind: Any
) -> Account:
    """The one account; the settings lead all kinds to the sandbox."""
    settings.OAUTH_TOKEN_URL = f"{sandbox.url}/token"
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    site.people.reset()
    provider = PROVIDERS[kind]
    way = {"base_url": sandbox.url + provider.path}
    if provider.by_proxy:
        way = {"proxy_url": site.sandbox.proxy_url}
    made = Account.add(kind=kind, secret=new_credential(kind, 1).secret, **way)
    assert made is not None
    return made


@pytest.fixture
def accounts() -> list[str]:
    """No API key of Google's: what answers is of the kind."""
    return []


@pytest.fixture
def house(account: Account, kind: str, accounts: list[str], request: Any) -> House:
    names = {CHAT: PROVIDERS[kind].models[0], DRAWING: DRAWS.get(kind, "")}
    for name, model in names.items():
        if model:
            category = "image" if name == DRAWING else "text"
            route = Route.objects.create(name=name, category=category)
            route.targets.create(kind=kind, upstream_model=model)
    return House(request.getfixturevalue("gateway"), kind, account)


@pytest.fixture
def client(house: House) -> Iterator[openai.OpenAI]:
    base = f"{house.gateway.url}/v1"
    with openai.OpenAI(
        api_key=house.gateway.token, base_url=base, max_retries=0
    ) as made:
        yield made


@pytest.fixture
def native(house: House) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=house.gateway.url)
    with genai.Client(api_key=house.gateway.token, http_options=options) as made:
        yield made


def asked(text: str, *pictures: str) -> list[dict[str, Any]]:
    urls = [f"data:image/png;base64,{data}" for data in pictures]
    shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": text}, *shown]}]


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def test_openais_sdk_gets_a_whole_answer(client: openai.OpenAI, house: House) -> None:
    answer = client.chat.completions.create(model=CHAT, messages=asked(COUNT))
    assert answer.choices[0].message.content == COUNTED
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    assert house.served() == [(house.kind, house.account.pk, "ok")]


def test_openais_sdk_gets_a_stream(client: openai.OpenAI, house: House) -> None:
    stream = client.chat.completions.create(
        model=CHAT,
        messages=asked(COUNT),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    pieces = [choice.delta.content for choice in choices if choice.delta.content]
    assert "".join(pieces) == COUNTED
    assert len(pieces) > 1
    finishes = [choice.finish_reason for choice in choices if choice.finish_reason]
    assert finishes == ["stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert house.served() == [(house.kind, house.account.pk, "ok")]


def test_googles_sdk_gets_a_whole_answer(native: genai.Client, house: House) -> None:
    answer = native.models.generate_content(model=CHAT, contents=COUNT)
    assert answer.text == COUNTED
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count > 0
    assert house.served() == [(house.kind, house.account.pk, "ok")]


def test_googles_sdk_gets_a_stream(native: genai.Client, house: House) -> None:
    chunks = list(native.models.generate_content_stream(model=CHAT, contents=COUNT))
    assert "".join(chunk.text or "" for chunk in chunks) == COUNTED
    assert len(chunks) > 1
    reasons = [c.candidates[0].finish_reason for c in chunks if c.candidates]
    assert [each for each in reasons if each] == [types.FinishReason.STOP]
    assert chunks[-1].usage_metadata.total_token_count > 0
    assert house.served() == [(house.kind, house.account.pk, "ok")]


def test_a_conversation_is_remembered(client: openai.OpenAI, house: House) -> None:
    turns = [
        {"role": "user", "content": "My name is Wilhelmine."},
        {"role": "assistant", "content": "Hello Wilhelmine."},
        {"role": "user", "content": "What is my name?"},
    ]
    answer = client.chat.completions.create(model=CHAT, messages=turns)
    assert "Wilhelmine" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openais_sdk_shows_a_picture(
    client: openai.OpenAI, house: House, stream: bool
) -> None:
    messages = asked("Describe this picture.", png(40, 30, "blue"))
    said = _said(client.chat.completions.create, messages, stream)
    assert seen(said)


def test_googles_sdk_shows_a_picture(native: genai.Client, house: House) -> None:
    data = base64.b64decode(png(40, 30, "blue"))
    part = types.Part.from_bytes(data=data, mime_type="image/png")
    answer = native.models.generate_content(
        model=CHAT, contents=["Describe this picture.", part]
    )
    assert seen(answer.text or "")


def _said(create: Callable[..., Any], messages: Any, stream: bool) -> str:
    if not stream:
        return str(create(model=CHAT, messages=messages).choices[0].message.content)
    chunks = create(model=CHAT, messages=messages, stream=True)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def seen(said: str) -> bool:
    """Tell whether the sandbox's model says that it saw the picture."""
    return "40" in said and "30" in said


def _drawn(answered: Any) -> list[str]:
    """Return where the pictures of a chat's answer are: among its images, or in words."""
    if isinstance(answered, openai.Stream):
        messages = [c.delta for chunk in answered for c in chunk.choices]
    else:
        messages = [answered.choices[0].message]
    told = [m.model_dump() for m in messages]
    urls = [i["image_url"]["url"] for one in told for i in one.get("images") or ()]
    said = "".join(one.get("content") or "" for one in told)
    return urls + re.findall(r"!\[image\]\((http\S+)\)", said)


def fetched(url: str) -> bytes:
    if url.startswith("data:"):
        return base64.b64decode(url.partition(",")[2])
    return httpx.get(url).content


@pytest.mark.parametrize("kind", sorted(DRAWS), indirect=True)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openais_sdk_has_a_picture_made_in_a_chat(
    client: openai.OpenAI, house: House, stream: bool
) -> None:
    create = client.chat.completions.create
    [url] = _drawn(create(model=DRAWING, messages=asked("draw a fox"), stream=stream))
    assert min(size_of(fetched(url))) >= 256
    assert house.served() == [(house.kind, house.account.pk, "ok")]


@pytest.mark.parametrize("kind", ["xai"], indirect=True)
def test_openais_sdk_has_a_picture_made_by_xais_own_endpoint(house: House) -> None:
    base = f"{house.gateway.url}/xai/v1"
    with openai.OpenAI(
        api_key=house.gateway.token, base_url=base, max_retries=0
    ) as relay:
        answer = relay.images.generate(
            model=DRAWS["xai"], prompt="a fox", response_format="b64_json"
        )
    assert answer.data is not None
    data = base64.b64decode(answer.data[0].b64_json or "")
    assert min(size_of(data)) >= 256
    assert house.served() == [(house.kind, house.account.pk, "ok")]


@pytest.mark.parametrize("kind", sorted(DRAWS), indirect=True)
def test_googles_sdk_has_a_picture_made(native: genai.Client, house: House) -> None:
    answer = native.models.generate_content(model=DRAWING, contents="draw a fox")
    parts = answer.candidates[0].content.parts
    inline = [part.inline_data.data for part in parts if part.inline_data]
    linked = [part.file_data.file_uri for part in parts if part.file_data]
    # xAI keeps its pictures for a while and tells where.
    [data] = [*inline, *map(fetched, linked)]
    assert min(size_of(data)) >= 256


@pytest.mark.parametrize("kind", ["gemini_web"], indirect=True)
def test_a_picture_is_made_from_a_picture(native: genai.Client, house: House) -> None:
    part = types.Part.from_bytes(
        data=base64.b64decode(png(40, 30, "blue")), mime_type="image/png"
    )
    answer = native.models.generate_content(
        model=DRAWING, contents=["draw it in red", part]
    )
    parts = answer.candidates[0].content.parts
    assert any(part.inline_data for part in parts)
