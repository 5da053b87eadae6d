"""Hourly sums of the usage log, and what follows from fresh usage.

Sums of an hour are worked out anew from all its rows, so that a repeated run, or a row
that comes late out of a spool, changes nothing but what it should. Only hours whose
rows the retention has deleted are added to instead, and the late row is deleted in the
same transaction.
"""

import contextlib
import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import models, transaction
from django.db.models import Count, F, Max, Q, Sum

from accounts.models import Account, Token, UsageHour, UsageProgress, UsageRecord
from accounts.pace import Pace
from gemproxy.lib import clock

#: What one hourly row stands for, besides its hour.
KEY = ("token_id", "user_id", "account_id", "model_asked", "outcome")
SUMMED = (
    "prompt_tokens",
    "cached_tokens",
    "output_tokens",
    "thoughts_tokens",
    "total_tokens",
    "images",
    "duration_ms",
    "first_token_ms",
)
SUMS = ("requests", *SUMMED, "first_tokens")
SLICE = 50_000
#: Rows may be committed out of the order of their ids; so some are looked at again.
OVERLAP = 1_000
UPDATES_AT_ONCE = 20
CLAIM = datetime.timedelta(minutes=10)
HOUR = datetime.timedelta(hours=1)

Sums = tuple[int, ...]
Key = tuple[Any, ...]


@contextlib.contextmanager
def claimed() -> Iterator[UsageProgress | None]:
    """Give the progress to one worker at a time; the others get None.

    A claim that was never given back ends by itself.
    """
    UsageProgress.objects.get_or_create(pk=1)
    now = clock.now()
    row = UsageProgress.objects.filter(pk=1)
    free = row.filter(Q(claimed_until=None) | Q(claimed_until__lt=now))
    if not free.update(claimed_until=now + CLAIM):
        yield None
        return
    try:
        yield row.get()
    finally:
        row.update(claimed_until=None)


def roll_up(progress: UsageProgress, pace: Pace) -> int:
    """Bring the hourly sums up to date; return how many hours were looked at."""
    newest = UsageRecord.objects.aggregate(newest=Max("id"))["newest"] or 0
    looked_at = 0
    _fold_ancient(progress, newest, pace)
    # Compared with start + 1: MySQL's backend refuses an identifier of 0.
    start = max(0, progress.rolled_up_to - OVERLAP)
    while start < newest:
        end = min(start + SLICE, newest)
        rows = UsageRecord.objects.filter(id__gte=start + 1, id__lte=end).order_by()
        hours = _hours(rows, progress.pruned_before)
        for hour in hours:
            _sum_hour(hour, pace)
        _note_use(rows, pace)
        looked_at += len(hours)
        progress.rolled_up_to = max(progress.rolled_up_to, end)
        progress.save(update_fields=["rolled_up_to"])
        start = end
    return looked_at


def hour_of(at: datetime.datetime) -> datetime.datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _hours(
    rows: models.QuerySet, pruned_before: datetime.datetime | None
) -> list[datetime.datetime]:
    if pruned_before:
        rows = rows.filter(started_at__gte=pruned_before)
    times = rows.values_list("started_at", flat=True).iterator(chunk_size=5000)
    return sorted({hour_of(at) for at in times})


def _sum_hour(hour: datetime.datetime, pace: Pace) -> None:
    """Make the stored sums of an hour those of its rows."""
    right = _sums(hour)
    changes: list[tuple[int | None, UsageHour | None]] = []
    for pk, *values in UsageHour.objects.filter(hour=hour).values_list(
        "id", *KEY, *SUMS
    ):
        key, sums = tuple(values[: len(KEY)]), tuple(values[len(KEY) :])
        better = right.pop(key, None)
        if better != sums:
            changes.append((pk, _hour_row(hour, key, better) if better else None))
    changes += [(None, _hour_row(hour, key, sums)) for key, sums in right.items()]
    while changes:
        part, changes = changes[: pace.size], changes[pace.size :]
        with pace.step(len(part)):
            _replace(part)


def _hour_row(hour: datetime.datetime, key: Key, sums: Sums) -> UsageHour:
    return UsageHour(hour=hour, **dict(zip(KEY + SUMS, key + sums, strict=True)))


def _replace(changes: Sequence[tuple[int | None, UsageHour | None]]) -> None:
    wrong = [pk for pk, _ in changes if pk is not None]
    with transaction.atomic():
        UsageHour.objects.filter(pk__in=wrong).delete()
        UsageHour.objects.bulk_create([row for _, row in changes if row is not None])


def _sums(hour: datetime.datetime) -> dict[Key, Sums]:
    rows = UsageRecord.objects.filter(started_at__gte=hour, started_at__lt=hour + HOUR)
    sums = {f"sum_{name}": Sum(name) for name in SUMMED}
    grouped = (
        rows.order_by()
        .values(*KEY)
        .annotate(requests=Count("id"), first_tokens=Count("first_token_ms"), **sums)
    )
    names = ["requests", *sums, "first_tokens"]
    return {
        tuple(row[name] for name in KEY): tuple(int(row[name] or 0) for name in names)
        for row in grouped
    }


def _fold_ancient(progress: UsageProgress, newest: int, pace: Pace) -> None:
    """Add rows that came after their hour was pruned to its sums, and delete them."""
    if progress.pruned_before is None or not newest:
        return
    late = UsageRecord.objects.filter(
        id__gte=progress.rolled_up_to + 1,
        id__lte=newest,
        started_at__lt=progress.pruned_before,
    ).order_by("id")
    while keys := list(late.values_list("pk", flat=True)[: pace.size]):
        with pace.step(len(keys)):
            _fold(UsageRecord.objects.filter(pk__in=keys))


def _fold(late: models.QuerySet) -> None:
    with transaction.atomic():
        rows = late.values("started_at", *KEY, *SUMMED)
        for (hour, *key), sums in _added(rows).items():
            _add(hour, dict(zip(KEY, key, strict=True)), sums)
        late.delete()


def _added(rows: Iterable[dict[str, Any]]) -> dict[Key, Counter[str]]:
    totals: dict[Key, Counter[str]] = {}
    for row in rows:
        key = (hour_of(row["started_at"]), *(row[name] for name in KEY))
        sums = totals.setdefault(key, Counter())
        sums.update({name: row[name] or 0 for name in SUMMED})
        sums["requests"] += 1
        sums["first_tokens"] += row["first_token_ms"] is not None
    return totals


def _add(hour: datetime.datetime, key: dict[str, Any], sums: Counter[str]) -> None:
    same = UsageHour.objects.filter(
        hour=hour, **{name: v for name, v in key.items() if v is not None}
    ).filter(**{f"{name}__isnull": True for name, v in key.items() if v is None})
    pk = same.values_list("pk", flat=True).first()
    if pk is None:
        UsageHour.objects.create(hour=hour, **key, **sums)
        return
    UsageHour.objects.filter(pk=pk).update(
        **{name: F(name) + amount for name, amount in sums.items()}
    )


def _note_use(rows: models.QuerySet, pace: Pace) -> None:
    _note_latest(Token, "token_id", rows, pace)
    _note_latest(Account, "account_id", rows, pace)
    _activate(rows)


def _note_latest(
    model: type[models.Model], column: str, rows: models.QuerySet, pace: Pace
) -> None:
    latest = list(_latest(column, rows))
    for start in range(0, len(latest), UPDATES_AT_ONCE):
        part = latest[start : start + UPDATES_AT_ONCE]
        with pace.step(len(part)), transaction.atomic():
            for pk, at in part:
                _note(model, pk, at)


def _note(model: type[models.Model], pk: int, at: datetime.datetime) -> None:
    older = Q(last_used_at=None) | Q(last_used_at__lt=at)
    # A plain query set: last use is nothing that running processes must notice.
    models.QuerySet(model).filter(older, pk=pk).update(last_used_at=at)


def _latest(column: str, rows: models.QuerySet) -> models.QuerySet:
    known = rows.filter(**{f"{column}__isnull": False})
    return known.values_list(column).annotate(at=Max("started_at"))


def _activate(rows: models.QuerySet) -> None:
    """Call accounts active that are new and have answered."""
    since = dict(
        Account.objects.filter(state=Account.State.NEW).values_list("pk", "state_since")
    )
    if not since:
        return
    answered = rows.filter(outcome=UsageRecord.Outcome.OK, account_id__in=list(since))
    for pk, at in _latest("account_id", answered):
        if at >= since[pk]:
            _move_to_active(pk)


def _move_to_active(pk: int) -> None:
    with transaction.atomic():
        account = (
            Account.objects.select_for_update()
            .filter(pk=pk, state=Account.State.NEW)
            .first()
        )
        if account:
            account.move(Account.State.ACTIVE, cause="answered")
