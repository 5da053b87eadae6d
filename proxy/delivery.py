"""How pictures get to callers, also to those who went away and ask again.

A surface wraps what it asks of the gateway, whole or streamed::

    data, kept = await delivery.whole(gateway, call, lambda: answer_copies(gateway, call))
    batches, kept = delivery.stream(gateway, call, lambda: stream_copies(gateway, call))

For calls of picture models the work then outlives a caller who leaves in its middle,
and the next equal request of the same caller gets what it brought (``kept``), without
another call to an account. All other calls pass as they are.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import orjson
from django.conf import settings

from proxy.calls import Audience, Call
from proxy.errors import NotFound
from proxy.gateway import Gateway
from proxy.trips import Trip

T = TypeVar("T")
Source = AsyncGenerator[T, None]
KEPT_HEADER = "x-gemproxy-kept"


async def whole(
    gateway: Gateway, call: Call, work: Callable[[], Awaitable[T]], also: str = ""
) -> tuple[T, bool]:
    """Return what the work for a call brings, and whether an earlier request paid.

    ``also`` holds what else makes requests equal: what is not in the call's model
    and body, such as the format of its pictures. Raises the fault of the work.
    """
    if not _outlives(gateway, call):
        return await work(), False
    items, kept = _delivered(gateway, call, lambda: _only(work), also)
    async with aclosing(items):
        (found,) = [item async for item in items]
    return found, kept


def stream(
    gateway: Gateway, call: Call, source: Callable[[], Source[T]], also: str = ""
) -> tuple[Source[T], bool]:
    """Return a stream of what the source of a call yields; the rest is as in ``whole``.

    Whoever stops reading closes the stream.
    """
    if not _outlives(gateway, call):
        return source(), False
    return _delivered(gateway, call, source, also)


def _delivered(
    gateway: Gateway, call: Call, source: Callable[[], Source[T]], also: str
) -> tuple[Source[T], bool]:
    shelf, key = gateway.shelf, _key(call, also)
    kept = shelf.take(key)
    if kept is not None:
        return _noted(gateway, call, shelf.read(key, kept)), True
    call.audience = Audience()
    return _begun(gateway, call.audience, key, source), False


async def _begun(
    gateway: Gateway, audience: Audience, key: str, source: Callable[[], Source[T]]
) -> Source[T]:
    """Start the work as soon as somebody reads."""
    run = gateway.shelf.start(source(), audience)
    async with aclosing(gateway.shelf.read(key, run)) as items:
        async for item in items:
            yield item


async def _noted(gateway: Gateway, call: Call, kept: Source[T]) -> Source[T]:
    """Yield what an earlier request left; the last of it waits for the usage row.

    Nobody is asked, so the row counts neither tokens nor pictures.
    """
    trip = Trip(call)
    last: list[T] = []
    try:
        async with aclosing(kept) as items:
            async for item in items:
                if last:
                    yield last.pop()
                last.append(item)
    except BaseException as error:
        trip.conclude(error)
        raise
    finally:
        await gateway.settle(trip)
    for item in last:
        yield item


async def _only(work: Callable[[], Awaitable[T]]) -> Source[T]:
    yield await work()


def _outlives(gateway: Gateway, call: Call) -> bool:
    """Tell whether a call draws, so that its answer is slow and costs much."""
    if call.method != "generateContent" or not settings.IMAGE_KEEP_SECONDS:
        return False
    try:
        route = call.route or gateway.catalog.resolve(call.model)
    except NotFound:
        return False
    return bool(route.category == "image")


def _key(call: Call, also: str) -> str:
    """Return what equal requests of one caller share."""
    sort = orjson.OPT_SORT_KEYS
    told = [
        call.caller.key,
        call.surface,
        call.model,
        call.stream,
        call.copies,
        also,
        call.body,
    ]
    return hashlib.sha256(orjson.dumps(told, option=sort)).hexdigest()
