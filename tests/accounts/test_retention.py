"""What is deleted when its time is over, and what is not."""

import datetime
import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db.models import Sum

from accounts import jobs, retention
from accounts.models import (
    Account,
    AccountEvent,
    Change,
    UsageHour,
    UsageProgress,
    UsageRecord,
)
from accounts.pace import Pace
from gemproxy.lib import clock
from tests.usage import saved, stored_ids

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def days(settings: Any) -> None:
    settings.USAGE_RETENTION_DAYS = 10


def ago(**delta: float) -> datetime.datetime:
    return clock.now() - datetime.timedelta(**delta)


def test_only_rows_older_than_the_retention_go() -> None:
    saved(request_id="old", started_at=ago(days=11))
    saved(request_id="young", started_at=ago(days=9))
    assert jobs.prune_usage().startswith("deleted 1 usage rows, ")
    assert stored_ids() == {"young"}


def test_hours_are_kept_or_pruned_whole() -> None:
    edge = retention.hour_of(ago(days=10))
    saved(request_id="before", started_at=edge - datetime.timedelta(seconds=1))
    saved(request_id="in the hour of the edge", started_at=edge)
    jobs.prune_usage()
    assert stored_ids() == {"in the hour of the edge"}


def test_pruned_rows_stay_in_the_sums() -> None:
    for _ in range(3):
        saved(started_at=ago(days=20), total_tokens=7)
    jobs.prune_usage()
    jobs.roll_up_usage()
    jobs.prune_usage()
    assert not UsageRecord.objects.exists()
    sums = UsageHour.objects.aggregate(n=Sum("requests"), tokens=Sum("total_tokens"))
    assert sums == {"n": 3, "tokens": 21}


def test_an_old_row_that_comes_after_pruning_is_counted_once() -> None:
    at = ago(days=20)
    saved(started_at=at)
    jobs.prune_usage()
    saved(started_at=at)
    jobs.prune_usage()
    jobs.prune_usage()
    assert UsageHour.objects.get().requests == 2
    assert not UsageRecord.objects.exists()


def test_rows_not_rolled_up_are_not_pruned() -> None:
    saved(started_at=ago(days=20))
    progress = UsageProgress.objects.create(pk=1, rolled_up_to=0)
    pace = Pace(clock.monotonic() + 10)
    retention.prune_usage_rows(progress, 10, pace)
    assert pace.done == 0
    assert UsageRecord.objects.count() == 1


def test_a_longer_retention_does_not_bring_hours_back() -> None:
    old = ago(days=20)
    saved(started_at=old)
    jobs.prune_usage()
    with retention_of(30):
        saved(started_at=old)
        jobs.prune_usage()
    assert UsageHour.objects.get().requests == 2


def retention_of(days: int) -> Any:
    from django.test import override_settings

    return override_settings(USAGE_RETENTION_DAYS=days)


def test_changes_events_and_sessions_go_when_their_time_is_over() -> None:
    account = Account.add(kind="gemini_api", secret="AIza" + "x" * 35)
    assert account is not None
    for age in (0, 89, 91):
        event = account.events.create(state="active", cause=str(age))
        AccountEvent.objects.filter(pk=event.pk).update(at=ago(days=age))
    Change.objects.all().delete()
    for minutes in (59, 61):
        change = Change.objects.create(topic="token", key=str(minutes))
        Change.objects.filter(pk=change.pk).update(at=ago(minutes=minutes))
    for name, expiry in (("over", ago(days=1)), ("valid", clock.now() + DAY)):
        Session.objects.create(session_key=name, expire_date=expiry)
    result = jobs.prune_usage()
    assert result.startswith(
        "deleted 0 usage rows, 1 changes, 1 account events, 1 sessions; longest "
    )
    assert set(AccountEvent.objects.values_list("cause", flat=True)) == {"0", "89"}
    assert Change.objects.get().key == "59"
    assert Session.objects.get().session_key == "valid"


def test_a_run_ends_when_its_time_is_up_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(5):
        saved(started_at=ago(days=20))
    monkeypatch.setattr(jobs, "RUN_SECONDS", 0.0)
    assert jobs.prune_usage().endswith("; more is left")
    assert UsageRecord.objects.count() == 5
    monkeypatch.undo()
    assert re.search(r"longest \d+ ms$", jobs.prune_usage())


def test_more_rows_than_one_transaction_takes_all_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "KEYS_AT_ONCE", 7)
    for number in range(23):
        saved(started_at=ago(days=20 + number))
    pace = Pace(clock.monotonic() + 30, size=3, rest_seconds=0)
    retention.delete_slowly(UsageRecord.objects.order_by("started_at"), pace)
    assert pace.done == 23
    assert not UsageRecord.objects.exists()
