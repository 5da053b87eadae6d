"""State that server processes share for a while: in memory, or in Redis.

When Redis does not answer, each process goes on with its own memory: a limit is
then counted per process, never lifted.
"""

import asyncio
import functools
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from gemproxy.lib import clock

logger = logging.getLogger(__name__)
ENTRIES = 50_000
PREFIX = "gemproxy:"
#: A place is held so long after its process died; a living one renews it.
LEASE_SECONDS = 60
RENEW_SECONDS = 15.0
WARN_EVERY = 30.0
CONNECTIONS = 32
#: How long one waits for a connection that others use.
WAIT_SECONDS = 5

TAKE_PLACE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""


class Live(Protocol):
    """Shared short-lived state."""

    async def get_many(self, keys: Sequence[str]) -> list[str | None]: ...

    async def set_many(self, values: Mapping[str, str], seconds: int) -> None: ...

    async def hit(self, key: str, per_minute: int) -> float:
        """Count one; return 0, or the seconds until there is room again."""
        ...

    async def take_place(self, key: str, most: int, member: str) -> bool:
        """Take one of ``most`` places; return whether there was one."""
        ...

    async def leave_place(self, key: str, member: str) -> None: ...


class MemoryLive:
    """For one process."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._places: dict[str, set[str]] = {}
        self._windows = Windows(MemoryStorage())

    async def get_many(self, keys: Sequence[str]) -> list[str | None]:
        now = clock.monotonic()
        found = (self._values.get(key) for key in keys)
        return [entry[1] if entry and entry[0] > now else None for entry in found]

    async def set_many(self, values: Mapping[str, str], seconds: int) -> None:
        until = clock.monotonic() + seconds
        for key, value in values.items():
            self._values[key] = (until, value)
            self._values.move_to_end(key)
        while len(self._values) > ENTRIES:
            self._values.popitem(last=False)

    async def hit(self, key: str, per_minute: int) -> float:
        return await self._windows.hit(key, per_minute)

    async def take_place(self, key: str, most: int, member: str) -> bool:
        if len(self._places.get(key, ())) >= most:
            return False
        self._places.setdefault(key, set()).add(member)
        return True

    async def leave_place(self, key: str, member: str) -> None:
        places = self._places.get(key)
        if places is None:
            return
        places.discard(member)
        if not places:
            del self._places[key]


class RedisLive:
    """For many processes; falls back to this process's memory while Redis is away."""

    def __init__(self, url: str) -> None:
        self._pools = _connections(url, decoded=True), _connections(url)
        self._redis = redis.asyncio.Redis(connection_pool=self._pools[0])
        self._take = self._redis.register_script(TAKE_PLACE)
        self._windows = Windows(
            RedisStorage(
                f"async+{url}",
                implementation="redispy",
                wrap_exceptions=False,
                connection_pool=self._pools[1],
            )
        )
        self._local = MemoryLive()
        self._held: set[tuple[str, str]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._warned = -WARN_EVERY

    async def get_many(self, keys: Sequence[str]) -> list[str | None]:
        try:
            return list(await self._redis.mget([PREFIX + key for key in keys]))
        except RedisError as error:
            self._warn(error)
            return await self._local.get_many(keys)

    async def set_many(self, values: Mapping[str, str], seconds: int) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key, value in values.items():
                    pipe.set(PREFIX + key, value, ex=seconds)
                await pipe.execute()
        except RedisError as error:
            self._warn(error)
            await self._local.set_many(values, seconds)

    async def hit(self, key: str, per_minute: int) -> float:
        try:
            return await self._windows.hit(key, per_minute)
        except RedisError as error:
            self._warn(error)
            return await self._local.hit(key, per_minute)

    async def take_place(self, key: str, most: int, member: str) -> bool:
        now = clock.now().timestamp()
        arguments = [now, now + LEASE_SECONDS, most, member, LEASE_SECONDS]
        try:
            taken = bool(await self._take(keys=[PREFIX + key], args=arguments))
            if taken:
                self._hold(key, member)
            return taken
        except RedisError as error:
            self._warn(error)
            return await self._local.take_place(key, most, member)

    async def leave_place(self, key: str, member: str) -> None:
        await self._local.leave_place(key, member)
        self._held.discard((key, member))
        try:
            await self._redis.zrem(PREFIX + key, member)
        except RedisError as error:
            self._warn(error)

    async def aclose(self) -> None:
        """Close the connections; places that are held end by themselves."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        for pool in self._pools:
            await pool.aclose()

    def _hold(self, key: str, member: str) -> None:
        self._held.add((key, member))
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.ensure_future(self._renew_all())

    async def _renew_all(self) -> None:
        """Keep the places of this process, until it holds none."""
        while self._held:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._renew(list(self._held))
            except RedisError as error:
                self._warn(error)

    async def _renew(self, held: Sequence[tuple[str, str]]) -> None:
        until = clock.now().timestamp() + LEASE_SECONDS
        async with self._redis.pipeline(transaction=False) as pipe:
            for key, member in held:
                # Only what is still there: who left meanwhile must not come back.
                pipe.zadd(PREFIX + key, {member: until}, xx=True)
                pipe.expire(PREFIX + key, LEASE_SECONDS)
            await pipe.execute()

    def _warn(self, error: RedisError) -> None:
        now = clock.monotonic()
        if now - self._warned >= WARN_EVERY:
            self._warned = now
            logger.warning(
                "Redis is away (%s): using local state", type(error).__name__
            )


class Windows:
    """Sliding minutes, by the `limits` library."""

    def __init__(self, storage: Storage) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def hit(self, key: str, per_minute: int) -> float:
        item = _per_minute(per_minute)
        if await self._limiter.hit(item, key):
            return 0.0
        stats = await self._limiter.get_window_stats(item, key)
        return max(1.0, stats.reset_time - clock.now().timestamp())


def _connections(
    url: str, *, decoded: bool = False
) -> redis.asyncio.BlockingConnectionPool:
    """Return a pool whose users wait for a connection; the usual one refuses them."""
    return redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=WAIT_SECONDS,
        decode_responses=decoded,
        socket_timeout=1,
        socket_connect_timeout=1,
    )


@functools.lru_cache(maxsize=1024)
def _per_minute(amount: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(amount, namespace="gemproxy")


@functools.cache
def _by_loop() -> WeakKeyDictionary[asyncio.AbstractEventLoop, Live]:
    return WeakKeyDictionary()


def live() -> Live:
    """Return the shared state for the running loop."""
    loop = asyncio.get_running_loop()
    found = _by_loop().get(loop)
    if found is None:
        url = settings.REDIS_URL
        found = RedisLive(url) if url else MemoryLive()
        _by_loop()[loop] = found
    return found
