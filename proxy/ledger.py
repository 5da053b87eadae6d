"""The usage log's writer: what has gathered is committed together.

One thread writes to the database. A second appends to the spool whatever the first
could not take in time, and the first replays it when it can. On SQLite, a third does
the slow part of the writing, which nobody waits for.
"""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.db import Error as DatabaseTrouble, connection

from gemproxy.lib import clock, sqlite
from gemproxy.lib.db import fresh
from proxy import entries
from proxy.lanes import BATCH, Lane, Waiting, settle
from proxy.spool import Spool, spool_folder

logger = logging.getLogger(__name__)

MOST_WAITING = 20_000
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
CHECKPOINT_ROWS = 100


class Ledger:
    """One per process. ``healthy`` is false while rows can be put nowhere."""

    def __init__(self, folder: Path, wait: float) -> None:
        """Make a ledger that spools to ``folder`` what is not stored in ``wait`` s."""
        self.healthy = True
        self._wait = wait
        self._spool = Spool(folder)
        self._database_lane = Lane("ledger", fresh(self._to_database))
        self._spool_lane = Lane("ledger-spool", self._to_spool)
        self._checkpoint_lane = Lane("ledger-checkpoint", fresh(_checkpoint))
        self._hurry = sqlite.Hurry()
        self._unchecked = 0
        self._running = False
        self._away = False
        self._pause = FIRST_PAUSE
        self._next_try = 0.0
        self._replay: Iterator[list[bytes]] | None = None
        self._replay_due = True
        # Rows that neither the database nor the spool took.
        self._kept: deque[Waiting] = deque(maxlen=MOST_WAITING)

    @classmethod
    def configured(cls) -> Self:
        """Make the ledger that the settings describe."""
        return cls(spool_folder(), settings.LEDGER_WAIT_MS / 1000)

    def start(self) -> None:
        """Start the threads; files that dead processes left are replayed first."""
        self._running = True
        for lane in (self._spool_lane, self._checkpoint_lane, self._database_lane):
            lane.start()
        self._database_lane.nudge()

    def stop(self, timeout: float) -> int:
        """Write what there is; return how many rows stay in this process's spool."""
        if not self._running:
            return 0
        self._running = False
        deadline = clock.monotonic() + timeout
        self._pass_on([*self._database_lane.stop(timeout), *self._take_kept()])
        self._checkpoint_lane.stop(max(1.0, deadline - clock.monotonic()))
        lost = self._spool_lane.stop(max(1.0, deadline - clock.monotonic()))
        if lost:
            logger.critical("%d usage rows are lost: the spool hangs", len(lost))
        left = self._spool.release()
        if left:
            logger.warning("%d usage rows wait in the spool for the next start", left)
        return left

    async def record(self, entry: Any) -> None:
        """Log an Entry (or unsaved UsageRecord); return when it survives this process.

        Being cancelled loses nothing: the row is under way before the wait begins.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(entry, loop, loop.create_future())
        if not self._running:
            await asyncio.to_thread(self._to_spool, [waiting])
        elif self._is_late():
            self._spool_lane.put(waiting)
        else:
            # The timer is the row's and outlives the coroutine.
            waiting.timer = loop.call_later(self._wait, self._give_up, waiting)
            self._database_lane.put(waiting)
        await waiting.future

    def _is_late(self) -> bool:
        """Tell whether waiting for the database is known to be in vain."""
        since = self._database_lane.since
        return (
            self._away
            or (since is not None and clock.monotonic() - since > self._wait)
            or len(self._database_lane) >= MOST_WAITING
        )

    def _give_up(self, waiting: Waiting) -> None:
        if waiting.durable:
            return
        if self._running:
            self._spool_lane.put(waiting)
        else:
            waiting.loop.run_in_executor(None, self._to_spool, [waiting])

    # The database's thread

    def _to_database(self, batch: list[Waiting]) -> float | None:
        if self._away and clock.monotonic() < self._next_try:
            self._pass_on(batch)
            return self._next_try - clock.monotonic()
        batch = [*self._take_kept(), *(w for w in batch if not w.durable)]
        try:
            if self._away:
                _knock()
            self._store([waiting.entry for waiting in batch])
        except DatabaseTrouble as error:
            return self._back_off(batch, error)
        self._safe(batch)
        try:
            more = self._replay_some()
        except DatabaseTrouble as error:
            return self._back_off([], error)
        self._return()
        return 0 if more else None

    def _store(self, rows: Sequence[Any]) -> None:
        store = functools.partial(entries.store, rows)
        try:
            refused = self._hurry.run(store)
        except DatabaseTrouble:
            # One killed connection is not yet a database that is away.
            connection.close()
            refused = self._hurry.run(store)
        self._unchecked += len(rows)
        if self._unchecked >= CHECKPOINT_ROWS:
            self._unchecked = 0
            self._checkpoint_lane.nudge()
        self._put_aside([entries.to_line(row) for row in refused])

    def _put_aside(self, lines: list[bytes]) -> None:
        if not lines:
            return
        try:
            self._spool.refuse(lines)
        except OSError:
            logger.critical("%d refused usage rows are lost", len(lines), exc_info=True)

    def _back_off(self, batch: list[Waiting], error: Exception) -> float:
        if not self._away:
            self._pause = FIRST_PAUSE
            logger.error("The database does not take usage rows: %s", error)
        self._away = True
        self._next_try = clock.monotonic() + self._pause
        self._pass_on(batch)
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause

    def _pass_on(self, batch: list[Waiting]) -> None:
        for waiting in batch:
            self._spool_lane.put(waiting)

    def _return(self) -> None:
        if self._away:
            self._away = False
            logger.warning("The database takes usage rows again")

    def _replay_some(self) -> bool:
        """Store one batch of spooled rows; return whether there may be more."""
        if self._replay is None:
            if not self._replay_due:
                return False
            self._replay_due = False
            self._spool.release()
            self._replay = self._spool.batches(BATCH)
        try:
            lines = next(self._replay, None)
            if lines:
                rows, unfit = read_lines(lines)
                self._store(rows)
                self._put_aside(unfit)
        except OSError:
            logger.exception("The spool cannot be read")
            lines = None
        except DatabaseTrouble:
            self._replay.close()
            self._replay, self._replay_due = None, True
            raise
        if lines is None:
            self._replay = None
        return lines is not None or self._replay_due

    # The spool's thread

    def _to_spool(self, batch: list[Waiting]) -> None:
        rows = [waiting for waiting in batch if not waiting.durable]
        try:
            if rows:
                self._spool.append([entries.to_line(w.entry) for w in rows])
        except OSError as error:
            self._keep(rows, error)
            return
        self._safe(rows)
        self._replay_due = True
        self._database_lane.nudge()

    def _keep(self, rows: list[Waiting], error: OSError) -> None:
        """Hold rows in memory: their answers end, and no new ones should begin."""
        self.healthy = False
        lost = max(0, len(self._kept) + len(rows) - MOST_WAITING)
        self._kept.extend(rows)
        self._database_lane.nudge()
        logger.critical(
            "The spool does not take usage rows (%s): %d held in memory, %d lost",
            error,
            len(self._kept),
            lost,
        )
        settle(rows)

    def _safe(self, rows: list[Waiting]) -> None:
        for waiting in rows:
            waiting.durable = True
        settle(rows)
        if rows:
            self.healthy = True

    def _take_kept(self) -> list[Waiting]:
        return [self._kept.popleft() for _ in range(len(self._kept))]


def read_lines(lines: Sequence[bytes]) -> tuple[list[entries.Entry], list[bytes]]:
    """Return spooled lines as entries, and those that are none."""
    rows: list[entries.Entry] = []
    unfit: list[bytes] = []
    for line in lines:
        try:
            rows.append(entries.from_line(line))
        except ValueError:
            unfit.append(line)
    return rows, unfit


def _knock() -> None:
    """Ask the database for a sign of life. Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _checkpoint(_: list[Waiting]) -> None:
    try:
        sqlite.checkpoint()
    except DatabaseTrouble as error:
        logger.warning("The database's log was not copied into its file: %s", error)
