"""The start of a stream: faults with their own status, nothing lost, all closed."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.calls import Event
from proxy.errors import Overloaded
from proxy.surfaces.streams import Opening


def batch(number: int) -> list[Event]:
    return [Event(b"", {"n": number})]


class Stream:
    """Plays batches, waits and faults; tells when it is open."""

    def __init__(self, *lines: Any) -> None:
        self.lines = lines
        self.open = False
        self.settled = False

    async def play(self) -> AsyncIterator[list[Event]]:
        self.open = True
        try:
            for line in self.lines:
                if isinstance(line, Exception):
                    raise line
                if isinstance(line, asyncio.Event):
                    await line.wait()
                else:
                    yield line
        finally:
            await asyncio.sleep(0.01)
            self.open = False
            self.settled = True


async def numbers(opening: Opening) -> list[int]:
    return [e.data["n"] async for found in opening.batches() for e in found]


@pytest.fixture
def complaints() -> Any:
    """What asyncio complains of, such as exceptions that nobody looked at."""
    return []


async def test_all_batches_come_in_order() -> None:
    opening = Opening(Stream(batch(1), batch(2), batch(3)).play())
    await opening.first(1)
    assert await numbers(opening) == [1, 2, 3]


async def test_batches_come_without_waiting_for_the_first() -> None:
    assert await numbers(Opening(Stream(batch(1), batch(2)).play())) == [1, 2]


async def test_a_fault_before_the_first_batch_is_raised_there() -> None:
    stream = Stream(Overloaded())
    with pytest.raises(Overloaded):
        await Opening(stream.play()).first(1)
    assert stream.settled


async def test_a_slow_start_is_not_waited_for_too_long_and_loses_nothing() -> None:
    go_on = asyncio.Event()
    opening = Opening(Stream(go_on, batch(1), batch(2)).play())
    await asyncio.wait_for(opening.first(0.02), 20)
    go_on.set()
    assert await numbers(opening) == [1, 2]


async def test_a_fault_after_the_wait_comes_out_of_the_batches() -> None:
    go_on = asyncio.Event()
    opening = Opening(Stream(go_on, Overloaded()).play())
    await opening.first(0.01)
    go_on.set()
    with pytest.raises(Overloaded):
        await numbers(opening)


async def test_a_later_fault_comes_after_the_batches_before_it() -> None:
    opening = Opening(Stream(batch(1), Overloaded()).play())
    await opening.first(1)
    batches = opening.batches()
    assert await anext(batches) == batch(1)
    with pytest.raises(Overloaded):
        await anext(batches)


async def test_an_empty_stream_is_no_fault() -> None:
    opening = Opening(Stream().play())
    await opening.first(1)
    assert await numbers(opening) == []


@pytest.mark.parametrize("committed", [True, False])
async def test_closing_waits_until_the_stream_has_settled(committed: bool) -> None:
    stream = Stream(*([] if committed else [batch(1)]), asyncio.Event())
    opening = Opening(stream.play())
    await opening.first(0.01)
    assert stream.open
    await opening.aclose()
    assert stream.settled
    await opening.aclose()


async def test_closing_what_never_began_does_nothing() -> None:
    stream = Stream(batch(1))
    await Opening(stream.play()).aclose()
    assert not stream.settled


async def test_leaving_while_the_first_is_awaited_settles_the_stream() -> None:
    stream = Stream(asyncio.Event())
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(Opening(stream.play()).first(60))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert stream.settled
    assert asyncio.all_tasks() - before == set()


async def test_leaving_after_the_commit_settles_the_stream() -> None:
    stream = Stream(asyncio.Event())
    opening = Opening(stream.play())
    await opening.first(0.01)
    reading = asyncio.ensure_future(numbers(opening))
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await opening.aclose()
    assert stream.settled


async def test_a_fault_that_nobody_is_left_to_hear_is_no_complaint(
    complaints: list[Any],
) -> None:
    # Once: the fault of `_first` is never looked at when the client leaves between
    # the commit and the first batch; asyncio logs it with its traceback.
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    go_on = asyncio.Event()
    opening = Opening(Stream(go_on, Overloaded()).play())
    await opening.first(0.01)
    go_on.set()
    await asyncio.sleep(0.03)
    await opening.aclose()
    del opening
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
