"""The kinds of upstream account and what is known of each without loading it."""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_API_KEY = re.compile(r"[A-Za-z0-9_.-]{20,200}")
_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of upstream account.

    ``secret_hint`` shortens a secret for display; ``validate_secret`` takes what a
    person pasted, returns the secret proper and raises ``ValueError`` with a message
    for that person.
    """

    name: str
    label: str
    adapter: str
    default_base_url: str
    secret_hint: Callable[[str], str]
    validate_secret: Callable[[str], str]

    def adapter_class(self) -> Any:
        """Import and return the adapter class."""
        module, _, name = self.adapter.rpartition(".")
        return getattr(importlib.import_module(module), name)


def kind_named(name: str) -> Kind:
    """Return the kind; raises ``LookupError`` with the known names otherwise."""
    try:
        return KINDS[name]
    except KeyError:
        known = ", ".join(sorted(KINDS))
        raise LookupError(f"No upstream kind {name!r}; known: {known}.") from None


def shortened_secret(secret: str) -> str:
    """Return the first and last four characters, or nothing of a short secret."""
    return f"{secret[:4]}…{secret[-4:]}" if len(secret) >= 16 else "…"


def valid_api_key(text: str) -> str:
    """Return the API key in what was pasted: blanks and quotes around it go.

    Google issues keys that begin with ``AIza`` and, for newer accounts, ``AQ.``;
    other servers that speak this API issue others.
    """
    key = text.strip().strip(_QUOTES).strip()
    if not key:
        raise ValueError("The key is empty.")
    if any(char.isspace() for char in key):
        raise ValueError("The key holds blanks or line breaks; paste one key.")
    if not 20 <= len(key) <= 200:
        raise ValueError(f"A key has 20 to 200 characters; this has {len(key)}.")
    if not _API_KEY.fullmatch(key):
        raise ValueError("A key holds only letters, digits, '-', '_' and '.'.")
    return key


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="gemini_api",
            label="Gemini API key",
            adapter="proxy.upstreams.gemini_api.GeminiAPI",
            default_base_url="https://generativelanguage.googleapis.com",
            secret_hint=shortened_secret,
            validate_secret=valid_api_key,
        ),
    )
}
