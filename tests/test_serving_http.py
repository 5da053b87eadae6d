"""The HTTP protocol: heads that are too large or too slow, clients that do not read."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gemproxy import serving, serving_http
from gemproxy.serving_http import LARGEST_HEAD, PatientProtocol

PIECE = b"x" * 65536
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


class App:
    """Answers with ``size`` bytes in pieces; notes how each request ended."""

    def __init__(self, pieces: int = 1) -> None:
        self.pieces = pieces
        self.ended: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(self.pieces):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        gone = (await receive())["type"] == "http.disconnect"
        self.ended.append("gone" if gone else "more")


@asynccontextmanager
async def serving_app(app: App) -> AsyncIterator[tuple[int, ServerState]]:
    config = uvicorn.Config(
        app, http=PatientProtocol, lifespan="off", log_config=None, access_log=False
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1], state
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)


async def exchange(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send the pieces; return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_request_in_many_small_pieces_is_answered() -> None:
    async with serving_app(App()) as (port, _):
        head = GET + b"Connection: close\r\n\r\n"
        pieces = [head[i : i + 1] for i in range(len(head))]
        assert (await exchange(port, *pieces)).startswith(b"HTTP/1.1 200 OK")


async def test_a_head_of_just_under_the_bound_is_taken() -> None:
    async with serving_app(App()) as (port, _):
        padding = b"X: " + b"a" * (LARGEST_HEAD - 200) + b"\r\n"
        answer = await exchange(port, GET + padding + b"Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"a" * LARGEST_HEAD + b"\r\n\r\n",
        GET + b"X: a\r\n" * LARGEST_HEAD,
        b"GET /" + b"a" * 2 * LARGEST_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"X: " + b"a" * 30 * LARGEST_HEAD,
    ],
    ids=["one header", "many headers", "the path", "a header without end"],
)
@pytest.mark.parametrize("step", [10_000, 10_000_000], ids=["in pieces", "at once"])
async def test_a_head_over_the_bound_is_refused(head: bytes, step: int) -> None:
    app = App()
    async with serving_app(app) as (port, state):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for start in range(0, len(head), step):
            writer.write(head[start : start + step])
        answer = await asyncio.wait_for(reader.read(16), 20)
        assert answer.startswith(b"HTTP/1.1 431")
        writer.close()
        await asyncio.sleep(0.05)
        assert (app.ended, state.connections) == ([], set())


async def test_a_large_body_is_no_large_head() -> None:
    async with serving_app(App()) as (port, _):
        body = b"b" * 500_000
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += b"Content-Length: %d\r\n\r\n" % len(body)
        answer = await exchange(port, head[:20], head[20:] + body)
        assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "pieces",
    [(b"",), (b"GET / HT",), (GET, b"X-A: 1\r\n", b"X-B: 1\r\n", b"X-C: 1\r\n")],
    ids=["silence", "half a line", "a trickle"],
)
async def test_a_head_that_does_not_come_in_time_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(serving_http, "HEAD_SECONDS", 0.2)
    app = App()
    async with serving_app(app) as (port, state):
        assert await exchange(port, *pieces, pause=0.08) == b""
        assert (app.ended, state.connections) == ([], set())


async def test_the_second_head_of_a_connection_must_come_in_time_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_http, "HEAD_SECONDS", 0.2)
    async with serving_app(App()) as (port, state):
        answer = await exchange(port, GET + b"\r\n" + b"GET / HTTP/1.1\r\nHos")
        assert answer.count(b"HTTP/1.1 200 OK") == 1
        assert not state.connections


async def test_an_answer_may_take_longer_than_a_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_http, "HEAD_SECONDS", 0.05)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.2)
        await App()(scope, receive, send)

    async with serving_app(slow) as (port, _):  # type: ignore[arg-type]
        answer = await exchange(port, GET + b"Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")


async def test_a_client_that_takes_nothing_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_http, "WRITE_SECONDS", 0.2)
    app = App(pieces=2000)
    async with serving_app(app) as (port, state):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET + b"\r\n")
        async with asyncio.timeout(5):
            while not app.ended:
                await asyncio.sleep(0.02)
        assert (app.ended, state.connections) == (["gone"], set())
        writer.transport.abort()


async def test_a_client_that_reads_slowly_gets_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_http, "WRITE_SECONDS", 0.3)
    app = App(pieces=60)
    async with serving_app(app) as (port, _):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=32768)
        writer.write(GET + b"Connection: close\r\n\r\n")
        size = 0
        while data := await reader.read(262_144):
            size += len(data)
            await asyncio.sleep(0.02)
        writer.close()
        assert size > 60 * len(PIECE)


def test_a_server_may_open_as_many_files_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        serving.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_limit_that_cannot_be_raised_is_only_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1000))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    serving.raise_file_limit()
    assert "Only 256 open files are allowed" in caplog.text
