"""Callers who never stop asking: whole answers, streams, and some who leave."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence

import aiohttp

PATIENCE = 90.0
_PATH = "/v1/chat/completions"
_WORDS = 60


class Crowd:
    """So many callers at the same moment, each with the next request at once."""

    def __init__(self, url: str, token: str, models: Sequence[str]) -> None:
        self._url, self._models = url, models
        self._headers = {"Authorization": f"Bearer {token}"}
        # The same choices in each run.
        self._random = random.Random(4711)
        self.results: Counter[str] = Counter()

    async def press(self, callers: int, seconds: float) -> None:
        """Ask for so long, then let everybody finish."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(
            self._url, headers=self._headers, connector=connector, timeout=timeout
        ) as session:
            end = asyncio.get_running_loop().time() + seconds
            async with asyncio.TaskGroup() as group:
                for _ in range(callers):
                    group.create_task(self._caller(session, end))

    async def _caller(self, session: aiohttp.ClientSession, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            act = self._random.choice((self._whole, self._stream, self._leave))
            try:
                await act(session, self._random.choice(self._models))
            except (aiohttp.ClientError, TimeoutError) as error:
                self.results[type(error).__name__] += 1

    async def _whole(self, session: aiohttp.ClientSession, model: str) -> None:
        async with session.post(_PATH, json=_body(model)) as answer:
            await answer.read()
        self.results[f"whole {answer.status}"] += 1

    async def _stream(self, session: aiohttp.ClientSession, model: str) -> None:
        async with session.post(_PATH, json=_body(model, stream=True)) as answer:
            text = await answer.read()
        end = "" if b"[DONE]" in text[-40:] else " without end"
        self.results[f"stream {answer.status}{end}"] += 1

    async def _leave(self, session: aiohttp.ClientSession, model: str) -> None:
        """Go away in the middle, at any moment from the line to the last chunk."""
        body = _body(model, stream=self._random.random() < 0.5)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._random.uniform(0.02, 4.0)):
                async with session.post(_PATH, json=body) as answer:
                    await answer.read()
        self.results["left"] += 1


def _body(model: str, *, stream: bool = False) -> dict[str, object]:
    messages = [{"role": "user", "content": f"count to {_WORDS}"}]
    return {"model": model, "messages": messages, "stream": stream}
