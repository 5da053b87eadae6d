"""Several answers to one request."""

import asyncio
from typing import Any

import pytest

from accounts.callers import Limits
from proxy.errors import Overloaded, UpstreamRefused
from proxy.fanout import answer_copies, stream_copies
from tests.proxy.house import House, call, overloads, text

REFUSED = UpstreamRefused("Multiple candidates is not enabled for this model")


def together(count: int) -> dict[str, Any]:
    candidates = [text(str(i))["candidates"][0] | {"index": i} for i in range(count)]
    return {"candidates": candidates}


def words(data: dict[str, Any]) -> dict[int, str]:
    return {
        c.get("index", 0): c["content"]["parts"][0]["text"] for c in data["candidates"]
    }


async def streamed(house: House, **fields: Any) -> dict[int, str]:
    found: dict[int, str] = {}
    async for batch in stream_copies(house.gateway, call(True, **fields)):
        for event in batch:
            for index, word in words(event.data).items():
                found[index] = found.get(index, "") + word
    return found


async def test_one_copy_is_the_call_itself(house: House) -> None:
    one = call(copies=1)
    assert words(await answer_copies(house.gateway, one)) == {0: "fine"}
    assert "generationConfig" not in house.upstream.orders[0].body
    assert await streamed(house) == {0: "fine"}


async def test_copies_are_first_asked_for_together(house: House) -> None:
    house.script(together(3))
    body = {"contents": [], "generationConfig": {"temperature": 1}}
    one = call(copies=3, body=body)
    assert words(await answer_copies(house.gateway, one)) == {0: "0", 1: "1", 2: "2"}
    (order,) = house.upstream.orders
    assert order.body["generationConfig"] == {"temperature": 1, "candidateCount": 3}
    assert body["generationConfig"] == {"temperature": 1}
    await house.rows(1)


async def test_where_that_is_refused_each_is_a_call_of_its_own(house: House) -> None:
    house.script(REFUSED, text("a"), text("b"))
    one = call(copies=2)
    assert words(await answer_copies(house.gateway, one)) == {0: "a", 1: "b"}
    assert all(
        "candidateCount" not in order.body.get("generationConfig", {})
        for order in house.upstream.orders[1:]
    )
    rows = await house.rows(3)
    assert {r.request_id for r in rows} == {
        one.request_id,
        f"{one.request_id}-1",
        f"{one.request_id}-2",
    }


async def test_streams_run_side_by_side_under_their_indexes(house: House) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    house.script(
        REFUSED,
        [text("a1", None), first, text("a2")],
        [text("b1", None), second, text("b2")],
    )
    loop = asyncio.get_running_loop()
    loop.call_later(0.02, second.set)
    loop.call_later(0.04, first.set)
    assert await streamed(house, copies=2) == {0: "a1a2", 1: "b1b2"}
    await house.rows(3)


async def test_another_refusal_is_a_refusal(house: House) -> None:
    house.script(UpstreamRefused("no such field"))
    with pytest.raises(UpstreamRefused, match="no such field"):
        await answer_copies(house.gateway, call(copies=2))
    house.script(UpstreamRefused("no such field"))
    with pytest.raises(UpstreamRefused, match="no such field"):
        await streamed(house, copies=2)
    assert len(house.upstream.orders) == 2


async def test_the_first_fault_ends_all_streams(house: House) -> None:
    before = asyncio.all_tasks()
    house.script(REFUSED, [text("a1", None), asyncio.Event()], *overloads())
    with pytest.raises(Overloaded):
        await streamed(house, copies=2)
    assert house.upstream.open == 0
    await house.rows(3)
    assert asyncio.all_tasks() - before == set()


async def test_the_first_fault_ends_all_whole_answers(house: House) -> None:
    house.script(REFUSED, [asyncio.Event()], *overloads())
    with pytest.raises(Overloaded):
        await answer_copies(house.gateway, call(copies=2))
    assert house.upstream.open == 0
    await house.rows(3)


@pytest.mark.parametrize("copies", [1, 2])
async def test_closing_the_stream_ends_the_upstream_calls_at_once(
    house: House, copies: int
) -> None:
    # Once: the inner generator is left to the garbage collector, so that
    # whoever awaits the closing does not wait for upstream call and row.
    if copies == 2:
        house.script(REFUSED)
    house.script(*[[text("x", None), asyncio.Event()] for _ in range(copies)])
    stream = stream_copies(house.gateway, call(True, copies=copies))
    await anext(stream)
    await stream.aclose()
    assert house.upstream.open == 0
    await house.rows(copies + (copies == 2))


async def test_a_reader_that_leaves_a_full_queue_ends_the_upstream_calls(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: a pump that is cancelled while it waits to put leaves its generator open.
    monkeypatch.setattr("proxy.fanout.WAITING", 1)
    lines = [text(str(i), None) for i in range(20)]
    house.script(REFUSED, lines, list(lines))
    stream = stream_copies(house.gateway, call(True, copies=2))
    await anext(stream)
    await asyncio.sleep(0.02)
    await stream.aclose()
    assert house.upstream.open == 0
    await house.rows(3)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_one_request_with_copies_is_one_request_at_a_time(
    house: House, stream: bool
) -> None:
    # Once: each copy takes a place of its own, so that n=2 never works on a plan that
    # allows one request at a time, where the model refuses candidateCount.
    house.script(REFUSED)
    limits = Limits(concurrency=1)
    if stream:
        assert len(await streamed(house, copies=2, limits=limits)) == 2
    else:
        one = call(copies=2, limits=limits)
        assert len(words(await answer_copies(house.gateway, one))) == 2


async def test_siblings_of_a_failed_copy_did_not_lose_their_client(
    house: House,
) -> None:
    # Once: their rows say "client_closed", 499, though the client is there.
    house.script(REFUSED, [asyncio.Event()], *overloads())
    with pytest.raises(Overloaded):
        await answer_copies(house.gateway, call(copies=2))
    assert "client_closed" not in {row.cause for row in await house.rows(3)}
