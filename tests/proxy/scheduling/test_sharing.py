"""Processes share their counters: Redis decides, and its word is remembered."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import OperationalError

from proxy.errors import AccountRefused, RateLimited, StreamCut
from proxy.scheduling import pool as pool_module
from proxy.scheduling.history import Used
from proxy.scheduling.quota import Limits
from proxy.scheduling.roster import Roster
from proxy.scheduling.shared import (
    Candidate,
    Seed,
    SharedAway,
    SharedWindows,
    Taken,
    Usage,
)
from proxy.scheduling.sharing import (
    MOST_OFFERED,
    ROUNDS,
    SEAT_PAUSE,
    pacific_day,
    seeds,
)
from tests.proxy.scheduling.pools import (
    NOON,
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


class Shared:
    """Shared counters that answer as they are told: -1 refuses with ``waits``."""

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] = lambda: None
        self.asked: list[list[Candidate]] = []
        self.settled: list[tuple[int, int | None, bool]] = []
        self.seeded: list[Seed] = []
        self.usages: dict[str, Usage] = {}
        self.looks: list[tuple[list[str], str]] = []
        self.waits: dict[int, float] = {}
        self.away = False
        self.meanwhile: Callable[[], None] = lambda: None

    async def reserve(self, candidates: Sequence[Candidate], *, now: float) -> Taken:
        if self.away:
            raise SharedAway
        self.asked.append(list(candidates))
        await asyncio.sleep(0)
        self.meanwhile()
        waits = []
        for index, candidate in enumerate(candidates):
            wait = self.waits.get(candidate.account_id, 0.0)
            if not wait:
                return Taken(index, f"member-{len(self.asked)}", waits)
            waits.append(wait)
        return Taken(-1, "", waits)

    async def settle(
        self, taken: Taken, candidate: Candidate, *, tokens: int | None, sent: bool
    ) -> None:
        if self.away:
            raise SharedAway
        self.settled.append((candidate.account_id, tokens, sent))

    async def usage(self, windows: Sequence[str], *, day: str) -> dict[str, Usage]:
        self.looks.append((sorted(windows), day))
        return self.usages

    async def seed(self, seeds: Sequence[Seed]) -> int:
        self.seeded += seeds
        return len(seeds)

    async def aclose(self) -> None:
        self.settled.append((0, None, False))


async def test_what_redis_must_know_is_told(time: Time) -> None:
    shared = Shared()
    limits = Limits(rpm=5, rpd=9)
    pool = pool_of(member(7, concurrency=2, limits=limits), shared=shared)
    lease = await take(pool, tokens=40)
    assert shared.asked == [
        [
            Candidate(
                account_id=7,
                window="7:m",
                seat="7",
                concurrency=2,
                rpm=5,
                tpm=None,
                rpd=9,
                tokens=40,
                day="2026-01-15",
            )
        ]
    ]
    pool.finish(lease, None, tokens=33)
    assert await pool.tasks.finish(20) == 0
    assert shared.settled == [(7, 33, True)]


async def test_keys_of_one_project_share_a_window(time: Time) -> None:
    shared = Shared()
    pool = pool_of(1, 2, shared=shared)
    for number in (1, 2):
        pool._roster.learn((number, "m"), Limits(rpm=9), "project", NOON)
    await take(pool)
    assert {c.window for c in shared.asked[0]} == {"project:m"}


async def test_what_was_refused_does_not_count(time: Time) -> None:
    shared = Shared()
    pool = pool_of(1, shared=shared)
    pool.finish(await take(pool), RateLimited(retry_after=1))
    assert await pool.tasks.finish(20) == 0
    assert shared.settled == [(1, None, False)]


async def test_a_lease_asks_redis_once_however_many_accounts_there_are(
    time: Time,
) -> None:
    shared = Shared()
    pool = pool_of(*range(1, 501), shared=shared)
    await take(pool)
    assert len(shared.asked) == 1
    assert len(shared.asked[0]) == MOST_OFFERED


@pytest.mark.parametrize("strategy", ["adaptive", "least_used", "round_robin"])
async def test_requests_that_ask_redis_at_once_spread_over_accounts(
    time: Time, strategy: str
) -> None:
    shared = Shared()
    pool = pool_of(1, 2, 3, shared=shared, strategy=strategy)
    leases = await asyncio.gather(*(take(pool) for _ in range(6)))
    assert sorted(lease.account.id for lease in leases) == [1, 1, 2, 2, 3, 3]
    pools = pool._roster.members.values()
    assert all(not slot.asked_for for one in pools for slot in one.slots.values())


async def test_what_redis_refuses_is_not_offered_again_soon(time: Time) -> None:
    shared = Shared()
    shared.waits = {1: 30.0, 2: math.inf}
    pool = pool_of(1, 2, 3, shared=shared)
    for _ in range(3):
        assert (await take(pool)).account.id == 3
    assert max(len(asked) for asked in shared.asked[2:]) == 1
    told = {
        s.account_id: pool._roster.members[s.account_id].slots["m"]
        for s in pool.explain(route(), frozenset())
    }
    assert (told[1].reason, told[1].until) == ("minute_limit", NOON + 30)
    assert (told[2].reason, told[2].until) == ("all_seats_taken", NOON + SEAT_PAUSE)
    time.now += SEAT_PAUSE
    shared.waits = {}
    assert 2 in await turns(pool, 6)


async def test_a_request_that_ends_here_does_not_bring_back_what_redis_refused(
    time: Time,
) -> None:
    shared = Shared()
    pool = pool_of(member(1, limits=Limits(rpm=5)), shared=shared)
    lease = await take(pool)
    shared.waits = {1: 30.0}
    assert await none_left(pool)
    pool.finish(lease, None)
    assert pool.counts(route(), frozenset()) == {
        "minute_limit": {"count": 1, "accounts": [1]}
    }
    assert pool.earliest(route(), frozenset()) == pytest.approx(30)
    assert await none_left(pool)
    time.now += 30
    shared.waits = {}
    assert (await take(pool)).account.id == 1
    await pool.aclose()


async def test_room_that_a_request_gives_back_is_asked_for_at_once(time: Time) -> None:
    shared = Shared()
    pool = pool_of(member(1, limits=Limits(rpm=5)), shared=shared)
    unsent = await take(pool)
    shared.waits = {1: 30.0}
    assert await none_left(pool)
    shared.waits = {}
    assert await none_left(pool)
    pool.finish(unsent, None, sent=False)
    assert (await take(pool)).account.id == 1
    await pool.aclose()


async def test_other_limits_are_tried_at_once(time: Time) -> None:
    shared = Shared()
    pool = pool_of(member(1, limits=Limits(rpm=1)), shared=shared)
    shared.waits = {1: 30.0}
    assert await none_left(pool)
    shared.waits = {}
    pool._roster.put(member(1, limits=Limits(rpm=2)), time.now)
    assert (await take(pool)).account.id == 1


async def test_accounts_that_fail_one_by_one_while_they_are_taken_are_passed_over(
    time: Time,
) -> None:
    shared = Shared()
    pool = pool_of(*range(1, 12), shared=shared)

    def refuse() -> None:
        first = shared.asked[-1][0].account_id
        if len(shared.asked) <= 10:
            pool._roster.shelve(pool._roster.members[first], "leaked", time.now)

    shared.meanwhile = refuse
    assert await take(pool)
    assert len(shared.settled) == 10


async def test_rounds_are_bounded(time: Time) -> None:
    shared = Shared()
    shared.waits = dict.fromkeys(range(1, 501), 30.0)
    pool = pool_of(*range(1, 501), shared=shared)
    assert await none_left(pool)
    assert len(shared.asked) == ROUNDS
    offered = {c.account_id for asked in shared.asked for c in asked}
    assert len(offered) == ROUNDS * MOST_OFFERED


async def test_when_all_are_refused_the_wait_is_known(time: Time) -> None:
    shared = Shared()
    shared.waits = {1: 30.0, 2: 40.0}
    pool = pool_of(1, 2, shared=shared)
    assert await none_left(pool)
    assert pool.earliest(route(), frozenset()) == pytest.approx(30)
    await pool.aclose()


async def test_those_who_wait_are_spread_as_all_processes_requests_end(
    time: Time,
) -> None:
    shared = Shared()
    shared.waits = {1: 10.0, 2: 20.0}
    shared.usages = {
        "1:m": Usage(3, 0, 3, 0, ends=((10.0, 0), (30.0, 0), (50.0, 0))),
        "2:m": Usage(2, 0, 2, 0, ends=((20.0, 0), (40.0, 0))),
    }
    three, two = member(1, limits=Limits(rpm=3)), member(2, limits=Limits(rpm=2))
    pool = pool_of(three, two, shared=shared)
    assert await none_left(pool)
    assert shared.looks == [(["1:m", "2:m"], "2026-01-15")]
    found = [pool.earliest(route(), frozenset(), place=place) for place in range(1, 6)]
    assert found == pytest.approx([10, 20, 30, 40, 50])
    # Whoever comes while all wait does not ask again.
    assert await none_left(pool)
    assert (len(shared.asked), len(shared.looks)) == (1, 1)
    time.now += 35
    assert pool.earliest(route(), frozenset(), place=3) == 0
    await pool.aclose()


async def test_an_account_that_went_out_meanwhile_is_given_back(time: Time) -> None:
    shared = Shared()
    pool = pool_of(1, 2, shared=shared)
    lease = await take(pool)
    bad = lease.account.id

    def refuse() -> None:
        shared.meanwhile = lambda: None
        first = shared.asked[-1][0].account_id
        one = pool._roster.members[first]
        pool._roster.shelve(one, "leaked", time.now)

    shared.meanwhile = refuse
    other = await take(pool)
    assert other.account.id == bad
    assert shared.settled == [(3 - bad, None, False)]


async def test_one_canary_goes_although_two_asked(time: Time) -> None:
    shared = Shared()
    pool = pool_of(1, shared=shared)
    for _ in range(3):
        pool.finish(await take(pool), StreamCut())
    time.now += 10
    leases = await asyncio.gather(
        pool.lease(route(), frozenset(), set()), pool.lease(route(), frozenset(), set())
    )
    assert [lease.canary for lease in leases if lease] == [True]
    await pool.tasks.finish(20)


async def test_a_probe_goes_through_redis_as_well(time: Time) -> None:
    shared = Shared()
    pool = pool_of(1, shared=shared)
    for _ in range(3):
        pool.finish(await take(pool), StreamCut())
    lease = await pool.lease_canary(1, "m")
    assert lease is not None
    assert lease.canary
    assert len(shared.asked) == 4
    pool.finish(lease, None)
    assert await pool.tasks.finish(20) == 0


async def test_without_redis_a_process_counts_alone(time: Time) -> None:
    shared = Shared()
    pool = pool_of(member(1, limits=Limits(rpm=3)), shared=shared)
    for _ in range(2):
        pool.finish(await take(pool), None)
    assert await pool.tasks.finish(20) == 0
    shared.away = True
    lease = await take(pool)
    pool.finish(lease, None)
    assert await none_left(pool)
    assert await pool.tasks.finish(20) == 0
    assert len(shared.settled) == 2
    await pool.aclose()


async def test_learned_states_hold_whatever_redis_says(time: Time) -> None:
    pool = pool_of(1, 2, shared=Shared())
    lease = await take(pool)
    pool.finish(lease, AccountRefused(code="leaked"))
    assert set(await turns(pool, 4)) == {3 - lease.account.id}
    assert await pool.tasks.finish(20) == 0


async def test_counters_that_redis_lost_are_seeded_once(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Shared()
    pool = pool_of(1, shared=shared)
    found = Seed(window="1:m", day="d", requests_today=1, tokens_today=2)
    monkeypatch.setattr(pool._loader, "seeds", lambda: [found])
    monkeypatch.setattr(pool_module.db, "run", run_here)
    shared.on_lost()
    shared.on_lost()
    assert await pool.tasks.finish(20) == 0
    assert shared.seeded == [found]


async def test_a_database_that_is_away_harms_no_request(
    time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shared = Shared()
    pool = pool_of(1, shared=shared)

    def fail() -> list[Seed]:
        raise OperationalError("away")

    monkeypatch.setattr(pool._loader, "seeds", fail)
    monkeypatch.setattr(pool_module.db, "run", run_here)
    shared.on_lost()
    with caplog.at_level(logging.WARNING):
        assert await pool.tasks.finish(20) == 0
    assert "could not be rebuilt: away" in caplog.text
    assert await take(pool)


async def run_here(work: Callable[[], Any]) -> Any:
    return work()


async def test_closing_the_pool_closes_the_client(time: Time) -> None:
    shared = Shared()
    await pool_of(1, shared=shared).aclose()
    assert shared.settled == [(0, None, False)]


def test_seeds_are_what_the_ledger_knows_of_each_window() -> None:
    roster = Roster()
    roster.replace([member(n) for n in (1, 2, 3)], None, NOON)
    for number in (1, 2):
        roster.learn((number, "m"), Limits(rpm=9), "project", NOON)
    recent = [
        Used(1, "m", NOON - 5, 10),
        Used(2, "m", NOON - 9, 20),
        Used(9, "m", 0, 0),
    ]
    today = {(1, "m"): (4, 100), (2, "m"): (5, 200), (3, "m"): (1, 7), (9, "m"): (1, 1)}
    found = {seed.window: seed for seed in seeds(roster, recent, today, NOON)}
    assert set(found) == {"project:m", "3:m"}
    shared = found["project:m"]
    assert (shared.requests_today, shared.tokens_today) == (9, 300)
    assert shared.minute == ((5.0, 10), (9.0, 20))
    assert shared.day == "2026-01-15"
    assert found["3:m"].minute == ()


@pytest.mark.parametrize(
    ("hours", "day"), [(-12.5, "2026-01-14"), (0, "2026-01-15"), (12, "2026-01-16")]
)
def test_days_are_those_of_california(hours: float, day: str) -> None:
    assert pacific_day(NOON + hours * 3600) == day


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_two_processes_obey_one_limit_together(redis_url: str) -> None:
    number = id(object())
    both: list[Any] = []
    for _ in range(2):
        shared = SharedWindows(redis_url)
        both.append(pool_of(member(number, limits=Limits(rpm=15)), shared=shared))
    served = 0
    for turn in range(40):
        pool = both[turn % 2]
        lease = await pool.lease(route(), frozenset(), set())
        if lease is not None:
            pool.finish(lease, None)
            served += 1
    assert served == 15
    for pool in both:
        assert (pool.earliest(route(), frozenset()) or 0) > 50
        assert await pool.tasks.finish(20) == 0
        await pool.aclose()
