"""Failed sign-ins are counted, so that nobody can guess passwords at speed."""

import hashlib
import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from gemproxy.lib.network import client_ip

WINDOW_SECONDS = 300
PER_NAME = 5
PER_ADDRESS = 50
#: From all addresses. Much more than from one, so that a single stranger cannot keep
#: somebody out by failing in their name.
PER_NAME_ANYWHERE = 100
#: One IPv6 customer has at least so many bits of addresses alike.
IPV6_PREFIX = 64


def throttled(
    request: HttpRequest, respond: Callable[[], HttpResponse]
) -> HttpResponse:
    """Return what ``respond`` answers to a sign-in, or 429 after too many failures.

    A try is counted before it is made, so that parallel tries are all counted; a
    sign-in as that very person clears the count.
    """
    if request.method != "POST":
        return respond()
    name = request.POST.get("username", "").strip().casefold()
    address = _network(address_of(request))
    bounds = {
        _key("address", address): PER_ADDRESS,
        _key("both", address, name): PER_NAME,
        _key("name", name): PER_NAME_ANYWHERE,
    }
    # One after the other: what one bound stops does not use up the next.
    if not all(_count(key) <= most for key, most in bounds.items()):
        return too_many(request)
    response = respond()
    if response.status_code == 302 and _is_now(request, name):
        cache.delete_many(bounds)
    return response


def too_many(request: HttpRequest) -> HttpResponse:
    response = render(
        request, "pages/wait.html", {"minutes": WINDOW_SECONDS // 60}, status=429
    )
    response["Retry-After"] = str(WINDOW_SECONDS)
    return response


def address_of(request: HttpRequest) -> str:
    """Return the client's address, as far as trusted proxies vouch for it."""
    return client_ip(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXY_HOPS,
    )


def _network(address: str) -> str:
    """Return what one customer of a provider has: an IPv4 address or an IPv6 /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4 or ip.ipv4_mapped:
        return str(getattr(ip, "ipv4_mapped", None) or ip)
    return str(ipaddress.ip_network((ip, IPV6_PREFIX), strict=False))


def _is_now(request: HttpRequest, name: str) -> bool:
    user = request.user
    return user.is_authenticated and user.get_username().casefold() == name


def _key(*parts: str) -> str:
    return f"tries:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def _count(key: str) -> int:
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        return cache.incr(key)
    except ValueError:
        # It ran out between the two calls: this is the first try of a new window.
        return 1
