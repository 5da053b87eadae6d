"""Pictures in memory, the oldest out: of this process, or of Redis for many."""

import threading
from collections import OrderedDict
from collections.abc import Iterator

import redis
from redis.exceptions import RedisError

from gemproxy.lib import clock
from imaging.storages.base import CHUNK, THUMBNAILS, PictureStorage

PREFIX = "gemproxy:images:"

# KEYS: order, size, picture. ARGV: bytes, name, time, most, most bytes, prefix.
PUT = """
local before = redis.call('STRLEN', KEYS[3])
redis.call('SET', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
local size = redis.call('INCRBY', KEYS[2], string.len(ARGV[1]) - before)
while redis.call('ZCARD', KEYS[1]) > 1
  and (redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[4]) or size > tonumber(ARGV[5])) do
  local oldest = redis.call('ZPOPMIN', KEYS[1])[1]
  size = redis.call('DECRBY', KEYS[2], redis.call('STRLEN', ARGV[6] .. oldest))
  redis.call('DEL', ARGV[6] .. oldest)
end
"""
REMOVE = """
redis.call('DECRBY', KEYS[2], redis.call('STRLEN', KEYS[3]))
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[1], ARGV[1])
"""


class Shelf:
    """So many pictures of one sort, the oldest out."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes) -> None:
        with self._lock:
            self._size += len(data) - len(self._kept.pop(name, b""))
            self._kept[name] = data
            while len(self._kept) > 1 and self._is_over():
                _, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest)

    def get(self, name: str) -> bytes | None:
        with self._lock:
            return self._kept.get(name)

    def remove(self, name: str) -> None:
        with self._lock:
            self._size -= len(self._kept.pop(name, b""))

    def _is_over(self) -> bool:
        return len(self._kept) > self._most or self._size > self._most_bytes


class MemoryStorage(PictureStorage):
    """The memory of one process; thumbnails push no picture out."""

    kind = "memory"
    lasts = False

    def __init__(self, most: int, most_bytes: int) -> None:
        self._pictures = Shelf(most, most_bytes)
        self._thumbnails = Shelf(most, most_bytes)

    def put(self, name: str, data: bytes, media_type: str) -> None:
        self._shelf(name).put(name, data)

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        data = self._shelf(name).get(name)
        if data is None:
            raise self.missing()
        yield data[start:stop]

    def remove(self, name: str) -> None:
        self._shelf(name).remove(name)

    def _shelf(self, name: str) -> Shelf:
        thumbnail = self.checked(name).startswith(THUMBNAILS)
        return self._thumbnails if thumbnail else self._pictures


class RedisStorage(PictureStorage):
    """The memory of Redis, which all processes share."""

    kind = "memory"
    lasts = False

    def __init__(self, url: str, most: int, most_bytes: int) -> None:
        self._bounds = (most, most_bytes)
        self._redis = redis.Redis.from_url(
            url, socket_timeout=10, socket_connect_timeout=2
        )
        self._put = self._redis.register_script(PUT)
        self._remove = self._redis.register_script(REMOVE)

    def put(self, name: str, data: bytes, media_type: str) -> None:
        now = clock.now().timestamp()
        try:
            self._put(
                keys=self._keys(name), args=[data, name, now, *self._bounds, PREFIX]
            )
        except RedisError as error:
            raise self.trouble("writing", type(error).__name__) from error

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        key = PREFIX + self.checked(name)
        try:
            size = self._redis.strlen(key)
            if not size:
                raise self.missing()
            stop = size if stop is None else min(stop, size)
            for at in range(start, stop, CHUNK):
                yield self._redis.getrange(key, at, min(at + CHUNK, stop) - 1)
        except RedisError as error:
            raise self.trouble("reading", type(error).__name__) from error

    def remove(self, name: str) -> None:
        try:
            self._remove(keys=self._keys(name), args=[name])
        except RedisError as error:
            raise self.trouble("deleting", type(error).__name__) from error

    def _keys(self, name: str) -> list[str]:
        thumbnail = self.checked(name).startswith(THUMBNAILS)
        sort = "thumbnails" if thumbnail else "pictures"
        return [f"{PREFIX}{sort}:order", f"{PREFIX}{sort}:size", PREFIX + name]
