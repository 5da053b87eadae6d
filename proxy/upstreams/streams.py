"""Parts that adapters of JSON over HTTP share: limits, whole answers, event streams."""

import functools
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson

from proxy.errors import BadAnswer
from proxy.upstreams.base import Timeouts
from proxy.upstreams.http import foreign_faults
from proxy.wire.sse import EventTooLarge, SSEDecoder

_DONE = b"[DONE]"


@functools.lru_cache(maxsize=256)
def extensions(timeouts: Timeouts) -> dict[str, Any]:
    """Return what a request tells the transport of its time limits."""
    return {
        "timeout": {
            "connect": timeouts.connect,
            "read": timeouts.idle,
            "write": timeouts.idle,
            "pool": timeouts.connect,
        },
        "first_byte": timeouts.first_byte,
        "total": timeouts.total,
    }


def parsed(raw: bytes) -> dict[str, Any]:
    """Return a JSON object; raise BadAnswer for anything else.

    An array of one object is that object: so errors come in some streams.
    """
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's answer was not JSON.") from None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        raise BadAnswer("The provider's answer was not a JSON object.")
    return data


async def payloads(response: httpx.Response) -> AsyncGenerator[list[bytes], None]:
    """Yield the payloads of an event stream, those that one read completed together.

    A stream that was none, but bare JSON, is yielded as one payload. Closing the
    iterator aborts the connection. Raises faults.
    """
    body: Any = response.stream
    try:
        check_type(response)
        decoder, chunks = SSEDecoder(), aiter(body)
        chunk, seen = b"-", False
        while chunk:
            with foreign_faults(in_body=True):
                chunk = await anext(chunks, b"")
            found = decoded(decoder, chunk)
            if found:
                seen = True
                yield found
        if decoder.stray and not seen:
            yield [decoder.stray]
    finally:
        await body.aclose()


def decoded(decoder: SSEDecoder, chunk: bytes) -> list[bytes]:
    """Return the payloads that a read completed; an empty read is the end.

    Compatible servers close their streams with a payload of their own, which is left
    out. Raises BadAnswer.
    """
    try:
        found = decoder.feed(chunk) if chunk else decoder.flush()
    except EventTooLarge:
        raise BadAnswer("The provider's stream holds an event without end.") from None
    return [payload for payload in found if payload != _DONE]


def check_type(response: httpx.Response) -> None:
    """Raise BadAnswer for a web page."""
    if response.headers.get("content-type", "").startswith("text/html"):
        raise BadAnswer("The provider answered with a web page.")
