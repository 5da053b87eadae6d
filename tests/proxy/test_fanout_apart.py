"""Pictures: several calls to one request, of which some may fail."""

import asyncio

import pytest

from accounts.callers import Limits
from gemproxy.lib.live import live
from proxy.errors import Fault, Forbidden, LimitReached, ModelNotFound, UpstreamRefused
from proxy.fanout import answer_apart
from tests.proxy.house import House, call, text, texts

NO = UpstreamRefused("not that one")


async def test_one_copy_is_the_call_itself(house: House) -> None:
    one = call(copies=1)
    answers, faults = await answer_apart(house.gateway, one)
    assert (texts(answers), faults) == (["fine"], [])
    assert (await house.row()).request_id == one.request_id


async def test_the_fault_of_an_only_call_is_raised(house: House) -> None:
    house.script(NO)
    with pytest.raises(UpstreamRefused, match="not that one"):
        await answer_apart(house.gateway, call(copies=1))
    await house.rows(1)


async def test_each_copy_is_a_call_with_a_row_of_its_own(house: House) -> None:
    house.script(text("a"), text("b"), text("c"))
    one = call(copies=3)
    answers, faults = await answer_apart(house.gateway, one)
    assert (sorted(texts(answers)), faults) == (["a", "b", "c"], [])
    rows = await house.rows(3)
    wanted = {f"{one.request_id}-{number}" for number in (1, 2, 3)}
    assert {row.request_id for row in rows} == wanted
    bodies = [order.body for order in house.upstream.orders]
    assert all("candidateCount" not in b["generationConfig"] for b in bodies)


@pytest.mark.parametrize("accounts", [4])
async def test_copies_run_at_once_over_the_accounts(house: House) -> None:
    gate = asyncio.Event()
    house.script(*[[gate, text("x")] for _ in range(4)])
    running = asyncio.ensure_future(answer_apart(house.gateway, call(copies=4)))
    async with asyncio.timeout(20):
        while house.upstream.open < 4:
            await asyncio.sleep(0.01)
    gate.set()
    answers, _ = await running
    assert len(answers) == 4
    assert set(house.upstream.accounts) == set(house.ids)


async def test_the_others_go_on_where_one_fails(house: House) -> None:
    house.script(NO, text("a"), text("b"))
    answers, faults = await answer_apart(house.gateway, call(copies=3))
    assert sorted(texts(answers)) == ["a", "b"]
    assert [fault.message for fault in faults] == ["not that one"]
    rows = await house.rows(3)
    assert sorted(row.outcome for row in rows) == ["fault", "ok", "ok"]


async def test_faults_of_all_are_all_told(house: House) -> None:
    house.script(NO, NO)
    answers, faults = await answer_apart(house.gateway, call(copies=2))
    assert (answers, len(faults)) == ([], 2)


async def test_a_request_takes_one_place_however_many_copies(house: House) -> None:
    limits = Limits(concurrency=1, requests_per_minute=1)
    answers, faults = await answer_apart(house.gateway, call(copies=3, limits=limits))
    assert (len(answers), faults) == (3, [])
    key = "places:" + call().caller.key
    assert await live().take_place(key, 1, "next")
    with pytest.raises(LimitReached):
        await answer_apart(house.gateway, call(copies=3, limits=limits))
    assert len(house.upstream.orders) == 3


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"limits": Limits(models=("other-*",))}, Forbidden),
        ({"model": "nobody"}, ModelNotFound),
    ],
)
async def test_a_refused_request_asks_nobody_and_leaves_one_row(
    house: House, fields: dict, fault: type[Fault]
) -> None:
    with pytest.raises(fault):
        await answer_apart(house.gateway, call(copies=3, **fields))
    assert house.upstream.orders == []
    row = await house.row()
    assert (row.status, row.outcome) == (fault.status, "fault")


async def test_who_leaves_ends_all_calls(house: House) -> None:
    house.script(*[[asyncio.Event()] for _ in range(2)])
    running = asyncio.ensure_future(answer_apart(house.gateway, call(copies=2)))
    async with asyncio.timeout(20):
        while house.upstream.open < 2:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert house.upstream.open == 0
    await house.rows(2)
