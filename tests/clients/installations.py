"""An installation of its own: a folder, a database, and the product's processes on it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.running import (
    ROOT,
    Started,
    descendants,
    eventually,
    free_port,
    get,
    started,
)

_BLANK = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS")


@dataclass
class Installation:
    """Processes that share a folder, a database and settings."""

    folder: Path
    settings: Mapping[str, str]
    logs: Path
    _count: int = field(default=0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **dict.fromkeys(_BLANK, ""),
            "DJANGO_SETTINGS_MODULE": "gemproxy.settings",
            "VAR_DIR": str(self.folder),
            "JOB_WORKERS": "1",
            **self.settings,
        }

    def manage(self, *words: str, **settings: str) -> str:
        """Run a management command; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={**os.environ, **self.environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def shell(self, code: str, **values: Any) -> Any:
        """Run Python in a process of its own; return its last line, read as JSON.

        ``values`` are variables of the code.
        """
        given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
        printed = self.manage("shell", "-v", "0", "-c", given + code)
        return json.loads(printed.splitlines()[-1])

    @contextlib.contextmanager
    def server(self, **settings: str) -> Iterator["Server"]:
        """Serve from a process of its own."""
        port = free_port()
        words = ["manage.py", "serve", "--only", "server"]
        with self._run(words, {"PORT": str(port), **settings}) as running:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: get(f"{url}/health")[0] == 200, 60)
            yield Server(running, url)

    @contextlib.contextmanager
    def worker(self) -> Iterator[Started]:
        """Run the job worker."""
        with self._run(["manage.py", "qcluster"], {}) as running:
            yield running

    @contextlib.contextmanager
    def _run(self, words: list[str], settings: Mapping[str, str]) -> Iterator[Started]:
        self._count += 1
        output = self.logs / f"process{self._count}.log"
        with started(words, output, {**self.environment, **settings}) as running:
            yield running


@dataclass(frozen=True)
class Server:
    """A serving process and its address."""

    running: Started
    url: str


def kill(running: Started) -> None:
    """End a process and all below it at once, as kill -9 does."""
    for pid in [running.pid, *descendants(running.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.process.wait()


@contextlib.contextmanager
def own_postgres(server: str, name: str) -> Iterator[str]:
    """Make a database beside the one of an address; yield its address."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
