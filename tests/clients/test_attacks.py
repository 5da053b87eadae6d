"""What a stranger or a caller sends to harm the server, and what it costs."""

import logging
from typing import Any

import pytest
from django.conf import settings
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gemproxy.lib.redaction import RedactingFormatter
from proxy import consumers
from proxy.surfaces import base
from tests.clients.conftest import Gateway
from tests.clients.test_websocket import REQUEST, address, bearer, talk

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "content",
    [
        b'{"model":"gemini-2.5-flash","messages":[' + b"[]," * 400_000 + b"[]]}",
        b'{"model":"gemini-2.5-flash","messages":[' + b"{}," * 400_000 + b"{}]}",
        b'{"model":"gemini-2.5-flash","messages":[' + b"1," * 2_100_000 + b"1]}",
    ],
    ids=["lists", "objects", "numbers"],
)
def test_json_of_very_many_values_is_refused_before_it_is_built(
    gateway: Gateway, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(base.orjson, "loads", lambda _: built.append(1))
    answer = gateway.post(CHAT, content=content)
    assert answer.status_code == 400
    assert "too many values" in answer.text
    assert built == []


def test_a_long_text_full_of_commas_and_brackets_is_no_bomb(gateway: Gateway) -> None:
    text = "a[0], b[1];\n" * 100_000
    body = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": text}],
    }
    answer = gateway.post(CHAT, json=body)
    assert "too many values" not in answer.text


def test_a_stranger_does_not_fill_the_room_for_bodies(gateway: Gateway) -> None:
    content = b'{"x": "' + b"a" * 2_000_000 + b'"}'
    answer = gateway.post(CHAT, content=content, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_a_model_name_writes_no_line_of_its_own_into_the_log(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/v1beta/models/x%0aINFO%20forged:generateContent"
    with caplog.at_level(logging.INFO, "proxy.gateway"):
        assert gateway.post(path, json={"contents": []}).status_code == 404
    form = RedactingFormatter("%(message)s")
    assert settings.LOGGING["formatters"]["line"]["()"].endswith(type(form).__name__)
    lines = [form.format(record) for record in caplog.records]
    assert any("forged" in line for line in lines)
    assert all("\n" not in line for line in lines)


async def test_a_websocket_to_nowhere_is_refused_without_a_traceback(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    url = address(gateway).replace("/ws/chat", "/ws/nothing")
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(url):
            pass
    assert refusal.value.response.status_code == 403
    assert "Traceback" not in caplog.text


async def test_a_failure_of_ours_is_said_on_the_websocket(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("secret words")

    async with connect(address(gateway), **bearer(gateway)) as socket:
        with monkeypatch.context() as patched:
            patched.setattr(consumers, "read_chat", fail)
            [message] = await talk(socket, REQUEST)
        assert message["error"]["type"] == "server_error"
        assert "secret words" not in str(message)
        assert "done" in (await talk(socket, REQUEST))[-1]
