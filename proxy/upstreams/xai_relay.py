"""Streams of xAI's passed on byte by byte, read on the way."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from proxy.calls import Event
from proxy.errors import BadAnswer, Fault
from proxy.upstreams.http import foreign_faults
from proxy.wire.gemini_answer import Json
from proxy.wire.sse import EventTooLarge, SSEDecoder
from proxy.wire.xai_errors import read_error_object
from proxy.wire.xai_relay import done_view, view_of

_DONE = b"[DONE]"
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


async def relayed_events(response: httpx.Response) -> AsyncIterator[list[Event]]:
    """Yield the events that each read completed: their bytes, and what they mean.

    Between two yields no event is cut, so that signs of life may be put there. Closing
    the iterator aborts the connection. Raises faults, also for an error in the middle
    of the stream, which is not passed on itself.
    """
    body: Any = response.stream
    try:
        decoder, cutter, chunks = SSEDecoder(), Cutter(), aiter(body)
        chunk = b"-"
        while chunk:
            with foreign_faults(in_body=True):
                chunk = await anext(chunks, b"")
            done = cutter.feed(chunk) if chunk else cutter.rest()
            events, fault = _read(decoder, done)
            if events:
                yield events
            if fault:
                raise fault
    finally:
        await body.aclose()


class Cutter:
    """Cuts bytes where events end, without changing any."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Take a read; return the bytes up to the end of the last whole event."""
        # An end may have begun in the read before.
        start = max(0, len(self._held) - 3)
        self._held += chunk
        found = ((self._held.rfind(end, start), len(end)) for end in _ENDS)
        cut = max((place + size for place, size in found if place >= 0), default=0)
        done = bytes(self._held[:cut])
        del self._held[:cut]
        return done

    def rest(self) -> bytes:
        """Return what no end has followed."""
        done = bytes(self._held)
        self._held.clear()
        return done


def _read(decoder: SSEDecoder, done: bytes) -> tuple[list[Event], Fault | None]:
    """Read whole events up to the first that is an error; return that apart."""
    events: list[Event] = []
    for block in filter(None, _EVENT.findall(done)):
        try:
            payloads = decoder.feed(block)
            if not block.endswith(_ENDS):
                # Nothing can follow the last one.
                payloads += decoder.flush()
            views = [_view(payload) for payload in payloads] or [{}]
        except EventTooLarge:
            return events, BadAnswer("The stream holds an event without end.")
        except Fault as fault:
            return events, fault
        events.append(Event(block, views[0]))
        events += [Event(b"", view) for view in views[1:]]
    return events, None


def _view(payload: bytes) -> Json:
    if payload == _DONE:
        return done_view()
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(data, dict):
        return {}
    # A response's own field ``error`` is null, and what failed tells it in words.
    if data.get("error") and "type" not in data:
        raise read_error_object(data)
    return view_of(data)
