"""Connections that die, are given up or were dead before: on both event loops."""

import asyncio

import httpx
import pytest

from proxy.upstreams.http import AiohttpTransport, read_all
from tests.proxy.upstreams.servers import HTTPServer, SocksProxy, make_tls, until


def post(url, body=b"{}"):
    return httpx.Request("POST", url, content=body)


async def ask(transport, url):
    return await read_all(await transport.handle_async_request(post(url)))


async def hold(_peer, _received):
    await asyncio.sleep(60)


async def assert_closed_soon(server):
    await asyncio.wait_for(server.peers[0].closed.wait(), 20)


async def test_cancelling_before_the_head_closes_the_connection(transport):
    async with HTTPServer(hold) as server:
        task = asyncio.ensure_future(transport.handle_async_request(post(server.url)))
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_closed_soon(server)


async def test_cancelling_a_large_upload_does_not_send_the_rest(transport):
    async with HTTPServer(hold) as server:
        send = transport.handle_async_request(post(server.url, b"x" * 50_000_000))
        task = asyncio.ensure_future(send)
        await until(lambda: server.peers)
        peer = server.peers[0]
        peer.transport.pause_reading()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        peer.transport.resume_reading()
        await asyncio.wait_for(peer.closed.wait(), 20)
    assert len(peer.buffer) < 40_000_000


async def test_closing_a_response_early_closes_the_connection(transport):
    async def endless(peer, _received):
        peer.start_stream()
        peer.send_chunk(b"one")
        await asyncio.sleep(30)

    async with HTTPServer(endless) as server:
        response = await transport.handle_async_request(post(server.url))
        assert await anext(aiter(response.stream)) == b"one"
        await response.aclose()
        await assert_closed_soon(server)


async def test_an_abandoned_connection_is_not_used_again(transport):
    async def first_hangs(peer, received):
        if len(server.requests) == 1:
            peer.start_stream()
            return
        peer.send_whole(b"ok")

    async with HTTPServer(first_hangs) as server:
        response = await transport.handle_async_request(post(server.url))
        await response.aclose()
        assert await ask(transport, server.url) == b"ok"
    assert [r.connection for r in server.requests] == [1, 2]


async def test_tls_connections_close_at_once_too(tmp_path, monkeypatch):
    for_server, for_client = make_tls(tmp_path)
    monkeypatch.setattr("proxy.upstreams.http.tls_context", lambda: for_client)
    transport = AiohttpTransport()
    async with HTTPServer(hold, tls=for_server) as server:
        task = asyncio.ensure_future(transport.handle_async_request(post(server.url)))
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_closed_soon(server)
        await transport.aclose()


def dying(how, *, spare):
    """Answer the first request of all and do ``how`` to the others; with ``spare``
    later connections are answered."""

    async def respond(peer, received):
        first = received.connection == 1 and received.nth == 1
        if first or (received.connection > 1 and spare):
            peer.send_whole(b"ok")
        else:
            how(peer)

    return respond


def close(peer):
    peer.transport.close()


def reset(peer):
    peer.reset()


def half_a_head(peer):
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-le")
    asyncio.get_running_loop().call_later(0.05, peer.reset)


@pytest.mark.parametrize("how", [close, reset])
async def test_a_request_on_a_stale_connection_is_sent_once_more(transport, how):
    async with HTTPServer(dying(how, spare=True)) as server:
        assert await ask(transport, server.url) == b"ok"
        assert await ask(transport, server.url) == b"ok"
    assert [(r.connection, r.nth) for r in server.requests] == [(1, 1), (1, 2), (2, 1)]
    assert server.requests[2].body == b"{}"


@pytest.mark.parametrize("how", [close, reset])
async def test_it_is_sent_once_more_only_once(transport, how):
    async with HTTPServer(dying(how, spare=False)) as server:
        assert await ask(transport, server.url) == b"ok"
        with pytest.raises(httpx.ReadError):
            await ask(transport, server.url)
    assert len(server.requests) == 3


@pytest.mark.parametrize("how", [close, reset])
async def test_a_new_connection_that_dies_is_not_tried_again(transport, how):
    async def die(peer, _received):
        how(peer)

    async with HTTPServer(die) as server:
        with pytest.raises(httpx.ReadError):
            await ask(transport, server.url)
    assert len(server.requests) == 1


async def test_a_stale_connection_that_began_an_answer_is_not_tried_again(transport):
    async with HTTPServer(dying(half_a_head, spare=True)) as server:
        assert await ask(transport, server.url) == b"ok"
        with pytest.raises(httpx.TransportError):
            await ask(transport, server.url)
    assert len(server.requests) == 2


async def test_stale_connections_through_socks_are_noticed_too():
    async with HTTPServer(dying(close, spare=True)) as server, SocksProxy() as proxy:
        transport = AiohttpTransport(f"socks5://127.0.0.1:{proxy.port}")
        assert await ask(transport, server.url) == b"ok"
        assert await ask(transport, server.url) == b"ok"
        await transport.aclose()
    assert len(server.requests) == 3


@pytest.mark.parametrize("how", [close, reset])
@pytest.mark.parametrize(
    "head",
    [
        b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n",
        b"content-length: 9\r\n\r\none",
    ],
    ids=["chunked", "sized"],
)
async def test_a_body_that_breaks_off_is_an_error(transport, how, head):
    async def cut(peer, _received):
        peer.send(b"HTTP/1.1 200 OK\r\n" + head)
        await asyncio.sleep(0.05)
        how(peer)

    async with HTTPServer(cut) as server:
        response = await transport.handle_async_request(post(server.url))
        stream = aiter(response.stream)
        assert await anext(stream) == b"one"
        with pytest.raises(httpx.TransportError):
            await anext(stream)


async def test_what_is_not_http_is_a_protocol_error(transport):
    async def babble(peer, _received):
        peer.send(b"220 smtp.example ESMTP\r\n\r\n")

    async with HTTPServer(babble) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.handle_async_request(post(server.url))
