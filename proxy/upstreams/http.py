"""HTTP to upstreams: httpx's interface over aiohttp's connections."""

import asyncio
import functools
import io
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

import aiohttp
import httpx
import yarl

from proxy.errors import BadAnswer, Fault
from proxy.upstreams.authorities import tls_context, tls_context_with
from proxy.upstreams.base import Way
from proxy.upstreams.connections import (
    Exchange,
    UpstreamRequest,
    make_connector,
)
from proxy.upstreams.foreign import FOREIGN, as_fault, as_httpx

#: Bound of a whole answer: several of the largest pictures.
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_KEEPALIVE_SECONDS = 75.0
_DNS_SECONDS = 60
_LARGE_BODY = 512 * 1024
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_UNPACKED = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends an ``httpx.Request``, returns an ``httpx.Response`` with a streamed body.

    It must be made and used in one running loop. It adds ``host`` and the framing
    headers, follows no redirect, keeps no cookies and unpacks compressed bodies.
    ``request.extensions`` may hold ``timeout`` (httpx's ``connect``, ``read`` between
    two reads of the body, ``write`` without progress; ``pool`` never applies, because
    the pool has no bound), ``first_byte`` (the wait for the answer's head; ``read`` if
    it is missing) and ``total``.

    A connection is aborted, and not kept, when the caller is cancelled or closes the
    response early. A request whose kept connection had died before it sent anything
    back is sent once more.
    """

    def __init__(self, proxy_url: str = "", ca_pem: str = "") -> None:
        """Make a pool of connections; ``proxy_url`` is http(s):// or socks4/5://,
        ``ca_pem`` holds authorities to trust beside the known ones.

        Raises ``httpx.UnsupportedProtocol`` for any other proxy, ``ssl.SSLError`` for
        authorities that are none.
        """
        connector, self._proxy = make_connector(
            proxy_url,
            limit=0,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            ttl_dns_cache=_DNS_SECONDS,
            ssl=tls_context_with(ca_pem) if ca_pem else tls_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=UpstreamRequest,
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return when the head of the answer is there.

        Raises exceptions of ``httpx.TransportError``.
        """
        extensions = request.extensions
        limits = extensions.get("timeout") or {}
        read = limits.get("read")
        try:
            answer = await self._session.request(
                request.method,
                _yarl_url(str(request.url)),
                data=_body_of(request),
                headers=_headers_of(request),
                allow_redirects=False,
                proxy=self._proxy,
                timeout=_client_timeout(
                    limits.get("connect"),
                    extensions.get("first_byte", read),
                    extensions.get("total"),
                ),
                middlewares=(Exchange(limits.get("write")),),
            )
        except FOREIGN as error:
            raise as_httpx(error) from error
        connection = answer.connection
        if connection is not None and connection.protocol is not None:
            connection.protocol.read_timeout = read
            connection.protocol.start_timeout()
        return httpx.Response(
            answer.status,
            headers=_response_headers(answer),
            stream=_Body(answer),
            request=request,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._answer.content.readany()
        except FOREIGN as error:
            self._answer.close()
            raise as_httpx(error, in_body=True) from error
        if data:
            return data
        self._answer.release()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._answer.close()


def transport_of(way: Way) -> httpx.AsyncBaseTransport:
    """Return a new pool of connections that go out this way; raises what it does."""
    return AiohttpTransport(way.proxy_url, way.ca_pem)


class Clients:
    """The transports of a process: one per running loop and way out."""

    def __init__(
        self,
        make: Callable[[Way], httpx.AsyncBaseTransport] = transport_of,
    ) -> None:
        """``make`` returns the transport for a way out; it is called in the loop."""
        self._make = make
        self._loops: dict[
            asyncio.AbstractEventLoop, dict[tuple[str, str], httpx.AsyncBaseTransport]
        ] = {}

    def transport(
        self, proxy_url: str = "", ca_pem: str = ""
    ) -> httpx.AsyncBaseTransport:
        """Return the running loop's transport for this way out, made when needed."""
        try:
            return self._loops[asyncio.get_running_loop()][proxy_url, ca_pem]
        except KeyError:
            return self._added(Way(proxy_url, ca_pem))

    async def aclose(self) -> None:
        """Close the transports of the running loop; later calls make new ones."""
        for transport in self._loops.pop(asyncio.get_running_loop(), {}).values():
            await transport.aclose()

    def _added(self, way: Way) -> httpx.AsyncBaseTransport:
        self._loops = {
            loop: pools for loop, pools in self._loops.items() if not loop.is_closed()
        }
        pools = self._loops.setdefault(asyncio.get_running_loop(), {})
        transport = pools[way.proxy_url, way.ca_pem] = self._make(way)
        return transport


class _ForeignFaults:
    """The context manager behind ``foreign_faults``; it keeps no state."""

    def __init__(self, *, in_body: bool) -> None:
        self._in_body = in_body

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Fault):
            return
        fault = as_fault(error, in_body=self._in_body)
        if fault is not None:
            raise fault from error


_BEFORE_HEAD = _ForeignFaults(in_body=False)
_IN_BODY = _ForeignFaults(in_body=True)


def foreign_faults(*, in_body: bool = False) -> _ForeignFaults:
    """Return a context manager that turns foreign exceptions into faults of ours.

    Everything that httpx, aiohttp, the operating system or a timeout can raise becomes
    ``ConnectFailed``, ``UpstreamTimeout``, ``BadAnswer`` or, with ``in_body``,
    ``StreamCut``. Messages are fixed phrases, never a URL or a credential.
    """
    return _IN_BODY if in_body else _BEFORE_HEAD


async def read_all(response: httpx.Response, largest: int = MAX_ANSWER_BYTES) -> bytes:
    """Return the whole body; close the response whatever happens.

    Raises faults, also for a body of more than ``largest`` bytes once unpacked. It is
    what ``response.aread()`` does at a fraction of the cost.
    """
    stream: Any = response.stream
    parts: list[bytes] = []
    left = largest
    try:
        with foreign_faults(in_body=True):
            async for part in stream:
                left -= len(part)
                if left < 0:
                    raise BadAnswer("The provider's answer is too large.")
                parts.append(part)
        return b"".join(parts)
    finally:
        await stream.aclose()


@functools.lru_cache(maxsize=2048)
def _yarl_url(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)


@functools.lru_cache(maxsize=256)
def _client_timeout(
    connect: float | None, first_byte: float | None, total: float | None
) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=total, connect=connect, sock_connect=connect, sock_read=first_byte
    )


def _body_of(request: httpx.Request) -> Any:
    """Return the body in the form in which aiohttp sends it best."""
    stream = request.stream
    if not isinstance(stream, httpx.ByteStream):
        return stream
    body = b"".join(stream)
    # Large ones piece by piece, so that other tasks come in between.
    return io.BytesIO(body) if len(body) > _LARGE_BODY else body or None


def _headers_of(request: httpx.Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.lower() not in _FRAMING
    ]


def _response_headers(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    headers = list(answer.raw_headers)
    if "Content-Encoding" not in answer.headers:
        return headers
    return [pair for pair in headers if pair[0].lower() not in _UNPACKED]
