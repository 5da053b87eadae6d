"""Chat over a WebSocket, through the same gateway story as the SSE stream.

The client sends a chat.completions request as text. The server answers with the
chunk objects of the SSE stream, one message each, then ``{"done": true}``; or with an
error object. ``{"type": "cancel"}`` stops the running answer. One request runs at a
time on a socket.
"""

import asyncio
import io
import logging
from contextlib import aclosing
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.core.handlers.asgi import ASGIRequest
from django.http import parse_cookie

from accounts.authentication import credentials, person
from accounts.callers import Caller
from accounts.models import User
from gemproxy.lib import db
from gemproxy.lib.network import client_ip
from proxy.calls import Call
from proxy.errors import BadRequest, Fault, Internal
from proxy.fanout import stream_copies
from proxy.runtime import runtime
from proxy.surfaces.base import new_id, parse_json
from proxy.surfaces.openai_chat import chat_fields, read_chat, remember, style_of
from proxy.wire.error_bodies import openai_error
from proxy.wire.openai_stream import ChatStream

logger = logging.getLogger(__name__)

PROTOCOL = "gp-chat"
TOKEN_PROTOCOL = "gp-token."  # noqa: S105
REFUSED = 4401
CANCELLED = b'{"cancelled":true}'
DONE = b'{"done":true}'


class ChatConsumer(AsyncWebsocketConsumer):
    """One client's socket."""

    caller: Caller | None = None
    running: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        await runtime.start()
        self.caller = await find_caller(self.scope)
        # A handshake refused with 403 hides the reason from browsers; a close code
        # after the handshake tells it.
        await self.accept(_protocol(self.scope.get("subprotocols", [])))
        if self.caller is None:
            await self.close(code=REFUSED, reason="A valid API token is needed.")

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        content = bytes_data if text_data is None else text_data.encode()
        if self.caller is None or content is None:
            return
        try:
            message = _message(content)
            if message.get("type") == "cancel":
                await self._cancel()
                return
            if self.running is not None and not self.running.done():
                raise BadRequest("A request is running; cancel it first.")
        except Fault as fault:
            await self._say(orjson.dumps(openai_error(fault)))
            return
        self.running = asyncio.ensure_future(self._answer(message))

    async def disconnect(self, code: int) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait({self.running})

    async def _cancel(self) -> None:
        if self.running is None or self.running.done():
            return
        self.running.cancel()
        await asyncio.wait({self.running})
        await self._say(CANCELLED)

    async def _answer(self, message: dict[str, Any]) -> None:
        """Stream one answer; every way it can end is said on the socket."""
        assert self.caller is not None  # noqa: S101
        try:
            # A session or token that ended since the handshake opens nothing more.
            self.caller = await find_caller(self.scope)
            if self.caller is None:
                await self.close(code=REFUSED, reason="The API token has ended.")
                return
            body = {**message, "stream": True}
            chat = await read_chat(body, self.caller)
            call = self._call(chat_fields(chat))
            stream = ChatStream(style_of(chat, as_request(self.scope)))
            await self._say_all(stream.start_payloads())
            async with aclosing(stream_copies(runtime.gateway, call)) as batches:
                async for batch in batches:
                    await self._say_all(stream.payloads([e.data for e in batch]))
            await remember(call, stream.signatures)
            await self._say_all([*stream.finish_payloads(), DONE])
        except Fault as fault:
            await self._say(orjson.dumps(openai_error(fault, in_frame=True)))
        except Exception:  # the outermost view: the client must not wait for ever
            logger.exception("a request on a WebSocket failed")
            await self._say(orjson.dumps(openai_error(Internal(), in_frame=True)))

    def _call(self, fields: dict[str, Any]) -> Call:
        assert self.caller is not None  # noqa: S101
        headers = _headers(self.scope)
        return Call(
            request_id=new_id("req_"),
            surface="ws.chat",
            caller=self.caller,
            client_ip=_address(self.scope, headers),
            user_agent=headers.get("user-agent", "")[:200],
            **fields,
        )

    async def _say_all(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            await self._say(payload)

    async def _say(self, payload: bytes) -> None:
        await self.send(text_data=payload.decode())


async def find_caller(scope: dict[str, Any]) -> Caller | None:
    """Return who opened the socket: by header, subprotocol, query, session or address."""
    headers = _headers(scope)
    text = credentials(headers, scope.get("query_string", b"").decode("latin-1"))
    for protocol in scope.get("subprotocols", []):
        if protocol.startswith(TOKEN_PROTOCOL):
            text = text or protocol.removeprefix(TOKEN_PROTOCOL)
    if text:
        return await runtime.door.open(text)
    key = _session_key(headers.get("cookie", ""))
    # A browser sends cookies along from any page: only our own may use them.
    if key and _same_origin(headers):
        return await db.run(session_caller, key)
    origin = headers.get("origin", "")
    return await runtime.door.listed(_address(scope, headers), origin)


def as_request(scope: dict[str, Any]) -> ASGIRequest:
    """Return the handshake as the HTTP request that it was."""
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    return ASGIRequest({**scope, "method": "GET", "scheme": scheme}, io.BytesIO())


def session_caller(key: str) -> Caller | None:
    """Return the signed-in person of a session (sync)."""
    store: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(key)
    # Django's own check: a changed password or a switched-off person ends sessions.
    user = get_user(SimpleNamespace(session=store))
    return person(user) if isinstance(user, User) else None


def _message(content: bytes) -> dict[str, Any]:
    if len(content) > settings.MAX_BODY_BYTES:
        raise BadRequest("The message is too large.", status=413)
    message = parse_json(content)
    if not isinstance(message, dict):
        raise BadRequest("A message must be a JSON object.")
    return message


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    """Return the headers; lines of the same name are joined, as HTTP says."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _protocol(offered: list[str]) -> str | None:
    """Choose a subprotocol that is no secret, if the client offers one."""
    plain = [name for name in offered if not name.startswith(TOKEN_PROTOCOL)]
    if PROTOCOL in plain:
        return PROTOCOL
    # A browser fails the handshake if it offered protocols and none is chosen.
    return next(iter(plain or offered), None)


def _session_key(cookie: str) -> str:
    return str(parse_cookie(cookie).get(settings.SESSION_COOKIE_NAME, ""))


def _same_origin(headers: dict[str, str]) -> bool:
    origin = headers.get("origin", "")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    _, scheme, host = origin.partition("://")
    return bool(scheme) and host == headers.get("host")


def _address(scope: dict[str, Any], headers: dict[str, str]) -> str:
    peer = (scope.get("client") or ("",))[0]
    forwarded = headers.get("x-forwarded-for", "")
    return client_ip(peer, forwarded, settings.TRUSTED_PROXY_HOPS)
