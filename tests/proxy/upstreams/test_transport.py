"""The aiohttp transport: what goes out, what comes back, what waits how long."""

import asyncio
import gzip
import resource
import time

import httpx
import pytest

from proxy.upstreams.connections import Link
from proxy.upstreams.http import AiohttpTransport, Clients, read_all
from tests.proxy.upstreams.servers import HTTPServer, until


def post(url, body=b"{}", headers=None, **extensions):
    return httpx.Request(
        "POST", url, headers=headers, content=body, extensions=extensions
    )


async def whole(peer, _received):
    peer.send_whole(b'{"ok":1}', headers="content-type: application/json\r\nx-a: b\r\n")


async def hold(_peer, _received):
    await asyncio.sleep(30)


async def test_a_request_arrives_as_it_was_made(transport):
    async with HTTPServer(whole) as server:
        request = post(f"{server.url}/a/b%2Fc:d?alt=sse", b"body", {"X-Key": "k"})
        response = await transport.handle_async_request(request)
        body = await read_all(response)
    sent = server.requests[0]
    assert (response.status_code, body) == (200, b'{"ok":1}')
    assert response.headers["x-a"] == "b"
    assert sent.line == "POST /a/b%2Fc:d?alt=sse HTTP/1.1"
    assert sent.body == b"body"
    assert sent.headers["x-key"] == "k"
    assert sent.headers["host"] == f"127.0.0.1:{server.port}"
    assert sent.headers["content-length"] == "4"


async def test_a_streamed_request_body_arrives(transport):
    async def parts():
        yield b"one"
        yield b"two"

    async def echo(peer, received):
        await asyncio.sleep(0.05)
        peer.send_whole(peer.buffer)

    async with HTTPServer(echo) as server:
        request = httpx.Request("POST", server.url, content=parts())
        body = await read_all(await transport.handle_async_request(request))
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_compressed_body_comes_unpacked_and_loses_its_header(transport):
    async def packed(peer, _received):
        peer.send_whole(gzip.compress(b"plain"), headers="content-encoding: gzip\r\n")

    async with HTTPServer(packed) as server:
        response = await transport.handle_async_request(post(server.url))
        assert await read_all(response) == b"plain"
    assert "content-encoding" not in response.headers
    assert "content-length" not in response.headers


async def test_redirects_are_not_followed(transport):
    async def away(peer, _received):
        peer.send_whole(b"", "302 Found", f"location: {server.url}/other\r\n")

    async with HTTPServer(away) as server:
        response = await transport.handle_async_request(post(server.url))
        await read_all(response)
    assert response.status_code == 302
    assert len(server.requests) == 1


async def test_the_environment_names_no_proxy(transport, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    async with HTTPServer(whole) as server:
        response = await transport.handle_async_request(post(server.url))
        assert await read_all(response) == b'{"ok":1}'


async def test_the_body_is_handed_on_while_it_arrives(transport):
    go_on = asyncio.Event()

    async def slowly(peer, _received):
        peer.start_stream()
        peer.send_chunk(b"one")
        await go_on.wait()
        peer.send_chunk(b"two")
        peer.end_stream()

    async with HTTPServer(slowly) as server:
        response = await transport.handle_async_request(post(server.url))
        stream = aiter(response.stream)
        assert await anext(stream) == b"one"
        go_on.set()
        assert await anext(stream) == b"two"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_httpx_itself_can_use_the_transport():
    async with (
        HTTPServer(whole) as server,
        httpx.AsyncClient(transport=AiohttpTransport()) as client,
    ):
        response = await client.get(server.url)
    assert response.json() == {"ok": 1}


async def test_a_kept_connection_is_used_again(transport):
    async with HTTPServer(whole) as server:
        for _ in range(3):
            await read_all(await transport.handle_async_request(post(server.url)))
    assert [r.connection for r in server.requests] == [1, 1, 1]


async def test_a_head_that_does_not_come_times_out(transport):
    async with HTTPServer(hold) as server:
        start = time.monotonic()
        request = post(server.url, timeout={"read": 20.0}, first_byte=0.1)
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(request)
        assert time.monotonic() - start < 10
        await asyncio.wait_for(server.peers[0].closed.wait(), 20)


async def test_the_wait_for_the_head_is_read_unless_given(transport):
    async with HTTPServer(hold) as server:
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(
                post(server.url, timeout={"read": 0.1})
            )


async def test_silence_inside_the_body_times_out_by_its_own_limit(transport):
    async def stall(peer, _received):
        peer.start_stream()
        peer.send_chunk(b"one")
        await asyncio.sleep(30)

    async with HTTPServer(stall) as server:
        request = post(server.url, timeout={"read": 0.15}, first_byte=20.0)
        response = await transport.handle_async_request(request)
        stream = aiter(response.stream)
        assert await anext(stream) == b"one"
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await anext(stream)
        assert 0.1 < time.monotonic() - start < 10
        await asyncio.wait_for(server.peers[0].closed.wait(), 20)


async def test_a_slow_but_steady_body_does_not_time_out(transport):
    async def steady(peer, _received):
        peer.start_stream()
        for _ in range(6):
            peer.send_chunk(b".")
            await asyncio.sleep(0.05)
        peer.end_stream()

    async with HTTPServer(steady) as server:
        request = post(server.url, timeout={"read": 0.2}, first_byte=0.2)
        response = await transport.handle_async_request(request)
        assert await read_all(response) == b"......"


async def test_the_total_bounds_a_steady_body(transport):
    async def endless(peer, _received):
        peer.start_stream()
        while not peer.closed.is_set():
            peer.send_chunk(b".")
            await asyncio.sleep(0.03)

    async with HTTPServer(endless) as server:
        response = await transport.handle_async_request(
            post(server.url, timeout={"read": 5.0}, total=0.3)
        )
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            async for _ in response.stream:
                pass
        assert time.monotonic() - start < 10


async def test_a_server_that_stops_reading_times_out_the_sending(transport):
    async with HTTPServer(hold) as server:
        send = transport.handle_async_request(
            post(server.url, b"x" * 30_000_000, timeout={"write": 0.3, "read": 20.0})
        )
        task = asyncio.ensure_future(send)
        await until(lambda: server.peers)
        server.peers[0].transport.pause_reading()
        start = time.monotonic()
        with pytest.raises(httpx.WriteTimeout):
            await task
        assert time.monotonic() - start < 15


class SlowSocket:
    """A transport whose buffer has the given sizes, one per look."""

    def __init__(self, *sizes):
        self.sizes = list(sizes)
        self.ends = []

    def close(self):
        self.ends.append("flushed")

    def abort(self):
        self.ends.append("aborted")

    def get_write_buffer_size(self):
        return self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]


async def test_what_waits_to_be_sent_does_not_hold_a_closed_connection():
    link = Link(asyncio.get_running_loop())
    link.transport = socket = SlowSocket(400_000)
    link.begin(5.0)
    link.pause_writing()
    link.close()
    link.close()
    assert socket.ends == ["aborted"]


@pytest.mark.parametrize(
    ("sizes", "fails"),
    [([900 - n for n in range(40)], False), ([900, 500, 500], True)],
    ids=["progress", "stall"],
)
async def test_sending_times_out_only_without_progress(sizes, fails):
    link = Link(asyncio.get_running_loop())
    link.transport = SlowSocket(*sizes)
    link.begin(0.03)
    link.pause_writing()
    await asyncio.sleep(0.1)
    assert (link.exception() is not None) == fails
    link.resume_writing()


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
async def test_many_streams_at_once_all_end_well(transport):
    async def count(peer, _received):
        peer.start_stream()
        for number in range(5):
            peer.send_chunk(b"%d" % number)
            await asyncio.sleep(0.05)
        peer.end_stream()

    async def one(url):
        return await read_all(await transport.handle_async_request(post(url)))

    async with HTTPServer(count) as server:
        bodies = await asyncio.gather(*(one(server.url) for _ in range(500)))
    assert bodies == [b"01234"] * 500


async def test_clients_make_one_transport_per_proxy(clients):
    direct = clients.transport()
    assert clients.transport("") is direct
    assert clients.transport("http://127.0.0.1:9") is not direct


async def test_closed_clients_make_new_transports():
    made = Clients()
    first = made.transport()
    await made.aclose()
    second = made.transport()
    assert first is not second
    await made.aclose()


def test_each_loop_has_its_own_transport():
    made = Clients()

    async def once():
        transport = made.transport()
        await made.aclose()
        return transport

    assert asyncio.run(once()) is not asyncio.run(once())
