"""Which client speaks for which web account: one each, per event loop.

A client is made when it is first needed. New cookies make a new one, while answers
that are under way end on the old one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import load_session
from gemproxy.lib import clock
from proxy.errors import AccountRefused
from proxy.upstreams.base import AccountConfig, Way
from proxy.upstreams.web_guard import GuardedClient, let_go
from proxy.wire.web_errors import fault_of

logger = logging.getLogger(__name__)

#: A session that nobody has used for so long is closed.
IDLE_SECONDS = 1800.0

#: From cookies and a way out to a client.
SignIn = Callable[[WebCookies, Way], Awaitable[GuardedClient]]


@dataclass(eq=False, slots=True)
class _Session:
    """One client and who uses it; ``key`` changes with the cookies."""

    key: tuple[str, ...] = field(repr=False)
    opening: asyncio.Task[GuardedClient]
    users: int = 0
    retired: bool = False
    used_at: float = 0.0


class WebSessions:
    """The clients of one event loop."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self._sessions: dict[int, _Session] = {}
        self._retired: set[_Session] = set()
        self._aside: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many sessions are open, those that only end included."""
        return len(self._sessions) + len(self._retired)

    @asynccontextmanager
    async def borrowed(
        self, account: AccountConfig, patience: float | None = None
    ) -> AsyncIterator[GuardedClient]:
        """Lend the account's client, signed in; raises the fault if that fails.

        ``patience`` is how many seconds the caller waits for the sign-in.
        """
        await self._sweep()
        session = self._session_of(account)
        session.users += 1
        try:
            client = await self._opened(account.id, session, patience)
            yield client
        finally:
            session.users -= 1
            session.used_at = clock.monotonic()
            if _is_stale(session):
                self._retire(account.id, session)
            if session.retired and not session.users:
                await self._shut(session)

    def aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what no request waits for; the end of the sessions ends it."""
        task = asyncio.ensure_future(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def aclose(self) -> None:
        """Close all of them."""
        for task in list(self._aside):
            await let_go(task)
        for account_id, session in list(self._sessions.items()):
            self._retire(account_id, session)
        for session in list(self._retired):
            await self._shut(session)

    async def _opened(
        self, account_id: int, session: _Session, patience: float | None
    ) -> GuardedClient:
        try:
            async with asyncio.timeout(patience):
                # One who leaves must not take the sign-in from the others.
                return await asyncio.shield(session.opening)
        except asyncio.CancelledError:
            raise
        except TimeoutError as error:
            # It was no fault of the sign-in's own: whoever comes next begins anew.
            self._retire(account_id, session)
            raise fault_of("timeout") from error
        except BaseException:
            self._retire(account_id, session)
            raise

    def _session_of(self, account: AccountConfig) -> _Session:
        cookies = _cookies_of(account)
        key = (cookies.psid, cookies.psidts, account.proxy_url, account.ca_pem)
        session = self._sessions.get(account.id)
        if session is not None and session.key == key and not _is_stale(session):
            return session
        if session is not None:
            self._retire(account.id, session)
        opening = asyncio.ensure_future(self._sign_in(cookies, account.way))
        fresh = _Session(key, opening)
        self._sessions[account.id] = fresh
        return fresh

    def _retire(self, account_id: int, session: _Session) -> None:
        """Take a session out; it is closed when its last user has left."""
        if self._sessions.get(account_id) is session:
            del self._sessions[account_id]
        if not session.retired:
            session.retired = True
            self._retired.add(session)

    async def _sweep(self) -> None:
        """Close what is idle, and what was left without a user."""
        limit = clock.monotonic() - IDLE_SECONDS
        for account_id, session in list(self._sessions.items()):
            if not session.users and session.opening.done() and session.used_at < limit:
                self._retire(account_id, session)
        for session in [s for s in self._retired if not s.users]:
            await self._shut(session)

    async def _shut(self, session: _Session) -> None:
        if session not in self._retired:
            return
        self._retired.discard(session)
        opening = session.opening
        await let_go(opening)
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            await opening.result().shut()


def _is_stale(session: _Session) -> bool:
    opening = session.opening
    if not opening.done():
        return False
    if opening.cancelled() or opening.exception() is not None:
        return True
    return bool(opening.result().stale)


def _cookies_of(account: AccountConfig) -> WebCookies:
    try:
        return load_session(account.secret).cookies
    except ValueError as error:
        raise AccountRefused(code="unauthenticated", cause="unreadable") from error
