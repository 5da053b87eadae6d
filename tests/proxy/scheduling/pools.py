"""Accounts, slots and time for the tests of scheduling."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from gemproxy.lib import clock
from proxy.catalog import RoutePlan, TargetPlan
from proxy.errors import Verdict
from proxy.scheduling.pool import Lease, Pool
from proxy.scheduling.quota import Window
from proxy.scheduling.ready import ReadySet
from proxy.scheduling.slots import Member, Slot
from proxy.upstreams.base import AccountConfig
from proxy.upstreams.http import Clients
from tests.proxy.house import Upstream

#: Noon in California on a winter's day.
NOON = datetime.datetime(2026, 1, 15, 20, tzinfo=datetime.UTC).timestamp()
KIND = "gemini_api"


class Time:
    """The time of all clocks in a test; ``now`` in epoch seconds."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def moment(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    found = Time()
    monkeypatch.setattr(clock, "now", found.moment)
    monkeypatch.setattr(clock, "monotonic", lambda: found.now)
    return found


def member(number: int = 1, **fields: Any) -> Member:
    config = AccountConfig(id=number, kind=KIND, secret=f"secret-{number}")
    return Member(**{"id": number, "kind": KIND, "config": config, **fields})


def slots_of(
    count: int, now: float = NOON, **fields: Any
) -> tuple[ReadySet, list[Slot]]:
    """Return a ready set and its slots, one for each of so many accounts."""
    ready_set = ReadySet(KIND, "m")
    made = []
    for number in range(1, count + 1):
        one = Slot(member(number, **fields), "m", ready_set, Window())
        one.member.slots["m"] = one
        ready_set.add(one, now)
        made.append(one)
    return ready_set, made


def route(*models: str) -> RoutePlan:
    targets = [TargetPlan(kind=KIND, upstream_model=m) for m in models or ["m"]]
    info: Any = None
    return RoutePlan(name="r", category="text", targets=tuple(targets), info=info)


def verdict(**fields: Any) -> Verdict:
    return Verdict(
        **{
            "blame": "account",
            "scope": "account_model",
            "cause": "quota_minute",
            "until": None,
            "attention": False,
            "strike": False,
            "again": False,
            "elsewhere": True,
            "advice": "",
            "link": "",
            "quota": None,
            **fields,
        }
    )


def pool_of(*members: Member | int, **options: Any) -> Pool:
    """Return a pool with these accounts, or accounts of these ids, without rows."""
    pool = Pool(Clients(), **options)
    made = [member(one) if isinstance(one, int) else one for one in members]
    pool._roster.replace(made, None, clock.now().timestamp())
    pool._adapters[KIND] = Upstream()
    return pool


async def take(pool: Pool, tried: set[int] | None = None, **fields: Any) -> Lease:
    """Return a lease, which there must be; ``fields`` as of ``Pool.lease``."""
    asked = fields.pop("route", route())
    lease = await pool.lease(asked, frozenset(), tried or set(), **fields)
    assert lease is not None
    return lease


async def none_left(pool: Pool, tried: set[int] | None = None, **fields: Any) -> bool:
    asked = fields.pop("route", route())
    return await pool.lease(asked, frozenset(), tried or set(), **fields) is None


async def turns(pool: Pool, count: int, **fields: Any) -> list[int]:
    """Return who serves so many requests, one after another."""
    found = []
    for _ in range(count):
        lease = await take(pool, **fields)
        pool.finish(lease, None)
        found.append(lease.account.id)
    return found
