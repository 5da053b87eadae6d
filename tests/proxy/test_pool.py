"""Whose turn it is, and what an answer means for the next request."""

import logging
from typing import Any

import pytest
from cryptography.fernet import Fernet

from accounts.models import Account
from proxy.catalog import RoutePlan, TargetPlan
from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    Fault,
    NoAccount,
    Overloaded,
    RateLimited,
)
from proxy.scheduling import pool as module
from proxy.scheduling.pool import Lease, Pool, set_aside
from proxy.upstreams.http import Clients
from tests.proxy.house import Upstream

NONE: frozenset[str] = frozenset()


def route(*models: str) -> RoutePlan:
    targets = [TargetPlan(kind="gemini_api", upstream_model=m) for m in models or ["m"]]
    return RoutePlan(name="r", category="text", targets=tuple(targets), info=None)  # type: ignore[arg-type]


def add(count: int = 3) -> list[int]:
    rows = [
        Account.add(kind="gemini_api", secret=f"key-{n}-" + "x" * 30)
        for n in range(count)
    ]
    return [row.pk for row in rows if row]


def make() -> Pool:
    pool = Pool(Clients())
    pool.load()
    pool._adapters["gemini_api"] = Upstream()
    return pool


def take(pool: Pool, tried: set[int] | None = None, **changes: Any) -> Lease:
    lease = pool.lease(changes.get("route", route()), NONE, tried or set())
    assert lease is not None
    return lease


def turns(pool: Pool, count: int, **changes: Any) -> list[int]:
    return [take(pool, **changes).account.id for _ in range(count)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.clock, "monotonic", lambda: now[0])
    return now


def test_accounts_take_turns(db: None) -> None:
    ids = add()
    found = turns(make(), 6)
    assert found[:3] == found[3:]
    assert sorted(found[:3]) == ids


def test_an_account_that_was_tried_is_passed_over(db: None) -> None:
    ids, pool = add(), make()
    tried: set[int] = set()
    for _ in ids:
        tried.add(take(pool, tried).account.id)
    assert tried == set(ids)
    assert pool.lease(route(), NONE, tried) is None


def test_only_usable_accounts_are_loaded(db: None) -> None:
    ids = add(4)
    Account.objects.filter(pk=ids[0]).update(state="disabled")
    Account.objects.filter(pk=ids[1]).update(state="needs_attention")
    Account.objects.filter(pk=ids[2]).update(state="active")
    pool = make()
    assert pool.size() == 2
    assert set(turns(pool, 4)) == set(ids[2:])


def test_an_empty_pool_is_no_account(db: None) -> None:
    with pytest.raises(NoAccount):
        make().lease(route(), NONE, set())


def test_what_no_kind_can_do_is_named(db: None) -> None:
    add()
    with pytest.raises(BadRequest, match=r"can do this: holograms, time_travel\."):
        make().lease(route(), frozenset({"tools", "time_travel", "holograms"}), set())


@pytest.mark.parametrize(
    "fault", [RateLimited(retry_after=30), Overloaded(retry_after=30)]
)
def test_an_account_told_to_wait_comes_last(
    db: None, clock: list[float], fault: Fault
) -> None:
    ids, pool = add(2), make()
    lease = take(pool)
    pool.report(lease, fault)
    other = next(i for i in ids if i != lease.account.id)
    assert turns(pool, 4) == [other] * 4
    clock[0] += 31
    assert set(turns(pool, 4)) == set(ids)


def test_a_wait_is_for_one_model_only(db: None, clock: list[float]) -> None:
    ids, pool = add(2), make()
    pool.report(take(pool), RateLimited(retry_after=30))
    assert set(turns(pool, 4, route=route("other"))) == set(ids)


def test_when_all_wait_one_is_used_nevertheless(db: None, clock: list[float]) -> None:
    _, pool = add(1), make()
    pool.report(take(pool), RateLimited(retry_after=30))
    assert take(pool)


def test_waits_are_bounded_and_overload_has_a_default(
    db: None, clock: list[float]
) -> None:
    _, pool = add(1), make()
    lease = take(pool)
    pool.report(lease, RateLimited(retry_after=86_400))
    assert pool._rest(lease.account.id, "m") == 1000 + module.LONGEST_REST
    pool.report(lease, Overloaded())
    assert pool._rest(lease.account.id, "m") == 1000 + module.OVERLOAD_SECONDS


def test_success_ends_the_wait(db: None, clock: list[float]) -> None:
    ids, pool = add(2), make()
    lease = take(pool)
    pool.report(lease, RateLimited(retry_after=30))
    pool.report(lease, None)
    assert set(turns(pool, 4)) == set(ids)


def test_other_faults_are_no_reason_to_wait(db: None) -> None:
    ids, pool = add(2), make()
    pool.report(take(pool), BadAnswer())
    assert set(turns(pool, 4)) == set(ids)


def test_a_refused_credential_is_reported_with_its_cause(db: None) -> None:
    _, pool = add(1), make()
    told: list[Any] = []
    pool.on_refused = lambda account, cause: told.append((account, cause))
    lease = take(pool)
    pool.report(lease, AccountRefused(code="leaked"))
    assert told == [(lease.account.id, "leaked")]


def test_the_second_target_serves_when_the_first_is_used_up(db: None) -> None:
    ids, pool = add(1), make()
    assert take(pool, route=route("a", "b")).target.upstream_model == "a"
    assert pool.lease(route("a", "b"), NONE, set(ids)) is None


def test_set_aside_tells_cause_and_advice(db: None) -> None:
    (key,) = add(1)
    set_aside(key, "leaked")
    row = Account.objects.get()
    assert (row.state, row.state_cause) == ("needs_attention", "leaked")
    assert row.state_advice == module.ADVICE["leaked"]


def test_an_unknown_cause_has_advice_too(db: None) -> None:
    (key,) = add(1)
    set_aside(key, "brand_new")
    assert "replace its credential" in Account.objects.get().state_advice


def test_what_an_operator_disabled_stays_disabled(db: None) -> None:
    (key,) = add(1)
    Account.objects.get().move("disabled", cause="by hand")
    set_aside(key, "leaked")
    assert Account.objects.get().state == "disabled"
    set_aside(-1, "leaked")


def test_a_secret_that_no_key_opens_sets_its_account_aside(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    add(2)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with caplog.at_level(logging.DEBUG):
        assert make().size() == 0
    row = Account.objects.first()
    assert row is not None
    assert row.state_cause == "unreadable"
    assert "ENCRYPTION_KEYS" in row.state_advice


def test_no_lease_shows_its_secret(db: None) -> None:
    Account.add(kind="gemini_api", secret="s" * 30, proxy_url="http://u:pw@proxy")
    lease = take(make())
    assert lease.account.secret == "s" * 30
    assert lease.account.proxy_url == "http://u:pw@proxy"
    assert "sss" not in repr(lease)
    assert "pw@" not in repr(lease)


def test_the_adapter_of_a_kind_is_made_once(db: None) -> None:
    pool = Pool(Clients())
    assert pool.adapter("gemini_api") is pool.adapter("gemini_api")
    assert pool.adapter("gemini_api").kind == "gemini_api"
