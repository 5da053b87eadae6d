"""The shelf: runs outlive their readers, for a bounded time and in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from proxy import shelf as module
from proxy.calls import Audience, Event
from proxy.shelf import Run, Shelf
from proxy.tasks import Tasks


async def source(*items: Any, go: asyncio.Event | None = None) -> AsyncGenerator[Any]:
    for item in items:
        yield item
    if go is not None:
        await go.wait()


def started(shelf: Shelf, *items: Any, go: asyncio.Event | None = None) -> Run[Any]:
    return shelf.start(source(*items, go=go), Audience(asked=True))


async def left(shelf: Shelf, key: str, run: Run[Any]) -> None:
    """Read the first item of a run, and go away."""
    reading = shelf.read(key, run)
    await anext(reading)
    await reading.aclose()


async def all_of(shelf: Shelf, key: str, run: Run[Any]) -> list[Any]:
    return [item async for item in shelf.read(key, run)]


async def settled(run: Run[Any]) -> None:
    await asyncio.wait({run.task})
    await asyncio.sleep(0)


async def test_who_reads_to_the_end_leaves_nothing() -> None:
    shelf = Shelf(Tasks())
    run = started(shelf, 1, 2)
    assert await all_of(shelf, "k", run) == [1, 2]
    assert shelf.take("k") is None


async def test_the_oldest_of_equal_runs_is_taken_first() -> None:
    shelf = Shelf(Tasks())
    runs = [started(shelf, number) for number in range(2)]
    for run in runs:
        await left(shelf, "k", run)
        await settled(run)
    taken = [shelf.take("k"), shelf.take("k"), shelf.take("k")]
    assert taken == [*runs, None]


async def test_what_nobody_fetches_goes_after_its_time(settings: Any) -> None:
    settings.IMAGE_KEEP_SECONDS = 0.05
    shelf = Shelf(Tasks())
    run = started(shelf, 1)
    await left(shelf, "k", run)
    await settled(run)
    async with asyncio.timeout(20):
        while shelf._left:
            await asyncio.sleep(0.01)
    assert shelf.take("k") is None


async def test_the_time_counts_from_the_end_of_the_work(settings: Any) -> None:
    settings.IMAGE_KEEP_SECONDS = 0.01
    shelf, go = Shelf(Tasks()), asyncio.Event()
    run = started(shelf, 1, go=go)
    await left(shelf, "k", run)
    await asyncio.sleep(0.05)
    assert shelf.take("k") is run
    go.set()


async def test_work_that_does_not_end_is_given_up(settings: Any) -> None:
    settings.UPSTREAM_TOTAL_SECONDS = 0.02
    shelf = Shelf(Tasks())
    run = started(shelf, 1, go=asyncio.Event())
    await left(shelf, "k", run)
    async with asyncio.timeout(20):
        await asyncio.wait({run.task})
    assert run.task.cancelled()
    await asyncio.sleep(0)
    assert shelf._left == []


async def test_a_failed_run_is_not_given_out() -> None:
    async def failing() -> AsyncGenerator[int]:
        yield 1
        await asyncio.sleep(0)
        raise ValueError("broken")

    shelf = Shelf(Tasks())
    run = shelf.start(failing(), Audience(asked=True))
    await left(shelf, "k", run)
    await settled(run)
    assert run.failed
    assert shelf.take("k") is None


async def test_a_run_that_nobody_was_asked_for_is_given_up() -> None:
    shelf = Shelf(Tasks())
    audience = Audience()
    run = shelf.start(source(1, go=asyncio.Event()), audience)
    await left(shelf, "k", run)
    await settled(run)
    assert run.task.cancelled()
    assert audience.gone


async def test_the_heaviest_load_drops_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 250)
    shelf = Shelf(Tasks())
    for key in "abc":
        run = started(shelf, [Event(b"x" * 50, {"parts": ["y" * 50]})])
        await left(shelf, key, run)
        await settled(run)
    assert shelf.take("a") is None
    assert shelf.take("b") is not None
    assert shelf.take("c") is not None


async def test_a_weight_counts_what_pictures_are_made_of() -> None:
    shelf = Shelf(Tasks())
    run = started(shelf, ([Event(b"12", {"a": ["34", {"b": "5"}], "n": 7})], ["6"]))
    await settled(run)
    assert run.weight() == 6


async def test_a_closed_shelf_gives_up_runs_and_takes_none() -> None:
    shelf = Shelf(Tasks())
    first, second = (started(shelf, 1, go=asyncio.Event()) for _ in range(2))
    await left(shelf, "k", first)
    shelf.close()
    await settled(first)
    await left(shelf, "k", second)
    await settled(second)
    assert first.task.cancelled()
    assert second.task.cancelled()
    assert shelf.take("k") is None
