"""What the pool must not forget, as rows: rests, learned limits, accounts set aside.

Sync functions for database threads. Rows may vanish under them, because an operator
may delete an account at any time; then they do nothing.
"""

import datetime
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account, CoolDown, LearnedLimit
from accounts.models.upstream import Happened
from gemproxy.lib import clock
from gemproxy.lib.redaction import redact

#: A rest that is over sooner is nothing that an operator could act on.
TELLING_SECONDS = 10.0
#: Rests for the same cause that follow each other so closely are one story.
SAME_STORY = datetime.timedelta(minutes=10)
CLEANED_AT_ONCE = 500
LONGEST_EVIDENCE = 300
#: A quota that nobody has met again for so long may have been raised.
LIMITS_KEPT = datetime.timedelta(days=7)
MOST_STRIKES = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRest:
    """A rest of an account, or of one model of it; times in epoch seconds."""

    account_id: int
    model: str
    cause: str
    since: float
    until: float
    strikes: int = 0
    evidence: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimit:
    """What is known of the quotas of an account's model; None: not known."""

    account_id: int
    model: str
    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    bucket: str = ""


class Store:
    """Reads and writes these rows; the same answer may come from many processes."""

    def rests(self, account_id: int | None = None) -> list[StoredRest]:
        """Return the rests that are not over, of all accounts or of one."""
        rows = _of(CoolDown.objects.running(clock.now()), account_id)
        return [_rest(row) for row in rows.order_by("account_id", "model")]

    def limits(self, account_id: int | None = None) -> list[StoredLimit]:
        rows = _of(LearnedLimit.objects.all(), account_id)
        return [_limit(row) for row in rows.order_by("account_id", "model")]

    def keep_rest(self, rest: StoredRest) -> None:
        """Write a rest; one that lasts at least as long stays as it is."""
        with transaction.atomic():
            if not _held(rest.account_id):
                return
            row = CoolDown.objects.filter(
                account_id=rest.account_id, model=rest.model[:120]
            ).first()
            until = _moment(rest.until)
            if row is not None and row.until >= until:
                return
            _write_rest(row or CoolDown(account_id=rest.account_id), rest, until)

    def end_rest(self, account_id: int, model: str) -> None:
        """End a rest before its time."""
        now = clock.now()
        with transaction.atomic():
            if not _held(account_id):
                return
            rows = CoolDown.objects.running(now)
            row = rows.filter(account_id=account_id, model=model[:120]).first()
            if row is None:
                return
            row.until = now
            row.save(update_fields=["until"])

    def keep_limit(self, limit: StoredLimit) -> None:
        """Write what was learned; what it says nothing about stays."""
        known = {
            name: getattr(limit, name)
            for name in ("rpm", "tpm", "rpd", "bucket")
            if getattr(limit, name) not in (None, "")
        }
        with transaction.atomic():
            if not _held(limit.account_id):
                return
            LearnedLimit.objects.update_or_create(
                account_id=limit.account_id,
                model=limit.model[:120],
                defaults={**known, "learned_at": clock.now()},
            )

    def set_aside(self, account_id: int, cause: str, advice: str, link: str) -> None:
        """Take an account out until a human has looked at it."""
        with transaction.atomic():
            row = (
                Account.objects.select_for_update()
                .filter(pk=account_id, state__in=Account.USABLE)
                .first()
            )
            if row is not None:
                row.move(
                    Account.State.NEEDS_ATTENTION,
                    cause=cause[:60],
                    advice=advice[:300],
                    link=_safe_link(link),
                )


def clean_rests(now: datetime.datetime) -> int:
    """Delete rests that have been over for a while; tell of those that were told of."""
    over = CoolDown.objects.filter(until__lte=now - SAME_STORY).order_by("until")
    keys = list(over.values_list("pk", "account_id")[:CLEANED_AT_ONCE])
    return sum(_clean_rest(pk, account_id, now) for pk, account_id in keys)


def clean_limits(now: datetime.datetime) -> int:
    """Forget limits that were learned long ago; the next refusal teaches them again."""
    old = LearnedLimit.objects.filter(learned_at__lt=now - LIMITS_KEPT)
    rows = list(old[:CLEANED_AT_ONCE])
    for row in rows:
        row.delete()
    return len(rows)


def _clean_rest(pk: int, account_id: int, now: datetime.datetime) -> int:
    with transaction.atomic():
        if not _held(account_id):
            return 0
        # It may have begun anew since it was found.
        row = CoolDown.objects.filter(pk=pk, until__lte=now - SAME_STORY).first()
        if row is None:
            return 0
        if row.told:
            row.account.events.create(
                state=Happened.RESTED, at=row.until, model=row.model, cause=row.cause
            )
        # Nobody needs to hear of it: for the pools it was over long ago.
        QuerySet(CoolDown).filter(pk=pk).delete()
        return 1


def _write_rest(row: CoolDown, rest: StoredRest, until: datetime.datetime) -> None:
    cause = rest.cause[:60]
    since = _moment(rest.since)
    begins = row.pk is None or row.cause != cause or row.until < since - SAME_STORY
    if begins:
        row.told = False
    row.model, row.cause = rest.model[:120], cause
    row.since, row.until = since, until
    row.strikes = min(rest.strikes, MOST_STRIKES)
    row.evidence, row.by = _evidence(rest.evidence), rest.by[:150]
    if not row.told and rest.until - rest.since >= TELLING_SECONDS:
        row.told = True
        row.account.events.create(
            state=Happened.RESTING,
            model=row.model,
            cause=cause,
            until=until,
            evidence=row.evidence,
            by=row.by,
        )
    row.save()


def _held(account_id: int) -> bool:
    """Lock an account's row until the transaction ends; return whether it is there.

    Everything here takes this lock first: so nobody creates the same row twice, and
    the account cannot vanish in between.
    """
    rows = Account.objects.select_for_update().order_by()
    return rows.filter(pk=account_id).values_list("pk").first() is not None


def _of(rows: QuerySet, account_id: int | None) -> QuerySet:
    return rows if account_id is None else rows.filter(account_id=account_id)


def _rest(row: CoolDown) -> StoredRest:
    return StoredRest(
        account_id=row.account_id,
        model=row.model,
        cause=row.cause,
        since=row.since.timestamp(),
        until=row.until.timestamp(),
        strikes=row.strikes,
        evidence=row.evidence,
        by=row.by,
    )


def _limit(row: LearnedLimit) -> StoredLimit:
    return StoredLimit(
        account_id=row.account_id,
        model=row.model,
        rpm=row.rpm,
        tpm=row.tpm,
        rpd=row.rpd,
        bucket=row.bucket,
    )


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _evidence(text: str) -> str:
    """Return text of a provider's that every database takes and no page leaks."""
    clean = text.replace("\0", "").encode("utf-8", "replace").decode()
    return redact(clean)[:LONGEST_EVIDENCE]


def _safe_link(link: str) -> str:
    """Return a link that an operator may be asked to click, else nothing."""
    return link if link.startswith("https://") and len(link) <= 500 else ""
