"""Several answers to one request (n > 1).

Models that make several candidates do so in one call. Those that refuse are asked
several times at once; each asking is a call of its own with its own usage row. Pictures
are always asked for so: each may come from another account.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from proxy import limits
from proxy.calls import Call, Event
from proxy.errors import Fault, UpstreamRefused
from proxy.gateway import Batches, Gateway
from proxy.tasks import gather, stop_all
from proxy.wire.gemini import merge_candidates
from proxy.wire.gemini_answer import sum_metadata

REFUSAL = "multiple candidates"
WAITING = 64


async def answer_copies(gateway: Gateway, call: Call) -> dict[str, Any]:
    """Return one answer with ``call.copies`` candidates."""
    if call.copies == 1:
        return (await gateway.answer(call)).data
    try:
        return (await gateway.answer(_together(call))).data
    except UpstreamRefused as fault:
        if not _refuses_copies(fault):
            raise
    async with limits.place(call):
        answers = await gather(*(gateway.answer(one) for one in _apart(call)))
    return merge_candidates([event.data for event in answers])


async def stream_copies(gateway: Gateway, call: Call) -> Batches:
    """Yield the chunks of ``call.copies`` candidates, each under its index."""
    one = call if call.copies == 1 else _together(call)
    try:
        async with aclosing(gateway.stream(one)) as batches:
            async for batch in batches:
                yield batch
        return
    except UpstreamRefused as fault:
        if call.copies == 1 or not _refuses_copies(fault):
            raise
    parts = _interleave(gateway, _apart(call))
    async with limits.place(call), aclosing(parts) as batches:
        async for batch in batches:
            yield batch


async def answer_apart(gateway: Gateway, call: Call) -> tuple[list[Event], list[Fault]]:
    """Ask ``call.copies`` times at once; return the answers, and why others failed.

    The request is admitted once, for all of them. Raises the fault that refuses it, or
    that ended its only call; several faults are returned even if nothing was answered.
    """
    if call.copies == 1:
        return [await gateway.answer(call)], []
    async with _admitted(gateway, call):
        found = await gather(*(_outcome(gateway, one) for one in _apart(call)))
    answers = [one for one in found if isinstance(one, Event)]
    return answers, [one for one in found if isinstance(one, Fault)]


@asynccontextmanager
async def _admitted(gateway: Gateway, call: Call) -> AsyncIterator[None]:
    """Let a request in whose parts are calls of their own; note it if it is refused."""
    try:
        try:
            await limits.admit(call, gateway.catalog.resolve(call.model).name)
        except Fault as fault:
            await gateway.refuse(call, fault)
            raise
        yield
    finally:
        await limits.leave(call)


async def _outcome(gateway: Gateway, call: Call) -> Event | Fault:
    try:
        return await gateway.answer(call)
    except Fault as fault:
        return fault


async def _interleave(
    gateway: Gateway, calls: list[Call]
) -> AsyncIterator[list[Event]]:
    """Run the calls side by side; the first fault ends them all."""
    queue: asyncio.Queue[list[Event] | Exception | None] = asyncio.Queue(WAITING)
    spent: dict[int, dict[str, Any]] = {}
    tasks = [
        asyncio.ensure_future(_pump(gateway, one, index, queue, spent))
        for index, one in enumerate(calls)
    ]
    running = len(tasks)
    try:
        while running:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        await stop_all(tasks)


async def _pump(
    gateway: Gateway,
    call: Call,
    index: int,
    queue: asyncio.Queue[list[Event] | Exception | None],
    spent: dict[int, dict[str, Any]],
) -> None:
    end: Exception | None = None
    try:
        async with aclosing(gateway.stream(call)) as batches:
            async for batch in batches:
                await queue.put([_at_index(event, index, spent) for event in batch])
    except Exception as error:  # noqa: BLE001  (raised again by the reader)
        end = error
    await queue.put(end)


def _at_index(event: Event, index: int, spent: dict[int, dict[str, Any]]) -> Event:
    """Return a chunk as one of the joint answer, whose usage counts all copies.

    ``spent`` keeps the last usage of each copy.
    """
    candidates = event.data.get("candidates") or []
    data = {**event.data, "candidates": [{**c, "index": index} for c in candidates]}
    if event.data.get("usageMetadata"):
        spent[index] = event.data["usageMetadata"]
        data["usageMetadata"] = sum_metadata(spent.values())
    return Event(event.raw, data)


def _together(call: Call) -> Call:
    config = {**call.body.get("generationConfig", {}), "candidateCount": call.copies}
    return replace(call, body={**call.body, "generationConfig": config})


def _apart(call: Call) -> list[Call]:
    config = dict(call.body.get("generationConfig", {}))
    config.pop("candidateCount", None)
    body = {**call.body, "generationConfig": config}
    return [
        replace(
            call,
            body=body,
            copies=1,
            is_part=True,
            request_id=f"{call.request_id}-{number}",
        )
        for number in range(1, call.copies + 1)
    ]


def _refuses_copies(fault: UpstreamRefused) -> bool:
    return REFUSAL in fault.message.lower()
