"""The health of an hour as a row, a line and a panel."""

import datetime
import logging
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account
from accounts.pace import Pace
from accounts.rollups import hour_of
from gemproxy.lib import clock
from proxy import jobs, summaries
from proxy.admin import health
from proxy.models import HealthSummary, Incident
from tests.accounts.rows import hour, record

pytestmark = pytest.mark.django_db
HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime(2026, 11, 20, 12, 5, tzinfo=datetime.UTC)
LAST = NOW.replace(hour=11, minute=0)


@pytest.fixture(autouse=True)
def five_past_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def account(number: int, kind: str = "gemini_api") -> Account:
    made = Account.add(kind=kind, secret=f"AIzaSy{kind.ljust(32, '0')}{number}")
    assert made is not None
    return made


def test_the_last_whole_hour_is_summed_up() -> None:
    hour(hour=LAST, requests=40)
    hour(hour=LAST, requests=9, outcome="fault")
    hour(hour=LAST, requests=1, outcome="cancelled")
    hour(hour=LAST + HOUR, requests=500)
    hour(hour=LAST - HOUR, requests=700)
    summaries.sum_up()
    row = HealthSummary.objects.get()
    assert row.hour == LAST
    assert (row.answered, row.failed, row.cancelled) == (40, 9, 1)
    assert row.requests == 50
    assert row.share == pytest.approx(100 * 40 / 49)


def test_accounts_are_counted_by_kind_and_state() -> None:
    account(1)
    account(2).move("active")
    account(3).move("active")
    account(1, "xai").disable("olga")
    summaries.sum_up()
    row = HealthSummary.objects.get()
    assert row.accounts == {
        "gemini_api": {"active": 2, "new": 1},
        "xai": {"disabled": 1},
    }
    assert row.count("active", "new") == 3
    assert row.count(*Account.State.values) == 4


def test_the_worst_accounts_are_named_with_their_cause() -> None:
    bad, worse, fine, waiting = (account(number) for number in range(4))
    hour(hour=LAST, account=bad, outcome="fault", requests=2)
    hour(hour=LAST, account=worse, outcome="fault", requests=3)
    hour(hour=LAST, account=worse, outcome="ok", requests=7)
    hour(hour=LAST, account=fine, outcome="ok", requests=90)
    hour(hour=LAST, account_id=987, outcome="fault", requests=50)
    for cause in ("timeout", "timeout", "stalled"):
        record(started_at=LAST + HOUR / 2, account=worse, outcome="fault", cause=cause)
    record(started_at=LAST - HOUR, account=bad, outcome="fault", cause="timeout")
    waiting.move("needs_attention", cause="leaked")
    summaries.sum_up()
    found = HealthSummary.objects.get().worst
    assert [one["id"] for one in found] == [worse.pk, bad.pk, waiting.pk]
    assert found[0] == {
        "id": worse.pk,
        "name": str(worse),
        "state": "new",
        "cause": "timeout",
        "failed": 3,
        "requests": 10,
    }
    assert (found[1]["cause"], found[2]["cause"]) == ("", "leaked")


def test_no_more_than_a_handful_is_named() -> None:
    for number in range(9):
        account(number).move("needs_attention", cause="leaked")
    summaries.sum_up()
    assert len(HealthSummary.objects.get().worst) == summaries.MOST


def test_open_incidents_are_kept() -> None:
    values = {"what": "egress", "cause": "timeout", "why": "", "updated_at": NOW}
    Incident.objects.create(which="direct", since=NOW, **values)
    Incident.objects.create(which="old", since=NOW - HOUR, until=NOW, **values)
    summaries.sum_up()
    [found] = HealthSummary.objects.get().incidents
    assert found == {"what": "egress", "which": "direct", "cause": "timeout"}


def test_it_is_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hour(hour=LAST, requests=97)
    hour(hour=LAST, requests=3, outcome="fault")
    account(1)
    account(2).move("needs_attention", cause="leaked")
    said = jobs.sum_up_health()
    assert said.startswith(
        "11:00 UTC: 100 requests, 97.0 % answered; 1 of 2 accounts usable; "
        "1 need attention; worst: gemini_api "
    )
    assert said.endswith("(leaked)")
    assert f"health: {said}" in caplog.text


def test_a_quiet_hour_has_no_share() -> None:
    said = summaries.sum_up()
    assert said == "11:00 UTC: 0 requests; 0 of 0 accounts usable"
    assert HealthSummary.objects.get().share is None


def test_a_second_run_puts_the_same_row_right() -> None:
    summaries.sum_up()
    hour(hour=LAST, requests=5)
    summaries.sum_up()
    assert HealthSummary.objects.get().answered == 5


def test_summaries_are_kept_for_thirty_days() -> None:
    for days in (29, 31):
        HealthSummary.objects.create(
            hour=hour_of(NOW) - datetime.timedelta(days=days), made_at=NOW
        )
    summaries.prune(Pace(clock.monotonic() + 20))
    assert HealthSummary.objects.get().hour > NOW - datetime.timedelta(days=30)


def summary(hours: int, **fields: Any) -> HealthSummary:
    at = hour_of(NOW) - hours * HOUR
    return HealthSummary.objects.create(hour=at, made_at=NOW, **fields)


def test_the_panel_has_the_last_day_latest_first() -> None:
    for hours in (1, 2, 24, 30):
        summary(hours)
    shown = [line.hour for line in health.latest(NOW)]
    assert shown == ["20 Nov 11:00", "20 Nov 10:00", "19 Nov 12:00"]


@pytest.mark.parametrize(
    ("answered", "failed", "shown", "tone"),
    [
        (10, 0, "100 %", "good"),
        (99_999, 1, "99.9 %", "good"),
        (97, 3, "97.0 %", "warn"),
        (1, 1, "50.0 %", "bad"),
    ],
)
def test_a_failure_never_rounds_to_a_hundred_percent(
    answered: int, failed: int, shown: str, tone: str
) -> None:
    summary(1, answered=answered, failed=failed)
    [line] = health.latest(NOW)
    assert shown in line.answered
    assert f"gp-{tone}" in line.answered


def test_the_overview_shows_the_panel_escaped(client: Client, operator: Any) -> None:
    client.force_login(operator)
    assert "Health by hour" not in client.get("/admin/").text
    summary(
        1,
        answered=40,
        failed=9,
        accounts={"gemini_api": {"active": 3, "needs_attention": 1}},
        worst=[{"id": 1, "name": "<b>x</b>", "cause": "leaked", "failed": 9}],
        incidents=[{"what": "egress", "which": "direct", "cause": "timeout"}],
    )
    text = client.get("/admin/").text
    assert "Health by hour" in text
    assert "3 of 4" in text
    assert "1 need attention" in text
    assert "&lt;b&gt;x&lt;/b&gt;: Key blocked, 9 failed" in text
    assert "<b>x" not in text
