"""Where kept chats of web accounts stand, shared by the processes for a while.

What is stored is sealed: whoever has the ids of a chat and its account's cookies can
read it. Its keys are keyed hashes, which tell nothing of a conversation.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from django.conf import settings

from gemproxy.lib import clock
from gemproxy.lib.live import Live, live
from gemproxy.lib.secrets import SecretUnreadable, seal, unseal
from proxy.upstreams.web_chats import Head

logger = logging.getLogger(__name__)

#: As long as conversations stick to an account: who comes back later has the whole
#: told anew, and the chat leaves the owner's history instead of filling it.
KEPT_SECONDS = 3600
#: Whoever could not delete a chat tries again after so long.
AGAIN_SECONDS = 600
#: A list of chats to delete ends with the last one's use, if the account is not used.
LIST_SECONDS = 7 * 86_400
MOST_DELETED = 5
MOST_LISTED = 500
#: The list of an account is changed by one at a time, for milliseconds.
_TRIES, _PAUSE = 25, 0.02

_Listed = dict[str, float]


class LiveChats:
    """A ``ChatStore`` of ``proxy.upstreams.web_chats``, in memory or in Redis."""

    async def take(self, account_id: int, model: str, history: str) -> Head | None:
        key = _key("chat", account_id, model, history)
        member = secrets.token_hex(8)
        shared = live()
        if not await shared.take_place(f"{key}:taking", 1, member):
            return None
        try:
            (sealed,) = await shared.get_many([key])
            head = _opened(sealed)
            if not head:
                return None
            await shared.set_many({key: seal("[]")}, KEPT_SECONDS)
        finally:
            await shared.leave_place(f"{key}:taking", member)
        # It must not be deleted while the answer comes.
        async with _list_of(account_id) as listed:
            listed[str(head[0])] = _now() + KEPT_SECONDS
        return head

    async def keep(
        self, account_id: int, model: str, history: str, head: Head
    ) -> list[str]:
        values = {
            _key("chat", account_id, model, history): seal(json.dumps(list(head))),
            _key("holder", model, history): str(account_id),
        }
        await live().set_many(values, KEPT_SECONDS)
        now, over = _now(), []
        async with _list_of(account_id) as listed:
            listed[str(head[0])] = now + KEPT_SECONDS
            over = [cid for cid, until in listed.items() if until <= now][:MOST_DELETED]
            for cid in over:
                del listed[cid]
        return over

    async def remind(self, account_id: int, chats: Sequence[str]) -> None:
        async with _list_of(account_id) as listed:
            listed.update(dict.fromkeys(chats, _now() + AGAIN_SECONDS))

    async def holder(self, model: str, history: str) -> int | None:
        (found,) = await live().get_many([_key("holder", model, history)])
        return int(found) if found and found.isdecimal() else None


@asynccontextmanager
async def _list_of(account_id: int) -> AsyncIterator[_Listed]:
    """Lend the chats of an account with the times when they end, and store them.

    If others hold it for too long what is changed is lost, and a chat stays longer.
    """
    key, member, shared = _key("list", account_id), secrets.token_hex(8), live()
    if not await _claimed(shared, f"{key}:changing", member):
        logger.info("the list of chats of account %d is busy", account_id)
        yield {}
        return
    try:
        (sealed,) = await shared.get_many([key])
        listed: _Listed = dict(_opened(sealed) or ())
        yield listed
        newest = list(listed.items())[-MOST_LISTED:]
        await shared.set_many({key: seal(json.dumps(newest))}, LIST_SECONDS)
    finally:
        await shared.leave_place(f"{key}:changing", member)


async def _claimed(shared: Live, key: str, member: str) -> bool:
    for _ in range(_TRIES):
        if await shared.take_place(key, 1, member):
            return True
        await asyncio.sleep(_PAUSE)
    return False


def _opened(sealed: str | None) -> list[Any] | None:
    """Return what was sealed; None for nothing, or for what no key opens any more."""
    if not sealed:
        return None
    try:
        found = json.loads(unseal(sealed))
    except (SecretUnreadable, ValueError):
        return None
    return found if isinstance(found, list) else None


def _key(what: str, *names: object) -> str:
    told = json.dumps([what, *names]).encode()
    digest = hmac.new(settings.SECRET_KEY.encode(), told, hashlib.sha256).hexdigest()
    return f"web:{what}:{digest}"


def _now() -> float:
    return clock.now().timestamp()
