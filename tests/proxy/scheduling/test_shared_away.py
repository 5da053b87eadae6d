"""Shared windows while Redis is away: one clear exception, soon."""

import asyncio
import contextlib
import dataclasses
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from proxy.scheduling import shared as module
from proxy.scheduling.shared import Candidate, Seed, SharedAway, SharedWindows, Taken

NOWHERE = "redis://:hush-hush@127.0.0.1:1/0"
ONE = Candidate(
    account_id=1, window="w", seat="s", concurrency=1, rpm=1, tpm=None, rpd=None,
    tokens=1, day="2026-05-04",
)  # fmt: skip
SEED = Seed(window="w", day="2026-05-04", requests_today=1, tokens_today=1)
ASKING: dict[str, Callable[[SharedWindows], Awaitable[Any]]] = {
    "reserve": lambda shared: shared.reserve([ONE], now=0.0),
    "settle": lambda shared: shared.settle(
        Taken(0, "m", []), ONE, tokens=None, sent=True
    ),
    "usage": lambda shared: shared.usage(["w"], day="2026-05-04"),
    "seed": lambda shared: shared.seed([SEED]),
}


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[SharedWindows]:
    shared = SharedWindows(url)
    try:
        yield shared
    finally:
        await shared.aclose()


@pytest.mark.parametrize("question", ASKING)
async def test_redis_away_is_one_clear_exception(question: str) -> None:
    async with opened(NOWHERE) as shared:
        with pytest.raises(SharedAway):
            await ASKING[question](shared)


async def test_a_redis_that_just_failed_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.clock, "monotonic", lambda: now[0])
    async with opened(NOWHERE) as shared:
        with pytest.raises(SharedAway) as first:
            await ASKING["reserve"](shared)
        with pytest.raises(SharedAway) as second:
            await ASKING["reserve"](shared)
        now[0] += module.AWAY_SECONDS
        with pytest.raises(SharedAway) as third:
            await ASKING["reserve"](shared)
    asked = [bool(each.value.__cause__) for each in (first, second, third)]
    assert asked == [True, False, True]


async def test_the_loss_is_told_once_without_the_password(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.0)
    async with opened(NOWHERE) as shared:
        with caplog.at_level(logging.WARNING):
            for question in ASKING.values():
                with pytest.raises(SharedAway):
                    await question(shared)
    assert caplog.text.count("Redis is away") == 1
    assert "hush-hush" not in caplog.text


async def test_a_redis_that_hangs_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOCKET_SECONDS", 0.05)
    writers = []
    server = await asyncio.start_server(
        lambda _, writer: writers.append(writer), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    async with opened(f"redis://127.0.0.1:{port}/0") as shared, asyncio.timeout(20):
        with pytest.raises(SharedAway):
            await ASKING["reserve"](shared)
    for writer in writers:
        writer.close()
    server.close()


async def test_who_leaves_while_redis_fails_leaves_no_loose_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(NOWHERE) as shared:
        asked, fail = asyncio.Event(), asyncio.Event()

        async def fails_late(**_: Any) -> Any:
            asked.set()
            await fail.wait()
            raise module.RedisError

        monkeypatch.setattr(shared._here(), "reserve", fails_late)
        asking = asyncio.create_task(ASKING["reserve"](shared))
        await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        fail.set()
        (undoing,) = shared._here().loose
        await asyncio.wait_for(undoing, 20)
        with pytest.raises(SharedAway):
            await ASKING["usage"](shared)


@pytest.mark.redis
async def test_a_seat_given_back_during_the_loss_is_not_renewed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = dataclasses.replace(ONE, window=f"test-{secrets.token_hex(6)}", rpm=None)
    mine = dataclasses.replace(mine, seat=mine.window)
    async with opened(redis_url) as shared:
        taken = await shared.reserve([mine], now=0.0)
        assert list(shared._here().seats) == [taken.member]
        monkeypatch.setattr(shared, "_away_until", float("inf"))
        with pytest.raises(SharedAway):
            await shared.settle(taken, mine, tokens=None, sent=True)
        assert shared._here().seats == {}


async def test_closing_what_was_never_opened_is_nothing() -> None:
    await SharedWindows(NOWHERE).aclose()
