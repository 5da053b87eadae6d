"""xAI's pictures with XAI_RESPONSE_FORMAT=b64_json: stored here, linked here."""

import re
from typing import Any

import httpx
import openai
import pytest

from imaging import library
from imaging.models import Image
from proxy.sandbox.xai_faults import xai_key
from tests.clients.conftest import Gateway
from tests.clients.test_xai import PICTURES, accounts, grok, keys  # noqa: F401
from tests.imaging.conftest import own_storages  # noqa: F401  (for each test here)

LINK = re.compile(r"!\[image\]\((\S+)\)")
ASK: Any = [{"role": "user", "content": "a red circle"}]


@pytest.fixture
def house(
    settings: Any,
    grok: None,  # noqa: F811
    gateway: Gateway,
) -> Gateway:
    settings.XAI_RESPONSE_FORMAT = "b64_json"
    return gateway


def text_of(house: Gateway, path: str, stream: bool, **fields: Any) -> str:
    headers = fields.pop("headers", {})
    with openai.OpenAI(
        base_url=f"{house.url}/{path}", api_key=house.token, max_retries=0
    ) as client:
        made = client.chat.completions.create(
            model=PICTURES, messages=ASK, stream=stream, extra_headers=headers, **fields
        )
        if not stream:
            return "".join(choice.message.content or "" for choice in made.choices)
        chunks = [choice for chunk in made for choice in chunk.choices]
        return "".join(choice.delta.content or "" for choice in chunks)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["v1", "xai/v1"])
def test_the_link_is_ours_and_leads_to_the_picture(
    house: Gateway, path: str, stream: bool
) -> None:
    links = LINK.findall(text_of(house, path, stream, n=2))
    rows = list(Image.objects.order_by("id"))
    assert len(set(links)) == len(rows) == 2
    for link in links:
        assert link.startswith(f"{house.url}/images/")
        assert httpx.get(link).content in {library.content(row) for row in rows}
    assert {row.model for row in rows} <= {PICTURES}
    assert {row.prompt for row in rows} == {"a red circle"}
    assert None not in {row.account_id for row in rows}
    assert sum(row.images for row in house.rows()) == 2


def test_google_s_dialect_gets_the_bytes(house: Gateway) -> None:
    turns = [{"role": "user", "parts": [{"text": "a red circle"}]}]
    answer = house.post(
        f"/v1beta/models/{PICTURES}:generateContent", json={"contents": turns}
    )
    parts = answer.json()["candidates"][0]["content"]["parts"]
    assert [set(part) for part in parts if "text" not in part] == [{"inlineData"}]
    assert Image.objects.count() == 1


def test_a_picture_on_the_callers_own_key_is_stored_as_it_came(house: Gateway) -> None:
    headers = {"x-xai-api-key": xai_key("ok", 7)}
    (link,) = LINK.findall(text_of(house, "xai/v1", stream=False, headers=headers))
    row = Image.objects.get()
    assert link.startswith(f"{house.url}/images/{row.name}")
    assert row.account_id is None
    assert row.mark == Image.Mark.UNTRIED
    assert row.caller == f"t{row.token_id}"


def test_the_images_api_of_xai_passes_untouched(house: Gateway) -> None:
    body = {"model": PICTURES, "prompt": "a cat"}
    answer = house.post("/xai/v1/images/generations", json=body)
    assert not answer.json()["data"][0]["url"].startswith(f"{house.url}/images/")
    assert Image.objects.count() == 0
