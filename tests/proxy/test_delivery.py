"""Pictures for callers who went away: finished, kept, and given to a repeat once."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from accounts.callers import Caller, Limits
from proxy import delivery
from proxy.calls import Call, Event
from proxy.errors import Overloaded, UpstreamRefused
from proxy.fanout import answer_apart
from proxy.models import Route
from tests.proxy.house import House, call, overloads, text, texts
from tests.proxy.test_gateway_endings import cancelled, until

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
SAME = {"contents": [{"role": "user", "parts": [{"text": "a cat"}]}]}


@pytest.fixture
def studio(house: House) -> House:
    """A house whose model draws."""
    Route.objects.update(category=Route.Category.IMAGE)
    house.gateway.catalog.load()
    return house


def drawing(**fields: Any) -> Call:
    return call(**{"body": SAME, **fields})


async def ask(house: House, one: Call, also: str = "") -> tuple[list[str], bool]:
    """Return the texts of what a caller gets, and whether it was kept for him."""
    gateway = house.gateway
    if not one.stream:
        event, kept = await delivery.whole(
            gateway, one, lambda: gateway.answer(one), also
        )
        return texts([event]), kept
    batches, kept = delivery.stream(gateway, one, lambda: gateway.stream(one), also)
    found: list[Event] = []
    async with aclosing(batches):
        async for batch in batches:
            found += batch
    return texts(found), kept


async def leave(house: House, one: Call, also: str = "") -> None:
    """Ask, and go away while an account is at work."""
    asking = asyncio.ensure_future(ask(house, one, also))
    await until(lambda: house.upstream.open == 1)
    await cancelled(asking)


async def left_with(house: House, go: asyncio.Event, one: Call) -> None:
    """Ask, go away, and let the account end its work."""
    await leave(house, one)
    go.set()
    assert await house.gateway.tasks.finish(20) == 0


@both
async def test_a_picture_whose_caller_left_is_finished_and_noted(
    studio: House, stream: bool
) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")])
    await leave(studio, drawing(stream=stream))
    assert studio.upstream.open == 1
    go.set()
    row = await studio.row()
    assert (row.status, row.outcome, row.cause) == (499, "cancelled", "client_closed")
    assert (row.finish, row.total_tokens) == ("STOP", 5)
    assert [attempt["code"] for attempt in row.attempts] == ["ok"]


@both
async def test_a_repeat_gets_what_was_kept_and_pays_nothing(
    studio: House, stream: bool
) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")])
    await left_with(studio, go, drawing(stream=stream))
    assert await ask(studio, drawing(stream=stream)) == (["cat"], True)
    assert len(studio.upstream.orders) == 1
    first, second = await studio.rows(2)
    assert (second.status, second.outcome) == (200, "ok")
    assert (second.total_tokens, second.images, second.account_id) == (0, 0, None)
    assert first.total_tokens == 5


@both
async def test_a_repeat_joins_work_that_still_runs(studio: House, stream: bool) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")])
    await leave(studio, drawing(stream=stream))
    again = asyncio.ensure_future(ask(studio, drawing(stream=stream)))
    await asyncio.sleep(0.01)
    assert not again.done()
    go.set()
    assert await again == (["cat"], True)
    assert len(studio.upstream.orders) == 1
    causes = {row.cause for row in await studio.rows(2)}
    assert causes == {"client_closed", ""}


async def test_who_left_in_the_middle_of_a_stream_gets_it_from_its_beginning(
    studio: House,
) -> None:
    go = asyncio.Event()
    studio.script([text("a", None), go, text("b")])
    one, gateway = drawing(stream=True), studio.gateway
    batches, _ = delivery.stream(gateway, one, lambda: gateway.stream(one))
    assert texts(await anext(batches)) == ["a"]
    await batches.aclose()
    go.set()
    assert await ask(studio, drawing(stream=True)) == (["a", "b"], True)


async def test_what_was_kept_is_given_once(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")], text("another"))
    await left_with(studio, go, drawing())
    assert await ask(studio, drawing()) == (["cat"], True)
    assert await ask(studio, drawing()) == (["another"], False)


async def test_who_leaves_again_may_come_a_third_time(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")])
    await leave(studio, drawing())
    again = asyncio.ensure_future(ask(studio, drawing()))
    await asyncio.sleep(0.01)
    await cancelled(again)
    go.set()
    assert await ask(studio, drawing()) == (["cat"], True)
    assert [row.status for row in await studio.rows(3)].count(499) == 2


async def test_equal_requests_at_the_same_time_are_two_pictures(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, text("one")], [go, text("two")])
    both_asked = [asyncio.ensure_future(ask(studio, drawing())) for _ in range(2)]
    await until(lambda: studio.upstream.open == 2)
    go.set()
    found = await asyncio.gather(*both_asked)
    assert sorted(words for (words,), _ in found) == ["one", "two"]
    assert not any(kept for _, kept in found)


@pytest.mark.parametrize(
    ("other", "also"),
    [
        ({"body": {"contents": [{"parts": [{"text": "a dog"}]}]}}, ""),
        ({"surface": "elsewhere"}, ""),
        ({"stream": True}, ""),
        ({"copies": 2}, ""),
        ({"caller": Caller(user_id=7, username="ann", token_id=4)}, ""),
        ({"caller": Caller(user_id=8, username="bob", token_id=None)}, ""),
        ({}, "webp"),
    ],
    ids=["words", "surface", "stream", "copies", "token", "person", "format"],
)
async def test_another_request_gets_its_own(
    studio: House, other: dict[str, Any], also: str
) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")], text("own"))
    await left_with(studio, go, drawing())
    assert await ask(studio, drawing(**other), also) == (["own"], False)


async def test_a_fault_is_kept_for_nobody(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, UpstreamRefused("no cats")], text("cat"))
    await left_with(studio, go, drawing())
    assert await ask(studio, drawing()) == (["cat"], False)
    assert [row.status for row in await studio.rows(2)] == [400, 200]


async def test_who_stays_is_told_the_fault(studio: House) -> None:
    studio.script(*overloads())
    with pytest.raises(Overloaded):
        await ask(studio, drawing())
    studio.script(*overloads())
    with pytest.raises(Overloaded):
        await ask(studio, drawing(stream=True))


async def test_who_joins_is_told_the_fault_too(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, UpstreamRefused("no cats")])
    await leave(studio, drawing())
    again = asyncio.ensure_future(ask(studio, drawing()))
    await asyncio.sleep(0.01)
    go.set()
    with pytest.raises(UpstreamRefused, match="no cats"):
        await again
    assert [row.outcome for row in await studio.rows(2)] == ["fault", "fault"]


@both
async def test_words_end_when_their_caller_leaves(house: House, stream: bool) -> None:
    house.script([asyncio.Event()])
    await leave(house, drawing(stream=stream))
    assert house.upstream.open == 0
    assert (await house.row()).status == 499


async def test_a_setting_of_zero_gives_pictures_up_as_well(
    studio: House, settings: Any
) -> None:
    settings.IMAGE_KEEP_SECONDS = 0
    studio.script([asyncio.Event()])
    await leave(studio, drawing())
    assert studio.upstream.open == 0


async def test_nobody_draws_for_a_caller_who_left_the_queue(
    studio: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is paid for yet: the turn belongs to those who wait.
    dispatch = studio.gateway.dispatch
    waits, goes_on, turn = asyncio.Event(), asyncio.Event(), dispatch.next

    async def later(trip: Any) -> Any:
        waits.set()
        await goes_on.wait()
        return await turn(trip)

    monkeypatch.setattr(dispatch, "next", later)
    asking = asyncio.ensure_future(ask(studio, drawing()))
    await waits.wait()
    await cancelled(asking)
    goes_on.set()
    row = await studio.row()
    assert (row.status, row.cause, row.attempts) == (499, "client_closed", [])
    assert studio.upstream.orders == []


async def test_all_pictures_of_a_request_are_finished(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, text("one")], [go, text("two")])
    gateway = studio.gateway

    async def asked() -> tuple[list[str], bool]:
        one = drawing(copies=2)
        (events, faults), kept = await delivery.whole(
            gateway, one, lambda: answer_apart(gateway, one)
        )
        assert not faults
        return sorted(texts(events)), kept

    asking = asyncio.ensure_future(asked())
    await until(lambda: studio.upstream.open == 2)
    await cancelled(asking)
    go.set()
    assert await gateway.tasks.finish(20) == 0
    assert await asked() == (["one", "two"], True)
    causes = [row.cause for row in await studio.rows(3)]
    assert causes == ["client_closed", "client_closed", ""]


async def test_a_picture_takes_its_place_until_it_is_finished(studio: House) -> None:
    go = asyncio.Event()
    studio.script([go, text("cat")])
    one = drawing(limits=Limits(concurrency=1))
    await left_with(studio, go, one)
    # A repeat takes no place: the first request has one.
    assert await ask(studio, replace(one, request_id="r-2")) == (["cat"], True)


async def test_a_stop_gives_up_what_nobody_waits_for(studio: House) -> None:
    studio.script([asyncio.Event()], [asyncio.Event()])
    await leave(studio, drawing())
    assert studio.upstream.open == 1
    studio.gateway.shelf.close()
    assert await studio.gateway.tasks.finish(20) == 0
    assert studio.upstream.open == 0
    # From then on nobody's leaving keeps an account at work.
    await leave(studio, drawing())
    assert await studio.gateway.tasks.finish(20) == 0
    assert studio.upstream.open == 0


async def test_a_model_that_does_not_exist_is_told_as_ever(house: House) -> None:
    with pytest.raises(Exception, match="nope"):
        await ask(house, drawing(model="nope"))
    assert (await house.row()).status == 404
