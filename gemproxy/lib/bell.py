"""A bell that all processes hear: it only shortens a wait, so it may fail."""

import functools
import logging
import threading

import redis
from django.conf import settings
from redis.client import PubSub
from redis.exceptions import RedisError

from gemproxy.lib import clock

logger = logging.getLogger(__name__)

CHANNEL = "gemproxy:changes"
TIMEOUT = 0.5
#: One ring tells of everything that is committed by then.
LEAST_GAP = 0.02
RETRY_SECONDS = 5.0


class Striker:
    """The ringing side. After a failure it rests, so that nobody waits for Redis."""

    def __init__(self, url: str) -> None:
        self._redis = _connect(url)
        self._not_before = 0.0

    def ring(self) -> None:
        now = clock.monotonic()
        if now < self._not_before:
            return
        self._not_before = now + LEAST_GAP
        try:
            self._redis.publish(CHANNEL, "")
        except RedisError as error:
            self._not_before = clock.monotonic() + RETRY_SECONDS
            logger.warning("Redis takes no change notice: %s", type(error).__name__)


class Listener:
    """The hearing side, for one thread; without Redis it just waits."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._subscription: PubSub | None = None
        self._not_before = 0.0

    def wait(self, seconds: float) -> None:
        """Return when the bell rings, at ``stop`` or after ``seconds``."""
        if self._url and self._listen(seconds):
            return
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """End a wait, at the latest when its time is over."""
        self._stopped.set()

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _listen(self, seconds: float) -> bool:
        """Wait on Redis; return False if it is away."""
        if clock.monotonic() < self._not_before:
            return False
        try:
            if self._subscription is None:
                self._subscription = _connect(self._url).pubsub()
                self._subscription.subscribe(CHANNEL)
            self._drain(self._subscription, seconds)
        except RedisError as error:
            self._not_before = clock.monotonic() + RETRY_SECONDS
            logger.warning("Redis gives no change notice: %s", type(error).__name__)
            self.close()
            return False
        return True

    def _drain(self, subscription: PubSub, seconds: float) -> None:
        """Wait for one ring, then take all that are there."""
        deadline = clock.monotonic() + seconds
        while (left := deadline - clock.monotonic()) > 0:
            message = subscription.get_message(timeout=min(left, TIMEOUT))
            rung = message is not None and message["type"] == "message"
            if rung or self._stopped.is_set():
                break
        while subscription.get_message():
            continue


def _connect(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
    )


@functools.cache
def _striker(url: str) -> Striker:
    return Striker(url)


def ring() -> None:
    """Tell all processes that something was committed."""
    if settings.REDIS_URL:
        _striker(settings.REDIS_URL).ring()
