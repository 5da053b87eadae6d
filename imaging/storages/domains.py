"""Addresses under which a bucket is open to all."""


def address(domain: str) -> str:
    """Return a domain as people write it as the beginning of a URL; or nothing."""
    domain = domain.strip()
    if domain and not domain.startswith(("http://", "https://")):
        domain = f"https://{domain}"
    return domain.rstrip("/")
