"""Tools to drive the lean handler: a scripted client and views that tell."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from django.http import HttpResponse
from django.urls import path

from gemproxy.lib.asgi import LeanHandler, StreamResponse
from gemproxy.lib.bodies import Bodies, BodyMismatch, BodyTooLarge, NoRoom

GONE = {"type": "http.disconnect"}
STATUS = {BodyTooLarge: 413, BodyMismatch: 400, NoRoom: 503}
View = Callable[..., Awaitable[Any]]


def part(body: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """Hands out scripted messages, then waits until it leaves."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages or [part()])
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.block_at: int | None = None
        self.unblocked = asyncio.Event()
        self.sends = 0

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            await asyncio.sleep(0)
            return self.messages.pop(0)
        await self.left.wait()
        return GONE

    async def send(self, message: dict[str, Any]) -> None:
        self.sends += 1
        if self.block_at is not None and len(self.sent) >= self.block_at:
            await self.unblocked.wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        pairs = self.sent[0]["headers"]
        return {k.decode().lower(): v.decode() for k, v in pairs}

    @property
    def body(self) -> bytes:
        return b"".join(m["body"] for m in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


class House:
    """A lean handler with one view at /view, and what it was asked."""

    def __init__(self, view: View, *, each: int = 100, together: int = 250) -> None:
        self.bodies = Bodies(each, together)
        self.errors: list[Exception] = []
        urlconf = ModuleType("lean_urls")
        urlconf.urlpatterns = [path("view", view), path("item/<int:number>", view)]  # type: ignore[attr-defined]
        self.handler = LeanHandler(
            urlconf,  # type: ignore[arg-type]
            bodies=self.bodies,
            errors=self._answer_error,
            preflight=lambda request: (
                HttpResponse(status=204) if "HTTP_ORIGIN" in request.META else None
            ),
            decorate=lambda _, response: response.headers.setdefault("x-d", "1"),
        )

    def _answer_error(self, request: Any, error: Exception) -> HttpResponse:
        self.errors.append(error)
        status = STATUS.get(type(error), 404 if "Resolver" in repr(error) else 500)
        return HttpResponse(type(error).__name__, status=status)

    async def ask(self, client: Client, **changes: Any) -> Client:
        """Serve one request to its end; see that nothing is left over."""
        before = asyncio.all_tasks()
        await self.handler(scope(**changes), client.receive, client.send)
        await settled(before)
        assert self.bodies.held == 0
        return client

    def start(self, client: Client, **changes: Any) -> asyncio.Task[None]:
        work = self.handler(scope(**changes), client.receive, client.send)
        return asyncio.ensure_future(work)


async def settled(before: set[Any]) -> None:
    """See that no task is left which was not there before."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - before == set()


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def scope(
    method: str = "POST",
    path: str = "/view",
    query: bytes = b"",
    length: int | bytes | None = None,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> dict[str, Any]:
    found = list(headers or [])
    if length is not None:
        text = length if isinstance(length, bytes) else str(length).encode()
        found.append((b"content-length", text))
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": found,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


async def echo(request: Any, **_: Any) -> HttpResponse:
    return HttpResponse(request.content)


class Source:
    """Chunks that come when told, and whether the source was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.closed = 0

    async def chunks(self) -> Any:
        try:
            while True:
                chunk = await self.queue.get()
                if isinstance(chunk, Exception):
                    raise chunk
                if chunk is None:
                    return
                yield chunk
        finally:
            self.closed += 1

    def view(self, **options: Any) -> View:
        async def answer(_request: Any) -> StreamResponse:
            return StreamResponse(self.chunks(), **options)

        return answer
