"""The jobs that run by the clock, and how they get into django-q2's table."""

import datetime
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from django_q.models import Schedule

from gemproxy.lib import clock
from proxy.timing import Daily, Every, EverySetting, Hourly, When

PREFIX = "gemproxy: "
#: What django-q2 calls for every declared job, with the job's name and its due time.
RUNNER = "proxy.runner.run_job"
SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job: ``path`` names a sync function without arguments.

    ``due`` is a number of minutes or a rhythm. The job is switched off while in any
    group of ``switches`` no setting has a value.
    """

    name: str
    path: str
    due: int | When
    description: str
    switches: tuple[tuple[str, ...], ...] = ()

    @property
    def title(self) -> str:
        """The name of its row in django-q2's table."""
        return PREFIX + self.name

    @property
    def when(self) -> When:
        return Every(self.due) if isinstance(self.due, int) else self.due

    def off(self) -> str:
        """Say which setting switches it off now; empty if it runs."""
        for names in self.switches:
            if not any(getattr(settings, name) for name in names):
                values = {getattr(settings, name) for name in names if len(names) == 1}
                said = "0" if 0 in values else "not set"
                return f"{' and '.join(names)}: {said}"
        return ""

    def function(self) -> Callable[[], Any]:
        """Return what is run. Raises ImportError or TypeError if it cannot be."""
        return function_at(self.path)

    def columns(self) -> dict[str, Any]:
        """Return what its row in django-q2's table must say."""
        return {
            "func": RUNNER,
            "args": repr(self.name),
            "kwargs": None,
            "intended_date_kwarg": SLOT,
            "repeats": 0 if self.off() else -1,
            **self.when.columns(),
        }


JOBS = (
    Job(
        "roll up usage",
        "accounts.jobs.roll_up_usage",
        1,
        "Adds new requests to the hourly sums; notes last use of tokens and accounts.",
    ),
    Job(
        "prune usage",
        "accounts.jobs.prune_usage",
        60,
        "Deletes usage rows after USAGE_RETENTION_DAYS, old account events, "
        "change notices and expired sessions.",
    ),
    Job(
        "replay spool",
        "proxy.jobs.replay_spool",
        5,
        "Stores usage rows that ended processes had to leave in files.",
    ),
    Job(
        "renew logins",
        "proxy.jobs.renew_logins",
        5,
        "Renews access tokens of Gemini CLI logins ahead of their end; looks at new "
        "ones, and sets those aside whose sign-in has ended.",
    ),
    Job(
        "rotate cookies",
        "proxy.jobs.rotate_cookies",
        1,
        "Renews the cookies of web accounts every nine minutes and keeps those alive "
        "that do not rotate; looks whether those that nobody uses are signed in.",
    ),
    Job(
        "upload pictures",
        "imaging.jobs.upload_images",
        1,
        "Takes pictures that wait here to the storage that did not take them.",
    ),
    Job(
        "clean pictures",
        "imaging.jobs.clean_images",
        10,
        "Deletes pictures after IMAGE_RETENTION_DAYS or over IMAGE_MAX_PER_CALLER, "
        "and files that no picture refers to.",
    ),
    Job(
        "clean cool-downs",
        "proxy.jobs.clean_cool_downs",
        5,
        "Deletes rests of accounts that are over and notes their end; forgets learned "
        "limits after a week.",
    ),
    Job(
        "sum up health",
        "proxy.jobs.sum_up_health",
        Hourly(5),
        "Keeps the state of the accounts and the requests of the last hour for the "
        "overview, and writes them into the log.",
    ),
    Job(
        "disable failing accounts",
        "proxy.jobs.disable_failing",
        Daily(2),
        "Disables accounts that failed for FAILING_ACCOUNT_DAYS without one success; "
        "at least one of each kind is kept.",
        switches=(("FAILING_ACCOUNT_DAYS",),),
    ),
    Job(
        "clean up",
        "proxy.jobs.clean_up",
        Daily(3),
        "Deletes old incidents, health summaries, alerts, results of jobs and usage "
        "rows that no database took.",
    ),
    Job(
        "keep awake",
        "proxy.jobs.keep_awake",
        EverySetting("KEEP_ALIVE_INTERVAL"),
        "Asks PUBLIC_URL/wake, so that a host that sleeps without visitors stays up.",
        switches=(("KEEP_ALIVE_INTERVAL",), ("PUBLIC_URL",)),
    ),
    Job(
        "send alerts",
        "proxy.jobs.send_alerts",
        1,
        "Tells operators by webhook and e-mail what went wrong since the last run.",
        switches=(("ALERT_WEBHOOK_URL", "ALERT_EMAILS"),),
    ),
)


def named(name: str) -> Job | None:
    """Return the declared job of that name."""
    return next((job for job in JOBS if job.name == name), None)


def titled(title: str | None) -> Job | None:
    """Return the declared job whose row in django-q2's table has that name."""
    return next((job for job in JOBS if job.title == title), None)


def function_at(path: str) -> Callable[..., Any]:
    """Return a job's function. Raises ImportError or TypeError if it cannot be run."""
    found = import_string(path)
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise TypeError(f"{path} is not a sync function")
    return found


def sync() -> list[str]:
    """Make django-q2's table say what JOBS says; return what was changed.

    Schedules that people added under other names are left alone, and so is when an
    unchanged one runs next, unless the clock says another time. One that was due
    while no worker ran stays due, and runs once.
    """
    done = [line for job in JOBS if (line := _sync(job))]
    titles = [job.title for job in JOBS]
    for schedule in Schedule.objects.filter(name__startswith=PREFIX).exclude(
        name__in=titles
    ):
        schedule.delete()
        done.append(f"removed {schedule.name}")
    return done


def set_next(job: Job, slot: datetime.datetime) -> None:
    """Give a job by the clock its next time, once the run due at ``slot`` began."""
    if job.when.by_clock:
        # The clock of this machine may be a little behind the one that found it due.
        after = max(clock.now(), slot)
        Schedule.objects.filter(name=job.title).update(next_run=job.when.first(after))


def broken_rows() -> Iterator[tuple[Schedule, str]]:
    """Yield the rows of django-q2's table that could not run, and why."""
    for row in Schedule.objects.exclude(repeats=0).order_by("id"):
        try:
            function_at(row.func)
        except (ImportError, TypeError) as error:
            yield row, str(error)


def _sync(job: Job) -> str:
    first, *doubles = Schedule.objects.filter(name=job.title).order_by("id") or [None]
    for double in doubles:
        double.delete()
    wanted = job.columns()
    now = clock.now()
    if first is None:
        Schedule.objects.create(name=job.title, next_run=job.when.first(now), **wanted)
        return f"added {job.title}"
    wanted["next_run"] = _next_run(job, first, wanted, now)
    if all(getattr(first, name) == value for name, value in wanted.items()):
        return f"removed a double of {job.title}" if doubles else ""
    Schedule.objects.filter(pk=first.pk).update(**wanted)
    return f"changed {job.title}"


def _next_run(
    job: Job, row: Schedule, wanted: dict[str, Any], now: datetime.datetime
) -> datetime.datetime:
    """Return when a job runs next whose row stands in the table already."""
    rhythm = ("schedule_type", "minutes", "repeats")
    if row.next_run is None or any(getattr(row, n) != wanted[n] for n in rhythm):
        return job.when.first(now)
    is_late = row.next_run <= now
    return row.next_run if is_late or not job.when.by_clock else job.when.first(now)
