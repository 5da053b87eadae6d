"""The lean handler of the API paths.

Django's own ASGI handler sends sync signals and opens threads for each request; the
API needs neither. This one reads the body under a bound, builds Django's request,
calls an async view, and cancels it the moment the client goes away.
"""

import asyncio
import functools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from io import BytesIO
from typing import Any, Protocol

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, get_resolver

from gemproxy.lib import clock
from gemproxy.lib.bodies import REFUSALS, Bodies, Body, ClientGone

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

RESOLVED = 4096
#: Longer paths are resolved each time: a cache of them would be large.
LONGEST_RESOLVED = 200


class Errors(Protocol):
    """What the handler asks for when there is no view to answer."""

    def __call__(self, request: ASGIRequest, error: Exception) -> HttpResponseBase: ...


class StreamResponse(HttpResponseBase):
    """A body sent as it comes; ``keep_alive`` is sent after ``interval`` idle seconds."""

    streaming = True

    def __init__(
        self,
        source: AsyncIterator[bytes],
        *,
        keep_alive: bytes = b"",
        interval: float = 10.0,
        content_type: str = "text/event-stream",
        release: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``release`` lets go of what is behind the source, even if it never began."""
        super().__init__(content_type=content_type)
        self.source = source
        self.keep_alive = keep_alive
        self.interval = interval
        self.release = release
        self["Cache-Control"] = "no-cache"
        self["X-Accel-Buffering"] = "no"


class LeanHandler:
    """ASGI application for async views of one URL configuration."""

    def __init__(
        self,
        urlconf: str,
        *,
        bodies: Bodies,
        errors: Errors,
        preflight: Callable[[ASGIRequest], HttpResponseBase | None],
        decorate: Callable[[ASGIRequest, HttpResponseBase], None],
        is_known: Callable[[Message], Awaitable[bool]] | None = None,
    ) -> None:
        """``is_known`` tells whether a scope's sender may send a large body."""
        self._bodies = bodies
        self._errors = errors
        self._preflight = preflight
        self._decorate = decorate
        self._is_known = is_known
        resolver = get_resolver(urlconf)
        self._resolve_any = resolver.resolve
        self._resolve_known = functools.lru_cache(maxsize=RESOLVED)(resolver.resolve)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = Body(self._bodies, scope, receive, self._is_known)
        try:
            request, response = await self._enter(scope, body)
            if response is not None:
                await self._send(request, response, send)
                return
            await self._watched(request, receive, send)
        except ClientGone:
            return
        finally:
            body.release()

    async def _enter(
        self, scope: Message, body: "Body"
    ) -> tuple[ASGIRequest, HttpResponseBase | None]:
        """Read the body; return the request and, if it is refused, the answer."""
        error: Exception | None = None
        content = b""
        try:
            content = await body.read()
        except REFUSALS as refusal:
            error = refusal
        request = ASGIRequest(_readable(scope), BytesIO(content))
        request.content = content
        request.hold = body.hold
        request.request_id = "req_" + secrets.token_hex(12)
        if error is None:
            asked = request.method == "OPTIONS"
            return request, self._preflight(request) if asked else None
        response = self._errors(request, error)
        # The rest of the body may still be on its way: this connection is spent.
        response["Connection"] = "close"
        return request, response

    async def _watched(
        self, request: ASGIRequest, receive: Receive, send: Send
    ) -> None:
        """Answer, but stop at once if the client goes away meanwhile."""
        watch = Watch(receive)
        try:
            response = await self._answer(request)
            await self._send(request, response, send)
        except asyncio.CancelledError:
            if not watch.gone:
                raise
            watch.forgive()
        finally:
            watch.stop()

    async def _answer(self, request: ASGIRequest) -> HttpResponseBase:
        try:
            match: ResolverMatch = self._resolve(request.path_info)
        except Resolver404 as error:
            return self._errors(request, error)
        request.resolver_match = match
        try:
            return await match.func(request, *match.args, **match.kwargs)
        except Exception as error:  # the outermost view: nothing may escape it
            logger.exception("request %s failed", request.request_id)
            return self._errors(request, error)

    def _resolve(self, path: str) -> ResolverMatch:
        short = len(path) <= LONGEST_RESOLVED
        return (self._resolve_known if short else self._resolve_any)(path)

    async def _send(
        self, request: ASGIRequest, response: HttpResponseBase, send: Send
    ) -> None:
        response["x-request-id"] = request.request_id
        self._decorate(request, response)
        if isinstance(response, StreamResponse):
            await _send_stream(response, send)
            return
        assert isinstance(response, HttpResponse)  # noqa: S101
        content = b"" if request.method == "HEAD" else response.content
        if response.status_code != HTTPStatus.NO_CONTENT:
            response["Content-Length"] = str(len(response.content))
        await send(_head(response))
        await send({"type": "http.response.body", "body": content})


class Watch:
    """Cancels the task that made it when the client goes away."""

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._owner = asyncio.current_task()
        self._task = asyncio.ensure_future(self._wait(receive))

    async def _wait(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._owner is not None:
            self._owner.cancel()

    def forgive(self) -> None:
        """Take the cancellation back: the owner ends in good order."""
        if self._owner is not None:
            self._owner.uncancel()

    def stop(self) -> None:
        self._owner = None
        self._task.cancel()


class Pulse:
    """Sends keep-alive bytes whenever nothing else was sent for a while."""

    def __init__(self, send: Send, beat: bytes, interval: float) -> None:
        self._send = send
        self._message = {"type": "http.response.body", "body": beat, "more_body": True}
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._last = clock.monotonic()
        self._busy = False
        self._sending: asyncio.Future[None] | None = None
        self._timer = self._later(interval) if beat and interval else None

    async def send(self, message: Message) -> None:
        """Send what is no keep-alive; meanwhile none is due."""
        self._busy = True
        await self._send(message)
        self._busy = False
        self._last = clock.monotonic()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._sending:
            self._sending.cancel()

    def _later(self, seconds: float) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, self._beat)

    def _beat(self) -> None:
        idle = clock.monotonic() - self._last
        if idle >= self._interval:
            # A client that does not read needs no further keep-alive.
            waits = self._sending is not None and not self._sending.done()
            if not self._busy and not waits:
                self._sending = asyncio.ensure_future(self._send(self._message))
            self._last += idle
            idle = 0.0
        self._timer = self._later(self._interval - idle)


async def _send_stream(response: StreamResponse, send: Send) -> None:
    pulse = Pulse(send, response.keep_alive, response.interval)
    body = "http.response.body"
    try:
        await pulse.send(_head(response))
        async for chunk in response.source:
            await pulse.send({"type": body, "body": chunk, "more_body": True})
        pulse.stop()
        await send({"type": body, "body": b""})
    finally:
        pulse.stop()
        await response.source.aclose()
        if response.release is not None:
            await response.release()


def _head(response: HttpResponseBase) -> Message:
    headers = [
        (name.encode("ascii"), value.encode("latin-1"))
        for name, value in response.items()
    ]
    return {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": headers,
    }


def _readable(scope: Message) -> Message:
    """Return the scope with a query string that Django can decode."""
    query = scope["query_string"]
    try:
        query.decode()
    except UnicodeDecodeError:
        return {**scope, "query_string": query.decode("latin-1").encode()}
    return scope
