"""A sandbox behind a real server in a thread."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import uvicorn

from proxy.sandbox.app import create_sandbox

FIRST_PORT, LAST_PORT = 18110, 18149


class Served:
    """A running sandbox and its address."""

    def __init__(self, pace: float) -> None:
        self.app = create_sandbox(pace=pace)
        self.server: uvicorn.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> dict:
        return httpx.get(f"{self.url}/sandbox/stats").json()

    def tell(self, key: str, behaviour: str, **params) -> str:
        body = {"key": key, "behaviour": behaviour, **params}
        httpx.post(f"{self.url}/sandbox/keys", json=body).raise_for_status()
        return key

    def wait_for(self, **wanted: int) -> dict:
        """The counters, as soon as they are what is wanted."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            counted = self.stats()
            if all(counted[name] == value for name, value in wanted.items()):
                return counted
            threading.Event().wait(0.02)
        raise AssertionError(f"{counted} never became {wanted}")


@contextlib.contextmanager
def serve(pace: float = 0.0) -> Iterator[Served]:
    served = Served(pace)
    thread = threading.Thread(target=_run, args=(served,), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not (served.server and served.server.started):
        assert time.monotonic() < deadline, "the sandbox did not start"
        threading.Event().wait(0.01)
    try:
        yield served
    finally:
        served.server.should_exit = True
        served.server.force_exit = True
        thread.join(10)


def _run(served: Served) -> None:
    for port in range(FIRST_PORT, LAST_PORT + 1):
        config = uvicorn.Config(
            served.app, port=port, log_level="critical", lifespan="on", ws="none"
        )
        sock = _bound(config)
        if sock is None:
            continue
        served.port = port
        served.server = uvicorn.Server(config)
        asyncio.run(served.server.serve(sockets=[sock]))
        sock.close()
        return


def _bound(config: uvicorn.Config) -> socket.socket | None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", config.port))
    except OSError:
        sock.close()
        return None
    return sock
