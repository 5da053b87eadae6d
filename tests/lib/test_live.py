"""Shared short-lived state: in memory, in Redis, and while Redis is away."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gemproxy.lib import live as module
from gemproxy.lib.live import MemoryLive, RedisLive, live

NOWHERE = "redis://127.0.0.1:1/0"


def in_use(state: Any) -> Any:
    """Return what counts now: the state itself, or its own memory."""
    return state._local if getattr(state, "_warned", 0) > 0 else state


async def close(found: Any) -> None:
    if isinstance(found, RedisLive):
        await found.aclose()


@pytest.fixture(
    params=["memory", pytest.param("redis", marks=pytest.mark.redis), "redis away"]
)
async def state(request: Any) -> AsyncIterator[Any]:
    if request.param == "memory":
        found: Any = MemoryLive()
    elif request.param == "redis":
        found = RedisLive(request.getfixturevalue("redis_url"))
    else:
        found = RedisLive(NOWHERE)
    yield found
    await close(found)


@pytest.fixture
def key() -> str:
    return f"test:{secrets.token_hex(6)}"


async def test_values_come_back_in_the_order_asked(state: Any, key: str) -> None:
    await state.set_many({f"{key}:a": "1", f"{key}:b": "2"}, 60)
    assert await state.get_many([f"{key}:b", f"{key}:none", f"{key}:a"]) == [
        "2",
        None,
        "1",
    ]


async def test_a_value_may_be_replaced(state: Any, key: str) -> None:
    await state.set_many({key: "old"}, 60)
    await state.set_many({key: "new"}, 60)
    assert await state.get_many([key]) == ["new"]


async def test_there_are_as_many_places_as_said(state: Any, key: str) -> None:
    assert await state.take_place(key, 2, "a")
    assert await state.take_place(key, 2, "b")
    assert not await state.take_place(key, 2, "c")
    await state.leave_place(key, "a")
    assert await state.take_place(key, 2, "c")
    assert not await state.take_place(key, 2, "d")


async def test_leaving_a_place_one_never_had_frees_none(state: Any, key: str) -> None:
    assert await state.take_place(key, 1, "a")
    await state.leave_place(key, "stranger")
    await state.leave_place(f"{key}:other", "stranger")
    assert not await state.take_place(key, 1, "b")
    await state.leave_place(key, "a")


async def test_no_place_means_none(state: Any, key: str) -> None:
    assert not await state.take_place(key, 0, "a")


async def test_places_of_different_callers_are_apart(state: Any, key: str) -> None:
    assert await state.take_place(f"{key}:1", 1, "a")
    assert await state.take_place(f"{key}:2", 1, "a")


async def test_many_who_come_at_once_get_no_more_places(state: Any, key: str) -> None:
    taken = await asyncio.gather(*(state.take_place(key, 5, str(i)) for i in range(20)))
    assert sum(taken) == 5


async def test_a_minute_has_room_for_so_many(state: Any, key: str) -> None:
    waits = [await state.hit(key, 3) for _ in range(5)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert all(1.0 <= wait <= 61.0 for wait in waits[3:])


async def test_refused_requests_do_not_use_up_the_next_minute(
    state: Any, key: str
) -> None:
    for _ in range(10):
        await state.hit(key, 1)
    limiter = in_use(state)._windows._limiter
    counted = limiter.storage.get_sliding_window
    before, _, now, _ = await counted(module._per_minute(1).key_for(key), 60)
    assert before + now == 1


async def test_keys_have_minutes_of_their_own(state: Any, key: str) -> None:
    assert await state.hit(f"{key}:1", 1) == 0.0
    assert await state.hit(f"{key}:2", 1) == 0.0


async def test_values_in_memory_end(monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryLive()
    now = [1000.0]
    monkeypatch.setattr(module.clock, "monotonic", lambda: now[0])
    await state.set_many({"a": "1"}, 60)
    now[0] += 59
    assert await state.get_many(["a"]) == ["1"]
    now[0] += 2
    assert await state.get_many(["a"]) == [None]


async def test_memory_keeps_the_newest_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", 3)
    state = MemoryLive()
    for name in "abc":
        await state.set_many({name: name}, 60)
    await state.set_many({"a": "again"}, 60)
    await state.set_many({"d": "d"}, 60)
    assert await state.get_many(list("abcd")) == ["again", None, "c", "d"]


async def test_memory_forgets_callers_who_hold_no_place() -> None:
    state = MemoryLive()
    await state.take_place("k", 1, "a")
    await state.leave_place("k", "a")
    assert state._places == {}


async def test_memory_remembers_nobody_who_was_refused() -> None:
    # Once: with no place to give an empty set stays behind for the key.
    state = MemoryLive()
    await state.take_place("k", 0, "a")
    assert state._places == {}


@pytest.mark.redis
async def test_values_and_places_in_redis_end(redis_url: str, key: str) -> None:
    state = RedisLive(redis_url)
    await state.set_many({key: "x"}, 60)
    await state.take_place(f"{key}:p", 1, "a")
    for name in (key, f"{key}:p"):
        left = await state._redis.ttl(f"gemproxy:{name}")
        assert 0 < left <= module.LEASE_SECONDS
    await close(state)


@pytest.mark.redis
async def test_two_processes_share_places_and_minutes(redis_url: str, key: str) -> None:
    one, two = RedisLive(redis_url), RedisLive(redis_url)
    assert await one.take_place(key, 1, "a")
    assert not await two.take_place(key, 1, "b")
    assert await one.hit(key, 1) == 0.0
    assert await two.hit(key, 1) > 0
    await one.leave_place(key, "a")
    assert await two.take_place(key, 1, "b")
    await close(one)
    await close(two)


@pytest.mark.redis
async def test_a_place_of_a_dead_process_comes_free(
    redis_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = RedisLive(redis_url)
    monkeypatch.setattr(module, "LEASE_SECONDS", 1)
    assert await state.take_place(key, 1, "dead")
    now = module.clock.now()
    later = now.__class__.fromtimestamp(now.timestamp() + 2, now.tzinfo)
    monkeypatch.setattr(module.clock, "now", lambda: later)
    assert await state.take_place(key, 1, "alive")
    await close(state)


async def test_losing_redis_is_told_once_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = RedisLive("redis://:hush-hush@127.0.0.1:1/0")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await state.take_place("k", 5, "a")
            await state.get_many(["a"])
    assert caplog.text.count("Redis is away") == 1
    assert "hush-hush" not in caplog.text
    await close(state)


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Accept connections and never say a word."""
    writers = []
    server = await asyncio.start_server(
        lambda _, writer: writers.append(writer), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.close()
        server.close()


@pytest.mark.parametrize("question", ["get_many", "take_place", "hit"])
async def test_a_redis_that_hangs_is_not_waited_for_long(question: str) -> None:
    # Once: the storage of `limits` has no socket timeout of ours; 5 s.
    arguments: dict[str, Any] = {
        "get_many": (["a"],),
        "take_place": ("k", 1, "a"),
        "hit": ("k", 1),
    }
    async with silent_server() as port:
        state = RedisLive(f"redis://127.0.0.1:{port}/0")
        start = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.7):
                await getattr(state, question)(*arguments[question])
        took = time.monotonic() - start
        await close(state)
    assert took < 1.6


async def test_a_loop_has_one_state_of_its_own(settings: Any) -> None:
    settings.REDIS_URL = ""
    here = live()
    assert live() is here
    other = await asyncio.to_thread(lambda: asyncio.run(_fetch()))
    assert other is not here


async def _fetch() -> Any:
    return live()
