"""Jobs about usage: entry points for django-q2."""

from django.conf import settings

from accounts import retention, rollups
from accounts.pace import Pace
from gemproxy.lib import clock

#: Less than what the job runner allows; what is left is for the next run.
RUN_SECONDS = 200.0
BUSY = "nothing done: another run is at work"


def roll_up_usage() -> str:
    """Bring hourly sums, last use and the state of new accounts up to date."""
    with rollups.claimed() as progress:
        if progress is None:
            return BUSY
        hours = rollups.roll_up(progress, Pace())
    return f"{hours} hours looked at"


def prune_usage() -> str:
    """Delete what is older than its retention: usage, changes, events, sessions."""
    until = clock.monotonic() + RUN_SECONDS
    counts: dict[str, int] = {}
    longest = 0.0
    with rollups.claimed() as progress:
        if progress is None:
            return BUSY
        rollups.roll_up(progress, Pace())
        pace = Pace(until)
        retention.prune_usage_rows(progress, settings.USAGE_RETENTION_DAYS, pace)
        counts["usage rows"], longest = pace.done, pace.longest
    for name, prune in (
        ("changes", retention.prune_changes),
        ("account events", retention.prune_events),
        ("sessions", retention.prune_sessions),
    ):
        pace = Pace(until)
        prune(pace)
        counts[name] = pace.done
        longest = max(longest, pace.longest)
    parts = [f"{count} {name}" for name, count in counts.items()]
    more = "; more is left" if clock.monotonic() >= until else ""
    return f"deleted {', '.join(parts)}; longest {longest * 1000:.0f} ms{more}"
