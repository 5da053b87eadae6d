"""The accounts, rests and limits of the database as the pool uses them (sync)."""

import datetime
from collections.abc import Iterable

from django.conf import settings

from accounts.models import Account
from gemproxy.lib.secrets import SecretUnreadable
from proxy.scheduling.health import Rest
from proxy.scheduling.quota import DayLimit, Limits
from proxy.scheduling.slots import Member
from proxy.scheduling.store import StoredLimit, StoredRest
from proxy.upstreams.base import AccountConfig

UNREADABLE = "unreadable"


def config_of(row: Account) -> AccountConfig:
    """Return what an adapter needs of an account; raise SecretUnreadable."""
    return AccountConfig(
        id=row.pk,
        kind=row.kind,
        secret=row.secret.reveal(),
        base_url=row.base_url,
        proxy_url=row.proxy_url.reveal() if row.proxy_url else "",
        ca_pem=row.ca_pem,
    )


def read_members(account_id: int | None = None) -> tuple[list[Member], list[int]]:
    """Return all accounts or one, and the ids of those whose secret no key opens."""
    rows = Account.objects.all()
    if account_id is not None:
        rows = rows.filter(pk=account_id)
    members, unreadable = [], []
    for row in rows:
        config = None
        if row.state in Account.USABLE:
            try:
                config = config_of(row)
            except SecretUnreadable:
                unreadable.append(row.pk)
        members.append(_member(row, config))
    return members, unreadable


def rest_of(row: StoredRest) -> Rest:
    return Rest(
        model=row.model,
        cause=row.cause,
        since=row.since,
        until=row.until,
        evidence=row.evidence,
        canary=row.strikes > 0,
        strikes=row.strikes,
        by=row.by,
    )


def stored_rest(account_id: int, rest: Rest) -> StoredRest:
    return StoredRest(
        account_id=account_id,
        model=rest.model,
        cause=rest.cause,
        since=rest.since,
        until=rest.until,
        strikes=rest.strikes,
        evidence=rest.evidence,
        by=rest.by,
    )


def limits_of(row: StoredLimit) -> Limits:
    return Limits(row.rpm, row.tpm, row.rpd)


def rests_by_pair(rows: Iterable[StoredRest]) -> dict[tuple[int, str], Rest]:
    return {(row.account_id, row.model): rest_of(row) for row in rows}


def _member(row: Account, config: AccountConfig | None) -> Member:
    return Member(
        id=row.pk,
        kind=row.kind,
        label=str(row),
        config=config,
        state=row.state,
        state_cause=row.state_cause,
        since=row.state_since.timestamp(),
        cleared=_seconds(row.cleared_at),
        priority=row.priority,
        weight=max(row.weight, 1),
        concurrency=row.concurrency or _usual_seats(row.kind),
        limits=Limits(row.rpm, row.tpm, row.rpd),
        tier=row.tier,
        usual=_usual_days() if row.kind == Account.Kind.CODE_ASSIST else (),
    )


def _usual_days() -> tuple[DayLimit, ...]:
    given = settings.CODE_ASSIST_DAILY_LIMITS
    return tuple(DayLimit(pattern, number) for pattern, number in given.items())


def _usual_seats(kind: str) -> int:
    """Return how many requests an account takes at once if its row sets no bound."""
    web = kind == Account.Kind.GEMINI_WEB
    return int(settings.GEMINI_WEB_CONCURRENCY) if web else 0


def _seconds(at: datetime.datetime | None) -> float:
    return at.timestamp() if at else 0.0
