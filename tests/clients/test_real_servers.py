"""`manage.py serve` as it runs in production, on both servers: leaving and stopping."""

import contextlib
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Sandbox
from tests.running import ROOT, Started, eventually, free_port, get, started

BOUND = 10
KEY = sandbox_key("ok", 1)
Row = dict[str, Any]


@dataclass
class Production:
    """A started server process with a caller's token."""

    running: Started
    port: int
    token: str
    folder: Path

    def rows(self) -> list[Row]:
        with contextlib.closing(
            sqlite3.connect(self.folder / "gemproxy.sqlite3")
        ) as database:
            database.row_factory = sqlite3.Row
            query = "SELECT * FROM accounts_usagerecord ORDER BY id"
            return [dict(row) for row in database.execute(query)]

    def begin(self, stream: bool, text: str = "count to 500") -> socket.socket:
        """Send a chat request and leave the answer to the caller."""
        messages = [{"role": "user", "content": text}]
        body = {"model": "gemini-2.5-flash", "messages": messages, "stream": stream}
        content = orjson.dumps(body)
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        made.sendall(head.encode() + content)
        return made


def command(folder: Path, *words: str) -> str:
    environment = settings_of(folder)
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**_inherited(), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _inherited() -> dict[str, str]:
    import os

    return {**os.environ, "DJANGO_SETTINGS_MODULE": "gemproxy.settings"}


def settings_of(folder: Path) -> dict[str, str]:
    return {
        "VAR_DIR": str(folder),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "SECRET_KEY": "",
        "ENCRYPTION_KEYS": "",
    }


@pytest.fixture(params=["uvicorn", "daphne"])
def production(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox
) -> Iterator[Production]:
    folder, port = tmp_path / "var", free_port()
    environment = {
        **settings_of(folder),
        "PORT": str(port),
        "GEMINI_BASE_URL": sandbox.url,
        "GEMINI_API_KEYS": KEY,
        "SHUTDOWN_GRACE_SECONDS": "3",
        "KEEP_ALIVE_SECONDS": "0.3",
        "STREAM_COMMIT_MS": "500",
    }
    arguments = ["manage.py", "serve", "--only", "server", "--server", request.param]
    with started(arguments, tmp_path / "output", environment) as running:
        eventually(lambda: get(f"http://127.0.0.1:{port}/health")[0] == 200, 60)
        token = command(folder, "create_token", "carla", "--create-user")
        yield Production(running, port, token.splitlines()[-1], folder)


def upstream_ended(sandbox: Sandbox) -> bool:
    stats = sandbox.stats()
    return stats["open_streams"] == 0 and stats["cancelled"] == 1


def read_until(client: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        piece = client.recv(65536)
        assert piece, received
        received += piece
    return received


def test_leaving_a_stream_ends_the_upstream_call_and_is_logged(
    production: Production, sandbox: Sandbox
) -> None:
    sandbox.behave(KEY, "stall")
    client = production.begin(stream=True)
    read_until(client, b'"content":"1')
    client.close()
    gone = time.monotonic()
    eventually(lambda: upstream_ended(sandbox))
    assert time.monotonic() - gone < BOUND
    eventually(production.rows)
    (row,) = production.rows()
    assert (row["outcome"], row["status"]) == ("cancelled", 499)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_leaving_before_the_first_byte_ends_the_upstream_call(
    production: Production, sandbox: Sandbox, stream: bool
) -> None:
    sandbox.behave(KEY, "slow", seconds=20)
    client = production.begin(stream)
    eventually(lambda: sandbox.stats()["requests"] == 1)
    client.close()
    gone = time.monotonic()
    eventually(lambda: sandbox.stats()["cancelled"] == 1)
    assert time.monotonic() - gone < BOUND
    eventually(production.rows)


def test_a_silent_provider_is_bridged_by_pings_after_the_commit(
    production: Production, sandbox: Sandbox
) -> None:
    sandbox.behave(KEY, "slow", seconds=2)
    client = production.begin(stream=True, text="count to 3")
    received = read_until(client, b"[DONE]")
    assert received.count(b": ping") >= 3
    client.close()


def test_a_stop_cancels_what_outlasts_the_grace_and_loses_no_row(
    production: Production, sandbox: Sandbox
) -> None:
    sandbox.behave(KEY, "stall")
    client = production.begin(stream=True)
    read_until(client, b'"content":"1')
    production.running.send(signal.SIGTERM)
    assert production.running.wait(30) == 0
    eventually(lambda: sandbox.stats()["open_streams"] == 0)
    (row,) = production.rows()
    assert row["outcome"] == "cancelled"
    client.close()


def test_a_stop_lets_a_running_stream_finish(
    production: Production, sandbox: Sandbox
) -> None:
    sandbox.behave(KEY, "slow", seconds=1)
    client = production.begin(stream=True, text="count to 5")
    eventually(lambda: sandbox.stats()["requests"] == 1)
    production.running.send(signal.SIGTERM)
    assert b'"content":"5"' in read_until(client, b"[DONE]")
    client.close()
    assert production.running.wait(30) == 0
    (row,) = production.rows()
    assert (row["outcome"], row["status"]) == ("ok", 200)
