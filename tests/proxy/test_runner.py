"""A job runs once for each time it is due, and what became of it is written down."""

import datetime
import threading
from typing import Any

import pytest
from django.db import connection
from django_q.exceptions import TimeoutException
from django_q.models import Schedule

from gemproxy.lib import clock
from proxy import runner, schedules
from proxy.models import JobRun
from proxy.schedules import Job
from proxy.timing import Daily

pytestmark = pytest.mark.django_db(databases="__all__")
DUE = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
ran: list[str] = []


def work() -> str:
    ran.append("once")
    return "3 rows"


def stumble() -> str:
    raise ValueError("no luck with https://u:hidden-word@host/x\nand more")


def give_up() -> str:
    raise runner.JobFailed("the host sleeps")


def take_too_long() -> str:
    raise TimeoutException("Task exceeded maximum timeout value (300 seconds)")


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    path = "tests.proxy.test_runner."
    monkeypatch.setattr(
        schedules,
        "JOBS",
        (
            Job("works", path + "work", 1, "Works."),
            Job("stumbles", path + "stumble", 1, "Raises."),
            Job("gives up", path + "give_up", 1, "Says why."),
            Job("slow", path + "take_too_long", 1, "Is ended."),
            Job("nightly", path + "work", Daily(2), "Works at night."),
            Job("off", path + "work", 1, "", switches=(("KEEP_ALIVE_INTERVAL",),)),
        ),
    )


def run(name: str, slot: datetime.datetime = DUE) -> str:
    return runner.run_job(name, slot=slot.isoformat())


def row(name: str = "works") -> JobRun:
    return JobRun.objects.get(job=name)


def test_a_run_is_written_down() -> None:
    assert run("works") == "3 rows"
    found = row()
    assert (found.state, found.result, found.slot) == ("done", "3 rows", DUE)
    assert found.started_at <= found.ended_at
    assert found.claimed_until is None


def test_the_same_due_time_is_done_once() -> None:
    run("works")
    assert run("works").startswith("skipped: this run, or a later one")
    assert len(ran) == 1
    assert row().result == "3 rows"


def test_a_late_delivery_of_an_earlier_time_is_not_run() -> None:
    run("works", DUE + MINUTE)
    assert run("works").startswith("skipped")
    run("works", DUE + 2 * MINUTE)
    assert len(ran) == 2


def test_while_a_run_lasts_the_next_is_skipped() -> None:
    assert runner.claim("works", DUE)
    said = run("works", DUE + MINUTE)
    assert said.startswith("skipped: another run is at work since")
    assert ran == []
    assert row().slot == DUE


def test_the_claim_of_a_dead_worker_ends(settings: Any) -> None:
    dead = runner.claim("works", DUE)
    lasts = row().claimed_until - clock.now()
    timeout = datetime.timedelta(seconds=settings.Q_CLUSTER["timeout"])
    retry = datetime.timedelta(seconds=settings.Q_CLUSTER["retry"])
    assert timeout < lasts < retry
    JobRun.objects.update(claimed_until=clock.now() - MINUTE)
    assert run("works") == "3 rows"
    # It was not dead after all: what it says now comes too late.
    runner._end("works", str(dead), JobRun.State.FAILED, "late")
    assert (row().state, row().result) == ("done", "3 rows")


def test_a_failure_is_told_in_one_line_without_secrets_and_may_be_tried_again() -> None:
    with pytest.raises(ValueError, match="no luck"):
        run("stumbles")
    found = row("stumbles")
    assert found.state == "failed"
    assert found.result == "ValueError: no luck with https://[secret]@host/x and more"
    assert found.claimed_until is None
    with pytest.raises(ValueError, match="no luck"):
        run("stumbles")


def test_a_job_may_say_itself_why_it_failed() -> None:
    with pytest.raises(runner.JobFailed):
        run("gives up")
    assert row("gives up").result == "the host sleeps"


def test_a_job_that_is_ended_for_its_length_gives_its_claim_back() -> None:
    with pytest.raises(SystemExit):
        run("slow")
    found = row("slow")
    assert found.state == "failed"
    assert "maximum timeout" in found.result
    assert found.claimed_until is None


def test_a_job_that_was_switched_off_meanwhile_does_nothing(settings: Any) -> None:
    settings.KEEP_ALIVE_INTERVAL = 0
    assert run("off") == "switched off (KEEP_ALIVE_INTERVAL: 0)"
    assert ran == []
    assert not JobRun.objects.filter(job="off").exists()


def test_a_task_of_a_job_that_is_gone_does_nothing() -> None:
    assert run("of old") == "no such job: of old"


def test_without_a_due_time_a_job_runs_now() -> None:
    before = clock.now()
    assert runner.run_job("works") == "3 rows"
    assert before <= row().slot <= clock.now()


def test_a_nightly_job_sets_its_next_night() -> None:
    schedules.sync()
    title = schedules.PREFIX + "nightly"
    Schedule.objects.filter(name=title).update(next_run=clock.now() + 90 * MINUTE)
    run("nightly", clock.now())
    after = Schedule.objects.get(name=title).next_run
    assert after == Daily(2).first(clock.now())


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_of_many_who_hear_of_it_at_once_one_runs_it() -> None:
    together = threading.Barrier(6)
    said: list[str] = []

    def hear() -> None:
        try:
            together.wait(timeout=30)
            said.append(run("works"))
        finally:
            connection.close()

    threads = [threading.Thread(target=hear) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 1
    assert sorted(text.partition(":")[0] for text in said) == ["3 rows"] + 5 * [
        "skipped"
    ]
