"""However a request ends: its row is written, its place given back, nothing is left."""

import asyncio
import contextlib
from typing import Any

import pytest

from accounts.callers import Limits
from gemproxy.lib.live import MemoryLive, live
from proxy import limits as limits_module
from proxy.errors import LimitReached, Overloaded
from tests.proxy.house import House, ask, call, overloads, text

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ONE = Limits(concurrency=1)


async def until(condition: Any, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


async def cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@both
async def test_a_client_that_leaves_ends_the_upstream_call(
    house: House, stream: bool
) -> None:
    never = asyncio.Event()
    house.script([never])
    asking = asyncio.ensure_future(ask(house, call(stream)))
    await until(lambda: house.upstream.open == 1)
    await cancelled(asking)
    assert house.upstream.open == 0
    row = await house.row()
    assert (row.status, row.outcome, row.cause) == (499, "cancelled", "client_closed")
    assert row.account_id == house.upstream.accounts[0]


@both
async def test_an_attempt_that_a_leaving_client_ended_has_an_end(
    house: House, stream: bool
) -> None:
    # Once: the attempt keeps neither length nor code, though counters are to be
    # rebuilt from the attempts.
    house.script([asyncio.Event()])
    asking = asyncio.ensure_future(ask(house, call(stream)))
    await until(lambda: house.upstream.open == 1)
    await cancelled(asking)
    (attempt,) = (await house.row()).attempts
    assert attempt.keys() >= {"account", "start_ms", "ms", "code"}
    assert attempt["code"] != "ok"


async def test_closing_a_stream_ends_the_upstream_call(house: House) -> None:
    never = asyncio.Event()
    house.script([text("half", None), never])
    stream = house.gateway.stream(call(True))
    await anext(stream)
    await stream.aclose()
    assert house.upstream.open == 0
    assert (await house.row()).outcome == "cancelled"


async def test_closing_a_stream_that_has_not_begun_does_nothing(house: House) -> None:
    await house.gateway.stream(call(True)).aclose()
    assert house.upstream.orders == []
    await house.rows(0)


async def test_leaving_between_attempts_tries_nobody_else(house: House) -> None:
    wait = asyncio.Event()
    house.script([wait, Overloaded()])
    asking = asyncio.ensure_future(ask(house, call()))
    await until(lambda: house.upstream.open == 1)
    wait.set()
    await cancelled(asking)
    assert len(house.upstream.orders) == 1
    await house.row()


@both
async def test_leaving_while_the_row_is_written_loses_no_row(
    house: House, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    go_on, writing = asyncio.Event(), asyncio.Event()
    real = house.gateway.ledger.record

    async def slow(entry: Any) -> None:
        writing.set()
        await go_on.wait()
        await real(entry)

    monkeypatch.setattr(house.gateway.ledger, "record", slow)
    asking = asyncio.ensure_future(ask(house, call(stream, ONE)))
    await writing.wait()
    await cancelled(asking)
    go_on.set()
    assert (await house.row()).outcome == "ok"


@both
async def test_a_bug_in_an_adapter_is_an_internal_fault_with_a_row(
    house: House, stream: bool
) -> None:
    house.script(RuntimeError("oops"))
    with pytest.raises(RuntimeError, match="oops"):
        await ask(house, call(stream, ONE))
    row = await house.row()
    assert (row.status, row.cause, row.blame) == (500, "internal_error", "gateway")
    assert await place_is_free()


async def place_is_free() -> bool:
    free = await live().take_place("places:t3", 1, "probe")
    await live().leave_place("places:t3", "probe")
    return free


@both
@pytest.mark.parametrize("ending", ["answer", "fault", "limit", "leaves"])
async def test_the_place_is_given_back(house: House, stream: bool, ending: str) -> None:
    one = call(stream, Limits(concurrency=1, requests_per_minute=1))
    if ending == "limit":
        await live().hit("rpm:t3", 1)
        with pytest.raises(LimitReached, match="a minute"):
            await ask(house, one)
    elif ending == "fault":
        house.script(*overloads())
        with pytest.raises(Overloaded):
            await ask(house, one)
    elif ending == "leaves":
        house.script([asyncio.Event()])
        asking = asyncio.ensure_future(ask(house, one))
        await until(lambda: house.upstream.open == 1)
        assert not await place_is_free()
        await cancelled(asking)
    else:
        await ask(house, one)
    await house.row()
    assert await place_is_free()


async def test_a_second_request_at_a_time_is_refused(house: House) -> None:
    wait = asyncio.Event()
    house.script([wait, text("first")])
    first = asyncio.ensure_future(ask(house, call(limits=ONE)))
    await until(lambda: house.upstream.open == 1)
    with pytest.raises(LimitReached, match="1 requests at a time") as caught:
        await ask(house, call(limits=ONE))
    assert caught.value.code == "concurrency_limit_exceeded"
    assert caught.value.retry_after == limits_module.BUSY_RETRY_SECONDS
    wait.set()
    assert await first == ["first"]
    assert await place_is_free()


class SlowLive(MemoryLive):
    """Takes a place at once and answers late, as a distant Redis may."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()

    async def take_place(self, key: str, most: int, member: str) -> bool:
        done = await super().take_place(key, most, member)
        self.taken.set()
        await asyncio.sleep(60)
        return done


async def test_leaving_while_a_place_is_taken_gives_it_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: `place_taken` is set only after the answer; a client that leaves meanwhile
    # keeps its place in Redis for LEASE_SECONDS.
    state = SlowLive()
    monkeypatch.setattr(limits_module, "live", lambda: state)
    asking = asyncio.ensure_future(ask(house, call(limits=ONE)))
    await state.taken.wait()
    await cancelled(asking)
    await house.gateway.tasks.finish(1)
    assert state._places == {}


async def test_a_place_that_cannot_be_given_back_costs_no_row(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: the row is not written if `leave` raises what is no RedisError.
    class Broken(MemoryLive):
        async def leave_place(self, key: str, member: str) -> None:
            raise OSError("no route")

    state = Broken()
    monkeypatch.setattr(limits_module, "live", lambda: state)
    with contextlib.suppress(OSError):
        await ask(house, call(limits=ONE))
    await house.rows(1)


async def test_a_fault_after_the_finish_does_not_spoil_a_complete_answer(
    house: House,
) -> None:
    # Once: the finish and its usage are held back, then dropped for an error frame.
    house.script([text("all", None), text("done"), Overloaded("reset after the end")])
    assert await ask(house, call(True)) == ["all", "done"]
    assert (await house.row()).outcome == "ok"


async def test_nothing_is_left_running(house: House) -> None:
    before = asyncio.all_tasks()
    house.script(text("a"), [text("b", None), text("c")], *overloads())
    await ask(house, call(limits=ONE))
    await ask(house, call(True, ONE))
    with pytest.raises(Overloaded):
        await ask(house, call())
    await house.rows(3)
    assert asyncio.all_tasks() - before == set()
