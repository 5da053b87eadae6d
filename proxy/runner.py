"""Runs a declared job once for each time it is due, however many workers hear of it.

django-q2 may deliver a task twice: when a worker died, when a broker was slow, when
two clusters share a queue. A row for each job says which due time was taken last and
until when its taker may be believed to live; taking it is one conditional update.
"""

import datetime
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db.models import Q, QuerySet

from gemproxy.lib import clock
from gemproxy.lib.redaction import redact
from proxy import schedules
from proxy.models import JobRun

#: A worker that runs longer than its timeout is ended; a claim outlasts it a little,
#: and ends before the queue hands the same task out again.
GRACE = datetime.timedelta(seconds=60)
LONGEST_RESULT = 1000


class JobFailed(Exception):
    """A job could not do its work; the message tells an operator why."""


def run_job(name: str, slot: str = "") -> str:
    """Run a declared job that was due at ``slot`` (ISO time); say what became of it.

    Raises what the job raises, once it is written down.
    """
    job = schedules.named(name)
    if job is None:
        return f"no such job: {name}"
    off = job.off()
    if off:
        return f"switched off ({off})"
    due = datetime.datetime.fromisoformat(slot) if slot else clock.now()
    owner = claim(name, due)
    if owner is None:
        return _why_not(name, due)
    schedules.set_next(job, due)
    with _written_down(name, owner) as said:
        said.append(str(job.function()()))
    return said[0]


def claim(name: str, slot: datetime.datetime) -> str | None:
    """Take the run of a job that is due at ``slot``; None if it is not to be had.

    It is had by somebody else while a claim lasts, for good once this or a later due
    time was done, and again after a failure or once the claim of a dead worker ended.
    """
    JobRun.objects.get_or_create(job=name)
    now, owner = clock.now(), secrets.token_hex(8)
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    fresh = Q(slot=None) | Q(slot__lt=slot)
    again = Q(slot=slot) & ~Q(state=JobRun.State.DONE)
    taken = _row(name).filter(free, fresh | again)
    lasts = datetime.timedelta(seconds=settings.Q_CLUSTER["timeout"]) + GRACE
    count = taken.update(
        slot=slot,
        owner=owner,
        claimed_until=now + lasts,
        state=JobRun.State.RUNNING,
        started_at=now,
        ended_at=None,
    )
    return owner if count else None


@contextmanager
def _written_down(name: str, owner: str) -> Iterator[list[str]]:
    """Note how a run ended, unless somebody has taken it over meanwhile."""
    said: list[str] = []
    try:
        yield said
    except BaseException as error:
        # SystemExit too: that is how django-q2 ends a job that takes too long.
        _end(name, owner, JobRun.State.FAILED, _reason(error))
        raise
    _end(name, owner, JobRun.State.DONE, said[0])


def _end(name: str, owner: str, state: str, text: str) -> None:
    _row(name).filter(owner=owner).update(
        state=state,
        claimed_until=None,
        ended_at=clock.now(),
        result=redact(" ".join(text.split()))[:LONGEST_RESULT],
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, JobFailed):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _why_not(name: str, due: datetime.datetime) -> str:
    row = _row(name).get()
    if row.claimed_until is not None and row.slot is not None and row.slot < due:
        return f"skipped: another run is at work since {row.started_at:%H:%M:%S} UTC"
    return "skipped: this run, or a later one, was taken already"


def _row(name: str) -> QuerySet:
    return JobRun.objects.filter(job=name)
