"""The declared jobs, and what of them stands in django-q2's table."""

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

pytestmark = pytest.mark.django_db(databases="__all__")


def rows() -> dict[str, tuple[str, int]]:
    return {s.name: (s.func, s.minutes) for s in Schedule.objects.all()}


def declared() -> dict[str, tuple[str, int]]:
    return {job.title: (job.path, job.minutes) for job in JOBS}


def test_sync_adds_what_is_declared() -> None:
    assert schedules.sync() == [f"added {job.title}" for job in JOBS]
    assert rows() == declared()
    assert set(Schedule.objects.values_list("repeats", flat=True)) == {-1}


def test_a_second_sync_leaves_the_next_run_alone() -> None:
    schedules.sync()
    Schedule.objects.update(next_run=clock.now().replace(year=2031))
    before = list(Schedule.objects.order_by("id").values())
    assert schedules.sync() == []
    assert list(Schedule.objects.order_by("id").values()) == before


@pytest.mark.parametrize(
    "drift",
    [
        pytest.param({"minutes": 999}, id="minutes"),
        pytest.param({"func": "os.getcwd"}, id="function"),
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


def test_jobs_that_are_no_longer_declared_go_and_others_stay() -> None:
    Schedule.objects.create(name="gemproxy: of old", func="os.getcwd")
    Schedule.objects.create(name="the operator's own", func="os.getcwd")
    assert "removed gemproxy: of old" in schedules.sync()
    assert set(rows()) == {"the operator's own", *declared()}


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
    assert all(job.description and job.minutes > 0 for job in JOBS)
