"""Two server processes with one Redis count every request together."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import redis

from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Sandbox
from tests.clients.test_real_servers import command, settings_of
from tests.clients.volley import CHAT, chat
from tests.running import eventually, free_port, get, started

KEY = sandbox_key("ok", 1)
RPM = 10
CHANGE = """
from accounts.models import Account
account = Account.objects.get()
for name, value in {fields!r}.items():
    setattr(account, name, value)
account.save()
"""

pytestmark = pytest.mark.redis


@dataclass
class Pair:
    """Two servers on one database, with a caller's token."""

    urls: list[str]
    token: str
    folder: Path

    def fire(self, count: int) -> list[httpx.Response]:
        """Send so many requests at once, to both in turn."""
        return asyncio.run(self._fire(count))

    async def _fire(self, count: int) -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            urls = [f"{self.urls[n % 2]}{CHAT}" for n in range(count)]
            shots = (client.post(url, json=chat().body) for url in urls)
            return list(await asyncio.gather(*shots))


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        client.flushdb()
    return redis_url


@pytest.fixture
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox, empty_redis: str
) -> Iterator[Pair]:
    """Two servers that wait for nothing, and one account with the limits asked for."""
    folder = tmp_path / "var"
    environment = {
        **settings_of(folder),
        "REDIS_URL": empty_redis,
        "GEMINI_BASE_URL": sandbox.url,
        "GEMINI_API_KEYS": KEY,
        "QUEUE_MAX_WAIT_MS": "0",
        "PROBE_AFTER_FAILURE": "0",
    }
    arguments = ["manage.py", "serve", "--only", "server"]
    urls = []
    with contextlib.ExitStack() as stack:
        for number in (1, 2):
            port = free_port()
            output = tmp_path / f"output{number}"
            one = {**environment, "PORT": str(port)}
            stack.enter_context(started(arguments, output, one))
            urls.append(f"http://127.0.0.1:{port}")
            eventually(lambda url=urls[-1]: get(f"{url}/health")[0] == 200)
            if number == 1:
                command(folder, "shell", "-c", CHANGE.format(fields=request.param))
        token = command(folder, "create_token", "carla", "--create-user")
        yield Pair(urls, token.splitlines()[-1], folder)


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize("pair", [{"rpm": RPM}], indirect=True, ids=["rpm"])
def test_both_obey_the_quota_of_one_account(pair: Pair, sandbox: Sandbox) -> None:
    answers = pair.fire(40)
    print(
        Counter(
            (
                a.status_code,
                a.json().get("error", {}).get("message"),
                a.headers.get("retry-after"),
            )
            for a in answers
        )
    )
    assert statuses(answers) == {200: RPM, 429: 40 - RPM}
    assert {a.status_code for a in pair.fire(4)} == {429}
    assert sandbox.stats()["by_status"] == {"200": RPM}
    waits = [float(a.headers["retry-after"]) for a in answers if a.status_code == 429]
    # Three times as many as a minute takes wait for the next minutes in turn.
    assert min(waits) > 30
    assert max(waits) > 100


@pytest.mark.parametrize("pair", [{"concurrency": 3}], indirect=True, ids=["seats"])
def test_both_share_the_seats_of_one_account(pair: Pair, sandbox: Sandbox) -> None:
    sandbox.behave(KEY, "slow", seconds=2)
    answers = pair.fire(20)
    assert statuses(answers) == {200: 3, 429: 17}
    assert sandbox.stats()["requests"] == 3
    assert statuses(pair.fire(2)) == {200: 2}
