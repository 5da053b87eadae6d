"""The way to the imitated site: an HTTP proxy whose tunnels all end right here.

Whoever uses it as a proxy and trusts its certificate meets the sandbox in the place of
Google. What is asked of the proxy itself under ``/sandbox/`` controls it.
"""

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.sandbox.exchange import pretty
from proxy.sandbox.web_authority import Authority
from proxy.sandbox.web_http import (
    Abort,
    Malformed,
    WebReply,
    WebRequest,
    read_request,
    write_reply,
)
from proxy.sandbox.web_site import HOSTS, WebSite

logger = logging.getLogger(__name__)

_JSON = "application/json; charset=utf-8"
_START_SECONDS = 20.0
_LOST = (ConnectionError, TimeoutError, asyncio.IncompleteReadError, OSError)


class WebSandbox:
    """The proxy and the site behind it, in the loop that starts it."""

    def __init__(self, *, pace: float = 0.0) -> None:
        self.site = WebSite(pace)
        self.authority = Authority(HOSTS)
        self._context = self.authority.context()
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def proxy_url(self) -> str:
        """The address to use as an HTTP proxy."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._accept, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        talk = asyncio.current_task()
        assert talk is not None  # noqa: S101
        self._talks.add(talk)
        try:
            await self._talk(reader, writer)
        except (Malformed, Abort, ValueError, *_LOST) as error:
            logger.debug("a connection ended: %r", error)
        except asyncio.CancelledError:
            logger.debug("hung up at the end")
        finally:
            self._talks.discard(talk)
            writer.transport.abort()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first = await read_request(reader)
        if first is None:
            return
        if first.method != "CONNECT":
            await write_reply(writer, self._control(first))
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        await writer.start_tls(self._context)
        leaving = asyncio.ensure_future(_left(writer))
        try:
            while (request := await read_request(reader)) is not None:
                await self._serve(request, writer, leaving)
        finally:
            writer.transport.abort()
            await leaving

    async def _serve(
        self,
        request: WebRequest,
        writer: asyncio.StreamWriter,
        leaving: asyncio.Task[None],
    ) -> None:
        """Answer one request, and stop doing so when the client leaves."""
        work = asyncio.ensure_future(self._reply(request, writer))
        try:
            await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Abort
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _reply(self, request: WebRequest, writer: asyncio.StreamWriter) -> None:
        reply = await self.site.answer(request)
        try:
            await write_reply(writer, reply)
        finally:
            if reply.pieces is not None:
                await reply.pieces.aclose()

    def _control(self, request: WebRequest) -> WebReply:
        people = self.site.people
        wanted = (request.method, request.path)
        if wanted == ("GET", "/sandbox/stats"):
            return _told(people.stats())
        if wanted == ("GET", "/sandbox/requests"):
            return _told({"requests": list(people.requests)})
        if wanted == ("POST", "/sandbox/reset"):
            people.reset()
            return _told({})
        if wanted == ("POST", "/sandbox/accounts"):
            return self._tell(request)
        return _told({"error": "unknown control endpoint"}, 404)

    def _tell(self, request: WebRequest) -> WebReply:
        try:
            wish = json.loads(request.body)
            if not isinstance(wish, dict):
                raise ValueError("an object is expected")
            person = self.site.people.tell(wish)
        except ValueError as error:
            return _told({"error": str(error)}, 400)
        return _told({"behaviour": person.behaviour})


async def _left(writer: asyncio.StreamWriter) -> None:
    """Return when the connection is gone, for whatever reason."""
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _told(data: Any, status: int = 200) -> WebReply:
    return WebReply(status=status, body=pretty(data).encode(), content_type=_JSON)


@contextlib.contextmanager
def web_sandbox(
    folder: Path, *, host: str = "127.0.0.1", port: int = 0, pace: float = 0.0
) -> Iterator[WebSandbox]:
    """Run one in a thread of its own; its certificate is ``folder/sandbox-ca.pem``."""
    sandbox = WebSandbox(pace=pace)
    sandbox.authority.write(folder / "sandbox-ca.pem")
    ready, ending = threading.Event(), []

    async def run() -> None:
        await sandbox.start(host, port)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(stop.set))
        ready.set()
        await stop.wait()
        await sandbox.aclose()

    thread = threading.Thread(
        target=lambda: asyncio.run(run()), name="web sandbox", daemon=True
    )
    thread.start()
    if not ready.wait(_START_SECONDS):
        raise RuntimeError("the web sandbox did not start")
    try:
        yield sandbox
    finally:
        for end in ending:
            end()
        thread.join(_START_SECONDS)
