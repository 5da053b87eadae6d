"""How answers leave the sandbox: whole, as events or one array, piece by piece."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from proxy.sandbox.behaviours import Behaviour
from proxy.sandbox.exchange import JSON_TYPE, Exchange, compact, pretty
from proxy.sandbox.shaping import Break, Chunk

EVENTS_TYPE = "text/event-stream"
EVER = 3600.0
#: Long enough that a reader mostly gets the pieces one by one.
_BETWEEN_BYTES = 0.001
_DRIP_BYTES = 8
_DRIP_SECONDS = 0.02


class Form:
    """How a stream looks on the wire: as events, or as one JSON array."""

    def __init__(self, content_type: str, opening: str, closing: str) -> None:
        self.content_type = content_type
        self.opening = opening
        self.closing = closing

    def event(self, chunk: dict[str, Any] | str, *, first: bool) -> str:
        """One chunk; text stands as it is where a chunk should be."""
        if not self.opening:
            text = chunk if isinstance(chunk, str) else compact(chunk)
            return f"data: {text}\r\n\r\n"
        text = chunk if isinstance(chunk, str) else pretty(chunk).rstrip("\n")
        return ("" if first else "\n,\r\n") + text


SSE = Form(EVENTS_TYPE, "", "")
ARRAY = Form(JSON_TYPE, "[", "\n]")


def form_of(exchange: Exchange) -> Form:
    """The form of stream that a request asks for."""
    return SSE if exchange.query.get("alt") == "sse" else ARRAY


async def send_stream(
    exchange: Exchange, chunks: Iterator[Chunk], behaviour: Behaviour, pace: float
) -> None:
    """Send a stream, ``pace`` seconds between two chunks, to its end or its break."""
    form = form_of(exchange)
    await exchange.start(200, form.content_type)
    await exchange.write(form.opening)
    for index, chunk in enumerate(chunks):
        if chunk is Break.STALL:
            await asyncio.sleep(EVER)
        if isinstance(chunk, Break):
            return
        await asyncio.sleep(pace if index else 0)
        await _write(exchange, form.event(chunk, first=index == 0), behaviour)
    await exchange.write(form.closing)
    await exchange.end()


async def send_whole(
    exchange: Exchange, response: dict[str, Any] | str | Break, behaviour: Behaviour
) -> None:
    """Send a unary response, or the part of it that gets out."""
    if isinstance(response, Break):
        await asyncio.sleep(EVER)
        return
    text = response if isinstance(response, str) else pretty(response)
    data = text.encode()
    await exchange.start(200, JSON_TYPE, len(data))
    if behaviour.name == "cut":
        await exchange.write(data[: len(data) // 2])
        return
    await _write(exchange, text, behaviour)
    await exchange.end()


async def _write(exchange: Exchange, text: str, behaviour: Behaviour) -> None:
    async for piece in _pieces(text, behaviour):
        await exchange.write(piece)


async def _pieces(text: str, behaviour: Behaviour) -> AsyncIterator[bytes]:
    """The pieces in which a text is sent, at the pace at which they go."""
    data = text.encode()
    if behaviour.name == "split":
        for piece in between_bytes(text):
            yield piece
            await asyncio.sleep(_BETWEEN_BYTES)
    elif behaviour.name == "drip":
        for start in range(0, len(data), _DRIP_BYTES):
            yield data[start : start + _DRIP_BYTES]
            await asyncio.sleep(behaviour.seconds(_DRIP_SECONDS))
    else:
        yield data


def between_bytes(text: str) -> Iterator[bytes]:
    """Cut a text's UTF-8 between all bytes of each character that has several."""
    plain = bytearray()
    for letter in text:
        data = letter.encode()
        if len(data) == 1:
            plain += data
            continue
        # The first byte goes with what stands before it.
        yield bytes(plain) + data[:1]
        yield from (data[place : place + 1] for place in range(1, len(data) - 1))
        plain = bytearray(data[-1:])
    if plain:
        yield bytes(plain)
