"""Guarded fetches of URLs that callers name: public addresses only, small and soon."""

import asyncio
import contextlib
import functools
import ipaddress
import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024
_LOOKUP_THREADS = 4
_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "gemproxy"}

# Networks that Python calls global and that still lead inside: translated and tunnelled
# IPv4, and the platform address of a large cloud.
_REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fec0::/10",
    )
)


class OutboundRefused(Exception):
    """A URL may not or could not be fetched; the message may be shown to the caller."""


async def fetch_media(
    url: str,
    *,
    max_bytes: int,
    timeout: float,
    allowed_types: Collection[str],
    allow_private: bool = False,
) -> tuple[str, bytes]:
    """Fetch a URL on a caller's behalf; return its media type and its bytes.

    Only http and https, at most three redirects, each hop with addresses that are all
    public and to one of which the connection really goes. ``allowed_types`` holds
    types such as ``image/png`` or ``image/*``. ``timeout`` bounds the whole, in
    seconds. Raises ``OutboundRefused``.
    """
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(allow_private=allow_private),
        use_dns_cache=False,
        force_close=True,
    )
    try:
        async with (
            asyncio.timeout(timeout),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                trust_env=False,
            ) as session,
        ):
            fetch = _Fetch(session, max_bytes, allowed_types, allow_private)
            return await fetch.follow(url)
    except TimeoutError:
        raise OutboundRefused("The URL did not answer in time.") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise OutboundRefused("The URL could not be fetched.") from None


class _Fetch:
    """One fetch: its hops, then its body."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        max_bytes: int,
        allowed_types: Collection[str],
        allow_private: bool,
    ) -> None:
        self._session = session
        self._max_bytes = max_bytes
        self._allowed_types = allowed_types
        self._allow_private = allow_private

    async def follow(self, text: str) -> tuple[str, bytes]:
        url = self._checked(text)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status not in _REDIRECTS:
                    return await self._body(answer)
                location = answer.headers.get("location", "")
            url = self._checked(str(url.join(yarl.URL(location))))
        raise OutboundRefused("The URL redirects too often.")

    def _checked(self, text: str) -> yarl.URL:
        """Check what can be seen without asking the resolver."""
        try:
            url = yarl.URL(text)
        except ValueError:
            raise OutboundRefused("The URL is malformed.") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise OutboundRefused("Only http and https URLs are fetched.")
        if url.user is not None or url.password is not None:
            raise OutboundRefused("URLs with a user name or password are not fetched.")
        if not self._allow_private:
            _check_literal(url.host)
        return url

    async def _body(self, answer: aiohttp.ClientResponse) -> tuple[str, bytes]:
        if answer.status != 200:
            raise OutboundRefused(f"The URL answered {answer.status}.")
        media_type = answer.content_type.lower()
        if not _is_allowed(media_type, self._allowed_types):
            raise OutboundRefused(f"The URL's media type {media_type!r} is not taken.")
        if (answer.content_length or 0) > self._max_bytes:
            raise self._too_large()
        parts, size = [], 0
        async for part in answer.content.iter_chunked(_CHUNK):
            size += len(part)
            if size > self._max_bytes:
                raise self._too_large()
            parts.append(part)
        return media_type, b"".join(parts)

    def _too_large(self) -> OutboundRefused:
        return OutboundRefused(f"The URL's content is over {self._max_bytes} bytes.")


class _GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those with any address that is not public.

    The connector connects to what this returns, so a name cannot change its address
    between the check and the connection.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await _looked_up(host, port, family)
        for result in found:
            if not self._allow_private:
                _check_address(result["host"])
        return found

    async def close(self) -> None:
        """Nothing is held."""


async def _looked_up(
    host: str, port: int, family: socket.AddressFamily
) -> list[ResolveResult]:
    ask = functools.partial(
        socket.getaddrinfo,
        host,
        port,
        family=family,
        type=socket.SOCK_STREAM,
        flags=socket.AI_ADDRCONFIG,
    )
    infos = await asyncio.get_running_loop().run_in_executor(_lookups(), ask)
    return [_result(host, *info) for info in infos]


@functools.cache
def _lookups() -> ThreadPoolExecutor:
    # A name server of a caller's may let look-ups hang; those of others, and of the
    # upstreams, must not wait in the same line.
    return ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="outbound")


def _result(
    hostname: str, family: int, _kind: int, proto: int, _name: str, address: Any
) -> ResolveResult:
    return ResolveResult(
        hostname=hostname,
        host=address[0],
        port=address[1],
        family=family,
        proto=proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def is_public(address: Address) -> bool:
    """Tell whether an address is on the public Internet and leads nowhere else."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    refused: Any = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or not address.is_global
    )
    return not refused and not any(address in net for net in _REFUSED_NETWORKS)


def _check_literal(host: str) -> None:
    """Check a host that is an address, also in the short and hexadecimal spellings
    that C libraries take, such as ``127.1``."""
    try:
        _check_address(host)
    except ValueError:
        with contextlib.suppress(OSError, UnicodeError):
            _check_address(socket.inet_ntoa(socket.inet_aton(host)))


def _check_address(text: str) -> None:
    if not is_public(ipaddress.ip_address(text.partition("%")[0])):
        raise OutboundRefused("The URL does not lead to a public address.")


def _is_allowed(media_type: str, allowed: Collection[str]) -> bool:
    family = media_type.partition("/")[0]
    return media_type in allowed or f"{family}/*" in allowed
