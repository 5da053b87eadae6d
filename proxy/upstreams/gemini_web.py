"""gemini.google.com, spoken with the cookies of a signed-in account.

The package that types into the site is large. It is loaded when a web account is first
used, and off the event loop.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from proxy.calls import Event
from proxy.errors import UpstreamRefused
from proxy.upstreams.authorities import Bundles
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.http import Clients
from proxy.upstreams.web_chats import ChatStore, holder_of
from proxy.wire.web_errors import fault_of

_TALK = "proxy.upstreams.web_talk"


class GeminiWeb:
    """Types prompts into gemini.google.com by ``gemini_webapi``, behind its guard.

    Chats are temporary, and nothing appears in the account's history, unless they are
    to be continued. Counts of tokens are estimates and say so.
    """

    kind: ClassVar[str] = "gemini_web"
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"images_in", "files_in", "images_out", "thinking", "system", "stream"}
    )
    imitates: ClassVar[frozenset[str]] = frozenset({"tools", "json_schema"})

    def __init__(
        self,
        clients: Clients,
        default_base_url: str,
        *,
        version: str = "",
        ca_file: str = "",
        chats: ChatStore | None = None,
    ) -> None:
        """``ca_file`` replaces the known certificate authorities, for a test site;
        with ``chats`` a conversation goes on in the chat that knows it.

        The other arguments serve kinds that speak HTTP themselves.
        """
        self._bundles = Bundles(ca_file)
        self._chats = chats
        self._talk: Any = None
        self._loops: dict[asyncio.AbstractEventLoop, Any] = {}

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        """Send the prompt; return the whole answer. Raises faults."""
        async with aclosing(await self._chunks(account, order, whole=True)) as chunks:
            async for chunk in chunks:
                return chunk
        raise fault_of("imagegeneration")

    async def stream(
        self, account: AccountConfig, order: Order
    ) -> AsyncIterator[list[Event]]:
        """Send the prompt; yield chunks as they come.

        Closing the generator, or cancelling its consumer, ends the call at once.
        """
        async with aclosing(await self._chunks(account, order, whole=False)) as chunks:
            async for chunk in chunks:
                yield [chunk]

    async def probe(self, account: AccountConfig, timeouts: Timeouts) -> list[str]:
        """Ask for the account's state; return the names of the models it is offered."""
        sessions = await self._sessions()
        names: list[str] = await self._talk.model_names(sessions, account, timeouts)
        return names

    async def holder(self, model: str, body: Mapping[str, Any]) -> int | None:
        """Return the account whose chat knows the conversation of a body, if any."""
        return await holder_of(self._chats, model, body)

    async def aclose(self) -> None:
        """End the sessions of the running loop."""
        sessions = self._loops.pop(asyncio.get_running_loop(), None)
        if sessions is not None:
            await sessions.aclose()

    def open_sessions(self) -> int:
        """Return how many sessions the running loop has open."""
        return len(self._loops.get(asyncio.get_running_loop(), ()))

    async def _chunks(
        self, account: AccountConfig, order: Order, *, whole: bool
    ) -> Any:
        if order.method != "generateContent":
            raise UpstreamRefused(f"Web accounts cannot {order.method}.")
        sessions = await self._sessions()
        return self._talk.chunks(
            sessions, account, order, whole=whole, chats=self._chats
        )

    async def _sessions(self) -> Any:
        """Return the sessions of the running loop, made when they are first needed."""
        loop = asyncio.get_running_loop()
        if self._talk is None:
            self._talk = await asyncio.to_thread(importlib.import_module, _TALK)
        if loop not in self._loops:
            for gone in [each for each in self._loops if each.is_closed()]:
                del self._loops[gone]
            self._loops[loop] = self._talk.new_sessions(self._bundles)
        return self._loops[loop]
