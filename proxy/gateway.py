"""The story of one request.

``answer`` tells it for whole answers and ``stream`` for streams; both admit the
caller, resolve the model, try accounts until one answers, and settle: the usage row
is durable before the last byte leaves, also when the client has gone away.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from django.conf import settings

from proxy import limits
from proxy.calls import Call, Event
from proxy.catalog import Catalog
from proxy.dispatch import Dispatch
from proxy.errors import BadAnswer, Busy, Fault, StreamCut, UpstreamFault
from proxy.ledger import Ledger
from proxy.pictures import Pictures
from proxy.scheduling.guard import Listener
from proxy.scheduling.pool import Lease, Pool
from proxy.shelf import Shelf
from proxy.tasks import Tasks
from proxy.trips import EMPTY, Trip
from proxy.upstreams.base import Order, Timeouts
from proxy.wire.image_orders import fitted
from proxy.wire.repeated_finish import RepeatedFinish

logger = logging.getLogger(__name__)

Batches = AsyncIterator[list[Event]]


class Gateway:
    """Takes calls to upstream accounts and brings their answers back."""

    def __init__(
        self,
        catalog: Catalog,
        pool: Pool,
        ledger: Ledger,
        listener: Listener | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.catalog = catalog
        self.pool = pool
        self.ledger = ledger
        self.tasks = Tasks()
        self.shelf = Shelf(self.tasks)
        self.dispatch = Dispatch(pool, listener)
        self.pictures = pictures or Pictures()

    async def answer(self, call: Call) -> Event:
        """Return the whole answer of a call; raise the fault that ended it."""
        trip = Trip(call)
        try:
            await self._admit(trip)
            return await self._try_whole(trip)
        except BaseException as error:
            trip.conclude(error)
            raise
        finally:
            await self.settle(trip)

    async def stream(self, call: Call) -> Batches:
        """Yield the chunks of a call as they come, those that came together at once.

        Nothing is yielded before there is content to show: until then another
        account may take over. Afterwards a fault is raised as it is. The chunks
        that finish the answer are held until the usage row is durable.
        """
        trip = Trip(call)
        last: list[Event] = []
        try:
            await self._admit(trip)
            async with aclosing(self._try_stream(trip)) as batches:
                async for batch in batches:
                    if last:
                        yield last
                        last = []
                    if trip.progress.complete:
                        last = batch
                    else:
                        yield batch
        except BaseException as error:
            trip.conclude(error)
            raise
        finally:
            await self.settle(trip)
        if last:
            yield last

    async def refuse(self, call: Call, fault: Fault) -> None:
        """Note a call of a known caller that was refused before it came here."""
        trip = Trip(call)
        trip.fail(fault)
        await self.settle(trip)

    async def _admit(self, trip: Trip) -> None:
        if not self.ledger.healthy:
            raise Busy("The usage log cannot be written; requests wait for it.")
        trip.route = trip.call.route or self.catalog.resolve(trip.call.model)
        await limits.admit(trip.call, trip.route.name)
        await self.dispatch.enter(trip)

    async def settle(self, trip: Trip) -> None:
        """Give back what was taken and write the row, come what may."""
        work = self.tasks.spawn(self._close(trip))
        await asyncio.shield(work)

    async def _close(self, trip: Trip) -> None:
        self.dispatch.left(trip)
        trip.close()
        try:
            await limits.leave(trip.call)
        finally:
            await self.ledger.record(trip.record())
            log(trip)

    async def _try_whole(self, trip: Trip) -> Event:
        while True:
            lease = await self.dispatch.next(trip)
            try:
                event = await lease.adapter.answer(lease.account, self._order(trip))
                trip.see([event])
                self._judge(trip)
            except UpstreamFault as fault:
                self.dispatch.failed(trip, lease, fault)
                continue
            self.dispatch.shown(trip, lease)
            self.dispatch.answered(trip, lease)
            if self.pictures.concerns([event]):
                (event,) = await self.pictures.develop(trip, [event])
            return event

    async def _try_stream(self, trip: Trip) -> Batches:
        while True:
            lease = await self.dispatch.next(trip)
            try:
                async with aclosing(self._attempt(trip, lease)) as batches:
                    async for batch in batches:
                        if not trip.content_sent:
                            trip.content_sent = True
                            self.dispatch.shown(trip, lease)
                        yield batch
            except UpstreamFault as fault:
                self.dispatch.failed(trip, lease, fault)
                continue
            self.dispatch.answered(trip, lease)
            return

    async def _attempt(self, trip: Trip, lease: Lease) -> Batches:
        """Yield one account's chunks, from the first that shows something on."""
        held: list[Event] = []
        shown = False
        source = lease.adapter.stream(lease.account, self._order(trip))
        async with aclosing(source), aclosing(_to_finish(trip, source)) as batches:
            async for batch in batches:
                trip.see(batch)
                seen = batch
                if self.pictures.concerns(batch):
                    seen = await self.pictures.develop(trip, batch)
                if shown:
                    yield seen
                    continue
                held += seen
                if self._shows(trip):
                    shown = True
                    yield held
        if not shown:
            self._judge(trip)
            yield held
        elif not trip.progress.complete:
            raise StreamCut

    def _shows(self, trip: Trip) -> bool:
        verdict = trip.progress.verdict()
        return verdict in ("content", "blocked") or trip.progress.has_thoughts

    def _judge(self, trip: Trip) -> None:
        """Raise BadAnswer for an answer that answers nothing."""
        if trip.call.method != "generateContent":
            return
        verdict = trip.progress.verdict(ended=True)
        if verdict in ("content", "blocked"):
            return
        asked_again = trip.empty_answers() > 0
        if trip.call.keep_empty and verdict == "malformed" and asked_again:
            return
        if verdict == "empty" and trip.progress.finishes:
            raise StreamCut
        raise BadAnswer(
            "The provider's answer was empty."
            if verdict == "empty"
            else f"The provider ended with {trip.progress.finish} and no content.",
            code=EMPTY,
            # A named reason is the prompt's doing more often than the account's.
            cause=None if verdict == "empty" else "unusable_finish",
        )

    def _order(self, trip: Trip) -> Order:
        assert trip.lease is not None  # noqa: S101
        target = trip.lease.target
        body: Mapping[str, Any] = trip.body
        if trip.call.method == "generateContent":
            body = fitted(body, target.upstream_model, target.image_size)
        return Order(
            method=trip.call.method,
            model=target.upstream_model,
            body=body,
            timeouts=timeouts(trip.remaining(), trip.call.stream),
            emulates=target.emulates,
        )


async def _to_finish(trip: Trip, source: Batches) -> Batches:
    """Yield chunks; what goes wrong after the answer is complete harms nobody."""
    repeated = RepeatedFinish()
    try:
        async for batch in source:
            yield [repeated.without(event) for event in batch]
    except UpstreamFault as fault:
        if not trip.progress.complete:
            raise
        logger.info("after a complete answer: %s", fault.code)


def log(trip: Trip) -> None:
    """Write the one line a request leaves in the log."""
    call, lease = trip.call, trip.lease
    logger.info(
        "%s %s %s %s status=%d cause=%s account=%s attempts=%d ms=%d",
        call.request_id,
        call.surface,
        call.caller.key,
        call.model[:120],
        trip.status,
        trip.fault.code if trip.fault else trip.outcome,
        lease.account.id if lease else "-",
        len(trip.attempts),
        round(trip.elapsed * 1000),
    )


def timeouts(remaining: float | None, streamed: bool) -> Timeouts:
    total = settings.UPSTREAM_TOTAL_SECONDS
    if remaining is not None:
        total = min(total, max(remaining, 0.001))
    # A whole answer sends its first byte only when all of it is there.
    first_byte = settings.UPSTREAM_FIRST_BYTE_SECONDS if streamed else total
    return Timeouts(
        connect=min(settings.UPSTREAM_CONNECT_SECONDS, total),
        first_byte=min(first_byte, total),
        idle=min(settings.UPSTREAM_IDLE_SECONDS, total),
        total=total,
    )
