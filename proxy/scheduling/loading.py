"""Fills the roster from the database: at the start, and whenever others changed rows.

Sync, for database threads, while requests go on.
"""

import threading

from gemproxy.lib import clock
from proxy.scheduling import history
from proxy.scheduling.account_rows import (
    UNREADABLE,
    limits_of,
    read_members,
    rests_by_pair,
)
from proxy.scheduling.keeping import Store
from proxy.scheduling.restoring import restore
from proxy.scheduling.roster import Roster
from proxy.scheduling.shared import Seed
from proxy.scheduling.sharing import seeds
from proxy.wire.causes import cause_of


class Loader:
    """Reads rows and applies them to a roster under its lock.

    Keys are account ids as the change feed writes them; an empty one means all.
    """

    def __init__(
        self, roster: Roster, lock: threading.Lock, store: Store | None
    ) -> None:
        self._roster = roster
        self._lock = lock
        self._store = store
        # Who read later must also apply later.
        self._loading = threading.Lock()

    def load(self, key: str) -> None:
        """Read the accounts; without a key also their rests and learned limits."""
        only = _only(key)
        with self._loading:
            members, unreadable = read_members(only)
            if self._store is not None:
                advice = cause_of(UNREADABLE).action
                for account_id in unreadable:
                    self._store.set_aside(account_id, UNREADABLE, advice, "")
            with self._lock:
                self._roster.replace(members, only, _now())
        if only is None:
            self.load_limits(key)
            self.load_rests(key)

    def load_rests(self, key: str) -> None:
        """Read the rests that others began or ended."""
        if self._store is None:
            return
        only = _only(key)
        with self._loading:
            read = _now()
            found = rests_by_pair(self._store.rests(only))
            with self._lock:
                self._roster.take_rests(found, only, read, _now())

    def load_limits(self, key: str) -> None:
        """Read what was learned of quotas."""
        if self._store is None:
            return
        only = _only(key)
        with self._loading:
            rows = self._store.limits(only)
            with self._lock:
                now = _now()
                self._roster.unlearn(only)
                for row in rows:
                    pair = row.account_id, row.model
                    self._roster.learn(pair, limits_of(row), row.bucket, now)
                self._roster.refresh_limits(only, now)

    def restore(self) -> None:
        """Take counters and averages from the ledger; once, or they count twice."""
        now = _now()
        recent, today = history.recent(now), history.today(now)
        ended = history.outcomes(now)
        with self._lock:
            restore(self._roster, recent, today, ended, now)

    def seeds(self) -> list[Seed]:
        """Return what the ledger knows of the counters that processes share."""
        now = _now()
        recent, today = history.recent(now), history.today(now)
        with self._lock:
            return seeds(self._roster, recent, today, now)


def _only(key: str) -> int | None:
    return int(key) if key else None


def _now() -> float:
    return clock.now().timestamp()
