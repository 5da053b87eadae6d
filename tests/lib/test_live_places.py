"""Places in Redis: held as long as their process lives, free soon after."""

import asyncio
import secrets

import pytest

from gemproxy.lib import live as module
from gemproxy.lib.live import RedisLive

pytestmark = pytest.mark.redis


@pytest.fixture
async def state(redis_url: str):
    made = RedisLive(redis_url)
    yield made
    await made.aclose()


@pytest.fixture
def key() -> str:
    return f"test:{secrets.token_hex(6)}"


async def _score(state: RedisLive, key: str, member: str) -> float | None:
    return await state._redis.zscore(f"gemproxy:{key}", member)


async def test_a_dead_process_blocks_its_places_for_a_minute_at_most(
    state: RedisLive, key: str
) -> None:
    now = module.clock.now().timestamp()
    assert await state.take_place(key, 1, "a")
    until = await _score(state, key, "a")
    assert until is not None
    assert until - now <= 61


async def test_a_living_process_renews_its_places(
    state: RedisLive, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    assert await state.take_place(key, 2, "a")
    before = await _score(state, key, "a")
    async with asyncio.timeout(3):
        while await _score(state, key, "a") == before:
            await asyncio.sleep(0.01)
    assert (await _score(state, key, "a") or 0) > (before or 0)


async def test_renewing_brings_back_no_place_that_was_left(
    state: RedisLive, key: str
) -> None:
    assert await state.take_place(key, 1, "a")
    await state.leave_place(key, "a")
    await state._renew([(key, "a")])
    assert await _score(state, key, "a") is None
    assert await state.take_place(key, 1, "b")


async def test_renewing_ends_with_the_last_place(
    state: RedisLive, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    assert await state.take_place(key, 1, "a")
    renewing = state._renewing
    assert renewing is not None
    await state.leave_place(key, "a")
    await asyncio.wait_for(renewing, 20)


async def test_renewing_survives_a_redis_that_is_away(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    state = RedisLive("redis://127.0.0.1:1/0")
    state._hold(key, "a")
    await asyncio.sleep(0.1)
    assert state._renewing is not None
    assert not state._renewing.done()
    assert "Redis is away" in caplog.text
    state._held.clear()
    await asyncio.wait_for(state._renewing, 20)
    await state.aclose()


async def test_a_crowd_at_once_gets_no_more_places_than_there_are(
    state: RedisLive, key: str
) -> None:
    asked = (state.take_place(key, 5, f"m{number}") for number in range(400))
    assert sum(await asyncio.gather(*asked)) == 5
    await asyncio.gather(*(state.leave_place(key, f"m{n}") for n in range(400)))


async def test_a_crowd_at_once_is_counted_together(state: RedisLive, key: str) -> None:
    waits = await asyncio.gather(*(state.hit(key, 7) for _ in range(400)))
    assert sum(wait == 0 for wait in waits) == 7
