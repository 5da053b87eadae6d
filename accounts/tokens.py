"""API tokens as text: made, checked, hashed, shortened. Nothing here is stored."""

import hashlib
import hmac
import secrets
import string

PREFIX = "gp-"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_BYTES = 32
BODY_LENGTH = 43
CHECK_LENGTH = 4
SHOWN = 8
LEAST_FOREIGN = 24


def make() -> str:
    """Return a new token: ``gp-``, 43 base62 digits of 32 random bytes, 4 to check."""
    body = _base62(int.from_bytes(secrets.token_bytes(RANDOM_BYTES)), BODY_LENGTH)
    return PREFIX + body + _check(body)


def is_well_formed(text: str) -> bool:
    """Return whether the check characters fit, so that typos need no look-up."""
    body, check = text[len(PREFIX) : -CHECK_LENGTH], text[-CHECK_LENGTH:]
    return (
        text.startswith(PREFIX)
        and len(body) == BODY_LENGTH
        and text.isascii()
        and hmac.compare_digest(check, _check(body))
    )


def digest(token: str, key: str) -> str:
    """Return the keyed hash under which a token is stored (64 hex digits)."""
    pepper = hashlib.sha256(b"gemproxy.token:" + key.encode()).digest()
    return hmac.new(pepper, token.encode(), hashlib.sha256).hexdigest()


def prefix(token: str) -> str:
    """Return the first characters, by which people recognise a token."""
    return token[: len(PREFIX) + SHOWN]


def weakness(token: str) -> str:
    """Return why an operator-chosen token is too weak, or an empty string."""
    if len(token) < LEAST_FOREIGN:
        return f"it is shorter than {LEAST_FOREIGN} characters"
    if len(set(token)) < 10:
        return "it repeats too few characters"
    lowered = token.lower()
    known = ("password", "changeme", "secret-token", "admin_auth", "your-", "example")
    if any(word in lowered for word in known):
        return "it looks like a known default"
    return ""


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))


def _check(body: str) -> str:
    sum_ = int.from_bytes(hashlib.sha256(body.encode()).digest()[:4])
    return _base62(sum_, CHECK_LENGTH)
