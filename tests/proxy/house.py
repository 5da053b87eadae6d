"""A gateway on a real catalog, pool and ledger, with an upstream that is scripted."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import orjson

from accounts.callers import Caller, Limits
from accounts.models import Account, UsageRecord
from gemproxy.lib import db
from proxy.calls import Call, Event
from proxy.catalog import Catalog
from proxy.errors import Overloaded
from proxy.gateway import Gateway
from proxy.ledger import Ledger
from proxy.models import Route
from proxy.scheduling.pool import Pool
from proxy.scheduling.store import Store
from proxy.upstreams.base import AccountConfig, Order
from proxy.upstreams.http import Clients


class Upstream:
    """An adapter that does for each call what the next line of its script says.

    A line is an answer, a fault to raise, or a list of these for a stream; an
    asyncio.Event stands for a wait.
    """

    kind: ClassVar[str] = "gemini_api"
    capabilities: ClassVar[frozenset[str]] = frozenset({"tools", "embeddings"})

    def __init__(self) -> None:
        self.script: deque[Any] = deque()
        self.orders: list[Order] = []
        self.accounts: list[int] = []
        self.open = 0

    def _begin(self, account: AccountConfig, order: Order) -> Any:
        self.accounts.append(account.id)
        self.orders.append(order)
        return self.script.popleft() if self.script else text("fine")

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        lines = self._begin(account, order)
        self.open += 1
        try:
            for line in lines if isinstance(lines, list) else [lines]:
                found = await _play(line)
        finally:
            self.open -= 1
        assert found is not None
        return found

    async def stream(
        self, account: AccountConfig, order: Order
    ) -> AsyncIterator[list[Event]]:
        lines = self._begin(account, order)
        self.open += 1
        try:
            for line in lines if isinstance(lines, list) else [lines]:
                found = await _play(line)
                if found is not None:
                    yield [found]
        finally:
            self.open -= 1

    async def probe(self, account: AccountConfig, timeouts: Any) -> list[str]:
        raise NotImplementedError

    async def aclose(self) -> None:
        """It holds nothing open."""


async def _play(line: Any) -> Event | None:
    if isinstance(line, BaseException):
        raise line
    if isinstance(line, asyncio.Event):
        await line.wait()
        return None
    return Event(orjson.dumps(line), line)


def text(words: str, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """Return an answer, or a chunk if it does not finish."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": words}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
        more.setdefault("usageMetadata", {"promptTokenCount": 3, "totalTokenCount": 5})
    return {"candidates": [candidate], **more}


def overloads() -> list[Overloaded]:
    """Return more of them than a request on two accounts asks for."""
    return [Overloaded() for _ in range(8)]


def thought(words: str) -> dict[str, Any]:
    part = {"text": words, "thought": True}
    return {"candidates": [{"content": {"parts": [part]}, "index": 0}]}


class House:
    """The gateway and all that is behind it; made in sync code, used in a loop."""

    def __init__(self, folder: Any, accounts: int = 2, models: int = 1) -> None:
        Route.objects.all().delete()
        for number in range(models):
            route = Route.objects.create(name=f"m-{number + 1}")
            route.targets.create(upstream_model=f"up-{number + 1}")
        for number in range(accounts):
            Account.add(kind="gemini_api", secret=f"key-{number}-" + "x" * 30)
        self.upstream = Upstream()
        catalog, pool = Catalog(), Pool(Clients(), store=Store())
        catalog.load()
        pool.load()
        pool._adapters["gemini_api"] = self.upstream
        self.ids = list(Account.objects.order_by("id").values_list("id", flat=True))
        self.gateway = Gateway(catalog, pool, Ledger(folder, 2.0))
        self.gateway.ledger.start()

    def stop(self) -> None:
        self.gateway.ledger.stop(5)

    def script(self, *lines: Any) -> None:
        self.upstream.script.extend(lines)

    async def rows(self, count: int = 1) -> list[UsageRecord]:
        """Return the usage rows, of which there are so many."""
        assert await self.gateway.tasks.finish(20) == 0
        assert await self.gateway.pool.tasks.finish(20) == 0
        found = await db.run(lambda: list(UsageRecord.objects.order_by("id")))
        assert len(found) == count
        return found

    async def row(self) -> UsageRecord:
        return (await self.rows())[0]


def call(stream: bool = False, limits: Limits | None = None, **fields: Any) -> Call:
    caller = Caller(user_id=7, username="ann", token_id=3, limits=limits or Limits())
    return Call(
        **{
            "request_id": f"req_{secrets.token_hex(8)}",
            "surface": "test",
            "method": "generateContent",
            "model": "m-1",
            "body": {"contents": []},
            "caller": caller,
            "stream": stream,
            **fields,
        }
    )


async def ask(house: House, one: Call) -> list[str]:
    """Return the texts of an answer, streamed or whole as the call says."""
    if not one.stream:
        return texts([await house.gateway.answer(one)])
    found: list[Event] = []
    async for batch in house.gateway.stream(one):
        found += batch
    return texts(found)


def texts(events: list[Event]) -> list[str]:
    return [e.data["candidates"][0]["content"]["parts"][0]["text"] for e in events]
