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

from asgiref.sync import async_to_sync
from django.conf import settings

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import MOST_REFUSALS, WebSession
from accounts.models import Account
from gemproxy.lib import clock
from proxy.errors import AccountRefused, Fault
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


def rotate_due() -> str:
    """Renew all cookies that want it; return what became of them in words."""
    tasks = [task for key in websessions.due(_now()) if (task := _claimed(key))]
    outcomes = async_to_sync(_ask, force_new_loop=True)(tasks) if tasks else []
    results = [_settle(t, o) for t, o in zip(tasks, outcomes, strict=True)]
    counted = {result: results.count(result) for result in sorted(set(results))}
    told = ", ".join(f"{count} {result}" for result, count in counted.items())
    return told or "nothing to renew"


def _claimed(account_id: int) -> _Task | None:
    session = websessions.claim(account_id)
    row = Account.objects.filter(pk=account_id).first() if session else None
    if session is None or row is None:
        return None
    proxy_url = row.proxy_url.reveal() if row.proxy_url else ""
    return _Task(account_id, session, proxy_url)


async def _ask(tasks: Iterable[_Task]) -> list[Outcome]:
    # Large, and needed only where there are web accounts.
    renewed = importlib.import_module("proxy.upstreams.web_rotation").renewed
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(task: _Task) -> Outcome:
        async with places:
            try:
                cookies: WebCookies = await renewed(
                    task.session.cookies,
                    proxy_url=task.proxy_url,
                    ca_file=settings.GEMINI_WEB_CA_FILE,
                )
                return cookies
            except Fault as fault:
                return fault

    return list(await asyncio.gather(*map(ask, tasks)))


def _settle(task: _Task, outcome: Outcome) -> str:
    """Write how it went; return the result in a word."""
    change = _change_of(outcome)
    after = websessions.finish(task.account_id, task.session, change)
    if after is None:
        return "replaced meanwhile"
    if isinstance(outcome, AccountRefused) and after.failures >= MOST_REFUSALS:
        _set_aside(task.account_id, outcome)
    if after.result != task.session.result:
        logger.info("cookies of account %d: %s", task.account_id, after.result)
    return after.result


def _change_of(outcome: Outcome) -> Callable[[WebSession], WebSession]:
    if isinstance(outcome, Fault):
        cause = outcome.cause
        return lambda session: session.noted(cause, _now())
    cookies = outcome
    return lambda session: session.rotated(cookies, _now())


def _set_aside(account_id: int, fault: Fault) -> None:
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
