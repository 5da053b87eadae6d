"""A process that starts knows from the ledger what was used and how it went."""

import pytest

from proxy.scheduling.history import Outcome, Used
from proxy.scheduling.quota import Limits
from proxy.scheduling.restoring import restore
from proxy.scheduling.roster import Roster
from proxy.scheduling.slots import Slot
from tests.proxy.scheduling.pools import KIND, NOON, member


def started(
    *ended: Outcome,
    recent: tuple[Used, ...] = (),
    today: dict[tuple[int, str], tuple[int, int]] | None = None,
) -> Roster:
    roster = Roster()
    roster.replace(
        [member(n, limits=Limits(rpm=2, rpd=50)) for n in (1, 2)], None, NOON
    )
    roster.ready_set(KIND, "m", NOON)
    restore(roster, recent, today or {}, ended, NOON)
    return roster


def slot(roster: Roster, number: int = 1) -> Slot:
    found = roster.slot(number, "m", NOON)
    assert found is not None
    return found


def outcome(code: str, *, account_id: int = 1, blame: str = "upstream") -> Outcome:
    return Outcome(account_id, "m", NOON - 100, code, 300, blame)


def test_the_last_minute_counts_against_the_limits() -> None:
    used = tuple(Used(1, "m", NOON - ago, 10) for ago in (5, 20))
    roster = started(recent=used)
    assert slot(roster).reason == "minute_limit"
    assert slot(roster, 2).place >= 0
    assert slot(roster).window.usage(NOON).tokens == 20
    assert slot(roster).window.usage(NOON).day_requests == 0


def test_the_day_counts_too() -> None:
    roster = started(today={(1, "m"): (50, 900), (2, "m"): (49, 900)})
    assert slot(roster).reason == "day_limit"
    assert slot(roster, 2).window.usage(NOON).day_tokens == 900


def test_successes_and_failures_make_the_averages() -> None:
    roster = started(outcome("ok"), outcome("stream_cut"), outcome("ok"))
    record = slot(roster).health.record
    assert record.success == pytest.approx(0.84)
    assert (record.latency, record.strikes) == (300, 0)
    assert record.failed_at == NOON - 100


@pytest.mark.parametrize(
    ("code", "blame"),
    [
        ("rate_limit_exceeded", "account"),
        ("invalid_argument", "caller"),
        ("connection_failed", "egress"),
        ("client_closed", ""),
        ("never heard of", ""),
        ("internal_error", "gateway"),
    ],
)
def test_what_says_nothing_of_the_account_is_left_out(code: str, blame: str) -> None:
    record = slot(started(outcome(code, blame=blame))).health.record
    assert (record.success, record.strikes) == (1.0, 0)


def test_failures_of_the_past_bring_on_no_rest() -> None:
    roster = started(*[outcome("stream_cut")] * 9)
    assert slot(roster).health.record.strikes == 9
    assert slot(roster).place >= 0


def test_accounts_that_are_gone_are_passed_over() -> None:
    roster = started(
        outcome("ok", account_id=9),
        recent=(Used(9, "m", NOON, 1),),
        today={(9, "m"): (1, 1)},
    )
    assert set(roster.members) == {1, 2}
