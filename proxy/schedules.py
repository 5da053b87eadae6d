"""The jobs that run by the clock, and how they get into django-q2's table."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string
from django_q.models import Schedule

PREFIX = "gemproxy: "


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job: ``path`` names a sync function without arguments."""

    name: str
    path: str
    minutes: int
    description: str

    @property
    def title(self) -> str:
        """The name of its row in django-q2's table."""
        return PREFIX + self.name

    def function(self) -> Callable[[], Any]:
        """Return what is run. Raises ImportError or TypeError if it cannot be."""
        found = import_string(self.path)
        if not callable(found) or inspect.iscoroutinefunction(found):
            raise TypeError(f"{self.path} is not a sync function")
        return found


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
        "that do not rotate.",
    ),
    Job(
        "clean cool-downs",
        "proxy.jobs.clean_cool_downs",
        5,
        "Deletes rests of accounts that are over and notes their end; forgets learned "
        "limits after a week.",
    ),
    Job(
        "clean incidents",
        "proxy.jobs.clean_incidents",
        1440,
        "Deletes incidents that ended three months ago.",
    ),
)


def sync() -> list[str]:
    """Make django-q2's table say what JOBS says; return what was changed.

    Schedules that people added under other names are left alone, and so is when an
    unchanged one runs next.
    """
    done = [line for job in JOBS if (line := _sync(job))]
    titles = [job.title for job in JOBS]
    for schedule in Schedule.objects.filter(name__startswith=PREFIX).exclude(
        name__in=titles
    ):
        schedule.delete()
        done.append(f"removed {schedule.name}")
    return done


def _sync(job: Job) -> str:
    wanted = {
        "func": job.path,
        "schedule_type": Schedule.MINUTES,
        "minutes": job.minutes,
        "repeats": -1,
    }
    first, *doubles = Schedule.objects.filter(name=job.title).order_by("id") or [None]
    for double in doubles:
        double.delete()
    if first is None:
        Schedule.objects.create(name=job.title, **wanted)
        return f"added {job.title}"
    if all(getattr(first, name) == value for name, value in wanted.items()):
        return f"removed a double of {job.title}" if doubles else ""
    Schedule.objects.filter(pk=first.pk).update(**wanted)
    return f"changed {job.title}"
