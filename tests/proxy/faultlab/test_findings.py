"""Whom the gateway blames, read from its rows, and how that may differ."""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Account, CoolDown
from gemproxy.lib import clock
from proxy.faultlab.expectations import NOBODY, Blame, attention, resting
from proxy.faultlab.findings import (
    Finding,
    complaints,
    findings,
    fits,
    last_row,
    usage_row,
)
from proxy.models import Incident
from proxy.sandbox.keys import sandbox_key
from tests.usage import saved

MODEL = "gemini-2.5-flash"
NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
EGRESS = Blame(whose="egress", causes=("connection_failed",))
MINUTE = resting("quota_minute", 30, 40)


def rest(
    cause: str = "quota_minute", seconds: float = 35, model: str = MODEL
) -> Finding:
    until = NOW + datetime.timedelta(seconds=seconds)
    return Finding("account_model", cause, model, NOW, until)


@pytest.fixture
def account(db: None) -> Account:
    made = Account.add(
        kind="gemini_api", secret=sandbox_key(), base_url="http://127.0.0.1:8199"
    )
    assert made is not None
    return made


def incident(which: str, what: str = "egress", **fields: Any) -> Incident:
    moments = {"since": clock.now(), "updated_at": clock.now(), **fields}
    return Incident.objects.create(
        what=what, which=which, cause="connection_failed", **moments
    )


def test_an_account_in_use_has_nothing_against_it(account: Account) -> None:
    assert findings(account, clock.now()) == []


def test_a_state_that_needs_attention_is_found(account: Account) -> None:
    account.move(Account.State.NEEDS_ATTENTION, cause="leaked")
    [found] = findings(account, NOW)
    assert (found.whose, found.cause, found.until) == ("account", "leaked", None)


@pytest.mark.parametrize(
    ("model", "whose"), [("", "account_rest"), (MODEL, "account_model")]
)
def test_a_rest_is_found_until_it_is_over(
    account: Account, model: str, whose: str
) -> None:
    until = clock.now() + datetime.timedelta(minutes=1)
    row = CoolDown.objects.create(account=account, model=model, cause="c", until=until)
    [found] = findings(account, NOW)
    assert (found.whose, found.model, found.until) == (whose, model, until)
    row.until = clock.now()
    row.save()
    assert findings(account, NOW) == []


def test_the_rest_of_another_account_is_none_of_this(account: Account) -> None:
    other = Account.add(kind="gemini_api", secret=sandbox_key(n=2))
    until = clock.now() + datetime.timedelta(minutes=1)
    CoolDown.objects.create(account=other, cause="c", until=until)
    assert findings(account, NOW) == []


def test_an_incident_of_the_accounts_way_out_is_found(account: Account) -> None:
    since = clock.now()
    incident("direct to 127.0.0.1:8199")
    incident("direct to 127.0.0.1:1")
    [found] = findings(account, since)
    assert (found.whose, found.cause) == ("egress", "connection_failed")


def test_an_incident_that_was_over_before_is_not_found(account: Account) -> None:
    since = clock.now()
    before = since - datetime.timedelta(minutes=1)
    incident("direct to 127.0.0.1:8199", since=before, until=before)
    assert findings(account, since) == []


def test_a_model_that_is_blamed_meanwhile_is_found(account: Account) -> None:
    before = clock.now() - datetime.timedelta(minutes=1)
    incident("gemini_api:x", "model", since=before)
    since = clock.now()
    incident(f"gemini_api:{MODEL}", "model")
    assert [found.whose for found in findings(account, since)] == ["model"]


@pytest.mark.parametrize(
    ("blame", "found", "verdict"),
    [
        (NOBODY, [], True),
        (NOBODY, [rest()], False),
        (MINUTE, [rest()], True),
        (MINUTE, [rest(), Finding("account", "leaked")], True),
        (MINUTE, [rest("quota_day")], False),
        (MINUTE, [], False),
        (EGRESS, [Finding("model", "connection_failed")], False),
    ],
)
def test_what_is_expected_is_recognised(
    blame: Blame, found: list[Finding], verdict: bool
) -> None:
    assert fits(blame, found) is verdict


@pytest.mark.parametrize(
    ("blame", "found", "words"),
    [
        (
            NOBODY,
            [rest()],
            "blamed account_model gemini-2.5-flash quota_minute as well",
        ),
        (MINUTE, [], "blamed nobody, expected account_model quota_minute"),
        (MINUTE, [rest("throttled")], "expected account_model quota_minute"),
        (
            MINUTE,
            [rest(), Finding("account", "leaked")],
            "blamed account leaked as well",
        ),
        (MINUTE, [rest(seconds=60)], "rests for 60.0 s, expected 30 to 40"),
        (MINUTE, [rest(seconds=5)], "rests for 5.0 s"),
        (MINUTE, [rest(model="other")], "the rest is of other"),
        (MINUTE, [Finding("account_model", "quota_minute", MODEL)], "has no end"),
        (
            attention("leaked"),
            [Finding("account", "billing")],
            "expected account leaked",
        ),
    ],
)
def test_wrong_blame_is_a_complaint(
    blame: Blame, found: list[Finding], words: str
) -> None:
    [told] = complaints(blame, found, MODEL)
    assert words in told


def test_right_blame_is_none() -> None:
    assert list(complaints(NOBODY, [], MODEL)) == []
    assert list(complaints(MINUTE, [rest()], MODEL)) == []
    assert list(complaints(attention("x"), [Finding("account", "x")], MODEL)) == []


@pytest.mark.parametrize(
    ("moment", "midnight", "hours", "count"),
    [
        # 04:00 in Los Angeles in winter; the day ends 20 hours later.
        (NOW, "2026-11-21 00:00", 0, 0),
        (NOW, "2026-11-21 00:00", 1, 1),
        (NOW, "2026-11-20 00:00", 0, 1),
        # The clocks go back on this day, so it has 25 hours.
        (
            datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC),
            "2026-11-02 00:00",
            0,
            0,
        ),
    ],
)
def test_a_spent_day_ends_at_midnight_in_los_angeles(
    monkeypatch: pytest.MonkeyPatch,
    moment: datetime.datetime,
    midnight: str,
    hours: int,
    count: int,
) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)
    there = datetime.datetime.fromisoformat(midnight)
    until = there.replace(tzinfo=ZoneInfo("America/Los_Angeles"))
    until += datetime.timedelta(hours=hours)
    blame = Blame(whose="account_model", causes=("quota_day",), day=True)
    found = Finding("account_model", "quota_day", MODEL, moment, until)
    assert len(list(complaints(blame, [found], MODEL))) == count


def test_usage_rows_are_found_by_request_and_by_account(account: Account) -> None:
    assert usage_row("req_1") is None
    assert last_row(account) is None
    first = saved(request_id="req_1", account_id=account.pk)
    second = saved(request_id="req_2", account_id=account.pk)
    assert usage_row("req_1") == first
    assert last_row(account) == second
