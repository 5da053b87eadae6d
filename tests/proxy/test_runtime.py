"""What a server process runs beside its requests: started once, stopped once."""

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from proxy.catalog import Catalog
from proxy.runtime import Runtime

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each load of the catalog shall raise, if anything; then how often."""
    plan: list[Any] = []
    real = Catalog.load

    def load(self: Catalog, key: str = "") -> None:
        if plan:
            raise plan.pop(0)
        real(self, key)

    monkeypatch.setattr(Catalog, "load", load)
    return plan


async def test_starting_twice_starts_once() -> None:
    runtime = Runtime()
    await asyncio.gather(runtime.start(), runtime.start())
    gateway = runtime.gateway
    await runtime.start()
    assert runtime.started
    assert runtime.gateway is gateway
    await runtime.stop()
    assert not runtime.started


async def test_it_can_start_again_after_it_stopped() -> None:
    runtime = Runtime()
    await runtime.start()
    first = runtime.gateway
    await runtime.stop()
    await runtime.stop()
    await runtime.start()
    assert runtime.gateway is not first
    await runtime.stop()


async def test_one_who_leaves_does_not_stop_the_start() -> None:
    runtime = Runtime()
    leaving = asyncio.ensure_future(runtime.start())
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await runtime.start()
    assert runtime.started
    await runtime.stop()


async def test_a_database_that_comes_up_later_is_waited_for(loads: list[Any]) -> None:
    # Once: the second start starts the same feed thread again: RuntimeError for every
    # request until the process is restarted; its subscribers are doubled too.
    runtime = Runtime()
    loads.append(OperationalError("not yet"))
    with pytest.raises(OperationalError):
        await runtime.start()
    assert not runtime.started
    try:
        await runtime.start()
        assert runtime.started
    finally:
        runtime.started = True
        await runtime.stop()


async def test_work_that_settles_is_waited_for_at_the_stop() -> None:
    runtime = Runtime()
    await runtime.start()
    done = []

    async def settle() -> None:
        await asyncio.sleep(0.05)
        done.append(True)

    runtime.gateway.tasks.spawn(settle())
    await runtime.stop()
    assert done == [True]
