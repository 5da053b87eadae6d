"""Connections to upstreams: they abort when closed and know when they went stale."""

import asyncio
import functools
import ssl
from typing import Any

import aiohttp
import aiohttp_socks
import httpx
import yarl
from aiohttp.client_proto import ResponseHandler

_HTTP_PROXIES = ("http", "https")
_SOCKS_PROXIES = {
    "socks4": "socks4",
    "socks4a": "socks4",
    "socks5": "socks5",
    "socks5h": "socks5",
}


class SendTimeout(aiohttp.SocketTimeoutError):
    """The other side takes nothing any more."""


class TunnelError(aiohttp.ClientConnectionError):
    """TLS through a proxy failed; the cause says how."""


class Link(ResponseHandler):
    """One connection.

    ``uses`` counts the requests it has carried, ``received`` tells whether anything
    came back for the current one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.uses = 0
        self.received = False
        self._patience: float | None = None
        self._unsent = 0
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def stale(self) -> bool:
        """Was it a kept connection that died before it answered anything?"""
        return self.uses > 1 and not self.received

    def begin(self, write_timeout: float | None) -> None:
        """Start a request; ``write_timeout`` bounds the seconds without progress."""
        self.uses += 1
        self.received = False
        self._patience = write_timeout

    def data_received(self, data: bytes) -> None:
        self.received = True
        super().data_received(data)

    def close(self) -> None:
        # A client has nothing to say after an answer, and an orderly close would first
        # send all of a body that nobody waits for.
        self.abort()

    def abort(self) -> None:
        self._stop_write_timer()
        super().abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_write_timer()

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def _start_write_timer(self) -> None:
        if self._patience and self.transport is not None:
            self._unsent = self.transport.get_write_buffer_size()
            self._write_timer = self._loop.call_later(
                self._patience, self._check_progress
            )

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _check_progress(self) -> None:
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size() < self._unsent:
            self._start_write_timer()
            return
        self.set_exception(SendTimeout())


class UpstreamRequest(aiohttp.ClientRequest):
    """A request that knows the connection it went out on."""

    link: Link | None = None
    write_timeout: float | None = None


class Exchange:
    """Client middleware of one request: send it, once more if the link was stale."""

    __slots__ = ("_write_timeout",)

    def __init__(self, write_timeout: float | None) -> None:
        self._write_timeout = write_timeout

    async def __call__(self, request: Any, handler: Any) -> Any:
        request.write_timeout = self._write_timeout
        try:
            return await handler(request)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if request.link is None or not request.link.stale:
                raise
        request.link = None
        return await handler(request)


class _Linking:
    """Mixin for connectors: tell the request its link."""

    async def connect(self, req: Any, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(req, *args, **kwargs)  # type: ignore[misc]
        req.link = connection.protocol
        req.link.begin(req.write_timeout)
        return connection


class DirectConnector(_Linking, aiohttp.TCPConnector):
    """Connects itself, or through an HTTP proxy that the request names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        factory: Any = functools.partial(Link, loop=self._loop)
        self._factory = factory


class SocksConnector(_Linking, aiohttp_socks.ProxyConnector):
    """Connects through a SOCKS proxy, which also resolves the names."""

    async def _connect_via_proxy(self, *args: Any, **kwargs: Any) -> Any:
        try:
            transport, protocol = await super()._connect_via_proxy(*args, **kwargs)
        except TimeoutError:
            raise
        except ssl.SSLError as error:
            raise TunnelError from error
        except OSError as error:
            raise aiohttp_socks.ProxyError("connection lost") from error
        link = Link(self._loop)
        # The library's protocol holds the stream writer, which closes the transport
        # when it is collected.
        link.forerunner = protocol  # type: ignore[attr-defined]
        transport.set_protocol(link)
        link.connection_made(transport)
        return transport, link


def make_connector(
    proxy_url: str, **options: Any
) -> tuple[aiohttp.BaseConnector, yarl.URL | None]:
    """Return a connector and, for an HTTP proxy, the URL to name in each request.

    Raises ``httpx.UnsupportedProtocol`` for a proxy URL that is none; the message does
    not repeat it, because it may hold a password.
    """
    if not proxy_url:
        return DirectConnector(**options), None
    try:
        proxy = yarl.URL(proxy_url)
        known = bool(proxy.host and proxy.port)
    except ValueError:
        raise httpx.UnsupportedProtocol("The proxy URL is malformed.") from None
    if known and proxy.scheme in _HTTP_PROXIES:
        return DirectConnector(**options), proxy
    if known and proxy.scheme in _SOCKS_PROXIES:
        url = str(proxy.with_scheme(_SOCKS_PROXIES[proxy.scheme]))
        return SocksConnector.from_url(url, rdns=True, **options), None
    raise httpx.UnsupportedProtocol("The proxy URL must be http, https or SOCKS.")
