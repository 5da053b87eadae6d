"""Whose turn it is, and what an answer means for the next request."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gemproxy.lib import clock
from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    ConnectFailed,
    Fault,
    NoAccount,
    Overloaded,
    Quota,
    RateLimited,
    StreamCut,
    UpstreamRefused,
)
from proxy.scheduling.pool import SHORTEST_ALARM, Pool
from proxy.scheduling.quota import KEPT, Limits
from proxy.upstreams.http import Clients
from tests.proxy.scheduling.pools import (
    KIND,
    Time,
    member,
    none_left,
    pool_of,
    route,
    take,
    time,
    turns,
)

__all__ = ["time"]
NONE: frozenset[int] = frozenset()
PER_DAY = Quota(id="PerDay", value=3, period="day", unit="requests")
PER_MINUTE = Quota(id="PerMinute", value=2, period="minute", unit="requests")


@pytest.fixture(autouse=True)
async def calm() -> AsyncIterator[None]:
    """See that no test leaves a task behind."""
    yield
    assert len(asyncio.all_tasks()) <= 2


async def fail(pool: Pool, fault: Fault, times: int = 1, **fields: Any) -> int:
    """Let requests fail; return the last one's account."""
    for _ in range(times):
        lease = await take(pool, **fields)
        pool.finish(lease, fault)
    return lease.account.id


async def test_accounts_take_turns(time: Time) -> None:
    pool = pool_of(1, 2, 3)
    assert Counter(await turns(pool, 6)) == {1: 2, 2: 2, 3: 2}


async def test_requests_under_way_are_spread(time: Time) -> None:
    pool = pool_of(1, 2, 3)
    found = [(await take(pool)).account.id for _ in range(6)]
    assert Counter(found) == {1: 2, 2: 2, 3: 2}


async def test_an_account_that_was_tried_is_passed_over(time: Time) -> None:
    pool = pool_of(1, 2, 3)
    tried: set[int] = set()
    for _ in range(3):
        tried.add((await take(pool, tried)).account.id)
    assert tried == {1, 2, 3}
    assert await none_left(pool, tried)


async def test_only_usable_accounts_serve(time: Time) -> None:
    pool = pool_of(
        member(1, state="disabled"),
        member(2, state="needs_attention"),
        member(3, state="new"),
        member(4, config=None),
    )
    assert pool.size() == 1
    assert set(await turns(pool, 4)) == {3}


async def test_a_pool_without_usable_accounts_is_no_account(time: Time) -> None:
    for pool in (pool_of(), pool_of(member(1, state="disabled"))):
        with pytest.raises(NoAccount):
            await pool.lease(route(), frozenset(), set())


async def test_what_no_kind_can_do_is_named(time: Time) -> None:
    pool = pool_of(1)
    needs = frozenset({"tools", "time_travel", "holograms"})
    with pytest.raises(BadRequest, match=r"can do this: holograms, time_travel\."):
        await pool.lease(route(), needs, set())
    assert pool.earliest(route(), needs) is None
    assert pool.explain(route(), needs) == []


async def test_what_a_target_imitates_counts_as_able(time: Time) -> None:
    pool = pool_of(1)
    needs = frozenset({"tools", "time_travel"})
    plain = route("a", "b")
    first, second = plain.targets
    imitating = replace(second, emulates=frozenset({"time_travel"}))
    lease = await pool.lease(replace(plain, targets=(first, imitating)), needs, set())
    assert lease is not None
    assert lease.target is imitating
    needs |= {"holograms"}
    # Of several targets the one that is nearest to able is told of.
    with pytest.raises(BadRequest, match=r"can do this: holograms\."):
        await pool.lease(replace(plain, targets=(first, imitating)), needs, set())


@pytest.mark.parametrize(
    "fault", [RateLimited(retry_after=30), Overloaded(retry_after=30)]
)
async def test_an_account_told_to_wait_is_left_alone(time: Time, fault: Fault) -> None:
    pool = pool_of(1, 2)
    waits = await fail(pool, fault)
    assert set(await turns(pool, 4)) == {1, 2} - {waits}
    assert set(await turns(pool, 4, route=route("other"))) == {1, 2}
    time.now += 31
    assert set(await turns(pool, 12)) == {1, 2}


async def test_when_all_wait_nobody_is_asked_before_the_time(time: Time) -> None:
    pool = pool_of(1, 2)
    await fail(pool, RateLimited(retry_after=30))
    await fail(pool, RateLimited(retry_after=20))
    assert await none_left(pool)
    assert pool.earliest(route(), frozenset()) == pytest.approx(20)
    time.now += 20
    assert await take(pool)


async def test_a_day_that_is_spent_ends_at_midnight_in_california(time: Time) -> None:
    pool = pool_of(1)
    fault = RateLimited(code="insufficient_quota", retry_after=0, quota=PER_DAY)
    await fail(pool, fault)
    assert pool.earliest(route(), frozenset()) == pytest.approx(12 * 3600)


async def test_the_second_target_serves_when_the_first_has_nobody(time: Time) -> None:
    pool = pool_of(1)
    both = route("a", "b")
    assert (await take(pool, route=both)).target.upstream_model == "a"
    await fail(pool, RateLimited(retry_after=30), route=route("a"))
    assert (await take(pool, route=both)).target.upstream_model == "b"
    assert await none_left(pool, {1}, route=both)


async def test_a_refused_credential_takes_the_account_out(time: Time) -> None:
    pool = pool_of(1, 2)
    out = await fail(pool, AccountRefused(code="leaked"))
    assert set(await turns(pool, 4)) == {1, 2} - {out}
    assert pool.size() == 1
    with pytest.raises(NoAccount):
        await fail(pool, AccountRefused(code="leaked"), times=2)


async def test_a_callers_fault_changes_nothing(time: Time) -> None:
    pool = pool_of(1)
    await fail(pool, UpstreamRefused(), times=20)
    (standing,) = pool.explain(route(), frozenset())
    assert (standing.reason, standing.success, standing.strikes) == ("ready", 1.0, 0)


async def test_failures_in_a_row_end_in_a_rest_and_one_canary(time: Time) -> None:
    pool = pool_of(1)
    await fail(pool, StreamCut(), times=3)
    assert await none_left(pool)
    assert pool.resting() == [(1, "m", time.now + 10, True)]
    time.now += 10
    canary = await take(pool)
    assert canary.canary
    assert await none_left(pool)
    pool.finish(canary, StreamCut())
    assert pool.earliest(route(), frozenset()) == pytest.approx(20)
    time.now += 20
    pool.finish(await take(pool), None)
    assert [(await take(pool)).canary for _ in range(3)] == [False] * 3
    assert pool.resting() == []


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        (None, {"sheltered": True}),
        (StreamCut(), {"sent": False}),
        (UpstreamRefused(), {}),
    ],
)
async def test_a_canary_without_an_outcome_lets_the_next_one_pass(
    time: Time, fault: Fault | None, fields: dict[str, bool]
) -> None:
    pool = pool_of(1)
    await fail(pool, StreamCut(), times=3)
    time.now += 10
    pool.finish(await take(pool), fault, **fields)
    assert (await take(pool)).canary


async def test_a_probe_tests_an_account_before_its_time(time: Time) -> None:
    pool = pool_of(1, 2)
    tried = {2}
    await fail(pool, StreamCut(), times=3, tried=tried)
    lease = await pool.lease_canary(1, "m")
    assert lease is not None
    assert (lease.canary, lease.account.id) == (True, 1)
    assert lease.target.upstream_model == "m"
    assert await pool.lease_canary(1, "m") is None
    pool.finish(lease, None)
    assert (await take(pool, tried)).account.id == 1


async def test_only_what_rests_for_failures_is_probed(time: Time) -> None:
    pool = pool_of(1, member(2, concurrency=1), 3)
    await fail(pool, RateLimited(retry_after=30), tried={2, 3})
    await fail(pool, StreamCut(), times=3, tried={1, 3})
    await take(pool, {1, 3}, route=route("other"))
    await take(pool, {1, 2})
    for account_id in (1, 2, 3, 9):
        assert await pool.lease_canary(account_id, "m") is None


async def test_calls_of_one_burst_are_one_reason_to_rest(time: Time) -> None:
    pool = pool_of(1)
    leases = [await take(pool) for _ in range(40)]
    time.now += 1
    for lease in leases:
        pool.finish(lease, ConnectFailed())
    assert pool.earliest(route(), frozenset()) == pytest.approx(10)


async def test_shared_trouble_is_held_against_nobody(time: Time) -> None:
    pool = pool_of(1, 2)
    told: list[str] = []
    pool.on_free = lambda: told.append("free")
    for number in (1, 2):
        for _ in range(3):
            lease = await take(pool, {3 - number})
            pool.finish(lease, ConnectFailed())
    assert await none_left(pool)
    told.clear()
    pool.forgive([(1, "m"), (2, "m")])
    assert told == ["free"]
    assert set(await turns(pool, 2)) == {1, 2}
    leases = [await take(pool) for _ in range(20)]
    for lease in leases:
        pool.finish(lease, ConnectFailed(), sheltered=True)
    assert {s.success for s in pool.explain(route(), frozenset())} == {1.0}


async def test_a_lease_ends_once(time: Time) -> None:
    pool = pool_of(member(1, concurrency=1))
    lease = await take(pool)
    verdict = pool.finish(lease, RateLimited(retry_after=30))
    assert verdict is not None
    assert verdict.scope == "account_model"
    assert pool.finish(lease, AccountRefused(code="leaked")) is None
    assert pool.size() == 1
    (standing,) = pool.explain(route(), frozenset())
    assert standing.in_flight == 0


async def test_an_account_takes_so_many_at_once(time: Time) -> None:
    pool = pool_of(member(1, concurrency=2), member(2, concurrency=1))
    leases = [await take(pool) for _ in range(3)]
    assert await none_left(pool)
    assert pool.seats(route(), frozenset()) == 3
    assert pool.seats_taken(route(), frozenset())
    assert pool.earliest(route(), frozenset()) is None
    # Its seats are the account's, whatever model asks.
    assert await none_left(pool, route=route("other"))
    told: list[str] = []
    pool.on_free = lambda: told.append("free")
    pool.finish(leases[0], None)
    assert told == ["free"]
    assert (await take(pool, route=route("other"))).account.id == leases[0].account.id


async def test_lower_priorities_serve_when_the_first_cannot(time: Time) -> None:
    pool = pool_of(member(1, priority=1), member(2, concurrency=1))
    first = await take(pool)
    assert first.account.id == 2
    assert (await take(pool)).account.id == 1
    pool.finish(first, None)
    assert (await take(pool)).account.id == 2


async def test_a_conversation_stays_with_its_account(time: Time) -> None:
    pool = pool_of(*range(1, 30))
    first = await take(pool, sticky="c")
    pool.finish(first, None)
    for _ in range(5):
        await turns(pool, 3)
        lease = await take(pool, sticky="c")
        assert lease.account.id == first.account.id
        assert "conversation" in lease.reason
        pool.finish(lease, None)
    other = await take(pool, {first.account.id}, sticky="c")
    assert other.account.id != first.account.id
    pool.finish(other, None)
    assert (await take(pool, sticky="c")).account.id == other.account.id


async def test_a_conversation_moves_when_its_account_rests(time: Time) -> None:
    pool = pool_of(1, 2)
    first = await take(pool, sticky="c")
    pool.finish(first, None)
    lease = await take(pool, sticky="c")
    pool.finish(lease, RateLimited(retry_after=30))
    assert (await take(pool, sticky="c")).account.id != first.account.id


async def test_a_failed_call_binds_no_conversation(time: Time) -> None:
    pool = pool_of(1, 2)
    lease = await take(pool, sticky="c")
    pool.finish(lease, BadAnswer())
    again = await take(pool, sticky="c")
    assert "conversation" not in again.reason


async def test_the_same_account_may_be_asked_again(time: Time) -> None:
    pool = pool_of(1, 2, 3)
    for _ in range(3):
        lease = await take(pool, sticky="c")
        pool.finish(lease, None)
        again = await pool.lease_again(lease)
        assert again is not None
        assert (again.account.id, again.sticky) == (lease.account.id, "c")
        assert again.route == "r"
        pool.finish(again, None)


async def test_a_resting_account_is_not_asked_again(time: Time) -> None:
    pool = pool_of(1)
    lease = await take(pool)
    pool.finish(lease, RateLimited(retry_after=30))
    assert await pool.lease_again(lease) is None
    time.now += 30
    assert await pool.lease_again(lease) is not None


class TestQuotas:
    """Requests are counted before they are sent."""

    async def test_an_account_is_asked_as_often_as_its_limit_allows(
        self, time: Time
    ) -> None:
        pool = pool_of(member(1, limits=Limits(rpm=3)), member(2, limits=Limits(rpm=2)))
        assert Counter(await turns(pool, 5)) == {1: 3, 2: 2}
        assert await none_left(pool)
        assert pool.earliest(route(), frozenset()) == pytest.approx(KEPT)
        time.now += KEPT
        assert Counter(await turns(pool, 5)) == {1: 3, 2: 2}

    async def test_what_was_not_sent_or_refused_does_not_count(
        self, time: Time
    ) -> None:
        pool = pool_of(member(1, limits=Limits(rpm=1)))
        pool.finish(await take(pool), None, sent=False)
        pool.finish(await take(pool), RateLimited(retry_after=1))
        time.now += 1
        pool.finish(await take(pool), ConnectFailed())
        pool.finish(await take(pool), None)
        assert await none_left(pool)

    async def test_tokens_are_settled(self, time: Time) -> None:
        pool = pool_of(member(1, limits=Limits(tpm=1000)))
        pool.finish(await take(pool, tokens=900), None, tokens=100)
        lease = await take(pool, tokens=900)
        assert await none_left(pool, tokens=900)
        pool.finish(lease, None, tokens=200)
        assert await take(pool, tokens=700)

    async def test_a_large_request_does_not_take_a_slot_from_small_ones(
        self, time: Time
    ) -> None:
        pool = pool_of(member(1, limits=Limits(tpm=1000)))
        pool.finish(await take(pool, tokens=500), None, tokens=500)
        assert await none_left(pool, tokens=900)
        assert await take(pool, tokens=400)

    async def test_a_refusal_teaches_the_limit(self, time: Time) -> None:
        pool = pool_of(1)
        fault = RateLimited(retry_after=5, quota=PER_MINUTE)
        await fail(pool, fault)
        time.now += 5
        await turns(pool, 2)
        assert await none_left(pool)
        (standing,) = pool.explain(route(), frozenset())
        assert (standing.limits.rpm, standing.reason) == (2, "minute_limit")

    async def test_two_hundred_who_wait_are_all_served_when_they_were_told(
        self, time: Time
    ) -> None:
        pool = pool_of(*(member(n, limits=Limits(rpm=15)) for n in range(1, 5)))
        await turns(pool, 60)
        start = time.now
        told = [
            pool.earliest(route(), frozenset(), place=place) or 0.0
            for place in range(1, 201)
        ]
        assert min(told) > 0
        for wait in told:
            time.now = max(time.now, start + wait)
            pool.finish(await take(pool), None)

    async def test_a_burst_never_exceeds_what_the_provider_allows(
        self, time: Time
    ) -> None:
        pool = pool_of(*(member(n, limits=Limits(rpm=15)) for n in range(1, 21)))
        seen: dict[int, list[float]] = {n: [] for n in range(1, 21)}
        served = 0
        for _ in range(3000):
            time.now += 0.05
            lease = await pool.lease(route(), frozenset(), set())
            if lease is None:
                continue
            seen[lease.account.id].append(time.now)
            pool.finish(lease, None, latency_ms=100 * lease.account.id)
            served += 1
        assert served >= 600
        for times in seen.values():
            crowds = zip(times, times[15:], strict=False)
            assert all(after - before > 60 for before, after in crowds)


async def test_reasons_are_counted(time: Time) -> None:
    pool = pool_of(1, 2, 3, member(4, state="disabled"))
    waits = await fail(pool, RateLimited(retry_after=30))
    tried = next({n} for n in (1, 2, 3) if n != waits)
    found = pool.counts(route(), frozenset(), tried)
    assert {reason: entry["count"] for reason, entry in found.items()} == {
        "tried": 1,
        "ready": 1,
        "disabled": 1,
        "rate_limit_exceeded": 1,
    }
    assert found["rate_limit_exceeded"]["accounts"] == [waits]


async def test_a_decision_has_a_reason(time: Time) -> None:
    assert "adaptive, 1 of 2" in (await take(pool_of(1, 2))).reason
    pool = pool_of(1, 2, strategy="round_robin")
    assert "round_robin, 1 of 2" in (await take(pool)).reason


@pytest.mark.parametrize("strategy", ["adaptive", "least_used", "round_robin"])
async def test_every_strategy_spreads_over_a_large_pool(
    time: Time, strategy: str
) -> None:
    pool = pool_of(*range(1, 101), strategy=strategy)
    found = Counter(await turns(pool, 500))
    assert len(found) == 100
    assert max(found.values()) <= 10


async def test_those_who_wait_are_woken_when_the_time_has_come() -> None:
    pool = pool_of(1)
    free = asyncio.Event()
    pool.on_free = free.set
    await fail(pool, RateLimited(retry_after=1))
    free.clear()
    assert await none_left(pool)
    async with asyncio.timeout(20):
        await free.wait()
    assert await take(pool)
    await pool.aclose()


async def test_a_request_short_of_tokens_is_woken_for_them(time: Time) -> None:
    pool = pool_of(member(1, limits=Limits(tpm=1000)))
    pool.finish(await take(pool, tokens=900), None)
    assert await none_left(pool, tokens=500)
    loop = asyncio.get_running_loop()
    assert pool._alarm is not None
    assert pool._alarm.when() - loop.time() > 30
    wait = pool.earliest(route(), frozenset(), tokens=500)
    assert wait == pytest.approx(KEPT)
    await pool.aclose()


async def test_whoever_was_tried_does_not_wake_others_all_the_time(time: Time) -> None:
    pool = pool_of(1, 2)
    assert await none_left(pool, {1, 2})
    assert pool._alarm is None
    await pool.aclose()


async def test_nobody_looks_again_without_a_pause() -> None:
    pool = pool_of(1)
    pool._set_alarm(0.0)
    assert pool._alarm is not None
    pause = pool._alarm.when() - asyncio.get_running_loop().time()
    assert pause > SHORTEST_ALARM / 2
    await pool.aclose()


async def test_the_soonest_end_wakes(time: Time) -> None:
    pool = pool_of(1, 2)
    await fail(pool, RateLimited(retry_after=300))
    await fail(pool, RateLimited(retry_after=200))
    whens = []
    for tried in (set(), {1}, {2}):
        assert await none_left(pool, tried)
        assert pool._alarm is not None
        whens.append(round(pool._alarm.when() - asyncio.get_running_loop().time()))
    assert whens == [200, 200, 200]
    await pool.aclose()


async def test_accounts_may_be_loaded_while_requests_go_on() -> None:
    pool = pool_of(*(member(n, limits=Limits(rpm=10_000)) for n in range(1, 51)))
    stop, rounds = threading.Event(), []

    def load() -> None:
        while not stop.is_set():
            count = 30 + len(rounds) % 40
            made = [
                member(n, priority=n % 3, concurrency=n % 2 * 9)
                for n in range(1, count)
            ]
            with pool._lock:
                pool._roster.replace(made, None, clock.now().timestamp())
            rounds.append(1)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        while len(rounds) < 30:
            leases = [await take(pool) for _ in range(5)]
            await asyncio.sleep(0)
            for number, lease in enumerate(leases):
                pool.finish(lease, StreamCut() if number == 4 else None)
    finally:
        stop.set()
        thread.join()
    held = pool._roster.ready_set(KIND, "m", clock.now().timestamp())
    assert set(held.slots) == set(pool._roster.members)
    assert all(one.in_flight == 0 for one in pool._roster.members.values())
    out = [key for _, slots in held.out() for key in slots]
    assert held.ready() + len(out) == len(held.slots)


async def test_no_lease_shows_its_secret(time: Time) -> None:
    lease = await take(pool_of(1))
    assert lease.account.secret == "secret-1"
    assert "secret-1" not in repr(lease)


async def test_the_adapter_of_a_kind_is_made_once() -> None:
    pool = Pool(Clients())
    assert pool.adapter(KIND) is pool.adapter(KIND)
    assert pool.adapter(KIND).kind == KIND
    await pool.aclose()
