"""Two real clusters on one database: what is due once runs once."""

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connections, router
from django_q.models import Schedule, Task
from django_q.signing import SignedPackage

from gemproxy.lib import clock
from proxy import schedules
from proxy.models import JobRun
from tests.running import Started, eventually, started
from tests.usage import database_url

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.timeout(240),
]
SCHEDULES = 12
JOB = "clean cool-downs"
TITLE = schedules.PREFIX + JOB


@pytest.fixture
def clusters(tmp_path: Path) -> Any:
    """Start two qclusters on the test's own databases."""
    jobs = connections[router.db_for_read(Task) or "default"]
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.clusters",
        "CLUSTERS_DATABASE": database_url(),
        "CLUSTERS_JOBS": str(jobs.settings_dict["NAME"]),
        "TEST_REDIS_URL": configured.REDIS_URL,
        # The address is this worker's already.
        "PYTEST_XDIST_WORKER": "",
    }

    @contextlib.contextmanager
    def run() -> Iterator[list[Started]]:
        with contextlib.ExitStack() as stack:
            arguments = ["manage.py", "qcluster"]
            yield [
                stack.enter_context(
                    started(arguments, tmp_path / f"cluster{number}", environment)
                )
                for number in range(2)
            ]

    return run


def results() -> list[str]:
    rows = Task.objects.filter(group=TITLE).order_by("stopped")
    return [str(row.result) for row in rows]


def enqueue(task: dict[str, Any]) -> None:
    """Put a task into the queue as an earlier delivery would lie there."""
    from django_q.brokers import get_broker

    get_broker().enqueue(SignedPackage.dumps(task))


def test_schedules_that_are_due_once_run_once(clusters: Any, tmp_path: Path) -> None:
    now = clock.now()
    for number in range(SCHEDULES):
        Schedule.objects.create(
            name=f"count {number}",
            func="tests.counted_job.count",
            args=f"{str(tmp_path)!r}, 'count-{number}'",
            schedule_type=Schedule.YEARLY,
            next_run=now - datetime.timedelta(days=3),
        )
    with clusters():
        done = Task.objects.filter(func="tests.counted_job.count")
        eventually(lambda: done.count() >= SCHEDULES, 120)
        # A second run of any of them would have been queued with the first.
        eventually(lambda: not _queued(), 60)
    lines = [path.read_text() for path in sorted(tmp_path.glob("count-*"))]
    assert lines == ["ran\n"] * SCHEDULES
    assert all(row.next_run > clock.now() for row in Schedule.objects.all())


def test_a_task_that_was_delivered_to_both_is_done_by_one(clusters: Any) -> None:
    schedules.sync()
    later = clock.now() + datetime.timedelta(hours=5)
    Schedule.objects.update(next_run=later)
    slot = clock.now().isoformat()
    for number in range(4):
        enqueue(
            {
                "id": f"{number:032}",
                "name": f"delivery {number}",
                "func": schedules.RUNNER,
                "args": (JOB,),
                "kwargs": {schedules.SLOT: slot},
                "group": TITLE,
                "started": clock.now(),
            }
        )
    with clusters():
        eventually(lambda: len(results()) == 4, 120)
    assert sum(text.startswith("deleted") for text in results()) == 1, results()
    assert sum(text.startswith("skipped") for text in results()) == 3, results()
    run = JobRun.objects.get(job=JOB)
    assert (run.state, run.slot.isoformat()) == ("done", slot)


def test_a_declared_job_missed_for_days_runs_once_and_keeps_its_time(
    clusters: Any,
) -> None:
    schedules.sync()
    later = clock.now() + datetime.timedelta(hours=5)
    Schedule.objects.update(next_run=later)
    title = schedules.PREFIX + "clean up"
    job = schedules.named("clean up")
    assert job is not None
    missed = clock.now() - datetime.timedelta(days=4)
    Schedule.objects.filter(name=title).update(next_run=missed)
    with clusters():
        eventually(
            lambda: JobRun.objects.filter(job="clean up", state="done").exists(), 120
        )
        eventually(lambda: Task.objects.filter(group=title).exists(), 60)
        eventually(lambda: not _queued(), 60)
    assert Task.objects.filter(group=title).count() == 1
    due = Schedule.objects.get(name=title).next_run
    assert due == job.when.first(clock.now())


def _queued() -> int:
    from django_q.brokers import get_broker

    broker = get_broker()
    # The Redis broker knows nothing of tasks in work.
    return broker.queue_size() + (broker.lock_size() or 0)
