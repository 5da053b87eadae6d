"""The usage log while the database, the spool or the process fails."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from gemproxy.lib import clock, db
from gemproxy.lib.env import child_environment
from proxy import entries, ledger as ledgers
from proxy.jobs import replay_spool
from proxy.ledger import Ledger
from proxy.spool import Spool
from tests.usage import database_url, entry, stored_ids

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
ROOT = Path(__file__).resolve().parents[2]


class Database:
    """The way to the database, which can be slow or away."""

    def __init__(self, store: Any) -> None:
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self.stored = 0
        self._store = store

    def store(self, rows: list[Any]) -> list[Any]:
        self.answers.wait(20)
        if self.away:
            raise OperationalError("the database is away")
        refused = self._store(rows)
        self.stored += len(rows)
        return refused

    def knock(self) -> None:
        if self.away:
            raise OperationalError("the database is away")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    database = Database(entries.store)
    monkeypatch.setattr(entries, "store", database.store)
    monkeypatch.setattr(ledgers, "_knock", database.knock)
    monkeypatch.setattr(ledgers, "FIRST_PAUSE", 0.05)
    yield database
    database.answers.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def ledger(folder: Path, database: Database) -> Iterator[Ledger]:
    ledger = Ledger(folder, wait=0.1)
    ledger.start()
    yield ledger
    database.answers.set()
    ledger.stop(5)


def spooled(folder: Path) -> list[str]:
    lines: list[bytes] = []
    for file in folder.glob("*.jsonl"):
        # Whoever replays a file deletes it.
        with contextlib.suppress(FileNotFoundError):
            lines += file.read_bytes().splitlines()
    return [entries.from_line(line).request_id for line in lines]


async def until(condition: Any, seconds: float = 20) -> None:
    """Wait for something that another thread brings about."""
    deadline = clock.monotonic() + seconds
    while not await db.run(condition):
        assert clock.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def test_a_slow_database_makes_nobody_wait_longer_than_allowed(
    ledger: Ledger, database: Database, folder: Path
) -> None:
    database.answers.clear()
    began = clock.monotonic()
    await ledger.record(entry(request_id="slow"))
    assert 0.09 < clock.monotonic() - began < 10
    assert spooled(folder) == ["slow"]
    database.answers.set()
    await until(lambda: "slow" in stored_ids())
    await until(lambda: not list(folder.glob("*.jsonl")))


async def test_once_the_database_hangs_others_do_not_wait_for_it(
    ledger: Ledger,
    database: Database,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database.answers.clear()
    await ledger.record(entry())
    await until(ledger._is_late)
    waited: list[Any] = []
    monkeypatch.setattr(ledger, "_give_up", waited.append)
    await asyncio.wait_for(ledger.record(entry(request_id="second")), 20)
    assert waited == []
    assert "second" in spooled(folder)


async def test_rows_are_spooled_while_the_database_is_away_and_replayed_after(
    ledger: Ledger, database: Database, folder: Path
) -> None:
    database.away = True
    rows = [entry() for _ in range(40)]
    await asyncio.gather(*(ledger.record(row) for row in rows))
    assert ledger.healthy
    assert sorted(spooled(folder)) == sorted(row.request_id for row in rows)
    database.away = False
    asked = {row.request_id for row in rows}
    await until(lambda: asked <= stored_ids())
    await until(lambda: not spooled(folder))
    await ledger.record(entry(request_id="after"))
    assert "after" in await db.run(stored_ids)


async def test_attempts_on_an_absent_database_become_rarer(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    knocks: list[float] = []

    def knock() -> None:
        knocks.append(clock.monotonic())
        raise OperationalError("away")

    monkeypatch.setattr(ledgers, "_knock", knock)
    database.away = True
    await ledger.record(entry())
    await asyncio.sleep(0.9)
    gaps = [later - earlier for earlier, later in itertools.pairwise(knocks)]
    assert 2 <= len(knocks) <= 6
    assert gaps == sorted(gaps)


async def test_a_row_cancelled_in_time_of_trouble_is_not_lost(
    ledger: Ledger, database: Database, folder: Path
) -> None:
    database.answers.clear()
    task = asyncio.create_task(ledger.record(entry(request_id="left")))
    await asyncio.sleep(0.02)
    task.cancel()
    await until(lambda: spooled(folder) == ["left"])


async def test_too_many_rows_in_memory_go_to_the_spool_at_once(
    ledger: Ledger,
    database: Database,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledgers, "MOST_WAITING", 3)
    ledger._wait = 60
    await ledger.record(entry())
    database.answers.clear()
    row = entry()
    first = asyncio.create_task(ledger.record(row))
    lane = ledger._database_lane
    await until(lambda: any(waiting.entry is row for waiting in lane._in_hand))
    fitting = [asyncio.create_task(ledger.record(entry())) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.wait_for(ledger.record(entry(request_id="over")), 20)
    assert spooled(folder) == ["over"]
    database.answers.set()
    await asyncio.gather(first, *fitting)


async def test_the_event_loop_goes_on_while_the_spool_writes(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Spool.append

    def slowly(self: Spool, lines: list[bytes]) -> None:
        threading.Event().wait(0.3)
        append(self, lines)

    monkeypatch.setattr(Spool, "append", slowly)
    database.away = True
    task = asyncio.create_task(ledger.record(entry()))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks > 20


async def test_without_database_and_spool_answers_end_and_the_ledger_is_unhealthy(
    ledger: Ledger, database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    database.away = True
    await asyncio.wait_for(ledger.record(entry(request_id="kept")), 20)
    assert not ledger.healthy
    assert "held in memory" in caplog.text
    database.away = False
    await until(lambda: "kept" in stored_ids())
    await until(lambda: ledger.healthy)


async def test_kept_rows_go_to_the_spool_when_only_that_is_back(
    ledger: Ledger, database: Database, folder: Path
) -> None:
    folder.write_text("in the way")
    database.away = True
    await asyncio.wait_for(ledger.record(entry(request_id="kept")), 20)
    folder.unlink()
    await until(lambda: ledger.healthy)
    assert spooled(folder) == ["kept"]


async def test_stop_leaves_to_the_spool_what_a_hanging_database_does_not_take(
    ledger: Ledger, database: Database, folder: Path
) -> None:
    ledger._wait = 30
    database.answers.clear()
    tasks = [asyncio.create_task(ledger.record(entry())) for _ in range(5)]
    await asyncio.sleep(0.05)
    began = clock.monotonic()
    assert await asyncio.to_thread(ledger.stop, 0.3) == 5
    assert clock.monotonic() - began < 20
    await asyncio.gather(*tasks)
    assert len(spooled(folder)) == 5
    database.answers.set()


async def test_a_row_recorded_after_stop_is_spooled(
    ledger: Ledger, folder: Path
) -> None:
    await asyncio.to_thread(ledger.stop, 5)
    await ledger.record(entry(request_id="late"))
    assert spooled(folder) == ["late"]


async def test_start_replays_what_dead_processes_left(folder: Path) -> None:
    dead = Spool(folder)
    rows = [entry() for _ in range(3)]
    dead.append([entries.to_line(row) for row in rows] + [b'{"torn": '])
    dead.release()
    ledger = Ledger(folder, wait=1)
    ledger.start()
    asked = {row.request_id for row in rows}
    await until(lambda: asked <= stored_ids())
    await asyncio.to_thread(ledger.stop, 5)
    assert (folder / "refused.log").read_bytes() == b'{"torn": '


def test_the_job_replays_rows_once_and_leaves_files_in_use_alone(
    settings: Any, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path
    alive, dead = Spool(tmp_path / "spool"), Spool(tmp_path / "spool")
    row = entry(request_id="dead")
    alive.append([entries.to_line(entry(request_id="alive"))])
    dead.append([entries.to_line(row)] * 2)
    dead.release()
    assert replay_spool() == "2 rows replayed, 0 put aside"
    ours = {"dead", "alive"}
    # A ledger of an earlier test may still be writing a row of its own.
    assert stored_ids() & ours == {"dead"}
    assert replay_spool() == "0 rows replayed, 0 put aside"
    assert alive.release() == 1
    replay_spool()
    assert stored_ids() & ours == ours


@pytest.mark.parametrize("wait", ["0.5", "0"], ids=["database", "spool"])
def test_rows_reported_safe_survive_kill_9(
    wait: str, folder: Path, settings: Any, tmp_path: Path
) -> None:
    environment = child_environment(
        {
            "DJANGO_SETTINGS_MODULE": "gemproxy.settings",
            "DATABASE_URL": database_url(),
            "VAR_DIR": str(tmp_path),
        }
    )
    command = [sys.executable, "-m", "tests.proxy.ledger_child", str(folder), wait]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        safe = {child.stdout.readline().strip().decode() for _ in range(300)}
        child.kill()
        safe |= set(child.stdout.read().decode().split("\n")[:-1])
    assert len(safe) >= 300
    assert safe <= stored_ids() | set(spooled(folder))
    settings.VAR_DIR = tmp_path
    replay_spool()
    assert safe <= stored_ids()


@pytest.fixture
def own_backend(transactional_db: None) -> int:
    """The server process of this thread's connection, which ends the test cleanly."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@pytest.mark.postgres
async def test_killed_backends_cost_no_row_and_no_wait(
    folder: Path, own_backend: int
) -> None:
    ledger = Ledger(folder, wait=5)
    ledger.start()

    def kill_others() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database()"
                " AND pid NOT IN (pg_backend_pid(), %s)",
                [own_backend],
            )

    for _ in range(5):
        rows = asyncio.gather(*(ledger.record(entry()) for _ in range(20)))
        await db.run(kill_others)
        await rows
        await db.run(kill_others)
    assert len(await db.run(stored_ids)) == 100
    assert await asyncio.to_thread(ledger.stop, 5) == 0


def test_spool_files_are_for_their_owner_only(folder: Path) -> None:
    spool = Spool(folder)
    spool.append([b"{}\n"])
    [file] = folder.glob("*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    spool.release()


def test_a_full_disk_leaves_no_half_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(folder)
    spool.append([b"one\n"])
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    with pytest.raises(OSError, match="3 of 4 bytes"):
        spool.append([b"two\n"])
    monkeypatch.undo()
    spool.append([b"three\n"])
    assert spool.release() == 2
    assert list(spool.batches(10)) == [[b"one\n", b"three\n"]]


def test_a_replay_that_is_broken_off_can_be_repeated(folder: Path) -> None:
    spool = Spool(folder)
    spool.append([b"1\n", b"2\n", b"3\n"])
    spool.release()
    batches = spool.batches(2)
    assert next(batches) == [b"1\n", b"2\n"]
    batches.close()
    assert list(spool.batches(2)) == [[b"1\n", b"2\n"], [b"3\n"]]
    assert list(spool.batches(2)) == []
