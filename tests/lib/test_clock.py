"""The one source of time."""

import datetime
import time

from gemproxy.lib import clock


def test_the_time_of_day_is_aware_and_in_utc() -> None:
    now = clock.now()
    assert now.utcoffset() == datetime.timedelta(0)
    assert abs(now.timestamp() - time.time()) < 5


def test_seconds_never_run_backwards() -> None:
    seconds = [clock.monotonic() for _ in range(1000)]
    assert seconds == sorted(seconds)
