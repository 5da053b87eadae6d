"""Writes what must survive a restart, while nobody waits for it."""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Protocol

from django.db import Error as DatabaseTrouble

from gemproxy.lib import db
from proxy.errors import Verdict
from proxy.scheduling.account_rows import stored_rest
from proxy.scheduling.health import Rest
from proxy.scheduling.quota import Limits
from proxy.scheduling.store import StoredLimit, StoredRest
from proxy.tasks import Tasks

logger = logging.getLogger(__name__)

#: Seconds between attempts while the database is away.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: A rest that is shorter is over before anybody else could heed it.
WORTH_KEEPING = 5.0
Work = Callable[[], None]


class Store(Protocol):
    """What the pool asks of the database; sync, for database threads."""

    def rests(self, account_id: int | None = None) -> list[StoredRest]: ...

    def limits(self, account_id: int | None = None) -> list[StoredLimit]: ...

    def keep_rest(self, rest: StoredRest) -> None: ...

    def end_rest(self, account_id: int, model: str) -> None: ...

    def keep_limit(self, limit: StoredLimit) -> None: ...

    def set_aside(
        self, account_id: int, cause: str, advice: str, link: str
    ) -> None: ...


class Keeper:
    """Does writes one after another; of two for the same thing only the later.

    While the database is away they wait and are tried again, up to a bound.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._waiting: dict[object, Work] = {}
        self._running: asyncio.Task[None] | None = None

    def write(self, key: object, work: Work) -> None:
        """Have sync ORM work done soon; ``key`` names what it is about."""
        self._waiting[key] = work
        if self._running is None or self._running.done():
            self._running = self._tasks.spawn(self._run())

    async def aclose(self) -> None:
        """Give up what could not be written."""
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while self._waiting:
            key = next(iter(self._waiting))
            work = self._waiting.pop(key)
            try:
                await db.run(work)
            except DatabaseTrouble as error:
                if failures == len(PAUSES):
                    logger.warning("Not kept, the database is away: %s", key)
                    continue
                # What came meanwhile for the same thing is newer.
                self._waiting.setdefault(key, work)
                if failures == 0:
                    logger.warning("The pool's state cannot be written: %s", error)
                await asyncio.sleep(PAUSES[failures])
                failures += 1
            else:
                failures = 0


class Notes:
    """Writes what the pool learned into a store; without one it keeps nothing."""

    def __init__(
        self, store: Store | None, keeper: Keeper, kept: Callable[[int, Rest], None]
    ) -> None:
        """``kept`` is told, on a database thread, that a rest is written."""
        self._store = store
        self._keeper = keeper
        self._kept = kept

    def begin_rest(self, account_id: int, rest: Rest) -> None:
        if self._store is None or rest.until - rest.since < WORTH_KEEPING:
            return
        work = functools.partial(self._keep_rest, self._store, account_id, rest)
        self._keeper.write(("rest", account_id, rest.model), work)

    def end_rest(self, account_id: int, model: str) -> None:
        if self._store is not None:
            work = functools.partial(self._store.end_rest, account_id, model)
            self._keeper.write(("rest", account_id, model), work)

    def keep_limits(
        self, account_id: int, model: str, limits: Limits, bucket: str
    ) -> None:
        if self._store is None:
            return
        row = StoredLimit(
            account_id=account_id,
            model=model,
            rpm=limits.rpm,
            tpm=limits.tpm,
            rpd=limits.rpd,
            bucket=bucket,
        )
        work = functools.partial(self._store.keep_limit, row)
        self._keeper.write(("limit", account_id, model), work)

    def set_aside(self, account_id: int, verdict: Verdict) -> None:
        if self._store is None:
            return
        work = functools.partial(
            self._store.set_aside,
            account_id,
            verdict.cause,
            verdict.advice,
            verdict.link,
        )
        self._keeper.write(("state", account_id), work)

    def _keep_rest(self, store: Store, account_id: int, rest: Rest) -> None:
        store.keep_rest(stored_rest(account_id, rest))
        self._kept(account_id, rest)
