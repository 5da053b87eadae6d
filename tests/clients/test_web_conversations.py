"""Conversations by SDKs that go on in a web account's chat, on a real server."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from proxy.scheduling.leases import STICKY
from tests.clients.conftest import Gateway, eventually
from tests.clients.test_web_accounts import MODEL, answered, put, site, web
from tests.proxy.upstreams.web_accounts import Site

__all__ = ["site", "web"]

ACCOUNTS = 4


@pytest.fixture
def accounts(site: Site, settings: Any) -> list[str]:
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    settings.GEMINI_WEB_REUSE_CHATS = True
    return []


@pytest.fixture
def many(web: Gateway, site: Site) -> Gateway:
    """The gateway, once it knows several accounts."""
    for number in range(1, ACCOUNTS + 1):
        put(site, number=number)
    eventually(lambda: answered(web, "Hello").status_code == 200, "nobody answers")
    return web


def typed(site: Site) -> list[tuple[str, str]]:
    """What was typed into the site: (account, text) each."""
    found = []
    for request in site.people.requests:
        if "StreamGenerate" in request["path"]:
            outer = json.loads(parse_qs(request["body"])["f.req"][0])
            slots = json.loads(outer[1])
            found.append((request["account"], slots[0][0]))
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_openais_sdk_goes_on_where_the_conversation_is(many, site, stream):
    client = OpenAI(base_url=f"{many.url}/v1", api_key=many.token, max_retries=0)
    messages: list[Any] = [
        {"role": "system", "content": "Always end with over."},
        {"role": "user", "content": "My name is Ada."},
    ]
    site.people.requests.clear()
    for question in ("What is my name?", "Say exactly: three", "Say exactly: four"):
        messages.append(
            {"role": "assistant", "content": said(client, messages, stream)}
        )
        messages.append({"role": "user", "content": question})
    said(client, messages, stream)
    client.close()
    assert messages[4]["content"] == "Your name is Ada. over"
    accounts, texts = zip(*typed(site), strict=True)
    assert len(set(accounts)) == 1
    assert texts[1:] == ("What is my name?", "Say exactly: three", "Say exactly: four")
    why = [row.attempts[0]["why"] for row in many.rows()[-3:]]
    assert why == [STICKY] * 3


def said(client: OpenAI, messages: list[Any], stream: bool) -> str:
    if not stream:
        answer = client.chat.completions.create(model=MODEL, messages=messages)
        return answer.choices[0].message.content or ""
    chunks = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_googles_sdk_goes_on_where_the_conversation_is(many, site, stream):
    options = types.HttpOptions(base_url=many.url)
    client = genai.Client(api_key=many.token, http_options=options)
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True)
    )
    chat = client.chats.create(model=MODEL, config=config)
    site.people.requests.clear()
    for question in ("count to 30", "Say exactly: two", "Say exactly: three"):
        if stream:
            list(chat.send_message_stream(question))
        else:
            chat.send_message(question)
    client.close()
    accounts, texts = zip(*typed(site), strict=True)
    assert texts == ("count to 30", "Say exactly: two", "Say exactly: three")
    assert len(set(accounts)) == 1


def test_a_conversation_moves_to_another_account_when_its_own_is_out(many, site):
    messages = [{"role": "user", "content": "My name is Ada."}]
    with many.client() as client:

        def ask() -> str:
            body = {"model": MODEL, "messages": messages}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200
            return answer.json()["choices"][0]["message"]["content"]

        site.people.requests.clear()
        messages.append({"role": "assistant", "content": ask()})
        (first, _) = typed(site)[-1]
        psid = next(p.psid for p in site.people.everybody() if first[-6:] in p.psid)
        site.people.tell({"psid": psid, "behaviour": "limit"})
        messages.append({"role": "user", "content": "What is my name?"})
        assert ask() == "Your name is Ada."
    account, text = typed(site)[-1]
    assert account != first
    assert "My name is Ada." in text
