"""Work that many ask for is done once, and outlives those who stop waiting."""

import asyncio

import pytest

from proxy.upstreams.flights import Flights


class Work:
    """Counts its runs; each waits until it may go on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.runs = 0
        self.go = asyncio.Event()
        self.error = error

    async def __call__(self) -> int:
        self.runs += 1
        await self.go.wait()
        if self.error:
            raise self.error
        return self.runs


async def waiting(flights, key, work):
    task = asyncio.ensure_future(flights.share(key, work))
    await asyncio.sleep(0)
    return task


async def test_who_asks_meanwhile_shares_the_outcome():
    flights, work = Flights(), Work()
    tasks = [await waiting(flights, 1, work) for _ in range(5)]
    work.go.set()
    assert await asyncio.gather(*tasks) == [1] * 5


async def test_who_asks_later_has_it_done_anew():
    flights, work = Flights(), Work()
    work.go.set()
    assert [await flights.share(1, work) for _ in range(2)] == [1, 2]


async def test_keys_are_kept_apart():
    flights, work = Flights(), Work()
    tasks = [await waiting(flights, key, work) for key in "ab"]
    work.go.set()
    await asyncio.gather(*tasks)
    assert work.runs == 2


async def test_a_failure_is_told_to_all_and_not_remembered():
    flights, work = Flights(), Work(ValueError("no"))
    tasks = [await waiting(flights, 1, work) for _ in range(3)]
    work.go.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert {str(each) for each in found} == {"no"}
    work.error = None
    assert await flights.share(1, work) == 2


async def test_the_work_outlives_those_who_stop_waiting():
    flights, work = Flights(), Work()
    task = await waiting(flights, 1, work)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other = await waiting(flights, 1, work)
    work.go.set()
    assert (await other, work.runs) == (1, 1)


async def test_closing_stops_what_runs():
    flights, work = Flights(), Work()
    task = await waiting(flights, 1, work)
    await flights.aclose()
    with pytest.raises(asyncio.CancelledError):
        await task
