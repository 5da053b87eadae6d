"""What a writer in a hurry needs from SQLite, which lets one write at a time."""

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

from gemproxy.lib import clock

R = TypeVar("R")

LOCK_SECONDS = 20.0
EAGER_SECONDS = 0.5
EAGER_PAUSE = 0.002
CALM_PAUSE = 0.02
ERROR_FAMILY = 0xFF
MOST_LOG_PAGES = 4000


class Hurry:
    """Runs one thread's writes with the least delay; on other databases, plainly.

    SQLite's own waiting looks again at distances that grow to 100 ms, and misses the
    moments in between; here the distance stays at 2 ms. And copying the log into the
    database file, which can take longer than a write, is left to ``checkpoint`` in
    another thread, unless that lags so far behind that the log would grow for ever.
    """

    def __init__(self) -> None:
        self._tuned: object = None
        self._rest = threading.Event()

    def run(self, write: Callable[[], R]) -> R:
        """Call ``write``, again while somebody else holds the lock. Raises what it does."""
        if connection.vendor != "sqlite":
            return write()
        began = clock.monotonic()
        while True:
            try:
                self._tune()
                return write()
            except OperationalError as error:
                waited = clock.monotonic() - began
                if not is_locked(error) or waited > LOCK_SECONDS:
                    raise
            self._rest.wait(EAGER_PAUSE if waited < EAGER_SECONDS else CALM_PAUSE)

    def _tune(self) -> None:
        connection.ensure_connection()
        if connection.connection is self._tuned:
            return
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout=0")
            cursor.execute(f"PRAGMA wal_autocheckpoint={MOST_LOG_PAGES}")
        self._tuned = connection.connection


def is_locked(error: OperationalError) -> bool:
    """Tell whether an error only says that somebody else is writing."""
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is not None and code & ERROR_FAMILY in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def checkpoint() -> None:
    """Copy as much of the log into the database file as holds nobody up."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
