"""The WebSocket's helpers: cookies, origins, messages, and faults of any kind."""

import asyncio
from typing import Any

import orjson
import pytest

from accounts.callers import Caller
from proxy import consumers
from proxy.consumers import ChatConsumer
from proxy.errors import BadRequest

MESSAGE = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["gp-chat"], "gp-chat"),
        (["gp-token.gp-x", "gp-chat"], "gp-chat"),
        (["other", "gp-token.gp-x"], "other"),
        (["gp-token.gp-x"], "gp-token.gp-x"),
    ],
)
def test_a_subprotocol_that_is_no_secret_is_chosen(
    offered: list[str], chosen: str | None
) -> None:
    assert consumers._protocol(offered) == chosen


@pytest.mark.parametrize(
    ("cookie", "key"),
    [
        ("gemproxy_session=abc", "abc"),
        ("a=1; gemproxy_session=abc; b=2", "abc"),
        ("", ""),
        ("other=1", ""),
        ("xgemproxy_session=abc", ""),
        ("=;;;=", ""),
    ],
)
def test_the_session_is_found_among_cookies(cookie: str, key: str) -> None:
    assert consumers._session_key(cookie) == key


@pytest.mark.parametrize(
    "other", ['x={"a":1}', "bad name=1", "x=a b c", "[y]=1"], ids=str
)
def test_an_odd_cookie_of_somebody_else_does_not_hide_the_session(other: str) -> None:
    # Once: SimpleCookie gives up at the first cookie it cannot read; browsers send
    # those of every application on the same host.
    assert consumers._session_key(f"{other}; gemproxy_session=abc") == "abc"


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("https://gate.example", True),
        ("http://gate.example", True),
        ("https://evil.example", False),
        ("https://gate.example.evil.example", False),
        ("https://gate.example:444", False),
        ("https://trusted.example", True),
        ("null", False),
        ("", False),
    ],
)
def test_only_our_own_pages_may_use_cookies(
    settings: Any, origin: str, same: bool
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    headers = {"origin": origin, "host": "gate.example"}
    assert consumers._same_origin(headers) is same


def test_an_origin_without_a_host_is_not_ours() -> None:
    assert not consumers._same_origin({"origin": "null"})
    assert not consumers._same_origin({})


def test_an_origin_that_is_no_url_is_not_ours() -> None:
    # Once: urlsplit raises ValueError; a stranger gets a traceback into the log.
    assert not consumers._same_origin({"origin": "http://[", "host": "gate.example"})


@pytest.mark.parametrize("content", [b"[]", b"1", b"{", b""])
def test_a_message_must_be_a_json_object(content: bytes) -> None:
    with pytest.raises(BadRequest):
        consumers._message(content)


def test_a_message_has_a_bound(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 10
    with pytest.raises(BadRequest) as caught:
        consumers._message(b'{"a": "0123456789"}')
    assert caught.value.status == 413


def test_the_address_behind_two_proxies_counts_every_header_line(
    settings: Any,
) -> None:
    # Once: of several X-Forwarded-For lines only the last is kept; HTTP joins them.
    settings.TRUSTED_PROXY_HOPS = 2
    scope = {
        "client": ("10.0.0.1", 1),
        "headers": [
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"x-forwarded-for", b"10.0.0.2"),
        ],
    }
    assert consumers._address(scope, consumers._headers(scope)) == "1.1.1.1"


class Socket(ChatConsumer):
    """A consumer whose messages are kept instead of sent."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = {"headers": [], "client": ("127.0.0.1", 1)}
        self.holder: Caller | None = Caller(user_id=1, username="ann")
        self.caller = self.holder
        self.said: list[dict[str, Any]] = []
        self.closed: list[int] = []

    async def send(self, text_data: Any = None, **_: Any) -> None:
        self.said.append(orjson.loads(text_data))

    async def close(self, code: Any = None, reason: Any = None) -> None:
        self.closed.append(code)


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> Socket:
    made = Socket()

    async def found(_scope: Any) -> Caller | None:
        return made.holder

    monkeypatch.setattr(consumers, "find_caller", found)
    return made


async def say(socket: Socket, message: Any) -> None:
    await socket.receive(text_data=orjson.dumps(message).decode())
    if socket.running is not None:
        await asyncio.wait({socket.running})


async def test_every_way_an_answer_can_end_is_said(
    socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: only faults are; after any other exception the client waits for ever, and
    # asyncio complains of an exception that was never retrieved.
    async def broken(*_: Any) -> None:
        raise RuntimeError("hush-hush")

    monkeypatch.setattr(consumers, "read_chat", broken)
    await say(socket, MESSAGE)
    assert socket.running is not None
    socket.running.exception()
    assert socket.said
    assert socket.said[-1]["error"]["code"] == "internal_error"
    assert "hush" not in str(socket.said)


async def test_a_fault_is_said_as_an_error_object(
    socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> None:
        raise BadRequest("no such thing", param="tools")

    monkeypatch.setattr(consumers, "read_chat", refused)
    await say(socket, MESSAGE)
    assert socket.said[0]["error"]["message"] == "no such thing"
    assert socket.said[0]["error"]["param"] == "tools"


async def test_a_cancel_with_nothing_running_is_silent(socket: Socket) -> None:
    await say(socket, {"type": "cancel"})
    assert socket.said == []


async def test_a_token_that_ended_closes_the_socket(socket: Socket) -> None:
    socket.holder = None
    await say(socket, MESSAGE)
    assert socket.closed == [consumers.REFUSED]
    await say(socket, MESSAGE)
    assert socket.said == []


async def test_a_disconnect_ends_the_running_answer(
    socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(consumers, "read_chat", never)
    await socket.receive(text_data=orjson.dumps(MESSAGE).decode())
    await asyncio.sleep(0)
    await socket.disconnect(1001)
    assert socket.running is not None
    assert socket.running.cancelled()
