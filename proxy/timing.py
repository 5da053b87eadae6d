"""When a job is due: every so many minutes, or by the clock."""

import datetime
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from django.conf import settings
from django_q.models import Schedule

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


class When(Protocol):
    """A rhythm, and how django-q2's table says it."""

    #: A time of the clock that must not drift, not a distance from the last run.
    by_clock: bool

    def columns(self) -> dict[str, Any]:
        """Return what its row says."""
        ...

    def first(self, now: datetime.datetime) -> datetime.datetime:
        """Return when a new schedule runs first; by the clock, the next time after
        ``now``."""
        ...

    def words(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many minutes."""

    minutes: int
    by_clock = False

    def columns(self) -> dict[str, Any]:
        return {"schedule_type": Schedule.MINUTES, "minutes": self.minutes}

    def first(self, now: datetime.datetime) -> datetime.datetime:
        return now

    def words(self) -> str:
        return "every minute" if self.minutes == 1 else f"every {self.minutes} min"


@dataclass(frozen=True, slots=True)
class EverySetting:
    """Every so many minutes as a setting says, at the moment of asking."""

    setting: str
    by_clock = False

    def columns(self) -> dict[str, Any]:
        return self._now().columns()

    def first(self, now: datetime.datetime) -> datetime.datetime:
        return now

    def words(self) -> str:
        return f"{self._now().words()} ({self.setting})"

    def _now(self) -> Every:
        # A switched-off one is kept with some number: it does not run.
        return Every(int(getattr(settings, self.setting)) or 1)


@dataclass(frozen=True, slots=True)
class Hourly:
    """At one minute of each hour of UTC."""

    minute: int
    by_clock = True

    def columns(self) -> dict[str, Any]:
        return {"schedule_type": Schedule.HOURLY, "minutes": None}

    def first(self, now: datetime.datetime) -> datetime.datetime:
        utc = now.astimezone(datetime.UTC)
        at = utc.replace(minute=self.minute, second=0, microsecond=0)
        return at if at > now else at + HOUR

    def words(self) -> str:
        return f"hourly at :{self.minute:02}"


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day at a time of TIME_ZONE.

    A time that the spring change leaves out comes that much later (02:00 at 03:00);
    one that the autumn change repeats counts at its first appearance. django-q2's own
    arithmetic would stay an hour early for good after a spring change in which the
    time is left out, so each run sets the next one from here.
    """

    hour: int
    minute: int = 0
    by_clock = True

    def columns(self) -> dict[str, Any]:
        return {"schedule_type": Schedule.DAILY, "minutes": None}

    def first(self, now: datetime.datetime) -> datetime.datetime:
        zone = ZoneInfo(settings.TIME_ZONE)
        today = now.astimezone(zone).date()
        at = self._on(today, zone)
        return at if at > now else self._on(today + DAY, zone)

    def words(self) -> str:
        return f"daily at {self.hour:02}:{self.minute:02} {settings.TIME_ZONE}"

    def _on(self, day: datetime.date, zone: ZoneInfo) -> datetime.datetime:
        time = datetime.time(self.hour, self.minute)
        # In UTC: times of one zone compare by the hands of the clock alone.
        return datetime.datetime.combine(day, time, zone).astimezone(datetime.UTC)
