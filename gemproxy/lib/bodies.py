"""Bodies of requests: read under bounds of size, speed and sender."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from gemproxy.lib import clock

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

DRAIN_SECONDS = 10.0
#: How long a body may pause, and how fast it must come after a first grace.
BODY_PAUSE_SECONDS = 30.0
BODY_GRACE_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 4 * 1024
#: What is kept of a body before its sender is asked for.
UNASKED_BYTES = 128 * 1024


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class BodyTooLarge(Exception):
    """The body is over the bound."""


class BodyMismatch(Exception):
    """The body is not as long as its Content-Length says."""


class NoRoom(Exception):
    """Too many body bytes are in flight already."""


class BodyTooSlow(Exception):
    """The body comes so slowly that its sender seems to be gone."""


class Stranger(Exception):
    """A large body from somebody who may not call."""


REFUSALS = (BodyTooLarge, BodyMismatch, NoRoom, BodyTooSlow, Stranger)


class Bodies:
    """How many body bytes this process holds, against its bound."""

    def __init__(self, each: int, together: int) -> None:
        self.each = each
        self.together = together
        self.held = 0

    def take(self, size: int) -> None:
        if self.held + size > self.together:
            raise NoRoom
        self.held += size

    def give_back(self, size: int) -> None:
        self.held -= size


class Body:
    """One request's body, read under the bounds."""

    def __init__(
        self,
        bodies: Bodies,
        scope: Message,
        receive: Receive,
        is_known: Callable[[Message], Awaitable[bool]] | None = None,
    ) -> None:
        self._bodies = bodies
        self._scope = scope
        self._receive = receive
        self._is_known = is_known
        self._taken = 0
        self._declared = _content_length(scope["headers"])

    async def read(self) -> bytes:
        """Return the body; raise what refuses it, or ClientGone."""
        if self._declared is not None and self._declared > self._bodies.each:
            await self._drain()
            raise BodyTooLarge
        await self._ask_who(self._declared or 0)
        began = clock.monotonic()
        first = await self._in_time(began)
        if not first.get("more_body"):
            content = first.get("body", b"")
            self._take(len(content))
        else:
            content = await self._read_rest(first, began)
        if self._declared is not None and len(content) != self._declared:
            raise BodyMismatch
        return content

    def hold(self, size: int) -> None:
        """Count bytes that were fetched for the request with those it brought.

        Raises NoRoom.
        """
        self._bodies.take(size)
        self._taken += size

    def release(self) -> None:
        self._bodies.give_back(self._taken)
        self._taken = 0

    async def _read_rest(self, message: Message, began: float) -> bytes:
        parts = []
        while True:
            part = message.get("body", b"")
            try:
                self._take(len(part))
            except BodyTooLarge:
                if message.get("more_body"):
                    await self._drain()
                raise
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
            await self._ask_who(self._taken)
            message = await self._in_time(began)

    async def _ask_who(self, size: int) -> None:
        """Hold large bodies only of senders who may call."""
        if self._is_known is None or size <= UNASKED_BYTES:
            return
        is_known, self._is_known = self._is_known, None
        if not await is_known(self._scope):
            self.release()
            await self._drain()
            raise Stranger

    async def _in_time(self, began: float) -> Message:
        """Return the next piece; raise BodyTooSlow if it keeps us waiting."""
        allowed = BODY_GRACE_SECONDS + self._taken / LEAST_BYTES_PER_SECOND
        left = began + allowed - clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(left, BODY_PAUSE_SECONDS))):
                return await self._next()
        except TimeoutError:
            raise BodyTooSlow from None

    def _take(self, size: int) -> None:
        if self._taken + size > self._bodies.each:
            raise BodyTooLarge
        self._bodies.take(size)
        self._taken += size

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message

    async def _drain(self) -> None:
        """Read and forget the rest, since many clients write all before they read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while (await self._next()).get("more_body"):
                    pass


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
