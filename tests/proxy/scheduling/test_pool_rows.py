"""The pool and the database: what a restart or another process must find again."""

import asyncio
import datetime
import logging
from typing import Any

import pytest
from cryptography.fernet import Fernet

from accounts.models import Account, CoolDown, LearnedLimit
from gemproxy.lib import clock, db
from proxy.errors import AccountRefused, ConnectFailed, Quota, RateLimited, StreamCut
from proxy.scheduling.outlook import Standing
from proxy.scheduling.pool import Pool
from proxy.scheduling.store import Store
from proxy.upstreams.http import Clients
from tests.accounts.rows import record
from tests.proxy.house import Upstream
from tests.proxy.scheduling.pools import KIND, none_left, route, take, turns

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = datetime.timedelta(hours=1)
PER_MINUTE = Quota(id="PerMinute", value=2, period="minute", unit="requests")


@pytest.fixture
def ids(transactional_db: None) -> list[int]:
    """Three accounts."""
    rows = [Account.add(kind=KIND, secret=f"key-{n}-" + "x" * 30) for n in range(3)]
    return [row.pk for row in rows if row]


def make() -> Pool:
    """Return the pool of a process that starts now."""
    pool = Pool(Clients(), store=Store())
    pool.load()
    pool.restore()
    pool._adapters[KIND] = Upstream()
    return pool


async def start() -> Pool:
    return await db.run(make)


async def row(pk: int) -> Account:
    return await db.run(Account.objects.get, pk=pk)


async def refuse(pool: Pool, ids: list[int], number: int, *faults: Any) -> None:
    """Let one account's requests fail, and wait until that is written."""
    for fault in faults:
        lease = await take(pool, set(ids) - {ids[number]})
        pool.finish(lease, fault)
    assert await pool.tasks.finish(20) == 0


def standing(pool: Pool, pk: int) -> Standing:
    found = pool.explain(route(), frozenset())
    return next(one for one in found if one.account_id == pk)


async def test_rests_outlive_a_restart(ids: list[int]) -> None:
    pool = await start()
    await refuse(pool, ids, 0, RateLimited(retry_after=600))
    await refuse(pool, ids, 1, *[StreamCut()] * 3)
    await refuse(pool, ids, 2, RateLimited(retry_after=2))
    fresh = await start()
    assert set(await turns(fresh, 3)) == {ids[2]}
    assert standing(fresh, ids[0]).detail.startswith("429")
    assert standing(fresh, ids[1]).strikes == 3
    found = {(account, model, canary) for account, model, _, canary in fresh.resting()}
    assert found == {(ids[0], "m", False), (ids[1], "m", True)}
    untils = sorted(
        until - clock.now().timestamp() for _, _, until, _ in fresh.resting()
    )
    assert untils == pytest.approx([10, 600], abs=5)


async def test_learned_limits_outlive_a_restart(ids: list[int]) -> None:
    pool = await start()
    await refuse(pool, ids, 0, RateLimited(retry_after=1, quota=PER_MINUTE))
    fresh = await start()
    assert standing(fresh, ids[0]).limits.rpm == 2
    assert standing(fresh, ids[1]).limits.rpm is None


async def test_counters_and_health_outlive_a_restart(ids: list[int]) -> None:
    def write() -> None:
        for ago, code in ((10, "ok"), (9, "stream_cut"), (8, "stream_cut")):
            at = clock.now() - datetime.timedelta(seconds=ago)
            attempt = {"account": ids[0], "model": "m", "start_ms": 0, "ms": 200}
            attempts = [{**attempt, "code": code}]
            record(started_at=at, prompt_tokens=40, attempts=attempts)

    await db.run(write)
    found = standing(await start(), ids[0])
    assert (found.usage.requests, found.usage.tokens) == (3, 120)
    assert found.usage.day_requests in (0, 3)
    assert found.success == pytest.approx(0.64)
    assert (found.latency_ms, found.strikes) == (200, 2)


async def test_egress_trouble_is_not_remembered_against_accounts(
    ids: list[int],
) -> None:
    fault = ConnectFailed()
    attempt = {
        "account": ids[0],
        "model": "m",
        "code": fault.code,
        "blame": fault.blame,
    }
    attempts = [{**attempt, "start_ms": 0, "ms": 1}]
    await db.run(record, started_at=clock.now(), attempts=attempts)
    assert standing(await start(), ids[0]).success == 1.0


async def test_a_refused_credential_is_set_aside_with_its_cause(ids: list[int]) -> None:
    pool = await start()
    await refuse(pool, ids, 0, AccountRefused(code="leaked"))
    found = await row(ids[0])
    assert (found.state, found.state_cause) == ("needs_attention", "leaked")
    assert "make a new one" in found.state_advice
    await db.run(pool.load, str(ids[0]))
    assert set(await turns(pool, 4)) == set(ids[1:])


async def test_what_an_operator_disabled_stays_disabled(ids: list[int]) -> None:
    pool = await start()
    lease = await take(pool, set(ids[1:]))
    await db.run(lambda: Account.objects.get(pk=ids[0]).disable("olga"))
    pool.finish(lease, AccountRefused(code="leaked"))
    assert await pool.tasks.finish(20) == 0
    assert (await row(ids[0])).state == "disabled"


async def test_an_operators_changes_are_followed_account_by_account(
    ids: list[int],
) -> None:
    pool = await start()

    async def change(work: Any, load: Any = pool.load) -> set[int]:
        await db.run(lambda: work(Account.objects.get(pk=ids[0])))
        await db.run(load, str(ids[0]))
        return set(await turns(pool, 9))

    assert await change(lambda one: one.disable("olga")) == set(ids[1:])
    assert await change(lambda one: one.enable("olga")) == set(ids)
    until = clock.now() + HOUR
    rest = pool.load_rests
    assert await change(lambda one: one.cool(until, "olga"), rest) == set(ids[1:])
    assert standing(pool, ids[0]).detail == "by olga"
    assert await change(lambda one: one.clear("olga"), rest) == set(ids)
    assert await change(lambda one: one.delete()) == set(ids[1:])


async def test_clearing_forgets_failures_too(ids: list[int]) -> None:
    pool = await start()
    await refuse(pool, ids, 0, *[StreamCut()] * 3)
    await db.run(lambda: Account.objects.get(pk=ids[0]).clear("olga"))
    for load in (pool.load_rests, pool.load):
        await db.run(load, str(ids[0]))
    found = standing(pool, ids[0])
    assert (found.reason, found.success, found.strikes) == ("ready", 1.0, 0)
    assert pool.resting() == []


async def test_two_processes_learn_from_each_other(ids: list[int]) -> None:
    one, other = await start(), await start()
    await refuse(one, ids, 0, RateLimited(retry_after=600, quota=PER_MINUTE))
    await refuse(one, ids, 1, *[StreamCut()] * 3)
    await db.run(other.load_rests)
    await db.run(other.load_limits)
    assert set(await turns(other, 3)) == {ids[2]}
    assert standing(other, ids[0]).limits.rpm == 2
    canary = await one.lease_canary(ids[1], "m")
    assert canary is not None
    one.finish(canary, None)
    assert await one.tasks.finish(20) == 0
    await db.run(other.load_rests, str(ids[1]))
    assert set(await turns(other, 4)) == set(ids[1:])


async def test_those_who_wait_hear_of_changes(ids: list[int]) -> None:
    pool = await start()
    for number in range(3):
        await refuse(pool, ids, number, RateLimited(retry_after=600))
    assert await none_left(pool)
    free = asyncio.Event()
    pool.on_free = free.set
    await db.run(lambda: Account.objects.get(pk=ids[0]).clear("olga"))
    await db.run(pool.load_rests)
    async with asyncio.timeout(20):
        await free.wait()
    assert (await take(pool)).account.id == ids[0]
    await pool.aclose()


async def test_a_rest_that_is_not_written_yet_survives_a_load(ids: list[int]) -> None:
    pool = await start()
    lease = await take(pool, set(ids[1:]))
    pool.finish(lease, RateLimited(retry_after=600))
    await db.run(pool.load)
    assert set(await turns(pool, 4)) == set(ids[1:])
    assert await pool.tasks.finish(20) == 0


async def test_an_account_that_vanishes_harms_nobody(
    ids: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    pool = await start()
    lease = await take(pool, set(ids[1:]))
    await db.run(Account.objects.filter(pk=ids[0]).delete)
    with caplog.at_level(logging.WARNING):
        await db.run(pool.load)
        pool.finish(lease, RateLimited(retry_after=600, quota=PER_MINUTE))
        other = await take(pool, {ids[1]})
        await db.run(Account.objects.filter(pk=ids[2]).delete)
        pool.finish(other, RateLimited(retry_after=600, quota=PER_MINUTE))
        assert await pool.tasks.finish(20) == 0
    assert not caplog.records
    assert await db.run(CoolDown.objects.count) == 0
    assert await db.run(LearnedLimit.objects.count) == 0


async def test_without_a_store_nothing_is_written(ids: list[int]) -> None:
    pool = Pool(Clients())
    await db.run(pool.load)
    await db.run(pool.load_rests)
    await db.run(pool.load_limits)
    pool._adapters[KIND] = Upstream()
    await refuse(pool, ids, 0, AccountRefused(code="leaked"))
    assert set(await turns(pool, 4)) == set(ids[1:])
    assert (await row(ids[0])).state == "new"


def test_a_secret_that_no_key_opens_sets_its_account_aside(
    ids: list[int], settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert make().size() == 0
    found = Account.objects.get(pk=ids[0])
    assert (found.state, found.state_cause) == ("needs_attention", "unreadable")
    assert "ENCRYPTION_KEYS" in found.state_advice


def test_settings_of_an_account_reach_its_slots(ids: list[int]) -> None:
    Account.objects.filter(pk=ids[0]).update(
        priority=2, weight=50, concurrency=3, rpm=7, tier="free", label="mine"
    )
    found = standing(make(), ids[0])
    assert (found.priority, found.weight, found.label) == (2, 50, "mine")
    assert found.limits.rpm == 7
    assert make().seats(route(), frozenset()) is None


def test_a_proxy_and_a_secret_reach_the_adapter(transactional_db: None) -> None:
    Account.add(kind=KIND, secret="s" * 30, proxy_url="http://u:pw@proxy")
    (member,) = make()._roster.members.values()
    assert member.config is not None
    assert member.config.secret == "s" * 30
    assert member.config.proxy_url == "http://u:pw@proxy"
    assert "pw@" not in repr(member)
