"""Where a request comes from: the peer, or what trusted proxies say of it."""

import ipaddress
from collections.abc import Iterable, Sequence

Headers = Iterable[tuple[bytes, bytes]]


def client_ip(peer: str, forwarded: str, hops: int) -> str:
    """Return the address that the outermost trusted proxy saw.

    ``forwarded`` is X-Forwarded-For; each trusted proxy appended one entry, so with
    ``hops`` of them the client is the entry that far from the right. Anything
    further left was written by the client itself and is not believed.
    """
    if not hops:
        return peer
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    if len(chain) < hops:
        return (_bare(chain[0]) if chain else "") or peer
    return _bare(chain[-hops]) or peer


def is_inside(address: str, networks: Sequence[str]) -> bool:
    """Return whether an address lies in one of the networks (CIDR or single)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any(
        (mapped or ip) in ipaddress.ip_network(network, strict=False)
        for network in networks
    )


def is_local(network: str) -> bool:
    """Return whether a network begins or ends among loopback or private addresses.

    Raises ValueError for what is no network.
    """
    listed = ipaddress.ip_network(network, strict=False)
    ends = listed.network_address, listed.broadcast_address
    return any(not end.is_global for end in ends)


def _bare(text: str) -> str:
    """Drop a port or brackets; return an empty string for what is no address."""
    candidate = text.strip()
    if candidate.startswith("["):
        candidate = candidate[1:].partition("]")[0]
    elif candidate.count(":") == 1:
        candidate = candidate.partition(":")[0]
    try:
        return str(ipaddress.ip_address(candidate))
    except ValueError:
        return ""
