"""The way out fails under forty accounts: none of them suffers, nobody is lost."""

import asyncio
import contextlib
import datetime
import threading
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from accounts.models import Account, AccountEvent, CoolDown
from gemproxy.lib import clock
from proxy.models import Incident
from proxy.runtime import runtime
from tests.clients.conftest import Gateway, Sandbox, Served, eventually
from tests.clients.volley import FLASH, Answer, Caller, mixed, statuses, volley

OUTAGE = 3.0
ACCOUNTS = 40
PACE = 0.05


class Way:
    """A TCP forwarder to the sandbox that can fail; ``how`` it does so is told."""

    def __init__(self, to: str, how: str) -> None:
        self._to = urlsplit(to)
        self._how = how
        self._loop = asyncio.new_event_loop()
        self._pipes: set[asyncio.StreamWriter] = set()
        self._open = True
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self._do(self._listen())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self) -> None:
        self._do(self._fail())

    def mend(self) -> None:
        self._do(self._mend())

    def close(self) -> None:
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _fail(self) -> None:
        self._open = False
        if self._how == "refused":
            await self._shut()
        for pipe in list(self._pipes):
            pipe.transport.abort()

    async def _mend(self) -> None:
        self._open = True
        for pipe in list(self._pipes):
            pipe.transport.abort()
        if self._how == "refused":
            await self._listen()

    async def _shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in list(self._pipes):
            pipe.transport.abort()
        for _ in range(100):
            if not self._pipes:
                break
            await asyncio.sleep(0.01)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._pipes.add(writer)
        try:
            if self._open:
                await self._forward(reader, writer)
            elif self._how == "reset":
                writer.transport.abort()
            else:
                while await reader.read(65536):
                    pass
        except OSError:
            pass
        finally:
            self._pipes.discard(writer)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            far = await asyncio.open_connection(self._to.hostname, self._to.port)
            self._pipes.add(far[1])
            there = asyncio.ensure_future(_pump(reader, far[1]))
            back = asyncio.ensure_future(_pump(far[0], writer))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for pipe in (there, back):
                pipe.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            self._pipes.discard(far[1])
            for end in (writer, far[1]):
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.fixture
def way(request: pytest.FixtureRequest, sandbox_server: Served) -> Iterator[Way]:
    made = Way(sandbox_server.url, request.param)
    with contextlib.closing(made):
        yield made


@pytest.fixture
def sandbox(way: Way) -> Iterator[Sandbox]:
    """The sandbox as the gateway reaches it."""
    found = Sandbox(way.url)
    found.reset()
    with contextlib.closing(found):
        yield found


@dataclass
class Story:
    """What was asked around an outage, and when that was (monotonic seconds)."""

    failed: float
    mended: float
    answers: list[Answer]

    @property
    def held(self) -> list[Answer]:
        """Those that were asked in the outage, but not answered in it."""
        return [
            answer
            for answer in self.answers
            if self.failed + 0.1 < answer.at - answer.seconds < self.mended
        ]

    def back_after(self) -> float:
        """Return how long after its end the first answer came."""
        later = (a.at for a in self.answers if a.at > self.mended)
        return min(later) - self.mended


async def go_through(gateway: Gateway, way: Way) -> Story:
    """Send requests at a steady pace before, during and after an outage."""
    sent: list[asyncio.Future[Answer]] = []
    async with Caller(gateway) as caller:

        async def ask_for(seconds: float) -> None:
            for shot in mixed(round(seconds / PACE)):
                sent.append(asyncio.ensure_future(caller.send(shot)))
                await asyncio.sleep(PACE)

        await ask_for(1)
        await asyncio.to_thread(way.fail)
        failed = time.monotonic()
        await ask_for(OUTAGE)
        await asyncio.to_thread(way.mend)
        mended = time.monotonic()
        await ask_for(2)
        return Story(failed, mended, list(await asyncio.gather(*sent)))


@pytest.mark.parametrize("accounts", [["ok"] * ACCOUNTS], ids=["forty"])
@pytest.mark.parametrize(
    ("way", "used"),
    [("refused", False), ("refused", True), ("reset", True), ("silent", True)],
    indirect=["way"],
    ids=["unused and refused", "refused", "reset", "silent"],
)
def test_an_outage_of_the_way_out_is_held_against_no_account(
    gateway: Gateway, way: Way, used: bool
) -> None:
    if used:
        volley(gateway, mixed(2 * ACCOUNTS), at_once=20)
    story = asyncio.run(go_through(gateway, way))
    assert statuses(story.answers) == {200: len(story.answers)}
    assert all(answer.is_whole for answer in story.answers)
    assert len(story.held) > OUTAGE / PACE / 2
    assert all(answer.at > story.mended for answer in story.held)
    assert story.back_after() < 10
    assert_one_incident_tells_of_it()
    assert_all_accounts_are_clean()


def assert_one_incident_tells_of_it() -> None:
    def over() -> bool:
        return Incident.objects.exclude(until=None).exists()

    eventually(over, "no incident came to an end")
    (row,) = Incident.objects.all()
    assert (row.what, row.which) == ("egress", "direct")
    assert row.why.startswith("3 accounts failed alike within")
    assert row.until is not None
    assert row.until >= row.since
    assert clock.now() - row.since < datetime.timedelta(seconds=60)
    assert len(row.accounts) == row.account_count >= 3


def assert_all_accounts_are_clean() -> None:
    assert not AccountEvent.objects.exists()
    assert not CoolDown.objects.exists()
    assert set(Account.objects.values_list("state", flat=True)) <= {"new", "active"}
    gateway = runtime.gateway
    standings = gateway.pool.explain(gateway.catalog.resolve(FLASH), frozenset())
    assert len(standings) == ACCOUNTS
    assert {standing.reason for standing in standings} == {"ready"}
    assert {standing.strikes for standing in standings} == {0}
    assert {standing.success for standing in standings} == {1.0}
