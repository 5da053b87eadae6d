"""The usage log beside other writers on SQLite."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from accounts.models import Change
from gemproxy.lib import clock, db, sqlite
from gemproxy.lib.sqlite import Hurry
from proxy.ledger import Ledger
from tests.usage import entry, stored_ids

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("is about SQLite")


class Occupier:
    """Somebody else who writes for a while."""

    def __init__(self) -> None:
        self.holds = threading.Event()
        self.ends = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        self.holds.wait(5)

    def _write(self) -> None:
        with transaction.atomic():
            Change.note("test")
            self.holds.set()
            self.ends.wait(10)
        connections.close_all()

    def end(self) -> None:
        self.ends.set()
        self._thread.join()


@pytest.fixture
def occupier() -> Iterator[Occupier]:
    occupier = Occupier()
    yield occupier
    occupier.end()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "spool", wait=5)
    ledger.start()
    yield ledger
    ledger.stop(5)


async def test_the_ledger_writes_as_soon_as_another_writer_is_done(
    ledger: Ledger, occupier: Occupier
) -> None:
    task = asyncio.create_task(ledger.record(entry(request_id="patient")))
    await asyncio.sleep(0.35)
    assert not task.done()
    occupier.ends.set()
    await asyncio.wait_for(task, 20)
    assert "patient" in await db.run(stored_ids)


async def test_a_lock_held_for_long_sends_rows_to_the_spool(
    tmp_path: Path, occupier: Occupier
) -> None:
    ledger = Ledger(tmp_path / "spool", wait=0.1)
    ledger.start()
    await asyncio.wait_for(ledger.record(entry(request_id="spooled")), 20)
    occupier.end()
    deadline = clock.monotonic() + 20
    while "spooled" not in await db.run(stored_ids):
        assert clock.monotonic() < deadline
        await asyncio.sleep(0.02)
    await asyncio.to_thread(ledger.stop, 5)


def in_thread(work: Any) -> Any:
    """Run on a connection of its own, which is closed after."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except OperationalError as error:
            results.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_a_lock_that_stays_is_reported(
    occupier: Occupier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.1)
    error = in_thread(lambda: Hurry().run(lambda: Change.note("mine")))
    assert isinstance(error, OperationalError)
    assert sqlite.is_locked(error)


def test_other_errors_are_not_taken_for_a_lock() -> None:
    def wrong() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    error = in_thread(lambda: Hurry().run(wrong))
    assert isinstance(error, OperationalError)
    assert not sqlite.is_locked(error)


def test_a_new_connection_is_tuned_again() -> None:
    hurry = Hurry()

    def timeouts() -> list[int]:
        found = []
        for _ in range(2):
            found.append(hurry.run(busy_timeout))
            connection.close()
        return found

    assert in_thread(timeouts) == [0, 0]
    assert busy_timeout() > 1000


def busy_timeout() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        return cursor.fetchone()[0]


async def test_the_log_beside_the_database_file_stays_small(ledger: Ledger) -> None:
    await db.run(empty_the_log)
    log = Path(f"{connection.settings_dict['NAME']}-wal")
    assert log.stat().st_size == 0
    for _ in range(300):
        await asyncio.gather(*(ledger.record(entry()) for _ in range(50)))
    # Never copied, it would be twice as long.
    assert log.stat().st_size < 18 * 1024 * 1024


async def test_the_log_is_copied_where_nobody_waits_for_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(
        sqlite, "checkpoint", lambda: copied.append(threading.current_thread().name)
    )
    await asyncio.gather(*(ledger.record(entry()) for _ in range(250)))
    await asyncio.sleep(0.2)
    assert set(copied) == {"ledger-checkpoint"}


def empty_the_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
