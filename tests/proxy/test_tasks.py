"""Background work that shutdown waits for, and work side by side."""

import asyncio
import time
from typing import Any

import pytest

from proxy.tasks import Tasks, gather


async def value(found: Any, seconds: float = 0.0) -> Any:
    await asyncio.sleep(seconds)
    if isinstance(found, Exception):
        raise found
    return found


async def test_spawned_work_outlives_who_started_it() -> None:
    tasks, done = Tasks(), []

    async def work() -> None:
        await asyncio.sleep(0.02)
        done.append(True)

    async def start() -> None:
        await asyncio.shield(tasks.spawn(work()))

    starter = asyncio.ensure_future(start())
    await asyncio.sleep(0)
    starter.cancel()
    assert await tasks.finish(1) == 0
    assert done == [True]


async def test_finished_work_is_let_go() -> None:
    tasks = Tasks()
    assert await tasks.spawn(value(7)) == 7
    await asyncio.sleep(0)
    assert tasks._running == set()


async def test_waiting_has_a_bound() -> None:
    tasks = Tasks()
    slow = tasks.spawn(value(1, 60))
    start = time.monotonic()
    assert await tasks.finish(0.05) == 1
    assert time.monotonic() - start < 10
    slow.cancel()
    assert await tasks.finish(1) == 0


async def test_with_nothing_running_there_is_no_wait() -> None:
    assert await Tasks().finish(60) == 0


async def test_work_that_work_starts_is_waited_for() -> None:
    # Once: only what runs when the wait begins is waited for.
    tasks = Tasks()

    async def first() -> None:
        await asyncio.sleep(0.01)
        tasks.spawn(value(1, 0.03))

    tasks.spawn(first())
    assert await tasks.finish(1) == 0


async def test_gathered_results_come_in_order() -> None:
    assert await gather(value(1, 0.02), value(2), value(3)) == [1, 2, 3]
    assert await gather() == []


async def test_the_first_failure_cancels_the_others_and_waits_for_them() -> None:
    ended = []

    async def other() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    before = asyncio.all_tasks()
    with pytest.raises(ValueError, match="first"):
        await gather(other(), value(ValueError("first"), 0.01), other())
    assert ended == [True, True]
    assert asyncio.all_tasks() - before == set()


async def test_two_failures_raise_the_first() -> None:
    with pytest.raises(ValueError, match="one"):
        await gather(value(ValueError("one")), value(ValueError("two"), 0.001))


async def test_cancelling_cancels_all() -> None:
    before = asyncio.all_tasks()
    gathering = asyncio.ensure_future(gather(value(1, 60), value(2, 60)))
    await asyncio.sleep(0.01)
    gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert asyncio.all_tasks() - before == set()
