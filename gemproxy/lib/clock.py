"""The one source of time."""

import datetime
import time


def now() -> datetime.datetime:
    """Return the time of day, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def monotonic() -> float:
    """Return seconds that never run backwards."""
    return time.monotonic()
