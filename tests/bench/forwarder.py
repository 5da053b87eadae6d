"""The baseline: a bare ASGI app that passes bytes through the gateway's transport.

It parses nothing, checks nothing and logs nothing. What the gateway costs above it
is what the gateway does.
"""

import argparse
import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import uvicorn

from proxy.upstreams.http import Clients, read_all
from tests.bench.bodies import MODEL

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH_HEADER = b"x-bench-path"
STREAM_MARK = b'"stream":true'  # the benchmark writes compact JSON
HEADERS = {"content-type": "application/json", "x-goog-api-key": "bench"}
TIMEOUTS = {"connect": 10.0, "read": 60.0, "write": 60.0}


class Forwarder:
    """ASGI app: any POST goes to the upstream, its answer comes back unchanged."""

    def __init__(self, upstream: str) -> None:
        models = f"{upstream}/v1beta/models/{MODEL}"
        self._upstream = upstream
        # Parsed once: a baseline that wastes time would flatter the gateway.
        self._whole = httpx.URL(f"{models}:generateContent")
        self._stream = httpx.URL(f"{models}:streamGenerateContent?alt=sse")
        self._headers = httpx.Headers(HEADERS)
        self._clients = Clients()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await _body(receive)
        url = self._url(scope, body)
        task = asyncio.current_task()
        watcher = asyncio.ensure_future(_cancel_on_disconnect(receive, task))
        try:
            await self._forward(url, body, send)
        except asyncio.CancelledError:
            if not watcher.done():
                raise
            # The client went away: the cancellation was ours and ends here.
            task.uncancel()
        finally:
            watcher.cancel()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._clients.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    def _url(self, scope: Message, body: bytes) -> httpx.URL:
        for name, value in scope["headers"]:
            if name == PATH_HEADER:
                return httpx.URL(self._upstream + value.decode("ascii"))
        return self._stream if STREAM_MARK in body else self._whole

    async def _forward(self, url: httpx.URL, body: bytes, send: Send) -> None:
        request = httpx.Request(
            "POST",
            url,
            headers=self._headers,
            content=body,
            extensions={"timeout": TIMEOUTS},
        )
        answer = await self._clients.transport().handle_async_request(request)
        if "content-length" in answer.headers:
            body = await read_all(answer)
            await send(_head(answer))
            await send(_part(body, more=False))
            return
        try:
            await send(_head(answer))
            async for part in answer.stream:
                await send(_part(part, more=True))
            await send(_part(b"", more=False))
        finally:
            await answer.stream.aclose()


def _head(answer: httpx.Response) -> Message:
    headers = [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower() in (b"content-type", b"content-length")
    ]
    return {
        "type": "http.response.start",
        "status": answer.status_code,
        "headers": headers,
    }


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _cancel_on_disconnect(receive: Receive, task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
        task.cancel()


def main() -> None:
    """Serve on a loopback port: ``--port P --upstream URL``."""
    parser = argparse.ArgumentParser(prog="forwarder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    given = parser.parse_args()
    uvicorn.run(
        Forwarder(given.upstream.rstrip("/")),
        host="127.0.0.1",
        port=given.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
