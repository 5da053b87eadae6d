"""Answers of any size: what is held of them has a bound."""

import asyncio
import functools
import zlib

import pytest

from proxy.errors import BadAnswer
from proxy.upstreams import gemini_api
from proxy.upstreams.base import AccountConfig, Order
from proxy.upstreams.gemini_api import GeminiAPI
from proxy.upstreams.http import MAX_ANSWER_BYTES, read_all
from proxy.wire.sse import SSEDecoder
from tests.proxy.upstreams.servers import HTTPServer

ACCOUNT = AccountConfig(id=1, kind="gemini_api", secret="AIza" + "x" * 35)
ORDER = Order(method="generateContent", model="gemini-x", body={"contents": []})


def packed(size):
    """Return gzip data of so many zeros, made without holding them."""
    pack = zlib.compressobj(9, wbits=31)
    parts = [pack.compress(b"0" * 1_000_000) for _ in range(size // 1_000_000)]
    return b"".join([*parts, pack.flush()])


@pytest.fixture
def bounded(monkeypatch):
    """Let whole answers have 5,000 bytes."""
    small = functools.partial(read_all, largest=5000)
    monkeypatch.setattr(gemini_api, "read_all", small)


async def _answer(clients, respond):
    async with HTTPServer(respond) as server:
        return await GeminiAPI(clients, server.url).answer(ACCOUNT, ORDER)


async def test_an_answer_within_the_bound_is_taken(clients, bounded):
    async def respond(peer, _):
        peer.send_whole(b'{"candidates":[{"finishReason":"STOP"}]}'.ljust(5000))

    event = await _answer(clients, respond)
    assert event.data["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
async def test_a_whole_answer_over_the_bound_is_a_bad_answer(clients, bounded, status):
    async def respond(peer, _):
        peer.send_whole(b" " * 5001, status)

    with pytest.raises(BadAnswer, match="too large"):
        await _answer(clients, respond)


async def test_an_answer_that_never_ends_is_given_up_and_its_connection_closed(
    clients, bounded
):
    peers = []

    async def respond(peer, _):
        peers.append(peer)
        peer.start_stream("content-type: application/json\r\n")
        while not peer.closed.is_set():
            peer.send_chunk(b" " * 1000)
            await asyncio.sleep(0)

    async with HTTPServer(respond) as server:
        with pytest.raises(BadAnswer, match="too large"):
            await GeminiAPI(clients, server.url).answer(ACCOUNT, ORDER)
        await asyncio.wait_for(peers[0].closed.wait(), 20)


async def test_a_bomb_counts_by_what_it_unpacks_to(clients):
    bomb = packed(MAX_ANSWER_BYTES + 20_000_000)
    assert len(bomb) < 1_000_000

    async def respond(peer, _):
        peer.send_whole(bomb, headers="content-encoding: gzip\r\n")

    with pytest.raises(BadAnswer, match=r"too large|not proper HTTP|broke off"):
        await _answer(clients, respond)


async def test_an_event_that_never_ends_is_a_bad_answer(clients, monkeypatch):
    small = functools.partial(SSEDecoder, largest=5000)
    monkeypatch.setattr(gemini_api, "SSEDecoder", small)

    async def respond(peer, _):
        peer.start_stream()
        peer.send_chunk(b"data: ")
        while not peer.closed.is_set():
            peer.send_chunk(b"x" * 1000)
            await asyncio.sleep(0)

    async with HTTPServer(respond) as server:
        with pytest.raises(BadAnswer, match="without end"):
            async for _ in GeminiAPI(clients, server.url).stream(ACCOUNT, ORDER):
                pass
