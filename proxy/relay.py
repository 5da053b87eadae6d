"""Requests in xAI's own dialect: whose key they go on, and calls on a caller's own.

On a key of the pool such a request takes the gateway's story like any other; on the
caller's own key there is nobody to choose and nothing to learn, so it is told here.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from proxy import limits
from proxy.calls import Call, Event
from proxy.catalog import Catalog, RoutePlan, TargetPlan
from proxy.errors import (
    AccountRefused,
    Busy,
    Fault,
    Forbidden,
    NotFound,
    StreamCut,
    Unauthenticated,
    UpstreamFault,
)
from proxy.gateway import Batches, Gateway, timeouts
from proxy.trips import Trip
from proxy.upstreams.base import AccountConfig, Order
from proxy.wire.causes import cause_of
from proxy.wire.model_lists import ModelInfo
from proxy.wire.xai_relay import NO_MODEL

KIND = "xai"
KEY_REFUSED = "xai_key_refused"


def plan_of(model: str, catalog: Catalog) -> RoutePlan:
    """Return the way of a relay: the model as it was named, on a key of xAI's.

    Models that no route names are counted together: callers may make names up.
    """
    model = model or NO_MODEL
    target = TargetPlan(kind=KIND, upstream_model=_counted_as(model, catalog))
    return RoutePlan(
        name=model,
        category="text",
        targets=(target,),
        info=ModelInfo(
            name=model,
            display_name=model,
            description="",
            created=0,
            input_limit=0,
            output_limit=0,
            methods=(),
            thinking=False,
            category="text",
        ),
    )


def _counted_as(model: str, catalog: Catalog) -> str:
    """Return the model of xAI's that a name stands for, an alias of ours included."""
    if catalog.has_target(KIND, model):
        return model
    try:
        targets = catalog.resolve(model).targets
    except NotFound:
        return NO_MODEL
    return next((t.upstream_model for t in targets if t.kind == KIND), NO_MODEL)


def own_account(key: str) -> AccountConfig:
    """Return what an adapter needs to use a caller's own key."""
    return AccountConfig(id=0, kind=KIND, secret=key)


async def answer(gateway: Gateway, call: Call, account: AccountConfig) -> Event:
    """Return the whole answer to a call on the caller's own key."""
    found = [event async for batch in _told(gateway, call, account) for event in batch]
    return found[0]


async def stream(gateway: Gateway, call: Call, account: AccountConfig) -> Batches:
    """Yield the chunks of a call on the caller's own key as they come."""
    async with aclosing(_told(gateway, call, account)) as batches:
        async for batch in batches:
            yield batch


async def _told(gateway: Gateway, call: Call, account: AccountConfig) -> Batches:
    """Admit, ask, and settle: the last chunks wait for the usage row."""
    trip = Trip(call)
    trip.route = call.route
    last: list[Event] = []
    try:
        if not gateway.ledger.healthy:
            raise Busy("The usage log cannot be written; requests wait for it.")
        await limits.admit(call, call.route.name)
        async with aclosing(_asked(gateway, trip, account)) as batches:
            async for batch in batches:
                if last:
                    yield last
                    last = []
                trip.see(batch)
                seen = batch
                if gateway.pictures.concerns(batch):
                    seen = await gateway.pictures.develop(trip, batch)
                if trip.progress.complete:
                    last = seen
                else:
                    yield seen
        if call.stream and trip.progress.has_content and not trip.progress.complete:
            raise StreamCut
    except AccountRefused as fault:
        refusal = _of_caller(fault)
        trip.conclude(refusal)
        raise refusal from fault
    except BaseException as error:
        trip.conclude(error)
        raise
    finally:
        await gateway.settle(trip)
    if last:
        yield last


async def _asked(gateway: Gateway, trip: Trip, account: AccountConfig) -> Batches:
    adapter = gateway.pool.adapter(KIND)
    call = trip.call
    order = Order(
        method=call.method,
        model=call.route.name,
        body=call.body,
        timeouts=timeouts(trip.remaining(), call.stream),
    )
    if not call.stream:
        yield [await adapter.answer(account, order)]
        return
    source: AsyncIterator[list[Event]] = adapter.stream(account, order)
    try:
        async with aclosing(source) as batches:
            async for batch in batches:
                yield batch
    except UpstreamFault:
        if not trip.progress.complete:
            raise


def _of_caller(fault: AccountRefused) -> Fault:
    """Return what a refused key is when it is the caller's own."""
    said = f"xAI refused the key you brought. {cause_of(fault.cause).meaning}."
    if fault.cause == KEY_REFUSED:
        return Unauthenticated(said, param="x-xai-api-key")
    return Forbidden(said, code=fault.code, param="x-xai-api-key")
