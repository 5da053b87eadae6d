"""Chats of the site that later turns of a conversation go on with.

Such a chat stays in the account's history, unlike a temporary one; it is deleted when
nobody has gone on with it for a while.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.errors import UpstreamFault
from proxy.upstreams.base import Order
from proxy.wire.web_answer import Picture, encoded
from proxy.wire.web_history import WebHistory, read_history
from proxy.wire.web_prompt import site_model

logger = logging.getLogger(__name__)

#: What the site remembers of a chat by: ids of chat, reply and candidate, six unused
#: places and the context. They are the account's secrets.
Head = Sequence[Any]

#: A chat that the owner deleted, or that is another model's. How the site refuses an
#: unknown one is not known; these are what a chat may be to blame for, and not the
#: account, its network or its limits.
_GONE = frozenset({"web_conversation", "web_session_suspect", "upstream_error"})


class ChatStore(Protocol):
    """Keeps where chats stand, for a time, for all processes.

    ``history`` is the key of a ``WebHistory``, ``model`` the site's.
    """

    async def take(self, account_id: int, model: str, history: str) -> Head | None:
        """Return where an account's chat stands, to one who asks; then forget it."""
        ...

    async def keep(
        self, account_id: int, model: str, history: str, head: Head
    ) -> list[str]:
        """Remember where a chat stands; return ids of chats to be deleted, once."""
        ...

    async def remind(self, account_id: int, chats: Sequence[str]) -> None:
        """Take back ids of chats that could not be deleted now."""
        ...

    async def holder(self, model: str, history: str) -> int | None:
        """Return the account that can go on with a conversation, if one can."""
        ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's conversation on one account, whose chat can be kept."""

    store: ChatStore
    account_id: int
    model: str
    history: WebHistory

    async def take(self) -> Head | None:
        """Return where the chat stands that the request goes on with, if there is one.

        Nobody else gets it: of two who continue the same chat one tells all anew.
        """
        if not self.history.key:
            return None
        return await self.store.take(self.account_id, self.model, self.history.key)

    async def keep(
        self, head: Head, text: str, pictures: Sequence[Picture]
    ) -> list[str] | None:
        """Remember the chat as it is after an answer; return ids of chats to delete.

        None if the site has not said where the chat stands.
        """
        if not all(head[:3]):
            return None
        shown = [(each.mime_type, encoded(each)) for each in pictures]
        key = await asyncio.to_thread(self.history.after, text, shown)
        return await self.store.keep(self.account_id, self.model, key, head)

    def rest(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with only what the chat does not know yet."""
        system = ("systemInstruction", "system_instruction")
        kept = {name: value for name, value in body.items() if name not in system}
        return {**kept, "contents": list(self.history.fresh)}


async def conversation_of(
    store: ChatStore | None, account_id: int, order: Order
) -> Conversation | None:
    """Return the conversation of an order; None if its chat is not to be kept."""
    if store is None:
        return None
    # Pictures are hashed.
    history = await asyncio.to_thread(read_history, order.body)
    if history is None:
        return None
    return Conversation(store, account_id, site_model(order.model), history)


async def holder_of(
    store: ChatStore | None, model: str, body: Mapping[str, Any]
) -> int | None:
    """Return the account that can go on with the conversation of a body, or None."""
    if store is None:
        return None
    history = await asyncio.to_thread(read_history, body)
    if history is None or not history.key:
        return None
    return await store.holder(site_model(model), history.key)


def is_gone(fault: UpstreamFault) -> bool:
    """Tell whether a fault may mean that the chat cannot be continued."""
    return fault.cause in _GONE
