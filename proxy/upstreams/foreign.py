"""What other libraries' exceptions mean: aiohttp's as httpx's, and those as faults."""

import ssl

import aiohttp
import aiohttp_socks
import httpx

from proxy.errors import (
    BadAnswer,
    ConnectFailed,
    StreamCut,
    UpstreamFault,
    UpstreamTimeout,
)
from proxy.upstreams.connections import SendTimeout, TunnelError

#: All that a session can raise apart from errors in our own code.
FOREIGN = (
    aiohttp.ClientError,
    aiohttp_socks.ProxyError,
    aiohttp_socks.ProxyConnectionError,
    aiohttp_socks.ProxyTimeoutError,
    OSError,  # TimeoutError and ssl.SSLError are among them
)
_CONNECT_TIMEOUTS = (aiohttp.ConnectionTimeoutError, aiohttp_socks.ProxyTimeoutError)
_PROXY_ERRORS = (
    aiohttp.ClientHttpProxyError,
    aiohttp.ClientProxyConnectionError,
    aiohttp_socks.ProxyError,
    aiohttp_socks.ProxyConnectionError,
)
_PROTOCOL_ERRORS = (aiohttp.ClientPayloadError, aiohttp.ClientResponseError)


def as_httpx(error: Exception, *, in_body: bool = False) -> httpx.TransportError:
    """Return the httpx exception that says the same, with a message safe to show."""
    if isinstance(error, _CONNECT_TIMEOUTS):
        return httpx.ConnectTimeout("no connection in time")
    if isinstance(error, SendTimeout):
        return httpx.WriteTimeout("the request could not be sent in time")
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout("silence" if in_body else "no answer in time")
    if isinstance(error, _PROXY_ERRORS):
        return httpx.ProxyError(_proxy_reason(error))
    connecting = (aiohttp.ClientConnectorError, ssl.SSLError, TunnelError)
    if isinstance(error, connecting) and not in_body:
        return httpx.ConnectError(_connect_reason(error))
    if isinstance(error, aiohttp.InvalidURL):
        return httpx.UnsupportedProtocol("the URL cannot be used")
    if isinstance(error, _PROTOCOL_ERRORS):
        return httpx.RemoteProtocolError("not proper HTTP")
    return httpx.ReadError("connection lost")


def as_fault(error: BaseException, *, in_body: bool) -> UpstreamFault | None:
    """Return the fault that a foreign exception means; None if it is none of those."""
    if isinstance(error, FOREIGN):
        error = as_httpx(error, in_body=in_body)
    if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        return ConnectFailed("The provider could not be reached in time.")
    if isinstance(error, httpx.TimeoutException):
        if in_body:
            return UpstreamTimeout("The provider fell silent.", cause="stalled")
        return UpstreamTimeout("The provider gave no answer.")
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return ConnectFailed("The address of the provider or its proxy is malformed.")
    if isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
        return ConnectFailed(_unreachable(error))
    if in_body and isinstance(error, httpx.TransportError):
        return StreamCut("The provider's answer broke off.")
    if isinstance(error, (httpx.ProtocolError, httpx.DecodingError)):
        return BadAnswer("The provider's answer was not proper HTTP.")
    if isinstance(error, httpx.TransportError):
        return ConnectFailed("The provider closed the connection without an answer.")
    return None


def _unreachable(error: httpx.TransportError) -> str:
    """Name the reason if it is one of our own phrases; other text may hold a URL."""
    reason = str(error) if isinstance(error.__cause__, FOREIGN) else ""
    return f"The provider could not be reached{reason and ': '}{reason}."


def _proxy_reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    if isinstance(error, aiohttp_socks.ProxyError):
        return "the proxy refused"
    return "the proxy cannot be reached"


def _connect_reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name did not resolve"
    if isinstance(error, TunnelError) and isinstance(error.__cause__, ssl.SSLError):
        error = error.__cause__
    untrusted = aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError
    if isinstance(error, untrusted):
        return "its certificate is not trusted"
    if isinstance(error, (aiohttp.ClientConnectorSSLError, ssl.SSLError)):
        return "TLS failed"
    return "connection refused or no route"
