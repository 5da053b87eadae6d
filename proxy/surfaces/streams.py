"""The start of a stream: a real status as long as there is nothing to show."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from django.http.response import HttpResponseBase

from proxy.calls import Event
from proxy.delivery import KEPT_HEADER
from proxy.gateway import Batches
from proxy.wire.remarks import headers_for


class Opening:
    """Waits for the first chunks of a stream, then hands all of them out.

    Until the first chunks are there a fault is raised by ``first``, so that it can
    be answered with its own status. After ``first`` gave up waiting the fault comes
    out of ``batches``.
    """

    def __init__(self, source: Batches) -> None:
        self._source = source
        self._first: asyncio.Future[list[Event]] | None = None

    async def first(self, seconds: float) -> None:
        """Wait for the first chunks, at most so long; raise the fault meanwhile."""
        self._first = asyncio.ensure_future(anext(self._source, []))
        try:
            await asyncio.wait({self._first}, timeout=seconds)
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if self._first.done():
            self._first.result()

    def head(self) -> dict[str, Any]:
        """Return the first chunk if it has come, else an empty one."""
        if self._first is None or not self._first.done():
            return {}
        first = self._first.result()
        return first[0].data if first else {}

    @property
    def ready(self) -> bool:
        """Whether the first chunks are there."""
        return self._first is not None and self._first.done()

    async def batches(self) -> Batches:
        """Yield the chunks; raise the fault that ends them."""
        if self._first is not None:
            first, self._first = self._first, None
            try:
                batch = await first
            finally:
                if not first.done():
                    self._first = first
            yield batch
        async for batch in self._source:
            yield batch

    async def aclose(self) -> None:
        """Stop the stream and wait until it has settled."""
        if self._first is not None:
            self._first.cancel()
            # Looked at, so that a fault nobody is left to hear is no complaint.
            await asyncio.gather(self._first, return_exceptions=True)
        await self._source.aclose()


def remarked(
    response: HttpResponseBase,
    data: Mapping[str, Any],
    dropped: Iterable[str] = (),
    *,
    kept: bool = False,
) -> HttpResponseBase:
    """Give a response the headers for what its answer says about itself.

    ``dropped`` names parameters that the surface left out; ``kept`` tells that an
    earlier request paid for the answer.
    """
    if kept:
        response[KEPT_HEADER] = "1"
    for name, value in headers_for(data, dropped).items():
        response[name] = value
    return response
