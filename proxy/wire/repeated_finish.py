"""A stream's last chunk that comes twice.

Proxies and the provider itself have been seen to send the finishing chunk again. Only
an exact copy is taken for one: there are models whose every chunk has a finish reason.
"""

import orjson

from proxy.calls import Event
from proxy.wire.gemini_answer import Json, candidates_of, reason_of


class RepeatedFinish:
    """Remembers how each candidate of a stream finished."""

    def __init__(self) -> None:
        self._finished: dict[int, Json] = {}

    def without(self, event: Event) -> Event:
        """Return a chunk without the candidates that only say their finish again."""
        candidates = list(candidates_of(event.data))
        finished = self._finished
        again = {i for i, c in candidates if finished.get(i) == c} if finished else None
        finished.update((i, c) for i, c in candidates if reason_of(c))
        if not again:
            return event
        data = {key: value for key, value in event.data.items() if key != "candidates"}
        kept = [candidate for index, candidate in candidates if index not in again]
        if kept:
            data["candidates"] = kept
        return Event(orjson.dumps(data), data)
