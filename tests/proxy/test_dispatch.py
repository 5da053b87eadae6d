"""Who is asked next: waiting, asking again, shared trouble, what the caller is told."""

import asyncio
from typing import Any

import pytest

from accounts.models import Account, CoolDown, UsageRecord
from gemproxy.lib import clock, db
from proxy import dispatch as module
from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    Busy,
    ConnectFailed,
    Fault,
    ModelNotFound,
    NoAccount,
    Overloaded,
    Quota,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from tests.proxy.house import House, ask, call, text

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
one = pytest.mark.parametrize("accounts", [1])
three = pytest.mark.parametrize("accounts", [3])


def minute(seconds: float) -> RateLimited:
    return RateLimited(retry_after=seconds, quota=Quota(period="minute", value=15))


async def told(house: House, kind: type[Fault], **fields: Any) -> Fault:
    with pytest.raises(kind) as caught:
        await ask(house, call(**fields))
    return caught.value


async def rests() -> list[CoolDown]:
    return await db.run(lambda: list(CoolDown.objects.order_by("account_id")))


# Waiting


@both
@one
async def test_who_can_wait_for_a_minute_quota_waits(
    house: House, settings: Any, stream: bool
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 20_000
    house.script(minute(1))
    assert await ask(house, call(stream)) == ["fine"]
    row = await house.row()
    assert [a["code"] for a in row.attempts] == ["rate_limit_exceeded", "ok"]
    assert row.duration_ms >= 900


@one
async def test_who_cannot_wait_so_long_is_told_at_once_when_it_will_be(
    house: House, settings: Any
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 5_000
    house.script(minute(40))
    fault = await told(house, RateLimited)
    assert 39 <= (fault.retry_after or 0) <= 41
    assert fault.should_retry
    later = await told(house, RateLimited)
    assert 38 <= (later.retry_after or 0) <= 41
    rows = await house.rows(2)
    assert [len(row.attempts) for row in rows] == [1, 0]
    assert rows[1].duration_ms < 4_000


@one
async def test_a_wait_of_hours_is_no_reason_to_come_back(house: House) -> None:
    house.script(RateLimited(quota=Quota(period="day")))
    fault = await told(house, RateLimited)
    assert (fault.retry_after or 0) > 60
    assert fault.should_retry is False


@one
async def test_a_callers_deadline_is_shorter_than_the_patience_of_the_queue(
    house: House, settings: Any
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 60_000
    house.script(minute(30))
    await told(house, RateLimited, deadline=2.0)


@one
async def test_what_is_larger_than_the_rest_of_the_minute_is_told_when_it_fits(
    house: House,
) -> None:
    await db.run(lambda: Account.objects.update(tpm=100))
    await db.run(house.gateway.pool.load)
    large = {"contents": [{"parts": [{"text": "word " * 60}]}]}
    usage = {"promptTokenCount": 75, "totalTokenCount": 80}
    house.script(text("fine", usageMetadata=usage))
    assert await ask(house, call(body=large)) == ["fine"]
    fault = await told(house, RateLimited, body=large)
    assert 30 < (fault.retry_after or 0) < 70
    assert fault.should_retry is True
    assert await ask(house, call()) == ["fine"]


@three
async def test_who_finds_nobody_although_somebody_is_free_looks_again(
    house: House, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 20_000
    house.script(minute(30))
    lease, asked = house.gateway.pool.lease, 0

    async def lost(*args: Any, **fields: Any) -> Any:
        nonlocal asked
        asked += 1
        return None if asked in (2, 3) else await lease(*args, **fields)

    monkeypatch.setattr(house.gateway.pool, "lease", lost)
    assert await ask(house, call()) == ["fine"]
    assert asked == 4
    assert len((await house.row()).attempts) == 2


@one
async def test_a_free_seat_is_waited_for_and_taken(house: House, settings: Any) -> None:
    settings.QUEUE_MAX_WAIT_MS = 20_000
    await db.run(lambda: Account.objects.update(concurrency=1))
    await db.run(house.gateway.pool.load)
    leave = asyncio.Event()
    house.script([leave, text("first")])
    first = asyncio.ensure_future(ask(house, call()))
    while not house.upstream.open:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(ask(house, call()))
    await asyncio.sleep(0.05)
    assert house.upstream.open == 1
    assert not second.done()
    leave.set()
    assert await asyncio.gather(first, second) == [["first"], ["fine"]]


@one
async def test_too_many_for_the_seats_are_told_to_come_back(house: House) -> None:
    await db.run(lambda: Account.objects.update(concurrency=1))
    await db.run(house.gateway.pool.load)
    leave = asyncio.Event()
    house.script([leave, text("first")])
    first = asyncio.ensure_future(ask(house, call()))
    while not house.upstream.open:
        await asyncio.sleep(0)
    fault = await told(house, Busy)
    assert (fault.status, fault.code, fault.should_retry) == (429, "queue_full", True)
    assert (fault.retry_after or 0) >= 1
    leave.set()
    assert await first == ["first"]


@one
async def test_a_waiting_caller_who_leaves_frees_his_place(
    house: House, settings: Any
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 20_000
    house.script(minute(15))
    waiting = asyncio.ensure_future(ask(house, call()))
    while not any(house.gateway.dispatch.queue.counts().values()):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await house.row()).outcome == "cancelled"
    assert house.gateway.dispatch.queue.counts() == {}


# The same account again


@both
@one
async def test_the_only_account_is_asked_again_after_a_passing_failure(
    house: House, stream: bool
) -> None:
    house.script(UpstreamFault(status=500, code="upstream_error"), BadAnswer())
    assert await ask(house, call(stream)) == ["fine"]
    row = await house.row()
    assert [a["code"] for a in row.attempts] == ["upstream_error", "bad_gateway", "ok"]
    starts = [attempt["start_ms"] for attempt in row.attempts]
    # Each pause is longer than the one before it may be.
    assert starts[1] >= 1000 * module.FIRST_PAUSE * 0.5
    assert starts[2] - starts[1] >= 1000 * module.FIRST_PAUSE


@one
async def test_asking_the_same_account_again_has_an_end(house: House) -> None:
    house.script(*[BadAnswer() for _ in range(9)])
    await told(house, BadAnswer)
    assert len((await house.row()).attempts) == 1 + module.MOST_REPEATS


@three
async def test_others_are_asked_before_anyone_is_asked_again(house: House) -> None:
    house.script(BadAnswer(), minute(50), minute(50))
    assert await ask(house, call()) == ["fine"]
    asked = [attempt["account"] for attempt in (await house.row()).attempts]
    assert len(set(asked[:3])) == 3
    assert asked[3] == asked[0]


@one
async def test_what_asking_again_cannot_mend_is_not_asked_again(house: House) -> None:
    house.script(UpstreamRefused("no such field"))
    await told(house, UpstreamRefused)
    assert len((await house.row()).attempts) == 1


@one
async def test_no_pause_outlasts_the_callers_deadline(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 60.0)
    house.script(BadAnswer())
    await told(house, BadAnswer, deadline=5.0)
    assert len((await house.row()).attempts) == 1


# Whose fault it is


@one
async def test_a_timeout_after_the_callers_deadline_blames_the_caller(
    house: House,
) -> None:
    class Late(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]
            await asyncio.sleep(0.06)
            raise UpstreamTimeout

    house.script([Late()])
    fault = await told(house, UpstreamTimeout, deadline=0.05)
    assert (fault.status, fault.blame, fault.cause) == (504, "caller", "deadline")
    row = await house.row()
    assert (row.blame, row.attempts[0]["blame"]) == ("caller", "caller")
    assert await rests() == []


@pytest.mark.parametrize("accounts", [4])
async def test_trouble_that_all_share_is_no_fault_of_the_accounts(
    house: House, settings: Any
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 20_000
    house.script(*[ConnectFailed() for _ in range(4)])
    assert await ask(house, call()) == ["fine"]
    row = await house.row()
    assert [a.get("shared", False) for a in row.attempts][-2:] == [True, False]
    route = house.gateway.catalog.resolve("m-1")
    standings = house.gateway.pool.explain(route, frozenset())
    assert {(s.reason, s.strikes) for s in standings} == {("ready", 0)}
    assert house.gateway.dispatch.guard.troubles() == []


@pytest.mark.parametrize("accounts", [4])
async def test_shared_trouble_is_told_when_patience_is_over(house: House) -> None:
    house.script(*[ConnectFailed() for _ in range(40)])
    fault = await told(house, ConnectFailed)
    assert (fault.retry_after or 0) >= 1
    (trouble,) = house.gateway.dispatch.guard.troubles()
    assert trouble.what == "egress"


@pytest.mark.parametrize("accounts", [2])
async def test_the_last_refused_account_is_told_as_that(house: House) -> None:
    refused = [AccountRefused(code="api_key_invalid") for _ in range(2)]
    house.script(*refused)
    assert (await told(house, AccountRefused)).status == 503
    assert await house.gateway.pool.tasks.finish(5) == 0
    states = await db.run(lambda: set(Account.objects.values_list("state", flat=True)))
    assert states == {"needs_attention"}
    assert (await told(house, NoAccount)).status == 503


@one
async def test_a_model_that_no_account_has_is_not_found(house: House) -> None:
    missing = UpstreamFault(
        status=404, code="model_not_found", cause="model_missing", blame="model"
    )
    house.script(missing)
    assert (await told(house, UpstreamFault)).status == 404
    assert (await told(house, ModelNotFound)).status == 404


async def test_needs_that_no_kind_meets_are_named(house: House) -> None:
    fault = await told(house, BadRequest, needs=frozenset({"teleport"}))
    assert "teleport" in fault.message


# What is remembered of a decision


async def test_the_first_account_that_answers_needs_no_explanation(
    house: House,
) -> None:
    await ask(house, call())
    row = await house.row()
    assert row.decision == {}
    assert "1 of 2" in row.attempts[0]["why"]


@three
async def test_others_that_were_not_asked_are_counted_with_the_reason(
    house: House,
) -> None:
    house.script(minute(50))
    await ask(house, call())
    house.script(minute(50), minute(50))
    await told(house, RateLimited)
    first, second = await house.rows(2)
    assert first.decision["tried"]["accounts"] == [first.attempts[0]["account"]]
    assert second.decision["tried"]["count"] == 2
    resting = first.attempts[0]["account"]
    found = {reason: seen["accounts"] for reason, seen in second.decision.items()}
    assert found["quota_minute"] == [resting]


@three
async def test_turns_of_a_conversation_go_to_the_account_that_knows_it(
    house: House,
) -> None:
    def turn(*words: str) -> Any:
        roles = ("user", "model", "user", "model", "user")
        pairs = zip(roles, words, strict=False)
        contents = [{"role": r, "parts": [{"text": w}]} for r, w in pairs]
        return call(body={"contents": contents})

    for _ in range(4):
        await ask(house, turn("a", "b", "c"))
        await ask(house, turn("other", "talk", "here"))
    await ask(house, turn("a", "b", "c", "d", "e"))
    rows = await house.rows(9)
    mine = {row.account_id for row in rows[0::2]}
    assert len(mine) == 1
    assert "conversation" in rows[8].attempts[0]["why"]


@three
async def test_equal_first_turns_do_not_crowd_one_account(house: House) -> None:
    for _ in range(6):
        await ask(house, call(body={"contents": [{"parts": [{"text": "hello"}]}]}))
    used = {row.account_id for row in await house.rows(6)}
    assert len(used) == 3


# Endings


@both
@one
async def test_a_caller_who_leaves_holds_nothing_against_the_account(
    house: House, stream: bool
) -> None:
    house.script([asyncio.Event()])
    asking = asyncio.ensure_future(ask(house, call(stream)))
    while not house.upstream.open:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await house.rows(1)
    route = house.gateway.catalog.resolve("m-1")
    (standing,) = house.gateway.pool.explain(route, frozenset())
    assert (standing.reason, standing.in_flight, standing.strikes) == ("ready", 0, 0)
    assert house.gateway.dispatch.queue.counts() == {}


@one
async def test_a_bug_of_ours_gives_everything_back(house: House) -> None:
    house.script(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        await ask(house, call())
    row = await house.row()
    assert (row.status, row.cause) == (500, "internal_error")
    route = house.gateway.catalog.resolve("m-1")
    (standing,) = house.gateway.pool.explain(route, frozenset())
    assert (standing.in_flight, standing.strikes) == (0, 0)
    assert house.gateway.dispatch.queue.counts() == {}


@one
async def test_an_operators_wish_is_followed_by_the_running_pool(house: House) -> None:
    account = await db.run(Account.objects.get)
    later = clock.now().replace(year=clock.now().year + 1)
    await db.run(account.cool, later, "olga")
    await db.run(house.gateway.pool.load_rests)
    fault = await told(house, Overloaded)
    assert fault.should_retry is False
    await db.run(account.clear, "olga")
    await db.run(house.gateway.pool.load)
    assert await ask(house, call()) == ["fine"]
    assert await db.run(UsageRecord.objects.count) == 2
