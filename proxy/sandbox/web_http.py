"""Just enough HTTP/1.1 for a server that speaks through a tunnel."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

MOST_HEAD = 64 * 1024
MOST_BODY = 40 * 1024 * 1024
_REASONS = {
    200: "OK",
    204: "No Content",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}

Pieces = AsyncIterator[bytes]


class Malformed(Exception):
    """What came is no HTTP request."""


class Abort(Exception):
    """The connection is to be cut here, without an end."""


@dataclass(slots=True, kw_only=True)
class WebRequest:
    """A request that has been read; names of headers are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    host: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def cookies(self) -> dict[str, str]:
        """The cookies that came along."""
        pairs = self.headers.get("cookie", "").split(";")
        split = (pair.strip().partition("=") for pair in pairs)
        return {name: value for name, equals, value in split if equals}


@dataclass(slots=True, kw_only=True)
class WebReply:
    """What is answered: a whole body, or pieces that go out as they are made."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)
    pieces: Pieces | None = None


async def read_request(reader: asyncio.StreamReader) -> WebRequest | None:
    """Return the next request; ``None`` if the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Malformed from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Malformed from error
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Malformed
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    query = urlsplit(words[1]).query
    return WebRequest(
        method=words[0],
        target=words[1],
        headers=headers,
        host=headers.get("host", "").partition(":")[0].lower(),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        body=await _body(reader, headers),
    )


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunked(reader)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BODY:
        raise Malformed
    return await reader.readexactly(int(length))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if size == 0:
            return bytes(body)
        if len(body) > MOST_BODY:
            raise Malformed


async def write_reply(writer: asyncio.StreamWriter, reply: WebReply) -> None:
    """Send a reply. Raises ``Abort`` where its pieces end by it."""
    headers = [("content-type", reply.content_type), *reply.headers]
    if reply.pieces is None:
        headers.append(("content-length", str(len(reply.body))))
    else:
        headers.append(("transfer-encoding", "chunked"))
    reason = _REASONS.get(reply.status, "Unknown")
    head = f"HTTP/1.1 {reply.status} {reason}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    writer.write(head.encode("latin-1") + b"\r\n" + reply.body)
    await writer.drain()
    if reply.pieces is None:
        return
    async for piece in reply.pieces:
        if piece:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
