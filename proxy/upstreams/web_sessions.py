"""Which client speaks for which web account: one each, per event loop.

A client is made when it is first needed. New cookies make a new one, while answers
that are under way end on the old one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import load_session
from gemproxy.lib import clock
from proxy.errors import AccountRefused
from proxy.upstreams.base import AccountConfig
from proxy.upstreams.web_guard import GuardedClient, let_go

logger = logging.getLogger(__name__)

#: A session that nobody has used for so long is closed.
IDLE_SECONDS = 1800.0

#: From cookies and an egress proxy to a client.
SignIn = Callable[[WebCookies, str], Awaitable[GuardedClient]]


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

    def __len__(self) -> int:
        """How many sessions are open, those that only end included."""
        return len(self._sessions) + len(self._retired)

    @asynccontextmanager
    async def borrowed(self, account: AccountConfig) -> AsyncIterator[GuardedClient]:
        """Lend the account's client, signed in; raises the fault if that fails."""
        await self._sweep()
        session = self._session_of(account)
        session.users += 1
        try:
            client = await self._opened(account.id, session)
            yield client
        finally:
            session.users -= 1
            session.used_at = clock.monotonic()
            if _is_stale(session):
                self._retire(account.id, session)
            if session.retired and not session.users:
                await self._shut(session)

    async def aclose(self) -> None:
        """Close all of them."""
        for account_id, session in list(self._sessions.items()):
            self._retire(account_id, session)
        for session in list(self._retired):
            await self._shut(session)

    async def _opened(self, account_id: int, session: _Session) -> GuardedClient:
        try:
            # One who leaves must not take the sign-in from the others.
            return await asyncio.shield(session.opening)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._retire(account_id, session)
            raise

    def _session_of(self, account: AccountConfig) -> _Session:
        cookies = _cookies_of(account)
        key = (cookies.psid, cookies.psidts, account.proxy_url)
        session = self._sessions.get(account.id)
        if session is not None and session.key == key and not _is_stale(session):
            return session
        if session is not None:
            self._retire(account.id, session)
        opening = asyncio.ensure_future(self._sign_in(cookies, account.proxy_url))
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
