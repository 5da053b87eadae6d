"""`manage.py serve`: one command from an empty folder to a served gateway."""

import contextlib
import os
import re
import signal
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import (
    Started,
    alive,
    descendants,
    eventually,
    free_port,
    get,
    started,
)

Serve = Callable[..., contextlib.AbstractContextManager["Gateway"]]


class Gateway:
    """A running `manage.py serve`."""

    def __init__(self, running: Started, port: int) -> None:
        self.running = running
        self.port = port

    def get(self, path: str) -> tuple[int, str]:
        return get(f"http://127.0.0.1:{self.port}{path}")

    def wait(self) -> None:
        eventually(lambda: self.get("/health")[0] == 200, 60)

    def text(self) -> str:
        return self.running.text()

    def stop(self) -> int:
        self.running.process.terminate()
        return self.running.wait(40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def serve(tmp_path: Path, folder: Path) -> Serve:
    @contextlib.contextmanager
    def start(*options: str, port: int = 0, **settings: str) -> Iterator[Gateway]:
        port = port or free_port()
        environment = {
            "VAR_DIR": str(folder),
            "PORT": str(port),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "JOB_WORKERS": "1",
            "SECRET_KEY": "",
            "ENCRYPTION_KEYS": "",
            **settings,
        }
        arguments = ["manage.py", "serve", *options]
        with started(arguments, tmp_path / "output", environment) as running:
            yield Gateway(running, port)

    return start


def sql(folder: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(folder / "gemproxy.sqlite3")
    with database:
        rows = database.execute(query).fetchall()
    database.close()
    return rows


def test_an_empty_folder_becomes_a_gateway_with_a_set_up_link(
    serve: Serve, folder: Path
) -> None:
    with serve() as gateway:
        gateway.wait()
        [link] = re.findall(r"http://127\.0\.0\.1:\d+(/setup/\S+)", gateway.text())
        assert gateway.get(link)[0] == 200
        assert gateway.get("/setup/guess/")[0] == 404
        assert gateway.get("/v1/models")[0] == 401
        names = {"secret_key", "encryption_key", "setup_link", "gemproxy.sqlite3"}
        for name in names:
            mode = stat.S_IMODE((folder / name).stat().st_mode)
            assert mode == 0o600, name
        assert gateway.stop() == 0
        assert gateway.get("/health")[0] == 0


def test_a_second_start_reuses_keys_and_people_and_the_environment_fills_the_pool(
    serve: Serve, folder: Path
) -> None:
    key = "AIzaSy" + "k" * 33
    settings = {
        "ADMIN_USER": "olga",
        "ADMIN_PASSWORD": "river-otter-42-lamp",
        "ADMIN_AUTH_TOKEN": "f3a9c1d47e5b8026" * 2,
        "GEMINI_API_KEYS": f"{key},short",
    }
    with serve("--only", "server", **settings) as gateway:
        gateway.wait()
        text = gateway.text()
        assert "Created the operator olga" in text
        assert "Added 1 accounts" in text
        assert "entry 2" in text
        assert "/setup/" not in text
        assert key not in text
        assert settings["ADMIN_PASSWORD"] not in text
        assert settings["ADMIN_AUTH_TOKEN"] not in text
    before = (folder / "secret_key").read_text()
    password = sql(folder, "SELECT password FROM accounts_user")
    changed = settings | {"ADMIN_PASSWORD": "another-password-77"}
    with serve("--only", "server", **changed) as gateway:
        gateway.wait()
        assert "Created" not in gateway.text()
        assert "Added" not in gateway.text()
    assert (folder / "secret_key").read_text() == before
    assert sql(folder, "SELECT password FROM accounts_user") == password
    assert sql(folder, "SELECT scope, revoked_at FROM accounts_token") == [
        ("operator", None)
    ]


def test_kill_9_of_the_supervisor_leaves_no_orphan_and_the_port_free(
    serve: Serve,
) -> None:
    with serve() as gateway:
        gateway.wait()
        eventually(lambda: len(descendants(gateway.running.pid)) >= 6)
        below = descendants(gateway.running.pid)
        gateway.running.send(signal.SIGKILL)
        eventually(lambda: not alive(below), 5)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", gateway.port))


def test_a_killed_server_process_is_replaced_and_no_connection_refused(
    serve: Serve,
) -> None:
    with serve("--only", "server") as gateway:
        gateway.wait()
        [server] = descendants(gateway.running.pid)
        os.kill(server, signal.SIGKILL)
        status, _ = get(f"http://127.0.0.1:{gateway.port}/health", 30)
        assert status == 200, "the request waited in the socket for the next process"
        assert descendants(gateway.running.pid) != {server}
        assert "server 1 ended (SIGKILL)" in gateway.text()


def test_only_jobs_serves_nothing(serve: Serve) -> None:
    with serve("--only", "jobs") as gateway:
        eventually(lambda: len(descendants(gateway.running.pid)) >= 4)
        assert gateway.get("/health")[0] == 0
        assert "serves on" not in gateway.text()
        assert gateway.stop() == 0


def test_a_database_that_is_behind_stops_the_start_until_told_to_migrate(
    serve: Serve, folder: Path
) -> None:
    with serve("--only", "server") as gateway:
        gateway.wait()
        gateway.stop()
    sql(folder, "DELETE FROM django_migrations WHERE app = 'sessions'")
    sql(folder, "DROP TABLE django_session")
    with serve("--only", "server") as gateway:
        assert gateway.running.wait() == 1
        assert "sessions.0001_initial" in gateway.text()
        assert "--migrate" in gateway.text()
    with serve("--only", "server", MIGRATE="true") as gateway:
        gateway.wait()
        assert "Copied the database" in gateway.text()
    [copy] = (folder / "backups").iterdir()
    assert copy.name.startswith("gemproxy.2")


def test_a_busy_port_is_said_before_anything_is_touched(
    serve: Serve, folder: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serve(port=port) as gateway:
            assert gateway.running.wait() == 1
            assert f"port {port}" in gateway.text()
            assert "in use" in gateway.text()
    assert not (folder / "gemproxy.sqlite3").exists()


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        (("--workers", "2"), {}, "REDIS_URL"),
        (("--workers", "2", "--server", "daphne"), {}, "daphne runs one worker"),
        ((), {"SERVER": "apache"}, "neither uvicorn nor daphne"),
        ((), {"ENCRYPTION_KEYS": "short"}, "gemproxy.E001"),
        ((), {"ADMIN_AUTH_TOKEN": "changeme"}, "ADMIN_AUTH_TOKEN is refused"),
        (
            (),
            {"ADMIN_USER": "olga", "ADMIN_PASSWORD": "12345"},
            "ADMIN_USER or ADMIN_PASSWORD",
        ),
        ((), {"DATABASE_URL": "postgres://127.0.0.1:1/none"}, "cannot be used"),
    ],
    ids=[
        "workers without Redis",
        "two daphnes",
        "unknown server",
        "short key",
        "default token",
        "weak password",
        "no database",
    ],
)
def test_what_cannot_work_is_refused_in_words(
    serve: Serve, options: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    with serve(*options, **settings) as gateway:
        assert gateway.running.wait() == 1
        assert words in gateway.text()
        assert "Traceback" not in gateway.text()


def test_daphne_serves_the_same(serve: Serve) -> None:
    with serve("--only", "server", "--server", "daphne") as gateway:
        gateway.wait()
        assert gateway.get("/v1/models")[0] == 401
        assert "Serving with daphne" in gateway.text()
        assert gateway.stop() == 0


@pytest.mark.redis
def test_two_workers_share_the_port_with_redis(serve: Serve, redis_url: str) -> None:
    options = ("--only", "server", "--workers", "2")
    with serve(*options, REDIS_URL=redis_url) as gateway:
        gateway.wait()
        assert len(descendants(gateway.running.pid)) == 2
        eventually(lambda: gateway.text().count("Serving with uvicorn") == 2)
        assert gateway.stop() == 0
