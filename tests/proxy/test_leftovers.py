"""What goes at night, and what stays."""

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from django_q.models import Task

from gemproxy.lib import clock
from proxy import jobs, leftovers
from proxy.models import Alert, HealthSummary, Incident, JobRun
from proxy.spool import REFUSED, SUFFIX

pytestmark = pytest.mark.django_db(databases="__all__")
DAY = datetime.timedelta(days=1)


def ago(days: float) -> datetime.datetime:
    return clock.now() - days * DAY


@pytest.fixture(autouse=True)
def spool(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def task(name: str, *, days: float, success: bool) -> None:
    at = ago(days)
    Task.objects.create(
        id=name, name=name, func="f", started=at, stopped=at, success=success
    )


def test_what_had_its_time_goes_and_the_rest_stays() -> None:
    for days in (89, 91):
        since = ago(days)
        Incident.objects.create(
            what="egress",
            which=str(days),
            cause="timeout",
            why="",
            since=since,
            until=since,
            updated_at=since,
        )
    for days in (29, 31):
        HealthSummary.objects.create(hour=ago(days), made_at=ago(days))
        Alert.objects.create(
            channel="email", key=str(days), text="", at=ago(days), created_at=ago(days)
        )
    task("old success", days=8, success=True)
    task("new success", days=6, success=True)
    task("old failure", days=31, success=False)
    task("new failure", days=29, success=False)
    JobRun.objects.create(job="of old")
    JobRun.objects.create(job="clean up")
    assert jobs.clean_up().startswith(
        "deleted 1 incidents, 1 health summaries, 1 alerts, 1 results of jobs, "
        "1 failed jobs, 1 records of former jobs, 0 files of refused rows; longest "
    )
    assert Incident.objects.get().which == "89"
    assert Alert.objects.get().key == "29"
    assert HealthSummary.objects.count() == 1
    left = set(Task.objects.values_list("name", flat=True))
    assert left == {"new success", "new failure"}
    assert JobRun.objects.get().job == "clean up"


def test_an_incident_that_lasts_is_kept_however_old() -> None:
    Incident.objects.create(
        what="egress", which="x", cause="c", why="", since=ago(200), updated_at=ago(0)
    )
    jobs.clean_up()
    assert Incident.objects.exists()


@pytest.mark.parametrize(("days", "deleted"), [(89, 0), (91, 1)])
def test_refused_rows_wait_for_a_person_for_ninety_days(
    spool: Path, days: int, deleted: int
) -> None:
    refused, waiting = spool / REFUSED, spool / f"host-1{SUFFIX}"
    for path in (refused, waiting):
        path.write_bytes(b"{}\n")
        os.utime(path, (ago(days).timestamp(),) * 2)
    assert leftovers.delete_refused(spool) == deleted
    assert refused.exists() is not bool(deleted)
    assert waiting.exists()


def test_what_does_not_fit_into_one_night_is_for_the_next() -> None:
    task("old", days=400, success=False)
    said = leftovers.delete_all(clock.monotonic() - 1)
    assert said.endswith("; more is left")
    assert Task.objects.exists()
