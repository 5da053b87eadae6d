"""What is deleted at night: rows of the gateway and of the job queue that had their
time, and usage rows that no database took."""

import datetime
from collections.abc import Callable
from pathlib import Path

from django_q.models import Failure, Success

from accounts.pace import Pace
from accounts.retention import delete_slowly
from gemproxy.lib import clock
from proxy import schedules, summaries
from proxy.alerts import delivery
from proxy.models import JobRun
from proxy.scheduling.incident_log import prune_incidents
from proxy.spool import REFUSED, spool_folder

#: django-q2 itself keeps the latest results of all jobs together, and failures for ever.
RESULTS_KEPT = datetime.timedelta(days=7)
FAILURES_KEPT = datetime.timedelta(days=30)
#: Time enough for a person to look at rows that were refused.
REFUSED_KEPT = datetime.timedelta(days=90)


def delete_all(until: float) -> str:
    """Delete a few rows at a time until then (monotonic); return the counts in words."""
    counts: dict[str, int] = {}
    longest = 0.0
    for name, prune in _PRUNERS:
        pace = Pace(until)
        prune(pace)
        counts[name] = pace.done
        longest = max(longest, pace.longest)
    counts["files of refused rows"] = delete_refused(spool_folder())
    parts = [f"{count} {name}" for name, count in counts.items()]
    more = "; more is left" if clock.monotonic() >= until else ""
    return f"deleted {', '.join(parts)}; longest {longest * 1000:.0f} ms{more}"


def delete_refused(folder: Path) -> int:
    """Delete the rows that no database took, once nobody has added any for long."""
    path = folder / REFUSED
    try:
        changed = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
        if changed >= clock.now() - REFUSED_KEPT:
            return 0
        path.unlink()
    except FileNotFoundError:
        return 0
    return 1


def _prune_results(pace: Pace) -> None:
    old = Success.objects.filter(stopped__lt=clock.now() - RESULTS_KEPT)
    delete_slowly(old.order_by("stopped"), pace)


def _prune_failures(pace: Pace) -> None:
    old = Failure.objects.filter(stopped__lt=clock.now() - FAILURES_KEPT)
    delete_slowly(old.order_by("stopped"), pace)


def _prune_runs(pace: Pace) -> None:
    names = [job.name for job in schedules.JOBS]
    delete_slowly(JobRun.objects.exclude(job__in=names).order_by("id"), pace)


_PRUNERS: tuple[tuple[str, Callable[[Pace], None]], ...] = (
    ("incidents", prune_incidents),
    ("health summaries", summaries.prune),
    ("alerts", delivery.prune),
    ("results of jobs", _prune_results),
    ("failed jobs", _prune_failures),
    ("records of former jobs", _prune_runs),
)
