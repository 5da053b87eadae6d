"""Many requests at once, and what came back."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.clients.conftest import Gateway

FLASH = "gemini-2.5-flash"
CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Shot:
    """A request to send; ``token`` is another caller's than the gateway's own."""

    path: str
    body: Mapping[str, Any]
    token: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, when (monotonic seconds), and after how long."""

    status: int
    text: str
    headers: httpx.Headers
    at: float
    seconds: float

    @property
    def retry_after(self) -> float:
        return float(self.headers["retry-after"])

    @property
    def code(self) -> str:
        """The error's code, or nothing."""
        try:
            return str(json.loads(self.text)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def is_whole(self) -> bool:
        ended = "STOP" in self.text or '"stop"' in self.text
        return self.status == 200 and '"error"' not in self.text and ended


def chat(text: str = "count to 3", *, model: str = FLASH, **more: Any) -> Shot:
    messages = [{"role": "user", "content": text}]
    return Shot(CHAT, {"model": model, "messages": messages, **more})


def mixed(number: int) -> list[Shot]:
    """Return requests of all surfaces, whole and streamed, in turn."""
    native = {"contents": [{"role": "user", "parts": [{"text": "count to 5"}]}]}
    kinds = [
        chat("count to 5"),
        chat("count to 5", stream=True),
        Shot(f"/v1beta/models/{FLASH}:generateContent", native),
        Shot(f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse", native),
    ]
    return [kinds[index % len(kinds)] for index in range(number)]


class Caller:
    """Sends shots over one pool of connections."""

    def __init__(self, gateway: Gateway, at_once: int = 400) -> None:
        self._token = gateway.token
        self._client = httpx.AsyncClient(
            base_url=gateway.url,
            timeout=60,
            limits=httpx.Limits(max_connections=at_once),
        )

    async def __aenter__(self) -> "Caller":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, shot: Shot) -> Answer:
        bearer = f"Bearer {shot.token or self._token}"
        headers = {"Authorization": bearer, **dict(shot.headers)}
        began = time.monotonic()
        found = await self._client.post(shot.path, json=shot.body, headers=headers)
        at = time.monotonic()
        return Answer(found.status_code, found.text, found.headers, at, at - began)


async def fire(gateway: Gateway, shots: Sequence[Shot], at_once: int) -> list[Answer]:
    """Send all shots, so many at a time; return their answers in order."""
    gate = asyncio.Semaphore(at_once)
    async with Caller(gateway, at_once) as caller:

        async def one(shot: Shot) -> Answer:
            async with gate:
                return await caller.send(shot)

        return list(await asyncio.gather(*map(one, shots)))


def volley(gateway: Gateway, shots: Sequence[Shot], at_once: int = 0) -> list[Answer]:
    """Do the same from sync code; ``at_once`` 0 means all together."""
    return asyncio.run(fire(gateway, shots, at_once or max(1, len(shots))))


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)
