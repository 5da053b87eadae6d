"""Keeps Gemini CLI logins usable: tokens ahead of their end, new accounts looked at."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from asgiref.sync import async_to_sync

from accounts.models import Account
from gemproxy.lib import clock, db
from gemproxy.lib.secrets import SecretUnreadable
from proxy.errors import Fault
from proxy.scheduling.account_rows import config_of
from proxy.scheduling.pool import make_adapter
from proxy.scheduling.store import Store
from proxy.upstreams.base import AccountConfig, Timeouts
from proxy.upstreams.code_assist import CodeAssist
from proxy.upstreams.http import Clients
from proxy.wire.verdicts import judge

KIND = Account.Kind.CODE_ASSIST
#: The job runs every few minutes; a token must outlast the pause, and a missed run.
AHEAD = 15 * 60.0
AT_ONCE = 8
PATIENCE = Timeouts(first_byte=30.0, idle=30.0, total=60.0)


@dataclass(frozen=True, slots=True)
class Due:
    """An account to look after; ``new`` ones have never been looked at."""

    config: AccountConfig
    new: bool


def look_after_logins() -> Counter[str]:
    """Renew what ends soon and look at new accounts; count what was done.

    An account whose login is refused for good is set aside with the reason.
    """
    done: Counter[str] = async_to_sync(_look_after)(_due())
    return done


def _due() -> list[Due]:
    found = []
    for row in Account.objects.filter(kind=KIND, state__in=Account.USABLE):
        try:
            config = config_of(row)
        except SecretUnreadable:
            # The pool has set it aside already.
            continue
        found.append(Due(config, "checked_at" not in row.facts))
    return found


async def _look_after(accounts: list[Due]) -> Counter[str]:
    clients = Clients()
    adapter = make_adapter(KIND, clients)
    assert isinstance(adapter, CodeAssist)  # noqa: S101
    gate = asyncio.Semaphore(AT_ONCE)
    done: Counter[str] = Counter()

    async def one(due: Due) -> None:
        async with gate:
            done[await _look_at(adapter, due)] += 1

    try:
        async with asyncio.TaskGroup() as group:
            for due in accounts:
                group.create_task(one(due))
    finally:
        await adapter.aclose()
    return done


def _proved(account_id: int) -> None:
    """Put an account to work that was new until it was looked at."""
    row = Account.objects.filter(pk=account_id, state=Account.State.NEW).first()
    if row is not None:
        row.move(Account.State.ACTIVE)


async def _look_at(adapter: CodeAssist, due: Due) -> str:
    try:
        if due.new:
            await adapter.probe(due.config, PATIENCE)
            await db.run(_proved, due.config.id)
            return "looked at"
        renewed = await adapter.renew(due.config, AHEAD)
        return "renewed" if renewed else "fresh"
    except Fault as fault:
        verdict = judge(fault, now=clock.now())
        if not verdict.attention:
            return "failed"
        await db.run(
            Store().set_aside,
            due.config.id,
            verdict.cause,
            verdict.advice,
            verdict.link,
        )
        return "set aside"
