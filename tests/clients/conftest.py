"""A real gateway and a real sandbox, each on a port of its own."""

import asyncio
import contextlib
import importlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from accounts.models import Account, Token, UsageRecord, User
from proxy.models import Route
from proxy.sandbox.app import create_sandbox
from proxy.sandbox.keys import sandbox_key

PATIENCE = 20.0


class Served:
    """An ASGI application on a free port, in a thread with its own loop."""

    def __init__(self, application: Any, **options: Any) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
            # As in production: a client must not meet a connection just closed.
            timeout_keep_alive=75,
            ws="websockets-sansio",
            **options,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._server.serve([self._socket]))
        self.loop.close()

    def __enter__(self) -> "Served":
        self._thread.start()
        eventually(lambda: self._server.started, "the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(15)
        self._socket.close()
        assert not self._thread.is_alive(), "the server did not stop"


def eventually(
    condition: Callable[[], Any], message: str, seconds: float = PATIENCE
) -> Any:
    """Return the first true value of a condition; fail after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.01)
    raise AssertionError(message)


@dataclass
class Sandbox:
    """The imitation of Google, and what may be asked of it."""

    url: str
    _client: httpx.Client = field(default_factory=httpx.Client)

    def behave(self, key: str, behaviour: str, **params: Any) -> None:
        body = {"key": key, "behaviour": behaviour, **params}
        self._client.post(f"{self.url}/sandbox/keys", json=body).raise_for_status()

    def reset(self) -> None:
        self._client.post(f"{self.url}/sandbox/reset").raise_for_status()

    def stats(self) -> dict[str, Any]:
        return self._client.get(f"{self.url}/sandbox/stats").json()

    def requests(self, last: int = 10) -> list[dict[str, Any]]:
        """Return the last requests it received, oldest first."""
        answer = self._client.get(f"{self.url}/sandbox/requests", params={"last": last})
        body = answer.json()
        return body["requests"] if isinstance(body, dict) else body

    def close(self) -> None:
        self._client.close()


@dataclass
class Gateway:
    """The gateway under test, with one caller."""

    url: str
    token: str
    user: User
    sandbox: Sandbox
    served: Served

    def client(self, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **options)

    def chat(self, text: str, model: str = "gemini-2.5-flash", **more: Any) -> Any:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.post("/v1/chat/completions", json=body)

    def rows(self) -> list[UsageRecord]:
        return list(UsageRecord.objects.order_by("id"))

    def row(self) -> UsageRecord:
        """Return the only usage row, which may come a moment later."""
        eventually(self.rows, "no usage row came")
        (row,) = self.rows()
        return row


def add_account(behaviour: str = "ok", number: int = 1) -> Account:
    """Put a sandbox key into the pool."""
    key = sandbox_key(behaviour, number)
    account = Account.add(kind="gemini_api", secret=key, label=f"{behaviour}-{number}")
    assert account is not None
    return account


def ship_routes() -> None:
    """Bring back the shipped routes, which transactional tests flush away."""
    shipped = importlib.import_module("proxy.migrations.0002_shipped_routes").SHIPPED
    for name, upstream, display, _text, category, into, out, thinking in shipped:
        route, made = Route.objects.get_or_create(
            name=name,
            defaults={
                "display_name": display,
                "category": category,
                "input_token_limit": into,
                "output_token_limit": out,
                "thinking": thinking,
            },
        )
        if made:
            route.targets.create(kind="gemini_api", upstream_model=upstream or name)


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Served]:
    with Served(create_sandbox(), lifespan="off") as served:
        yield served


@pytest.fixture
def sandbox(sandbox_server: Served) -> Iterator[Sandbox]:
    found = Sandbox(sandbox_server.url)
    found.reset()
    with contextlib.closing(found):
        yield found


@pytest.fixture
def accounts() -> list[str]:
    """The behaviours of the accounts in the pool; tests parametrise it."""
    return ["ok"]


@pytest.fixture
def gateway(
    transactional_db: None, settings: Any, sandbox: Sandbox, accounts: list[str]
) -> Iterator[Gateway]:
    from gemproxy.asgi import build

    settings.GEMINI_BASE_URL = sandbox.url
    ship_routes()
    for number, behaviour in enumerate(accounts, 1):
        add_account(behaviour, number)
    user = User.objects.create_user("carla")
    _, token = Token.issue(user=user, name="test")
    with Served(build(), lifespan="on") as served:
        yield Gateway(served.url, token, user, sandbox, served)
