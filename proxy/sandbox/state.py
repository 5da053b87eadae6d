"""What a running sandbox remembers: behaviours, counters, received requests."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.sandbox.behaviours import Behaviours
from proxy.sandbox.exchange import Exchange
from proxy.sandbox.keys import label
from proxy.sandbox.limiter import Limiter
from proxy.sandbox.logins import Logins
from proxy.sandbox.xai import Xai

_KEPT = 500
_SECRET_HEADERS = ("x-goog-api-key", "authorization", "cookie")


class State:
    """All that changes while the sandbox runs."""

    def __init__(
        self,
        pace: float,
        seed_keys: Iterable[Mapping[str, Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.pace = pace
        self.behaviours = Behaviours(seed_keys)
        self._clock = clock
        self.open_streams = 0
        self.reset()

    def reset(self) -> None:
        """Back to how it started. Streams that still run go on and stay counted."""
        self.behaviours.reset()
        self.limiter = Limiter(self._clock)
        self.logins = Logins(self._clock)
        self.xai = Xai(self.behaviours, self.pace)
        self.requests = 0
        self.cancelled = 0
        self.by_key: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.received: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def note(self, exchange: Exchange, key: str) -> None:
        """Count and keep one received request, with its key masked."""
        self.requests += 1
        self.by_key[label(key)] += 1
        headers = {
            name: label(value) if name in _SECRET_HEADERS else value
            for name, value in exchange.headers.items()
        }
        query = {k: label(v) if k == "key" else v for k, v in exchange.query.items()}
        self.received.append(
            {
                "method": exchange.method,
                "path": exchange.path,
                "query": query,
                "key": label(key),
                "headers": headers,
                "body": _readable(exchange.body),
            }
        )

    def stats(self) -> dict[str, Any]:
        """The counters."""
        return {
            "requests": self.requests,
            "open_streams": self.open_streams,
            "cancelled": self.cancelled,
            "by_key": dict(self.by_key),
            "by_status": {str(code): n for code, n in self.by_status.items()},
        }

    def new_response_id(self) -> str:
        """An id like those of Google, the next of a fixed sequence."""
        digest = hashlib.sha256(f"response {self.requests}".encode()).digest()
        return urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def _readable(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
