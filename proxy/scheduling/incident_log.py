"""Incidents as rows: what was wrong, why, since when and until when."""

import datetime
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

from django.db import Error as DatabaseTrouble

from accounts.pace import Pace
from accounts.retention import EVENTS_KEPT, delete_slowly
from gemproxy.lib import clock, db
from gemproxy.lib.redaction import redact
from proxy.models import Incident
from proxy.scheduling.breakers import Trouble

logger = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
#: While it lasts, an incident's counts are written at most so often.
UPDATE_SECONDS: Final = 2.0
#: An incident of another machine without news for so long was left by a dead process:
#: a living one gives up a breaker that nobody asks about before that.
SILENT: Final = datetime.timedelta(minutes=15)


class IncidentLog:
    """Writes this process's incidents, in background tasks given to ``spawn``.

    A ``guard.Listener``: its methods return at once and never raise.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._latest: dict[int, Trouble] = {}
        self._keys: dict[int, int] = {}
        self._writing: set[int] = set()
        self._written: dict[int, float] = {}

    def opened(self, trouble: Trouble) -> None:
        logger.warning(
            "shared trouble with %s %s: %s",
            trouble.what,
            trouble.which,
            redact(trouble.why),
        )
        self._keep(trouble)

    def updated(self, trouble: Trouble) -> None:
        last = self._written.get(trouble.number)
        if last is not None and clock.monotonic() - last < UPDATE_SECONDS:
            return
        self._keep(trouble)

    def ended(self, trouble: Trouble) -> None:
        seconds = (trouble.until or trouble.since) - trouble.since
        logger.warning(
            "%s %s works again after %.1f s", trouble.what, trouble.which, seconds
        )
        self._keep(trouble)

    def end_all(self) -> int:
        """End what dead processes left open (sync); return how many there were."""
        now = clock.now()
        left = [row.pk for row in _open_rows() if _is_left(row, now)]
        return Incident.objects.filter(pk__in=left, until=None).update(until=now)

    def _keep(self, trouble: Trouble) -> None:
        """Have the latest of an incident written; one write of each at a time."""
        number = trouble.number
        self._latest[number] = trouble
        if number not in self._writing:
            self._writing.add(number)
            self._spawn(self._write(number))

    async def _write(self, number: int) -> None:
        try:
            while (trouble := self._latest.pop(number, None)) is not None:
                self._written[number] = clock.monotonic()
                key = await db.run(_store, trouble, self._keys.get(number))
                self._keys[number] = key
                if trouble.until is not None:
                    self._forget(number)
        except DatabaseTrouble as error:
            logger.warning("an incident was not written: %s", type(error).__name__)
        finally:
            self._writing.discard(number)

    def _forget(self, number: int) -> None:
        self._keys.pop(number, None)
        self._written.pop(number, None)


def prune_incidents(pace: Pace) -> None:
    """Delete incidents that ended long ago (sync)."""
    old = Incident.objects.filter(until__lt=clock.now() - EVENTS_KEPT)
    delete_slowly(old.order_by("until"), pace)


def _store(trouble: Trouble, key: int | None) -> int:
    """Write a trouble into its row, a new one if it has none; return the row's key."""
    values = {
        "what": trouble.what,
        "which": trouble.which[:200],
        "cause": trouble.cause[:60],
        "why": redact(trouble.why)[:300],
        "since": _moment(trouble.since),
        "until": None if trouble.until is None else _moment(trouble.until),
        "updated_at": clock.now(),
        "owner": _owner(),
        "accounts": list(trouble.accounts),
        "account_count": trouble.account_count,
        "count": trouble.count,
    }
    if key is None:
        return Incident.objects.create(**values).pk
    # A row that somebody deleted meanwhile stays deleted.
    Incident.objects.filter(pk=key).update(**values)
    return key


def _open_rows() -> Any:
    return Incident.objects.filter(until=None).only("owner", "updated_at")


def _is_left(row: Incident, now: datetime.datetime) -> bool:
    """Tell whether the process that wrote a row is gone."""
    if row.owner == _owner() or row.updated_at < now - SILENT:
        return True
    host, _, number = row.owner.rpartition(":")
    return host == _host() and not (number.isdecimal() and _is_alive(int(number)))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _owner() -> str:
    return f"{_host()}:{os.getpid()}"


def _host() -> str:
    return socket.gethostname()[:80]


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
