"""Old rows are deleted a few at a time, so that writers get in between."""

import datetime
from collections.abc import Sequence
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from accounts.models import AccountEvent, Change, UsageProgress, UsageRecord
from accounts.pace import Pace
from accounts.rollups import hour_of
from gemproxy.lib import clock

CHANGES_KEPT = datetime.timedelta(hours=1)
EVENTS_KEPT = datetime.timedelta(days=90)
KEYS_AT_ONCE = 10_000


def prune_usage_rows(progress: UsageProgress, days: int, pace: Pace) -> None:
    """Delete usage rows of whole hours that are older than that and rolled up."""
    cutoff = hour_of(clock.now() - datetime.timedelta(days=days))
    if progress.pruned_before is None or progress.pruned_before < cutoff:
        # Before the first deletion: from here on these hours are only added to.
        progress.pruned_before = cutoff
        progress.save(update_fields=["pruned_before"])
    old = UsageRecord.objects.filter(
        started_at__lt=cutoff, id__lt=progress.rolled_up_to + 1
    )
    delete_slowly(old.order_by("started_at"), pace)


def prune_changes(pace: Pace) -> None:
    old = Change.objects.filter(at__lt=clock.now() - CHANGES_KEPT)
    delete_slowly(old.order_by("at"), pace)


def prune_events(pace: Pace) -> None:
    old = AccountEvent.objects.filter(at__lt=clock.now() - EVENTS_KEPT)
    delete_slowly(old.order_by("at"), pace)


def prune_sessions(pace: Pace) -> None:
    old = Session.objects.filter(expire_date__lt=clock.now())
    delete_slowly(old.order_by("expire_date"), pace)


def delete_slowly(old: QuerySet, pace: Pace) -> None:
    """Delete rows that nothing refers to, until all are gone or the time is up."""
    while not pace.is_over:
        keys = list(old.values_list("pk", flat=True)[:KEYS_AT_ONCE])
        if not keys:
            return
        _delete(old.model.objects.all(), keys, pace)


def _delete(rows: QuerySet, keys: Sequence[Any], pace: Pace) -> None:
    start = 0
    while start < len(keys) and not pace.is_over:
        part = keys[start : start + pace.size]
        start += len(part)
        with pace.step(len(part)):
            rows.filter(pk__in=part).delete()
