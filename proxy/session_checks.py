"""Looks whether web accounts that nobody uses are still signed in: part of a job (sync).

A rotation does not tell: Google also answers 200 without a new value when a session is
over. So the site's page is opened where nothing else has shown life for half an hour.
"""

import asyncio
import importlib
import logging
from collections.abc import Iterable

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings

from accounts import websessions
from accounts.credentials.websession import ALIVE, MOST_REFUSALS, WebSession
from accounts.models import Account
from gemproxy.lib import clock
from proxy.errors import AccountRefused, Fault
from proxy.rotation import set_aside
from proxy.upstreams.authorities import Bundles
from proxy.upstreams.base import Way

logger = logging.getLogger(__name__)

#: Accounts that are looked at in one run, and at the same moment.
MOST, AT_ONCE = 20, 4


def check_idle() -> str:
    """Look at accounts that nothing was heard of; return the results in words."""
    ids = websessions.unheard_of(_now(), MOST)
    results = async_to_sync(_check, force_new_loop=True)(ids) if ids else []
    counted = {result: results.count(result) for result in sorted(set(results))}
    return ", ".join(f"{count} checked: {result}" for result, count in counted.items())


async def _check(account_ids: Iterable[int]) -> list[str]:
    # Large, and needed only where there are web accounts.
    check_alive = importlib.import_module("proxy.upstreams.web_rotation").check_alive
    places = asyncio.Semaphore(AT_ONCE)
    bundles = Bundles(settings.GEMINI_WEB_CA_FILE)

    async def one(account_id: int) -> str | None:
        async with places:
            claimed = await sync_to_async(_claimed)(account_id)
            if claimed is None:
                return None
            session, way = claimed
            fault: Fault | None = None
            try:
                await check_alive(
                    session.cookies,
                    proxy_url=way.proxy_url,
                    ca_file=await asyncio.to_thread(bundles.path, way.ca_pem),
                )
            except Fault as found:
                fault = found
            return await sync_to_async(_settle)(account_id, session, fault)

    try:
        found = await asyncio.gather(*map(one, account_ids))
    finally:
        bundles.close()
    return [result for result in found if result is not None]


def _claimed(account_id: int) -> tuple[WebSession, Way] | None:
    session = websessions.claim_check(account_id)
    row = Account.objects.filter(pk=account_id).first() if session else None
    if session is None or row is None:
        return None
    proxy_url = row.proxy_url.reveal() if row.proxy_url else ""
    return session, Way(proxy_url, row.ca_pem)


def _settle(account_id: int, session: WebSession, fault: Fault | None) -> str:
    """Write what the page told; return it in a word."""
    result = fault.cause if fault else ALIVE

    def change(now: WebSession) -> WebSession:
        return now.checked(result, _now())

    after = websessions.finish(account_id, session, change)
    if after is None:
        return "replaced meanwhile"
    if isinstance(fault, AccountRefused) and after.refusals >= MOST_REFUSALS:
        set_aside(account_id, fault)
    if after.check != session.check:
        logger.info("account %d at a look: %s", account_id, after.check)
    return after.check


def _now() -> float:
    return clock.now().timestamp()
