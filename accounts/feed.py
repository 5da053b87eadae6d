"""Tells a running process what others have changed.

A daemon thread polls the change feed. Identifiers, not times, say what is new, so
that hosts whose clocks differ agree. Transactions may commit out of the order of
their identifiers; so everything above a floor is read again and again, and what was
seen is remembered. The floor follows the identifiers that are seen without a gap; it
passes a gap, which is a transaction that is open or was rolled back, after WINDOW
seconds.
"""

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable

from django.conf import settings
from django.db import Error as DatabaseTrouble, connections

from accounts.models import Change
from gemproxy.lib import clock
from gemproxy.lib.bell import Listener
from gemproxy.lib.db import fresh

logger = logging.getLogger(__name__)

Subscriber = Callable[[str], None]

WINDOW = 30.0
#: How far below the newest row a transaction may be open when we begin to listen.
LOOK_BACK = 5000
#: From so many keys of a topic on, "everything changed" is cheaper.
MANY = 200
LONGEST_PAUSE = 5.0
RETRY_SECONDS = 1.0
START_SECONDS = 5.0


class Feed:
    """Polls the change feed and calls subscribers in its own thread."""

    def __init__(self, poll_seconds: float = 0.3, redis_url: str | None = None) -> None:
        """Poll that often; a Redis (default: REDIS_URL) may wake it earlier."""
        self._poll_seconds = poll_seconds
        self._bell = Listener(settings.REDIS_URL if redis_url is None else redis_url)
        self._subscribers: dict[str, list[Subscriber]] = defaultdict(list)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._window: Window | None = None
        self._failures = 0
        # Who must hear "everything changed", because a call failed or was missed.
        self._owed: set[tuple[str, Subscriber]] = set()
        self._retry_at = 0.0
        self._listening = threading.Event()

    def subscribe(self, topic: str, callback: Subscriber) -> None:
        """Have ``callback(key)`` called for each change of ``topic``.

        An empty key means that everything of that topic may have changed. A callback
        that fails is called again with an empty key.
        """
        self._subscribers[topic].append(callback)

    def start(self) -> None:
        """Begin; what changes after this returns is told.

        If the database does not answer at once, that begins with a full refresh.
        """
        self._thread.start()
        self._listening.wait(START_SECONDS)

    def stop(self, timeout: float = 5.0) -> None:
        self._stopping = True
        self._bell.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping:
            self._poll()
            self._listening.set()
            self._bell.wait(self._pause())
        self._bell.close()
        connections.close_all()

    def _pause(self) -> float:
        return min(self._poll_seconds * 2**self._failures, LONGEST_PAUSE)

    def _poll(self) -> None:
        try:
            changes = fresh(self._read)()
        except DatabaseTrouble as error:
            if not self._failures:
                logger.warning("The change feed cannot be read: %s", error)
            self._failures = min(self._failures + 1, 10)
            return
        if self._failures:
            logger.warning("The change feed is read again")
            self._failures = 0
            self._owe_all()
        self._tell(changes)

    def _read(self) -> dict[str, set[str]]:
        """Return the keys that changed, by topic."""
        now = clock.monotonic()
        if self._window is not None and self._window.is_stale(now):
            # The process slept, or the database was away.
            self._window = None
            self._owe_all()
        if self._window is None:
            newest = Change.objects.order_by("-id").values_list("id", flat=True).first()
            self._window = Window(newest or 0, now)
            self._rows(self._window, now)
            return {}
        changes: dict[str, set[str]] = defaultdict(set)
        for topic, key in self._rows(self._window, now):
            changes[topic].add(key)
        return changes

    def _rows(self, window: "Window", now: float) -> list[tuple[str, str]]:
        # MySQL's backend refuses to compare an identifier with 0.
        rows = Change.objects.filter(id__gte=window.floor + 1).order_by("id")
        fresh_rows = [
            (topic, key)
            for number, topic, key in rows.values_list("id", "topic", "key")
            if window.see(number)
        ]
        window.move(now)
        return fresh_rows

    def _tell(self, changes: dict[str, set[str]]) -> None:
        waiting = set(self._owed)
        if clock.monotonic() >= self._retry_at:
            self._owed.clear()
            for topic, callback in waiting:
                self._call(topic, callback, "")
        for topic, keys in changes.items():
            told = {""} if "" in keys or len(keys) > MANY else keys
            for callback in self._subscribers[topic]:
                if (topic, callback) in waiting:
                    continue
                for key in told:
                    self._call(topic, callback, key)

    def _call(self, topic: str, callback: Subscriber, key: str) -> None:
        try:
            callback(key)
        except Exception:  # A boundary: the others must go on hearing.
            logger.exception("A subscriber to %r failed; it is called again", topic)
            self._owed.add((topic, callback))
            self._retry_at = clock.monotonic() + RETRY_SECONDS

    def _owe_all(self) -> None:
        self._owed |= {(t, c) for t, cs in self._subscribers.items() for c in cs}


class Window:
    """Which identifiers were seen, above a floor that follows them."""

    def __init__(self, newest: int, now: float) -> None:
        self.floor = max(0, newest - LOOK_BACK)
        self._seen: set[int] = set()
        self._newest = newest
        self._moved = now
        # The newest identifier, and since when it was known to exist.
        self._history: deque[tuple[float, int]] = deque()

    def is_stale(self, now: float) -> bool:
        return now - self._moved > WINDOW

    def see(self, number: int) -> bool:
        """Return whether this one is new."""
        if number in self._seen:
            return False
        self._seen.add(number)
        self._newest = max(self._newest, number)
        return True

    def move(self, now: float) -> None:
        """Raise the floor as far as nothing can appear below it any more."""
        self._moved = now
        if not self._history or self._history[-1][1] != self._newest:
            self._history.append((now, self._newest))
        while self._history and now - self._history[0][0] > WINDOW:
            self._pass(self._history.popleft()[1])
        while self.floor + 1 in self._seen:
            self.floor += 1
            self._seen.discard(self.floor)

    def _pass(self, number: int) -> None:
        if number > self.floor:
            self.floor = number
            self._seen = {seen for seen in self._seen if seen > number}
