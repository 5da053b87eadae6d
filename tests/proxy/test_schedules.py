"""The declared jobs, and what of them stands in django-q2's table."""

import datetime
import io
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django_q.models import Schedule

from gemproxy.lib import clock
from proxy import schedules
from proxy.checks import check_schedules
from proxy.schedules import JOBS, Job
from proxy.timing import Daily, EverySetting

pytestmark = pytest.mark.django_db(databases="__all__")
HOUR = datetime.timedelta(hours=1)
NIGHTLY = Job("nightly", "accounts.jobs.roll_up_usage", Daily(2), "At night.")
PING = Job(
    "ping",
    "accounts.jobs.roll_up_usage",
    EverySetting("KEEP_ALIVE_INTERVAL"),
    "As a setting says.",
    switches=(("KEEP_ALIVE_INTERVAL",), ("PUBLIC_URL",)),
)


def rows() -> dict[str, dict[str, Any]]:
    columns = ("func", "args", "minutes", "schedule_type", "repeats")
    return {
        row["name"]: {name: row[name] for name in columns}
        for row in Schedule.objects.values("name", *columns)
    }


def declared() -> dict[str, dict[str, Any]]:
    return {
        job.title: {
            name: value
            for name, value in job.columns().items()
            if name in ("func", "args", "minutes", "schedule_type", "repeats")
        }
        for job in JOBS
    }


def stored(job: Job) -> Schedule:
    return Schedule.objects.get(name=job.title)


def test_sync_adds_what_is_declared() -> None:
    assert schedules.sync() == [f"added {job.title}" for job in JOBS]
    assert rows() == declared()
    assert {row["func"] for row in rows().values()} == {"proxy.runner.run_job"}


def test_a_second_sync_leaves_the_next_run_alone() -> None:
    schedules.sync()
    frequent = [job.title for job in JOBS if not job.when.by_clock]
    Schedule.objects.filter(name__in=frequent).update(
        next_run=clock.now().replace(year=2031)
    )
    before = list(Schedule.objects.order_by("id").values())
    assert schedules.sync() == []
    assert list(Schedule.objects.order_by("id").values()) == before


@pytest.mark.parametrize(
    "drift",
    [
        pytest.param({"minutes": 999}, id="minutes"),
        pytest.param({"func": "os.getcwd"}, id="function"),
        pytest.param({"args": "'another job'"}, id="job"),
        pytest.param({"intended_date_kwarg": None}, id="no due time"),
        pytest.param({"repeats": 0}, id="ended"),
        pytest.param({"schedule_type": Schedule.YEARLY}, id="type"),
    ],
)
def test_what_was_changed_by_hand_is_put_right(drift: dict[str, Any]) -> None:
    schedules.sync()
    title = JOBS[0].title
    Schedule.objects.filter(name=title).update(**drift)
    assert schedules.sync() == [f"changed {title}"]
    assert rows() == declared()
    assert schedules.sync() == []


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    def declare(*jobs: Job) -> None:
        monkeypatch.setattr(schedules, "JOBS", jobs)

    return declare


def test_a_daily_job_keeps_its_hour_whatever_was_written_there(only: Any) -> None:
    only(NIGHTLY)
    schedules.sync()
    right = stored(NIGHTLY).next_run
    assert (right.hour, right.minute, right.second) == (2, 0, 0)
    Schedule.objects.update(next_run=right + HOUR)
    assert schedules.sync() == [f"changed {NIGHTLY.title}"]
    assert stored(NIGHTLY).next_run == right


def test_a_new_time_zone_moves_a_daily_job(only: Any, settings: Any) -> None:
    only(NIGHTLY)
    schedules.sync()
    settings.TIME_ZONE = "Asia/Kolkata"
    schedules.sync()
    moved = stored(NIGHTLY).next_run
    assert (moved.hour, moved.minute) == (20, 30)


def test_what_was_due_while_nobody_worked_stays_due(only: Any) -> None:
    only(NIGHTLY)
    schedules.sync()
    missed = clock.now() - 3 * HOUR
    Schedule.objects.update(next_run=missed)
    assert schedules.sync() == []
    assert stored(NIGHTLY).next_run == missed


def test_a_run_sets_the_next_one_after_its_own_time(only: Any) -> None:
    only(NIGHTLY)
    schedules.sync()
    Schedule.objects.update(next_run=clock.now() + 30 * HOUR)
    # Due a moment ahead of this machine's clock: that time must not come again.
    due = NIGHTLY.when.first(clock.now())
    schedules.set_next(NIGHTLY, due)
    assert stored(NIGHTLY).next_run == due + 24 * HOUR


def test_a_run_leaves_a_rhythm_of_minutes_to_django_q2() -> None:
    schedules.sync()
    before = stored(JOBS[0]).next_run
    schedules.set_next(JOBS[0], before)
    assert stored(JOBS[0]).next_run == before


@pytest.mark.parametrize(
    ("minutes", "url", "off"),
    [
        (0, "https://gw.example.org", "KEEP_ALIVE_INTERVAL: 0"),
        (10, "", "PUBLIC_URL: not set"),
        (10, "https://gw.example.org", ""),
    ],
)
def test_settings_switch_a_job_off_and_say_so(
    only: Any, settings: Any, minutes: int, url: str, off: str
) -> None:
    only(PING)
    settings.KEEP_ALIVE_INTERVAL, settings.PUBLIC_URL = minutes, url
    schedules.sync()
    assert PING.off() == off
    assert stored(PING).repeats == (0 if off else -1)


def test_a_changed_interval_counts_from_the_next_sync(only: Any, settings: Any) -> None:
    only(PING)
    settings.KEEP_ALIVE_INTERVAL, settings.PUBLIC_URL = 1000, "https://gw.example.org"
    schedules.sync()
    Schedule.objects.update(next_run=clock.now() + 16 * HOUR)
    settings.KEEP_ALIVE_INTERVAL = 5
    assert schedules.sync() == [f"changed {PING.title}"]
    assert stored(PING).minutes == 5
    assert stored(PING).next_run <= clock.now()
    assert schedules.sync() == []


def test_a_nightly_job_that_is_switched_on_waits_for_the_night(
    only: Any, settings: Any
) -> None:
    job = Job("n", NIGHTLY.path, Daily(2), "", switches=(("FAILING_ACCOUNT_DAYS",),))
    only(job)
    settings.FAILING_ACCOUNT_DAYS = 0
    schedules.sync()
    Schedule.objects.update(next_run=clock.now() - 90 * HOUR)
    settings.FAILING_ACCOUNT_DAYS = 7
    schedules.sync()
    assert stored(job).next_run > clock.now()


def test_one_of_several_settings_may_switch_a_job_on(settings: Any) -> None:
    alerts = schedules.named("send alerts")
    assert alerts is not None
    assert alerts.off() == "ALERT_WEBHOOK_URL and ALERT_EMAILS: not set"
    settings.ALERT_EMAILS = ["olga@example.org"]
    assert alerts.off() == ""


def test_jobs_that_are_no_longer_declared_go_and_others_stay() -> None:
    Schedule.objects.create(name="gemproxy: of old", func="os.getcwd")
    Schedule.objects.create(name="the operator's own", func="os.getcwd")
    assert "removed gemproxy: of old" in schedules.sync()
    assert set(rows()) == {"the operator's own", *declared()}
    assert schedules.titled("the operator's own") is None


def test_doubles_are_removed() -> None:
    schedules.sync()
    first = Schedule.objects.get(name=JOBS[0].title)
    Schedule.objects.create(name=first.name, func=first.func, minutes=first.minutes)
    assert schedules.sync() == [f"removed a double of {first.name}"]
    assert Schedule.objects.get(name=first.name).pk == first.pk


def test_the_command_says_what_it_did() -> None:
    first, second = io.StringIO(), io.StringIO()
    call_command("sync_schedules", stdout=first)
    call_command("sync_schedules", stdout=second)
    assert first.getvalue().count("added gemproxy: ") == len(JOBS)
    assert second.getvalue() == "The schedules are as declared.\n"


def test_every_declared_job_can_be_run() -> None:
    assert check_schedules() == []
    for job in JOBS:
        # Without its settings this one has nobody to ask.
        if job.name != "keep awake":
            assert isinstance(job.function()(), str)


async def _coroutine() -> None:
    """A job must not be one."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("proxy.jobs.no_such_job", id="no such function"),
        pytest.param("no_such_module.job", id="no such module"),
        pytest.param("tests.proxy.test_schedules._coroutine", id="coroutine"),
        pytest.param("proxy.schedules.PREFIX", id="not callable"),
    ],
)
def test_a_job_that_cannot_run_is_reported(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "JOBS", (Job("broken", path, 1, ""),))
    [message] = [m for m in run_checks() if m.id == "gemproxy.E010"]
    assert "broken" in message.msg


def test_names_are_used_once() -> None:
    assert len(declared()) == len(JOBS)
    assert all(job.description and job.when.words() for job in JOBS)
    assert all(schedules.named(job.name) is schedules.titled(job.title) for job in JOBS)
