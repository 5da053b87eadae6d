"""Migrations at start: one process at a time, a copy of SQLite first."""

import contextlib
import datetime
import enum
import fcntl
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from gemproxy.lib import clock
from gemproxy.lib.keyfiles import private_folder

logger = logging.getLogger(__name__)

LOCK_NAME = "gemproxy.migrate"
# Any number will do as long as all versions of this program use the same.
POSTGRES_LOCK = 0x67656D70
LOCK_SECONDS = 600
KEPT_COPIES = 5

Say = Callable[[str], None]


class MigrationsBehind(Exception):
    """The database misses migrations and nobody allowed to run them."""


class LockTaken(Exception):
    """Another process kept the lock of migrations for too long."""


class State(enum.Enum):
    """How a database stands to the migrations of this code."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"


def pending(alias: str) -> list[str]:
    """Return the names of migrations that this database misses, as app.name."""
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def state(alias: str) -> State:
    """Return how the database stands; one without any table is empty."""
    if not connections[alias].introspection.table_names():
        return State.EMPTY
    return State.BEHIND if pending(alias) else State.CURRENT


def prepare(*, allowed: bool, say: Say) -> None:
    """Bring every database up to date.

    An empty database is filled without being told to; one that is behind only when
    ``allowed``, else MigrationsBehind is raised. One process does it at a time.
    """
    with one_at_a_time():
        states = {alias: state(alias) for alias in connections}
        behind = [a for a, s in states.items() if s is State.BEHIND]
        if behind and not allowed:
            raise MigrationsBehind(_refusal(behind))
        for alias in behind:
            copy = copy_of_sqlite(alias)
            if copy:
                say(f"Copied the database to {copy}")
        for alias, found in states.items():
            if found is not State.CURRENT:
                say(f"Migrating the {found.value} database {alias!r}")
                call_command("migrate", database=alias, verbosity=0, interactive=False)


def _refusal(aliases: list[str]) -> str:
    names = [name for alias in aliases for name in pending(alias)]
    return (
        f"The database is behind by {len(names)} migrations ({', '.join(names[:5])}"
        f"{', …' if len(names) > 5 else ''}). Start once with --migrate, or set "
        "MIGRATE=true; a SQLite file is copied first, other databases you should "
        "dump yourself."
    )


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock of migrations; raise LockTaken after ten minutes.

    SQLite is one machine's, so a lock file beside it will do; servers keep the lock
    themselves, and lose it with the session of a process that dies.
    """
    locks = {"postgresql": _postgres_lock, "mysql": _mysql_lock}
    connection = connections["default"]
    with locks.get(connection.vendor, _file_lock)(connection):
        yield


@contextlib.contextmanager
def _file_lock(_: BaseDatabaseWrapper) -> Iterator[None]:
    path = settings.VAR_DIR / "migrate.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _postgres_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [POSTGRES_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [POSTGRES_LOCK])


@contextlib.contextmanager
def _mysql_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", [LOCK_NAME, LOCK_SECONDS])
        if cursor.fetchone() != (1,):
            raise LockTaken("Another process is migrating the database and hangs.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [LOCK_NAME])


def copy_of_sqlite(alias: str) -> Path | None:
    """Copy a SQLite database into VAR_DIR/backups; None if it is of another kind.

    The last five copies of each database are kept.
    """
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return None
    source = Path(str(connection.settings_dict["NAME"]))
    folder = private_folder(settings.VAR_DIR / "backups")
    target = folder / f"{source.stem}.{_stamp(clock.now())}{source.suffix}"
    # A copy holds what the database holds, so it is as private.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    with (
        _reading(source) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
    _drop_old_copies(folder, source)
    return target


def _reading(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True))


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S.%fZ")


def _drop_old_copies(folder: Path, source: Path) -> None:
    # The stamp's form keeps gemproxy.… apart from gemproxy.jobs.….
    stem, suffix = re.escape(source.stem), re.escape(source.suffix)
    form = re.compile(rf"{stem}\.\d{{8}}T[\d.]+Z{suffix}")
    copies = sorted(path for path in folder.iterdir() if form.fullmatch(path.name))
    for path in copies[:-KEPT_COPIES]:
        path.unlink()
