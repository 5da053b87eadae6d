"""Which accounts the nightly clean-up disables, and which it never does."""

import datetime
from typing import Any

import pytest

from accounts.models import Account, AccountEvent, UsageHour
from accounts.rollups import hour_of
from gemproxy.lib import clock
from proxy import jobs
from proxy.failing import disable_failing
from tests.accounts.rows import record

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)
DAYS = 7


def account(name: str, kind: str = "gemini_api", **fields: Any) -> Account:
    """Make an account of a month ago."""
    secret = f"AIzaSy{name.replace(' ', '-').ljust(33, '0')}"
    made = Account.add(kind=kind, secret=secret, label=name)
    assert made is not None
    long_ago = clock.now() - 30 * DAY
    values = {"created_at": long_ago, "state_since": long_ago, "state": "active"}
    Account.objects.filter(pk=made.pk).update(**{**values, **fields})
    made.refresh_from_db()
    return made


def waiting(
    name: str, days: float = 8, cause: str = "leaked", **fields: Any
) -> Account:
    """Make an account that has needed attention for so many days."""
    since = clock.now() - days * DAY
    state = {"state": "needs_attention", "state_cause": cause, "state_since": since}
    return account(name, **{**state, **fields})


def attempts(of: Account, *, days: float = 8, **attempt: Any) -> None:
    """Have an account asked every six hours, and fail; another one answers."""
    values = {"code": "upstream_auth", "blame": "account", "ms": 5, "start_ms": 0}
    now = clock.now()
    for step in range(int(days * 4) + 1):
        record(
            started_at=now - HOUR - step * 6 * HOUR,
            attempts=[
                {"account": of.pk, "model": "m", **values, **attempt},
                {"account": 0, "code": "ok", "ms": 5, "start_ms": 9},
            ],
        )


def states() -> dict[str, str]:
    return dict(Account.objects.values_list("label", "state"))


def disabled() -> set[str]:
    return {label for label, state in states().items() if state == "disabled"}


@pytest.fixture(autouse=True)
def sound() -> Account:
    return account("sound")


def test_who_needs_attention_for_long_is_disabled_with_the_reason() -> None:
    bad = waiting("bad")
    assert disable_failing(DAYS) == "1 disabled"
    bad.refresh_from_db()
    assert bad.state == "disabled"
    assert bad.state_cause == "disabled by clean-up"
    assert "Key blocked" in bad.state_advice
    assert "FAILING_ACCOUNT_DAYS=7" in bad.state_advice
    event = AccountEvent.objects.get(account=bad)
    assert (event.state, event.by) == ("disabled", "clean-up")
    assert event.advice == bad.state_advice
    assert disable_failing(DAYS) == "0 disabled"


def test_who_needs_attention_since_yesterday_is_left_alone() -> None:
    waiting("bad", days=6.9)
    assert disable_failing(DAYS) == "0 disabled"


def test_an_account_that_our_own_key_cannot_open_is_left_alone() -> None:
    waiting("closed", cause="unreadable")
    assert disable_failing(DAYS) == "0 disabled"


def test_who_fails_at_every_attempt_for_long_is_disabled() -> None:
    attempts(account("bad"))
    assert disable_failing(DAYS) == "1 disabled"
    assert disabled() == {"bad"}


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param({"blame": "egress", "code": "connection_failed"}, id="egress"),
        pytest.param({"blame": "upstream", "code": "upstream_error"}, id="provider"),
        pytest.param({"blame": "model", "code": "overloaded"}, id="model"),
        pytest.param({"blame": "caller", "code": "invalid_argument"}, id="caller"),
        pytest.param({"shared": True}, id="shared trouble"),
        pytest.param({"code": "rate_limit_exceeded"}, id="rate limit"),
        pytest.param({"code": "insufficient_quota"}, id="spent quota"),
    ],
)
def test_what_is_not_the_accounts_fault_disables_nobody(
    attempt: dict[str, Any],
) -> None:
    attempts(account("unlucky"), **attempt)
    assert disable_failing(DAYS) == "0 disabled"


def test_one_success_among_the_failures_keeps_an_account() -> None:
    bad = account("mostly bad")
    attempts(bad)
    record(
        started_at=clock.now() - 5 * DAY,
        attempts=[{"account": bad.pk, "code": "ok", "ms": 5, "start_ms": 0}],
    )
    assert disable_failing(DAYS) == "0 disabled"


def test_a_success_that_only_the_hourly_sums_remember_keeps_an_account() -> None:
    bad = account("mostly bad")
    attempts(bad)
    UsageHour.objects.create(
        hour=hour_of(clock.now() - 3 * DAY),
        account=bad,
        outcome="ok",
        model_asked="m",
        requests=1,
    )
    assert disable_failing(DAYS) == "0 disabled"


def test_failures_must_have_lasted_and_must_go_on() -> None:
    attempts(account("since five days"), days=5)
    assert disable_failing(DAYS) == "0 disabled"
    now = clock.now()
    over = account("not asked any more")
    for hours in range(5):
        record(
            started_at=now - 7.5 * DAY + hours * HOUR,
            attempts=[{"account": over.pk, "code": "leaked", "blame": "account"}],
        )
    assert disable_failing(DAYS) == "0 disabled"


def test_a_few_failures_far_apart_are_chance() -> None:
    bad = account("seldom used")
    for days in (7.5, 4, 0.5):
        record(
            started_at=clock.now() - days * DAY,
            attempts=[{"account": bad.pk, "code": "leaked", "blame": "account"}],
        )
    assert disable_failing(DAYS) == "0 disabled"


def test_an_account_that_nobody_used_is_left_alone() -> None:
    account("idle")
    assert disable_failing(DAYS) == "0 disabled"


def test_attempts_of_another_shape_are_passed_over() -> None:
    attempts(account("bad"))
    record(started_at=clock.now() - DAY, attempts=["nonsense", {"code": "ok"}])
    assert disable_failing(DAYS) == "1 disabled"


@pytest.mark.parametrize("days", [0.5, 6.5])
def test_what_a_person_did_in_between_gives_it_the_same_time_again(
    days: float,
) -> None:
    bad = waiting("bad")
    event = bad.events.create(state="cleared", by="olga")
    AccountEvent.objects.filter(pk=event.pk).update(at=clock.now() - days * DAY)
    assert disable_failing(DAYS) == "0 disabled"


def test_what_a_person_did_before_that_does_not() -> None:
    bad = waiting("bad", days=9)
    event = bad.events.create(state="new", by="olga")
    AccountEvent.objects.filter(pk=event.pk).update(at=clock.now() - 8 * DAY)
    assert disable_failing(DAYS) == "1 disabled"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"created_at": clock.now() - DAY}, id="added"),
        pytest.param({"cleared_at": clock.now() - DAY}, id="cleared"),
    ],
)
def test_a_young_or_cleared_account_is_left_alone(fields: dict[str, Any]) -> None:
    waiting("bad", **fields)
    assert disable_failing(DAYS) == "0 disabled"


def test_a_new_credential_counts_as_a_new_beginning() -> None:
    bad = waiting("bad")
    bad.move("new", cause="new_secret", by="")
    bad.move("needs_attention", cause="leaked")
    assert disable_failing(DAYS) == "0 disabled"


def test_one_of_each_kind_is_kept_whatever_its_state(sound: Account) -> None:
    waiting("first", days=10)
    waiting("last to fail", days=8)
    waiting("second", days=9)
    waiting("the only login", kind="code_assist", days=20)
    sound.disable("olga")
    said = disable_failing(DAYS)
    assert said == "2 disabled, 2 kept as the last of their kind"
    assert disabled() == {"sound", "first", "second"}


def test_the_last_usable_one_is_kept_though_others_wait(sound: Account) -> None:
    sound.disable("olga")
    waiting("since today", days=0.5)
    attempts(account("failing"))
    said = disable_failing(DAYS)
    assert said == "0 disabled, 1 kept as the last of their kind"


def test_usable_accounts_of_another_kind_do_not_count(sound: Account) -> None:
    attempts(account("a grok", kind="xai"))
    assert disable_failing(DAYS).startswith("0 disabled, 1 kept")


def test_the_job_reads_its_days_from_the_setting(settings: Any) -> None:
    waiting("bad", days=3)
    settings.FAILING_ACCOUNT_DAYS = 7
    assert jobs.disable_failing() == "0 disabled"
    settings.FAILING_ACCOUNT_DAYS = 2
    assert jobs.disable_failing() == "1 disabled"
