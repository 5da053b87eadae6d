"""When jobs are due: by distance, and by a clock whose days have 23 to 25 hours."""

import datetime
import itertools
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django_q.conf import Conf
from django_q.models import Schedule

from proxy.timing import Daily, Every, EverySetting, Hourly

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("zone", "now", "due"),
    [
        pytest.param("UTC", "2026-11-20 01:59", "2026-11-20 02:00", id="today"),
        pytest.param("UTC", "2026-11-20 02:00", "2026-11-21 02:00", id="just now"),
        pytest.param("UTC", "2026-11-20 02:01", "2026-11-21 02:00", id="tomorrow"),
        pytest.param(BERLIN, "2026-11-20 12:00", "2026-11-21 01:00", id="winter"),
        pytest.param(BERLIN, "2026-07-20 12:00", "2026-07-21 00:00", id="summer"),
        # On 29 March 2026 there is no 02:00 in Berlin.
        pytest.param(BERLIN, "2026-03-28 12:00", "2026-03-29 01:00", id="left out"),
        pytest.param(BERLIN, "2026-03-29 01:00", "2026-03-30 00:00", id="after it"),
        # On 25 October 2026 there are two in Berlin.
        pytest.param(BERLIN, "2026-10-24 12:00", "2026-10-25 00:00", id="first of two"),
        pytest.param(BERLIN, "2026-10-25 00:30", "2026-10-26 01:00", id="not twice"),
        pytest.param(NEW_YORK, "2026-03-08 06:00", "2026-03-08 07:00", id="other gap"),
        pytest.param(LORD_HOWE, "2026-10-02 15:31", "2026-10-03 15:30", id="half hour"),
    ],
)
def test_a_daily_time_is_of_the_time_zone(
    settings: Any, zone: str, now: str, due: str
) -> None:
    settings.TIME_ZONE = zone
    assert Daily(2).first(utc(now)) == utc(due)


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kolkata"])
def test_a_year_has_one_run_a_day_at_the_same_hour(settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    now, days, hours = utc("2026-01-01 00:00"), [], []
    for _ in range(365):
        now = Daily(2, 15).first(now)
        local = now.astimezone(ZoneInfo(zone))
        days.append(local.date())
        hours.append((local.hour, local.minute))
    assert [(b - a).days for a, b in itertools.pairwise(days)] == [1] * 364
    assert sum(time != (2, 15) for time in hours) <= 1


def test_what_django_q2_does_with_a_time_that_is_left_out(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason why each run sets the next: if this fails, it may be taken out."""
    settings.TIME_ZONE = BERLIN
    monkeypatch.setattr(Conf, "TIME_ZONE", BERLIN)
    row = Schedule(schedule_type=Schedule.DAILY, next_run=utc("2026-03-28 01:00"))
    for _ in range(2):
        row.next_run = row.calculate_next_run()
    assert row.next_run == utc("2026-03-29 23:00")
    assert Daily(2).first(utc("2026-03-29 12:00")) == utc("2026-03-30 00:00")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-20 11:04:59", "2026-11-20 11:05"),
        ("2026-11-20 11:05", "2026-11-20 12:05"),
        ("2026-11-20 23:59", "2026-11-21 00:05"),
    ],
)
def test_an_hourly_time_is_a_minute_of_each_hour(now: str, due: str) -> None:
    assert Hourly(5).first(utc(now)) == utc(due)


def test_a_number_of_minutes_begins_at_once_and_may_be_a_setting(
    settings: Any,
) -> None:
    now = utc("2026-11-20 11:04")
    assert Every(5).first(now) == now
    settings.KEEP_ALIVE_INTERVAL = 14
    assert EverySetting("KEEP_ALIVE_INTERVAL").first(now) == now
    assert EverySetting("KEEP_ALIVE_INTERVAL").columns()["minutes"] == 14


def test_rhythms_are_said_in_words(settings: Any) -> None:
    settings.TIME_ZONE = BERLIN
    settings.KEEP_ALIVE_INTERVAL = 10
    assert Every(1).words() == "every minute"
    assert Every(5).words() == "every 5 min"
    assert Hourly(5).words() == "hourly at :05"
    assert Daily(2).words() == "daily at 02:00 Europe/Berlin"
    said = EverySetting("KEEP_ALIVE_INTERVAL").words()
    assert said == "every 10 min (KEEP_ALIVE_INTERVAL)"
