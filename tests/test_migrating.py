"""Migrations at start: an empty database is filled, one that is behind needs a word."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from gemproxy import migrating
from gemproxy.migrating import MigrationsBehind, State

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    return tmp_path / "var"


@pytest.fixture
def behind() -> Iterator[str]:
    """Forget that a migration was run; return its name. The fixture remembers it."""
    recorder = MigrationRecorder(connections["default"])
    app, name = "sessions", "0001_initial"
    recorder.record_unapplied(app, name)
    yield f"{app}.{name}"
    recorder.record_unapplied(app, name)
    recorder.record_applied(app, name)


class Migrate:
    """Stands for Django's command and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str, *, database: str, **_: Any) -> None:
        assert name == "migrate"
        self.asked.append(database)


@pytest.fixture
def migrate(monkeypatch: pytest.MonkeyPatch) -> Migrate:
    command = Migrate()
    monkeypatch.setattr(migrating, "call_command", command)
    return command


def test_an_up_to_date_database_is_left_alone(
    migrate: Migrate, own_folder: Path
) -> None:
    said: list[str] = []
    migrating.prepare(allowed=True, say=said.append)
    assert (migrate.asked, said) == ([], [])
    assert not (own_folder / "backups").exists()


def test_what_is_pending_is_named(behind: str) -> None:
    assert migrating.pending("default") == [behind]
    assert migrating.state("default") is State.BEHIND


def test_a_database_that_is_behind_is_refused_with_what_to_do(
    behind: str, migrate: Migrate, own_folder: Path
) -> None:
    with pytest.raises(MigrationsBehind, match=rf"behind by 1 .*{behind}.*--migrate"):
        migrating.prepare(allowed=False, say=print)
    assert migrate.asked == []
    assert not (own_folder / "backups").exists()


def test_with_leave_it_is_copied_then_migrated(
    behind: str, migrate: Migrate, own_folder: Path
) -> None:
    said: list[str] = []
    migrating.prepare(allowed=True, say=said.append)
    assert migrate.asked == ["default"]
    copies = list(own_folder.glob("backups/*"))
    is_sqlite = connections["default"].vendor == "sqlite"
    assert len(copies) == (1 if is_sqlite else 0)
    assert len(said) == (2 if is_sqlite else 1)


def test_an_empty_database_needs_no_leave_and_no_copy(
    monkeypatch: pytest.MonkeyPatch, migrate: Migrate, own_folder: Path
) -> None:
    introspection = type(connections["default"].introspection)
    monkeypatch.setattr(introspection, "table_names", lambda *_, **__: [])
    migrating.prepare(allowed=False, say=lambda _: None)
    assert migrate.asked == list(connections)
    assert not (own_folder / "backups").exists()


def test_only_one_may_migrate_at_a_time() -> None:
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with migrating.one_at_a_time():
            inside.set()
            leave.wait(10)
            order.append("first")
        connections.close_all()

    def second() -> None:
        with migrating.one_at_a_time():
            order.append("second")
        connections.close_all()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    threads[1].join(0.5)
    assert order == [], "the second waits"
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]


def test_the_lock_is_let_go_when_the_work_fails() -> None:
    with pytest.raises(RuntimeError, match="broken"), migrating.one_at_a_time():
        raise RuntimeError("broken")
    with migrating.one_at_a_time():
        pass


@pytest.fixture
def sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SQLite file with one row, which stands for the default database's."""
    path = tmp_path / "main.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE kept (word TEXT)")
        database.execute("INSERT INTO kept VALUES ('still here')")
    database.close()

    class Connection:
        vendor = "sqlite"
        settings_dict = {"NAME": path}

    monkeypatch.setattr(migrating, "connections", {"default": Connection})
    return path


def test_a_copy_holds_the_rows_and_is_private(sqlite_file: Path) -> None:
    copy = migrating.copy_of_sqlite("default")
    assert copy is not None
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    database = sqlite3.connect(copy)
    assert database.execute("SELECT word FROM kept").fetchall() == [("still here",)]
    database.close()


def test_a_copy_has_what_is_still_in_the_write_ahead_log(sqlite_file: Path) -> None:
    writer = sqlite3.connect(sqlite_file)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("INSERT INTO kept VALUES ('in the log')")
    writer.commit()
    copy = migrating.copy_of_sqlite("default")
    assert copy is not None
    reader = sqlite3.connect(copy)
    assert len(reader.execute("SELECT * FROM kept").fetchall()) == 2
    reader.close()
    writer.close()


def test_the_last_five_copies_are_kept(sqlite_file: Path, own_folder: Path) -> None:
    made = [migrating.copy_of_sqlite("default") for _ in range(7)]
    assert sorted((own_folder / "backups").iterdir()) == made[-5:]


def test_copies_of_another_database_do_not_count(
    sqlite_file: Path, own_folder: Path
) -> None:
    folder = own_folder / "backups"
    folder.mkdir(parents=True)
    other = folder / "main.jobs.20260101T000000.000000Z.sqlite3"
    other.write_text("")
    for _ in range(6):
        migrating.copy_of_sqlite("default")
    assert other.exists()


@pytest.mark.postgres
def test_a_server_database_is_not_copied() -> None:
    assert migrating.copy_of_sqlite("default") is None
