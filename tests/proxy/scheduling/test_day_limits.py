"""What Gemini CLI accounts are asked a day: alone, together, after a restart."""

import asyncio
import secrets
from typing import Any

import pytest

from accounts.models import Account
from gemproxy.lib import clock
from proxy.catalog import RoutePlan, TargetPlan
from proxy.errors import Quota
from proxy.scheduling.account_rows import read_members
from proxy.scheduling.lessons import Lessons
from proxy.scheduling.pool import Pool
from proxy.scheduling.quota import DayLimit, Limits
from proxy.scheduling.restoring import restore
from proxy.scheduling.roster import Roster
from proxy.scheduling.shared import SharedWindows
from proxy.scheduling.sharing import candidate, seeds
from proxy.scheduling.slots import Member, Slot
from tests.proxy.house import Upstream
from tests.proxy.scheduling.pools import NOON, Time, member, pool_of, take, time

__all__ = ["time"]

CLI = "code_assist"
OLD, NEW = "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro-preview-06-05"
PRO = "gemini-2.5-pro"
USUAL = (DayLimit(PRO, 3), DayLimit("gemini-2.5-pro-preview*", 4))


def login(number: int = 1, **fields: Any) -> Member:
    return member(number, kind=CLI, usual=USUAL, **fields)


def roster(*members: Member) -> Roster:
    made = Roster()
    made.replace(members or [login()], None, NOON)
    return made


def slot(found: Roster, model: str, number: int = 1) -> Slot:
    made = found.slot(number, model, NOON)
    assert made is not None
    return made


def ask(found: Roster, model: str, times: int = 1, number: int = 1) -> None:
    for _ in range(times):
        slot(found, model, number).window.count(NOON, 0)


def left(found: Roster, model: str, number: int = 1) -> int | None:
    one = slot(found, model, number)
    return one.window.left_today(NOON, one.limits)


def plan(model: str) -> RoutePlan:
    target = TargetPlan(kind=CLI, upstream_model=model)
    info: Any = None
    return RoutePlan(name=model, category="text", targets=(target,), info=info)


def pool(*members: Member, **options: Any) -> Pool:
    made = pool_of(*(members or [login()]), **options)
    made._adapters[CLI] = Upstream()
    return made


def test_previews_are_counted_together_and_others_for_themselves() -> None:
    found = roster()
    ask(found, OLD, 2)
    ask(found, NEW)
    ask(found, PRO)
    assert (left(found, OLD), left(found, NEW), left(found, PRO)) == (1, 1, 2)
    assert left(found, "gemini-2.5-flash") is None


def test_a_name_with_search_is_the_model_itself() -> None:
    found = roster()
    ask(found, PRO, 2)
    ask(found, f"{PRO}-search")
    assert left(found, PRO) == left(found, f"{PRO}-search") == 0
    ask(found, f"{NEW}-search", 4)
    assert left(found, OLD) == 0


def test_accounts_do_not_use_up_each_others_day() -> None:
    found = roster(login(1), login(2))
    ask(found, OLD, 4)
    assert (left(found, NEW, 1), left(found, NEW, 2)) == (0, 4)


def test_only_names_of_cli_accounts_are_shortened() -> None:
    found = roster(member(1, limits=Limits(rpd=5)))
    ask(found, f"{PRO}-search")
    assert left(found, PRO) == 5


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"limits": Limits(rpd=9)}, Limits(rpd=9)),
        ({"tier": "free"}, Limits(5, 250_000, 100)),
        ({"tier": "standard"}, Limits()),
        ({}, Limits(together=4)),
    ],
    ids=["own", "tier", "unknown tier", "nobody"],
)
def test_what_is_known_of_an_account_wins(fields: Any, expected: Limits) -> None:
    assert slot(roster(login(**fields)), NEW).limits == expected


@pytest.mark.parametrize("learned_of", ["", NEW])
def test_a_learned_limit_wins_and_is_of_one_model(learned_of: str) -> None:
    found = roster()
    ask(found, OLD, 4)
    found.learn((1, learned_of), Limits(rpd=7), "", NOON)
    assert slot(found, NEW).limits == Limits(rpd=7)
    assert left(found, NEW) == 7
    assert left(found, OLD) == (3 if not learned_of else 0)


def test_what_a_name_with_search_teaches_holds_for_the_model() -> None:
    found = roster()
    kept: list[Any] = []

    class Notes:
        def keep_limits(self, *given: Any) -> None:
            kept.append(given)

    notes: Any = Notes()
    quota = Quota(
        id="q", metric="m", value=50, period="day", unit="requests", per_model=True
    )
    lessons = Lessons(found, notes)
    lessons._learn(slot(found, f"{PRO}-search"), quota, "", NOON)
    assert kept == [(1, PRO, Limits(rpd=50), "")]
    assert slot(found, PRO).limits == slot(found, f"{PRO}-search").limits
    assert slot(found, PRO).limits == Limits(rpd=50)


def test_a_shared_quota_takes_over_what_was_counted_once() -> None:
    found = roster(login(1), login(2))
    ask(found, OLD)
    ask(found, f"{OLD}-search")
    ask(found, NEW)
    for number in (1, 2):
        found.learn((number, OLD), Limits(rpm=60), "user", NOON)
    assert slot(found, OLD).window is slot(found, f"{OLD}-search", 2).window
    assert slot(found, OLD).window.usage(NOON).day_requests == 2
    assert left(found, NEW, 1) == left(found, OLD, 2) == 1
    found.drop(1)
    assert left(found, OLD, 2) == 1


def test_an_account_that_went_and_comes_back_begins_anew() -> None:
    found = roster()
    ask(found, OLD, 4)
    found.drop(1)
    found.put(login(), NOON)
    assert left(found, NEW) == 4


def test_a_restart_counts_them_together_again() -> None:
    found = roster()
    today = {(1, OLD): (2, 10), (1, f"{NEW}-search"): (1, 10), (1, PRO): (1, 5)}
    restore(found, [], today, [], NOON)
    assert (left(found, NEW), left(found, PRO)) == (1, 2)


async def test_the_pool_sends_nobody_to_a_day_that_is_used_up(time: Time) -> None:
    made = pool()
    for model in (OLD, NEW, NEW, OLD):
        made.finish(await take(made, route=plan(model)), None)
    assert await made.lease(plan(NEW), frozenset(), set()) is None
    assert await made.lease(plan(f"{OLD}-search"), frozenset(), set()) is None
    (told,) = made.explain(plan(NEW), frozenset())
    assert (told.reason, told.until) == ("day_limit", NOON + 12 * 3600)
    assert (told.usage.day_requests, told.limits.rpd) == (4, 4)
    assert told.headroom == 0
    assert made.earliest(plan(NEW), frozenset()) == 12 * 3600
    time.now += 12 * 3600
    assert await take(made, route=plan(NEW))


async def test_a_request_that_was_refused_gives_its_place_back(time: Time) -> None:
    made = pool()
    for _ in range(9):
        lease = await take(made, route=plan(NEW))
        made.finish(lease, None, sent=False)
    assert left(made._roster, OLD) == 4


def test_processes_are_told_both_names() -> None:
    found = roster()
    one = candidate(slot(found, f"{NEW}-search"), 5, NOON)
    assert (one.window, one.rpd) == (f"1:{NEW}", None)
    assert (one.joint, one.together) == ("1:gemini-2.5-pro-preview*", 4)
    other = candidate(slot(found, PRO), 5, NOON)
    assert (other.joint, other.together, other.rpd) == ("", None, 3)
    found.learn((1, NEW), Limits(rpd=9), "", NOON)
    learned = candidate(slot(found, NEW), 5, NOON)
    assert (learned.joint, learned.together, learned.rpd) == (one.joint, None, 9)


def test_the_shared_counters_are_seeded_under_both_names() -> None:
    today = {(1, OLD): (2, 10), (1, NEW): (1, 20), (1, f"{PRO}-search"): (1, 5)}
    found = {s.window: s.requests_today for s in seeds(roster(), [], today, NOON)}
    assert found == {
        f"1:{OLD}": 2,
        f"1:{NEW}": 1,
        "1:gemini-2.5-pro-preview*": 3,
        f"1:{PRO}": 1,
    }


@pytest.fixture
async def redis(redis_url: str) -> Any:
    made = SharedWindows(redis_url)
    # The counters are there: no pool need rebuild them from the ledger.
    await made.seed([])
    yield made
    await made.aclose()


def fresh() -> Member:
    """An account that no run before has counted for."""
    return login(secrets.randbelow(10**12) + 10**6)


@pytest.mark.redis
async def test_several_processes_use_one_day_up_together(redis: Any) -> None:
    account = fresh()
    pools = [pool(login(account.id), shared=redis) for _ in range(2)]
    for number, model in enumerate((OLD, NEW, f"{NEW}-search", OLD)):
        made = pools[number % 2]
        made.finish(await take(made, route=plan(model)), None)
        assert await made.tasks.finish(20) == 0
    for made in pools:
        assert await made.lease(plan(NEW), frozenset(), set()) is None
        assert await take(made, route=plan(PRO))
        (told,) = made.explain(plan(NEW), frozenset())
        assert told.reason == "day_limit"


@pytest.mark.redis
async def test_what_was_never_sent_goes_back_to_all_processes(redis: Any) -> None:
    account = fresh()
    pools = [pool(login(account.id), shared=redis) for _ in range(2)]
    leases = [await take(pools[0], route=plan(OLD)) for _ in range(4)]
    assert await pools[1].lease(plan(NEW), frozenset(), set()) is None
    pools[0].finish(leases[0], None, sent=False)
    assert await pools[0].tasks.finish(20) == 0
    again = pool(login(account.id), shared=redis)
    assert await take(again, route=plan(NEW))


@pytest.mark.redis
async def test_seeds_hold_for_the_common_day_and_count_once(redis: Any) -> None:
    account = fresh()
    found = roster(account)
    told = seeds(found, [], {(account.id, OLD): (3, 10)}, clock.now().timestamp())
    await asyncio.gather(*(redis.seed(told) for _ in range(3)))
    made = pool(login(account.id), shared=redis)
    await take(made, route=plan(NEW))
    assert await made.lease(plan(OLD), frozenset(), set()) is None


@pytest.mark.django_db
def test_the_setting_reaches_cli_accounts_alone(settings: Any) -> None:
    settings.CODE_ASSIST_DAILY_LIMITS = {"a*": 5}
    Account.add(kind="gemini_api", secret="AIzaSy" + "a" * 33)
    Account.add(kind=CLI, secret='{"refresh_token": "1//x"}')
    found = {each.kind: each.usual for each in read_members()[0]}
    assert found == {"gemini_api": (), CLI: (DayLimit("a*", 5),)}
