"""Renews the cookies of web accounts: a job, and the only place that does it (sync).

Each account is claimed by a row first, asked about, and written only if its cookies
are still those that were renewed. A worker that dies in between leaves the old cookies,
which Google accepts for a while, and a claim that ends by itself.
"""

import asyncio
import importlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import MOST_REFUSALS, WebSession
from accounts.models import Account
from gemproxy.lib import clock
from proxy.errors import AccountRefused, Fault
from proxy.upstreams.authorities import Bundles
from proxy.wire.verdicts import judge

logger = logging.getLogger(__name__)

#: Accounts that are renewed at the same moment.
AT_ONCE = 4
Outcome = WebCookies | Fault


@dataclass(frozen=True, slots=True)
class _Task:
    """One account whose cookies were claimed."""

    account_id: int
    session: WebSession
    proxy_url: str
    ca_pem: str


def rotate_due() -> str:
    """Renew all cookies that want it; return what became of them in words."""
    due = websessions.due(_now())
    results = async_to_sync(_rotate, force_new_loop=True)(due) if due else []
    counted = {result: results.count(result) for result in sorted(set(results))}
    told = ", ".join(f"{count} {result}" for result, count in counted.items())
    return told or "nothing to renew"


def _claimed(account_id: int) -> _Task | None:
    session = websessions.claim(account_id)
    row = Account.objects.filter(pk=account_id).first() if session else None
    if session is None or row is None:
        return None
    proxy_url = row.proxy_url.reveal() if row.proxy_url else ""
    return _Task(account_id, session, proxy_url, row.ca_pem)


async def _rotate(account_ids: Iterable[int]) -> list[str]:
    """Claim, ask and settle each account by itself; return the results in words.

    What Google gave is stored at once: it must not wait for the slowest account, for
    then a worker that dies takes the new cookies of all along.
    """
    # Large, and needed only where there are web accounts.
    renewed = importlib.import_module("proxy.upstreams.web_rotation").renewed
    places = asyncio.Semaphore(AT_ONCE)
    bundles = Bundles(settings.GEMINI_WEB_CA_FILE)

    async def one(account_id: int) -> str | None:
        async with places:
            task = await sync_to_async(_claimed)(account_id)
            if task is None:
                return None
            outcome: Outcome
            try:
                outcome = await renewed(
                    task.session.cookies,
                    proxy_url=task.proxy_url,
                    ca_file=await asyncio.to_thread(bundles.path, task.ca_pem),
                )
            except Fault as fault:
                outcome = fault
            return await sync_to_async(_settle)(task, outcome)

    try:
        found = await asyncio.gather(*map(one, account_ids))
    finally:
        bundles.close()
    return [result for result in found if result is not None]


def _settle(task: _Task, outcome: Outcome) -> str:
    """Write how it went; return the result in a word."""
    change = _change_of(outcome)
    after = websessions.finish(task.account_id, task.session, change)
    if after is None:
        return "replaced meanwhile"
    if isinstance(outcome, AccountRefused) and after.failures >= MOST_REFUSALS:
        set_aside(task.account_id, outcome)
    if after.result != task.session.result:
        logger.info("cookies of account %d: %s", task.account_id, after.result)
    return after.result


def _change_of(outcome: Outcome) -> Callable[[WebSession], WebSession]:
    if isinstance(outcome, Fault):
        cause = outcome.cause
        return lambda session: session.noted(cause, _now())
    cookies = outcome
    return lambda session: session.rotated(cookies, _now())


def set_aside(account_id: int, fault: Fault) -> None:
    """Take an account out until somebody gives it new cookies."""
    verdict = judge(fault, now=clock.now())
    row = Account.objects.filter(pk=account_id, state__in=Account.USABLE).first()
    if row is not None and verdict.attention:
        row.move(
            Account.State.NEEDS_ATTENTION,
            cause=verdict.cause,
            advice=verdict.advice,
            link=verdict.link,
        )


def _now() -> float:
    return clock.now().timestamp()
