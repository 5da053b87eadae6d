"""A client that gave up on a slow picture and asks again gets it, and pays once."""

import json
from typing import Any

import httpx
import openai
import pytest

from imaging.models import Image
from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Gateway, eventually
from tests.imaging.conftest import own_storages  # noqa: F401  (for each test here)

MODEL = "gemini-2.5-flash-image"
NATIVE = f"/v1beta/models/{MODEL}:"
TALK = [{"role": "user", "content": "draw a red circle"}]
TURNS = [{"role": "user", "parts": [{"text": "draw a red circle"}]}]
CHAT = {"model": MODEL, "messages": TALK}
DRAWS = {
    "contents": TURNS,
    "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat-stream": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "native": (f"{NATIVE}generateContent", DRAWS),
    "native-stream": (f"{NATIVE}streamGenerateContent?alt=sse", DRAWS),
}
SLOW = 1.0


def drawn(gateway: Gateway) -> int:
    """Count the requests that reached the provider."""
    found = gateway.sandbox.requests(100)
    return sum("enerateContent" in str(one.get("path")) for one in found)


def give_up(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    """Ask a slow account, and hang up while it draws."""
    gateway.sandbox.behave(sandbox_key("ok", 1), "slow", seconds=SLOW, times=1)
    with gateway.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post(path, json=body, timeout=SLOW / 3)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_repeat_gets_the_picture_and_nobody_draws_again(
    gateway: Gateway, name: str
) -> None:
    path, body = REQUESTS[name]
    give_up(gateway, path, body)
    again = gateway.post(path, json=body)
    assert (again.status_code, again.headers["x-gemproxy-kept"]) == (200, "1")
    assert "image" in again.text
    if name == "chat-stream":
        assert again.text.rstrip().endswith("data: [DONE]")
    assert drawn(gateway) == 1
    assert Image.objects.count() == 1
    first, second = eventually(
        lambda: rows if len(rows := gateway.rows()) == 2 else None, "no two rows"
    )
    assert (first.status, first.cause, first.finish) == (499, "client_closed", "STOP")
    assert first.total_tokens > 0
    assert first.images == 1
    assert (second.status, second.total_tokens, second.images) == (200, 0, 0)


def test_a_picture_that_was_finished_meanwhile_is_handed_over(gateway: Gateway) -> None:
    path, body = REQUESTS["chat"]
    give_up(gateway, path, body)
    gateway.row()
    again = gateway.post(path, json=body)
    assert again.headers["x-gemproxy-kept"] == "1"
    third = gateway.post(path, json=body)
    assert "x-gemproxy-kept" not in third.headers
    assert drawn(gateway) == 2


def test_the_sdks_own_retry_gets_it(gateway: Gateway) -> None:
    gateway.sandbox.behave(sandbox_key("ok", 1), "slow", seconds=SLOW, times=1)
    url = f"{gateway.url}/v1"
    with openai.OpenAI(base_url=url, api_key=gateway.token, max_retries=5) as client:
        given_up = client.with_options(timeout=SLOW * 0.8)
        raw = given_up.chat.completions.with_raw_response.create(**CHAT)
    assert raw.headers["x-gemproxy-kept"] == "1"
    assert json.loads(raw.text)["choices"][0]["finish_reason"] == "stop"
    assert drawn(gateway) == 1
