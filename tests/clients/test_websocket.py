"""Chat over a WebSocket: the chunk objects of the SSE stream, and cancelling."""

import asyncio
from typing import Any

import orjson
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
)
from django.contrib.sessions.backends.db import SessionStore
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from accounts.models import Token
from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Gateway, eventually

REQUEST = {
    "model": "gemini-2.5-flash",
    "messages": [{"role": "user", "content": "count to 5"}],
    "stream_options": {"include_usage": True},
}


def address(gateway: Gateway) -> str:
    return gateway.url.replace("http", "ws", 1) + "/ws/chat"


def bearer(gateway: Gateway) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {gateway.token}"}}


async def talk(socket: ClientConnection, request: Any) -> list[dict[str, Any]]:
    """Send a request; return what comes until the answer has ended."""
    await socket.send(orjson.dumps(request).decode())
    received = []
    while True:
        message = orjson.loads(await socket.recv())
        received.append(message)
        if {"done", "error", "cancelled"} & message.keys():
            return received


async def talk_on(socket: ClientConnection) -> None:
    for _ in range(100):
        await talk(socket, REQUEST)


def text_of(messages: list[dict[str, Any]]) -> str:
    choices = [choice for m in messages for choice in m.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_an_answer_comes_as_the_chunks_of_the_stream(gateway: Gateway) -> None:
    async with connect(address(gateway), **bearer(gateway)) as socket:
        for _ in range(2):
            messages = await talk(socket, REQUEST)
            assert text_of(messages) == "1 2 3 4 5"
            assert messages[-1] == {"done": True}
            assert messages[-2]["usage"]["total_tokens"] > 0
            assert messages[0]["object"] == "chat.completion.chunk"


async def test_the_token_may_come_as_a_subprotocol(gateway: Gateway) -> None:
    protocols = ["gp-chat", f"gp-token.{gateway.token}"]
    async with connect(address(gateway), subprotocols=protocols) as socket:
        assert socket.subprotocol == "gp-chat"
        assert text_of(await talk(socket, REQUEST)) == "1 2 3 4 5"


@pytest.mark.parametrize("token", ["", "gp-wrong"], ids=["none", "wrong"])
async def test_a_stranger_is_closed_with_4401(gateway: Gateway, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(address(gateway), additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
    assert caught.value.rcvd.code == 4401


def session_cookie(gateway: Gateway) -> str:
    store = SessionStore()
    store[SESSION_KEY] = str(gateway.user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = gateway.user.get_session_auth_hash()
    store.save()
    return f"{django_settings.SESSION_COOKIE_NAME}={store.session_key}"


class TestSession:
    @pytest.fixture
    def cookie(self, gateway: Gateway) -> str:
        return session_cookie(gateway)

    async def test_a_signed_in_person_may_chat_from_our_own_pages(
        self, gateway: Gateway, cookie: str
    ) -> None:
        headers = {"Cookie": cookie}
        async with connect(
            address(gateway), additional_headers=headers, origin=gateway.url
        ) as socket:
            assert text_of(await talk(socket, REQUEST)) == "1 2 3 4 5"

    @pytest.mark.parametrize("origin", ["https://evil.example", None])
    async def test_a_cookie_from_elsewhere_opens_nothing(
        self, gateway: Gateway, cookie: str, origin: str | None
    ) -> None:
        headers = {"Cookie": cookie}
        async with connect(
            address(gateway), additional_headers=headers, origin=origin
        ) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()

    async def test_a_cookie_of_a_changed_password_opens_nothing(
        self, gateway: Gateway, cookie: str
    ) -> None:
        from gemproxy.lib import db

        def change() -> None:
            gateway.user.set_password("another one")
            gateway.user.save()

        await db.run(change)
        async with connect(
            address(gateway),
            additional_headers={"Cookie": cookie},
            origin=gateway.url,
        ) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()


async def test_a_cancelled_answer_stops_and_the_socket_lives_on(
    gateway: Gateway,
) -> None:
    gateway.sandbox.behave(sandbox_key("ok", 1), "stall", times=1)
    async with connect(address(gateway), **bearer(gateway)) as socket:
        await socket.send(orjson.dumps(REQUEST).decode())
        while not gateway.sandbox.stats()["open_streams"]:
            await asyncio.sleep(0.01)
        await socket.send('{"type": "cancel"}')
        messages: list[Any] = []
        while "cancelled" not in (messages[-1:] or [{}])[0]:
            messages.append(orjson.loads(await socket.recv()))
        assert text_of(await talk(socket, REQUEST)) == "1 2 3 4 5"
    assert gateway.sandbox.stats()["open_streams"] == 0


async def test_two_requests_at_once_are_refused(gateway: Gateway) -> None:
    gateway.sandbox.behave(sandbox_key("ok", 1), "slow", seconds=5, times=1)
    async with connect(address(gateway), **bearer(gateway)) as socket:
        await socket.send(orjson.dumps(REQUEST).decode())
        messages = await talk(socket, REQUEST)
    assert "running" in messages[-1]["error"]["message"]


@pytest.mark.parametrize(
    "request_",
    [{"model": "none-such", "messages": [{"role": "user", "content": "x"}]}, {}, []],
    ids=["unknown model", "empty", "no object"],
)
async def test_faults_are_error_objects(gateway: Gateway, request_: Any) -> None:
    async with connect(address(gateway), **bearer(gateway)) as socket:
        messages = await talk(socket, request_)
        assert messages[-1]["error"]["message"]
        assert text_of(await talk(socket, REQUEST)) == "1 2 3 4 5"


async def test_closing_the_socket_ends_the_upstream_call(gateway: Gateway) -> None:
    gateway.sandbox.behave(sandbox_key("ok", 1), "stall")
    async with connect(address(gateway), **bearer(gateway)) as socket:
        await socket.send(orjson.dumps(REQUEST).decode())
        await socket.recv()
        await socket.recv()

    def ended() -> bool:
        stats = gateway.sandbox.stats()
        return stats["open_streams"] == 0 and stats["cancelled"] == 1

    eventually(ended, "the upstream call went on", seconds=20)


async def test_a_revoked_token_answers_no_more_on_an_open_socket(
    gateway: Gateway,
) -> None:
    from gemproxy.lib import db

    async with connect(address(gateway), **bearer(gateway)) as socket:
        await talk(socket, REQUEST)
        await db.run(lambda: Token.objects.get().revoke())
        with pytest.raises(ConnectionClosed):
            await talk_on(socket)
