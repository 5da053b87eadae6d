"""What all tests share: people, reachable services, a clean end."""

import functools
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection, connections

from tests.log_watch import watch
from tests.settings import redis_of_worker

REDIS_URL = redis_of_worker(
    os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/15"
)
# mark: where the service listens, the vendor the run must be on, how to run it so
DATABASES = {
    "postgres": (("127.0.0.1", 5432), "postgresql", "TEST_DATABASE_URL=postgres://…"),
    "mariadb": (("127.0.0.1", 3306), "mysql", "TEST_DATABASE_URL=mysql://…"),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@functools.cache
def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _redis_listens() -> bool:
    parts = urlsplit(REDIS_URL)
    return _listens((parts.hostname or "127.0.0.1", parts.port or 6379))


def _absent(what: str) -> None:
    """Skip a test for what is missing here; in CI nothing may be missing."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"CI=true, and {what}")
    pytest.skip(what)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    patch = pytest.MonkeyPatch()
    watch.install(patch)
    watch.install_loguru()
    session.config.add_cleanup(patch.undo)


@pytest.fixture(autouse=True)
def no_secret_in_a_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test during which a secret came into a log."""
    watch.paused = request.node.get_closest_marker("logs_secrets") is not None
    yield
    watch.paused = False
    hits = watch.take()
    if hits:
        pytest.fail(f"secrets in logs: {'; '.join(map(str, hits))}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for what came when the last test was over.

    A parallel worker has no exit code of its own: it tells the run.
    """
    hits = [str(hit) for hit in watch.take()]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["hits"] = hits
    elif hits or _told_by_workers:
        _say([*hits, *_told_by_workers])
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_told_by_workers: list[str] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _told_by_workers.extend(getattr(node, "workeroutput", {}).get("hits", []))


def _say(hits: list[str]) -> None:
    sys.stderr.write(f"\nsecrets in logs, after the last test: {'; '.join(hits)}\n")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, (address, vendor, how) in DATABASES.items():
        if item.get_closest_marker(mark) is None or connection.vendor == vendor:
            continue
        if not _listens(address):
            _absent(f"no {mark} listens on {address[0]}:{address[1]}")
        pytest.skip(f"belongs to the run with {how}")
    if item.get_closest_marker("redis") and not _redis_listens():
        _absent("no Redis is reachable at TEST_REDIS_URL or its default")
    if item.get_closest_marker("browser") and not any(map(shutil.which, BROWSERS)):
        _absent("no Chromium is installed")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let go of the test database before it is dropped."""
    yield
    _close_pool_connections()
    if connection.vendor != "postgresql":
        return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _close_pool_connections() -> None:
    """Close the connection of each thread that ``gemproxy.lib.db`` has started."""
    from gemproxy.lib import db

    together = threading.Barrier(db.THREADS)

    def close() -> None:
        together.wait(timeout=10)
        connections.close_all()

    for done in [db._threads().submit(close) for _ in range(db.THREADS)]:
        done.result()


@pytest.fixture
def redis_url() -> str:
    """The address of a Redis that tests may write to."""
    if not _redis_listens():
        _absent("no Redis is reachable at TEST_REDIS_URL or its default")
    return REDIS_URL


def _person(username: str, **fields: Any) -> Any:
    from accounts.models import User

    email = f"{username}@example.org"
    return User.objects.create_user(username, email, "correct horse", **fields)


@pytest.fixture
def operator(db: None) -> Any:
    """Olga, who runs the gateway."""
    return _person("olga", first_name="Olga", is_staff=True, is_superuser=True)


@pytest.fixture
def alice(db: None) -> Any:
    """Alice, an API user."""
    return _person("alice", first_name="Alice")


@pytest.fixture
def bob(db: None) -> Any:
    """Bob, another API user."""
    return _person("bob", first_name="Bob")
