"""The last hours on the front page, one line for each health summary."""

import datetime
from dataclasses import dataclass

from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, badge, compact
from accounts.models import Account
from proxy.models import HealthSummary
from proxy.wire.causes import cause_of

HOURS = 24
NAMED = 2


@dataclass(frozen=True, slots=True)
class HealthLine:
    """One hour: its requests, and how the accounts stood when it was over."""

    hour: str
    requests: str
    answered: SafeString | str
    usable: str
    waiting: int
    incidents: str
    worst: str


def latest(now: datetime.datetime) -> list[HealthLine]:
    """Return the hours of the last day that were summed up, the latest first."""
    since = now - datetime.timedelta(hours=HOURS + 1)
    rows = HealthSummary.objects.filter(hour__gt=since).order_by("-hour")
    return [_line(row) for row in rows[:HOURS]]


def _line(row: HealthSummary) -> HealthLine:
    return HealthLine(
        hour=f"{row.hour:%d %b %H}:00",
        requests=compact(row.requests),
        answered=_answered(row),
        usable=f"{row.count(*Account.USABLE)} of {row.count(*Account.State.values)}",
        waiting=row.count(Account.State.NEEDS_ATTENTION),
        incidents=", ".join(str(found.get("which")) for found in row.incidents[:NAMED]),
        worst="; ".join(_worst(found) for found in row.worst[:NAMED]),
    )


def _answered(row: HealthSummary) -> SafeString | str:
    if row.share is None:
        return NOTHING
    # Rounding must not turn a failure into “100 %”.
    shown = "100" if not row.failed else f"{min(row.share, 99.9):.1f}"
    tone = "good" if row.share >= 99 else "warn" if row.share >= 95 else "bad"
    return badge(f"{shown} %", tone)


def _worst(found: dict[str, object]) -> str:
    cause = cause_of(str(found.get("cause") or ""), of_account=True).meaning
    failed = f", {found['failed']} failed" if found.get("failed") else ""
    return f"{found.get('name')}: {cause}{failed}"
