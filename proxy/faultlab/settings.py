"""The bounds of a gateway of the lab's own: short, so that silence is soon over."""

from collections.abc import Mapping
from types import MappingProxyType

#: Settings by name. A steady drip takes longer than the idle bound, a whole answer
#: never longer than the total.
BOUNDS: Mapping[str, float | int | bool] = MappingProxyType(
    {
        "UPSTREAM_CONNECT_SECONDS": 2,
        "UPSTREAM_FIRST_BYTE_SECONDS": 1,
        "UPSTREAM_IDLE_SECONDS": 1,
        "UPSTREAM_TOTAL_SECONDS": 4,
        "QUEUE_MAX_WAIT_MS": 1500,
        "PROBE_AFTER_FAILURE": False,
    }
)
