"""The health of the last hour as a row: accounts, requests, who had most trouble."""

import datetime
import logging
from collections import Counter, defaultdict
from typing import Any

from django.db.models import Count, Q, Sum

from accounts.models import Account, UsageHour, UsageRecord
from accounts.pace import Pace
from accounts.retention import delete_slowly
from accounts.rollups import hour_of
from gemproxy.lib import clock
from proxy.models import HealthSummary, Incident
from proxy.wire.causes import row_of

logger = logging.getLogger(__name__)

HOUR = datetime.timedelta(hours=1)
KEPT = datetime.timedelta(days=30)
#: Accounts and incidents that a summary names.
MOST = 5
#: Failures of one account that are looked at for their cause.
FAILURES = 200


def sum_up() -> str:
    """Write the summary of the last whole hour; return it in words, as the log has it.

    A second run puts the same row right.
    """
    now = clock.now()
    hour = hour_of(now) - HOUR
    outcomes = _outcomes(hour)
    row, _ = HealthSummary.objects.update_or_create(
        hour=hour,
        defaults={
            "made_at": now,
            "answered": outcomes["ok"],
            "failed": outcomes["fault"],
            "cancelled": outcomes["cancelled"],
            "accounts": _states(),
            "worst": _worst(hour),
            "incidents": _incidents(),
        },
    )
    text = in_words(row)
    logger.info("health: %s", text)
    return text


def in_words(row: HealthSummary) -> str:
    """Return a summary in one line."""
    share = "" if row.share is None else f", {row.share:.1f} % answered"
    parts = [f"{row.hour:%H}:00 UTC: {row.requests} requests{share}"]
    usable = row.count(*Account.USABLE)
    parts.append(f"{usable} of {row.count(*Account.State.values)} accounts usable")
    waiting = row.count(Account.State.NEEDS_ATTENTION)
    if waiting:
        parts.append(f"{waiting} need attention")
    if row.incidents:
        parts.append(f"{len(row.incidents)} open incidents")
    if row.worst:
        first = row.worst[0]
        parts.append(f"worst: {first['name']} ({first['cause'] or 'unknown'})")
    return "; ".join(parts)


def prune(pace: Pace) -> None:
    """Delete summaries of long ago."""
    old = HealthSummary.objects.filter(hour__lt=clock.now() - KEPT)
    delete_slowly(old.order_by("hour"), pace)


def _outcomes(hour: datetime.datetime) -> Counter[str]:
    rows = UsageHour.objects.filter(hour=hour).order_by().values_list("outcome")
    return Counter(dict(rows.annotate(n=Sum("requests"))))


def _states() -> dict[str, dict[str, int]]:
    rows = Account.objects.order_by().values_list("kind", "state")
    states: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, state, count in rows.annotate(n=Count("id")):
        states[kind][state] = count
    return states


def _worst(hour: datetime.datetime) -> list[dict[str, Any]]:
    """Return the accounts with most failures, then those that wait for a person."""
    sums = (
        UsageHour.objects.filter(hour=hour, account__isnull=False)
        .order_by()
        .values_list("account_id")
        .annotate(
            n=Sum("requests"),
            failed=Sum("requests", filter=Q(outcome=UsageRecord.Outcome.FAULT)),
        )
        .filter(failed__gt=0)
        .order_by("-failed", "account_id")[:MOST]
    )
    counts = {pk: (failed, n) for pk, n, failed in sums}
    accounts = Account.objects.defer("secret", "proxy_url")
    found = accounts.in_bulk(list(counts))
    waiting = accounts.filter(state=Account.State.NEEDS_ATTENTION).exclude(
        pk__in=list(counts)
    )
    rows = [found[pk] for pk in counts if pk in found]
    rows += waiting.order_by("-state_since")[: MOST - len(rows)]
    return [_one(row, hour, *counts.get(row.pk, (0, 0))) for row in rows]


def _one(
    account: Account, hour: datetime.datetime, failed: int, requests: int
) -> dict[str, Any]:
    waits = account.state == Account.State.NEEDS_ATTENTION
    cause = account.state_cause if waits else _most_common_cause(account.pk, hour)
    return {
        "id": account.pk,
        "name": str(account),
        "state": account.state,
        "cause": row_of(cause, of_account=True),
        "failed": failed,
        "requests": requests,
    }


def _most_common_cause(account_id: int, hour: datetime.datetime) -> str:
    latest = UsageRecord.objects.filter(
        account=account_id,
        outcome=UsageRecord.Outcome.FAULT,
        started_at__gte=hour,
        started_at__lt=hour + HOUR,
    ).order_by("-started_at")
    counted = Counter(latest.values_list("cause", flat=True)[:FAILURES])
    return counted.most_common(1)[0][0] if counted else ""


def _incidents() -> list[dict[str, str]]:
    rows = Incident.objects.filter(until=None).order_by("-since")
    return [
        {"what": row.what, "which": row.which, "cause": row.cause}
        for row in rows[: 2 * MOST]
    ]
