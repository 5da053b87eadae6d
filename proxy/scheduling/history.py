"""What the ledger remembers of attempts, for a process that has just started.

The pool's counters and moving averages live in memory. They are rebuilt from the
usage rows, each of which lists its attempts, and from those rows that are still in
the spool of this machine. Sync functions for database threads.
"""

import datetime
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, Sum

from accounts.models import Account, UsageRecord
from proxy import entries
from proxy.spool import SUFFIX, spool_folder

logger = logging.getLogger(__name__)

PACIFIC = ZoneInfo("America/Los_Angeles")
#: A request may have begun so long before the attempts that we look for.
LONGEST_REQUEST = datetime.timedelta(minutes=15)
#: More rows of a day than this are summed by the database, without their attempts.
MOST_ROWS = 200_000
MOST_SPOOLED = 50_000
MOST_BYTES = 100_000_000
CHUNK = 2_000
#: Attempts that the provider did not count: they were refused, or never arrived.
UNCOUNTED = frozenset(
    {"rate_limit_exceeded", "insufficient_quota", "connection_failed"}
)
COLUMNS = (
    "request_id",
    "started_at",
    "account_id",
    "model_served",
    "prompt_tokens",
    "attempts",
)
Pair = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Used:
    """An attempt that counts against a quota; ``at`` in epoch seconds."""

    account_id: int
    model: str
    at: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, after how many milliseconds."""

    account_id: int
    model: str
    at: float
    code: str
    ms: int
    blame: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a usage row."""

    account_id: int
    model: str
    at: float
    ms: int
    code: str
    blame: str
    tokens: int
    shared: bool

    @classmethod
    def read(cls, row: dict[str, Any], found: dict[str, Any], tokens: int) -> Self:
        """Raises KeyError, TypeError or ValueError for what is no attempt."""
        start = row["started_at"].timestamp()
        return cls(
            account_id=int(found["account"]),
            model=str(found.get("model") or row["model_served"]),
            at=start + int(found.get("start_ms", 0)) / 1000,
            ms=int(found.get("ms", 0)),
            code=str(found.get("code", "")),
            blame=str(found.get("blame", "")),
            tokens=tokens,
            shared=bool(found.get("shared")),
        )

    @property
    def counts(self) -> bool:
        return self.code not in UNCOUNTED


def recent(now: float, seconds: float = 61) -> list[Used]:
    """Return what was used in the last ``seconds``, oldest first."""
    since = now - seconds
    rows = _rows(_moment(since) - LONGEST_REQUEST)
    found = (attempt for row in rows for attempt in _attempts(row))
    used = [
        Used(a.account_id, a.model, a.at, a.tokens)
        for a in found
        if a.counts and a.at >= since
    ]
    return sorted(used, key=lambda use: use.at)


def today(now: float) -> dict[Pair, tuple[int, int]]:
    """Return requests and input tokens of the provider's day, which is California's."""
    since = pacific_midnight(now)
    if _is_huge(since):
        logger.warning(
            "More than %d requests today: counted without their failed attempts",
            MOST_ROWS,
        )
        return _sums(since)
    sums: dict[Pair, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in _rows(since - LONGEST_REQUEST):
        for attempt in _attempts(row):
            if attempt.counts and attempt.at >= since.timestamp():
                requests, tokens = sums[attempt.account_id, attempt.model]
                sums[attempt.account_id, attempt.model] = (
                    requests + 1,
                    tokens + attempt.tokens,
                )
    return dict(sums)


def outcomes(now: float, minutes: int = 60, most: int = 5000) -> list[Outcome]:
    """Return how the latest requests' attempts ended, oldest first.

    Left out are trouble that accounts shared, which is not held against them, and
    what was before an operator cleared the account.
    """
    since = _moment(now) - datetime.timedelta(minutes=minutes)
    latest = UsageRecord.objects.filter(started_at__gte=since).order_by("-started_at")
    rows = [
        *latest.values(*COLUMNS)[:most],
        *itertools.islice(_spooled(since), most),
    ]
    cleared = _cleared()
    ended = (
        Outcome(a.account_id, a.model, a.at, a.code, a.ms, a.blame)
        for row in {row["request_id"]: row for row in rows}.values()
        for a in _attempts(row)
        if not a.shared and a.at >= cleared.get(a.account_id, 0.0)
    )
    return sorted(ended, key=lambda outcome: outcome.at)


def pacific_midnight(now: float) -> datetime.datetime:
    """Return when the provider's running day began."""
    day = datetime.datetime.fromtimestamp(now, PACIFIC).date()
    return datetime.datetime.combine(day, datetime.time(), PACIFIC)


def _is_huge(since: datetime.datetime) -> bool:
    rows = UsageRecord.objects.filter(started_at__gte=since).order_by()
    return rows[: MOST_ROWS + 1].count() > MOST_ROWS


def _sums(since: datetime.datetime) -> dict[Pair, tuple[int, int]]:
    rows = (
        UsageRecord.objects.filter(started_at__gte=since, account_id__isnull=False)
        .exclude(Q(cause__in=UNCOUNTED))
        .order_by()
        .values_list("account_id", "model_served")
        .annotate(requests=Count("id"), tokens=Sum("prompt_tokens"))
    )
    return {(account, model): (n, int(tokens)) for account, model, n, tokens in rows}


def _rows(since: datetime.datetime) -> Iterator[dict[str, Any]]:
    """Yield usage rows that began since then, each once, wherever it is now."""
    # First the spool: a row that is replayed meanwhile is then met twice, not never.
    spooled = {row["request_id"]: row for row in _spooled(since)}
    stored = UsageRecord.objects.filter(started_at__gte=since).order_by()
    for row in stored.values(*COLUMNS).iterator(chunk_size=CHUNK):
        spooled.pop(row["request_id"], None)
        yield row
    yield from spooled.values()


def _spooled(since: datetime.datetime) -> Iterator[dict[str, Any]]:
    """Yield rows that the processes of this machine have not stored yet."""
    lines = itertools.chain.from_iterable(
        map(_lines, spool_folder().glob(f"*{SUFFIX}"))
    )
    for line in itertools.islice(lines, MOST_SPOOLED):
        try:
            entry = entries.from_line(line)
        except ValueError:
            continue
        if entry.started_at >= since:
            yield {name: getattr(entry, name) for name in COLUMNS}


def _lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return file.readlines(MOST_BYTES)
    except OSError:
        # Replayed and deleted since it was listed.
        return []


def _attempts(row: dict[str, Any]) -> Iterator[Attempt]:
    """Yield a row's attempts; the tokens belong to the one that answered."""
    found = row["attempts"] if isinstance(row["attempts"], list) else []
    for number, attempt in enumerate(found, 1):
        tokens = row["prompt_tokens"] if number == len(found) else 0
        try:
            yield Attempt.read(row, attempt, tokens)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue


def _cleared() -> dict[int, float]:
    rows: Iterable[tuple[int, datetime.datetime]] = Account.objects.filter(
        cleared_at__isnull=False
    ).values_list("pk", "cleared_at")
    return {pk: at.timestamp() for pk, at in rows}


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
