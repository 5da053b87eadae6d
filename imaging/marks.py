"""How often a visible mark was found, by account and day."""

import datetime
from dataclasses import dataclass

from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from accounts.models import Account
from gemproxy.lib import clock
from imaging.models import Image

DAYS = 14
ACCEPTED = (Image.Mark.REMOVED, Image.Mark.RESIDUAL)


@dataclass(frozen=True, slots=True)
class Share:
    """Of ``looked`` pictures of a day, ``accepted`` had a mark that was removed."""

    day: datetime.date
    looked: int = 0
    accepted: int = 0

    @property
    def percent(self) -> int:
        return round(100 * self.accepted / self.looked) if self.looked else 0


def shares(days: int = DAYS) -> dict[str, list[Share]]:
    """Return a share for each of the latest days, by the names of accounts."""
    span = latest_days(days)
    found: dict[int | None, dict[datetime.date, Share]] = {}
    for row in _rows(span[0]):
        share = Share(row["day"], row["looked"], row["accepted"])
        found.setdefault(row["account_id"], {})[share.day] = share
    names = _names([key for key in found if key is not None])
    return {
        names.get(key, "no account" if key is None else f"#{key} (deleted)"): [
            of_day.get(day, Share(day)) for day in span
        ]
        for key, of_day in sorted(found.items(), key=lambda pair: pair[0] or 0)
    }


def latest_days(days: int = DAYS) -> list[datetime.date]:
    """Return the latest days of UTC, today last."""
    today = clock.now().date()
    return [today - datetime.timedelta(days=n) for n in reversed(range(days))]


def _rows(first: datetime.date) -> list[dict]:
    start = datetime.datetime.combine(first, datetime.time(), datetime.UTC)
    looked = Image.objects.filter(created_at__gte=start).exclude(
        mark=Image.Mark.UNTRIED
    )
    return list(
        looked.order_by()
        .annotate(day=TruncDate("created_at", tzinfo=datetime.UTC))
        .values("account_id", "day")
        .annotate(looked=Count("id"), accepted=Count("id", filter=Q(mark__in=ACCEPTED)))
    )


def _names(keys: list[int]) -> dict[int, str]:
    rows = Account.objects.only("label", "kind", "secret_hint").in_bulk(keys)
    # Two accounts may have the same label.
    return {key: f"{row} (#{key})" for key, row in rows.items()}
