"""Whether the pictures of an answer are to be enlarged: a route's word, said once."""

from collections.abc import Callable
from typing import Any

from imaging.sizes import TIERS
from proxy.trips import Trip
from proxy.wire.image_orders import wanted_size

Finish = Callable[[Any], Any]


def finish_of(trip: Trip) -> Finish | None:
    """Return what is to be done with each picture: what its caller asked for, and
    before it, where the route wants that, to make large what came too small."""
    assert trip.lease is not None  # noqa: S101
    target = trip.lease.target
    size = wanted_size(trip.body, target.image_size)
    if not target.upscale or size not in TIERS:
        return trip.call.finish
    # Pillow is loaded only by processes that make pictures.
    from imaging.enlarging import Enlarging

    return Enlarging(size=size, then=trip.call.finish)
