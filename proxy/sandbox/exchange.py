"""One HTTP exchange over ASGI: its request, and ways to answer it."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON_TYPE = "application/json; charset=UTF-8"
_MOST_BYTES = 20 * 1024 * 1024


class ClientGone(Exception):
    """The client left before its request was read."""


class TooMuch(Exception):
    """The request body is larger than Google takes."""


class Exchange:
    """A request that has been read, and the response as it is written."""

    def __init__(self, scope: Message, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        raw_query = scope["query_string"].decode("latin-1")
        self.query = dict(parse_qsl(raw_query, keep_blank_values=True))
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        self.body = b""
        self.status = 0
        self._send = send

    async def read(self, receive: Receive) -> None:
        """Read the whole body. Raises ``ClientGone`` or ``TooMuch``."""
        pieces, size = [], 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > _MOST_BYTES:
                raise TooMuch
            more = message.get("more_body", False)
        self.body = b"".join(pieces)

    async def start(
        self, status: int, content_type: str, length: int | None = None
    ) -> None:
        """Send the status line and the headers."""
        self.status = status
        headers = [(b"content-type", content_type.encode())]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await self._send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )

    async def write(self, piece: str | bytes) -> None:
        """Send a piece of the body by itself."""
        data = piece.encode() if isinstance(piece, str) else piece
        await self._send(
            {"type": "http.response.body", "body": data, "more_body": True}
        )

    async def end(self) -> None:
        """End the body. An exchange which is left without it has been aborted."""
        await self._send({"type": "http.response.body", "body": b""})

    async def answer(
        self, status: int, body: bytes | str, content_type: str = JSON_TYPE
    ) -> None:
        """Send a whole response."""
        data = body.encode() if isinstance(body, str) else body
        await self.start(status, content_type, len(data))
        await self._send({"type": "http.response.body", "body": data})

    async def answer_json(self, status: int, data: Any) -> None:
        """Send a whole JSON response, indented as Google does."""
        await self.answer(status, pretty(data))


def pretty(data: Any) -> str:
    """Indented JSON with a newline at its end."""
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def compact(data: Any) -> str:
    """JSON on one line."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
