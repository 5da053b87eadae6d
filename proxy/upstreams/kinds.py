"""The kinds of upstream account and what is known of each without loading it."""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.credentials.cli_json import dumped, read_one
from accounts.credentials.identity import hint_of
from accounts.credentials.websession import session_hint, session_secret

_API_KEY = re.compile(r"[A-Za-z0-9_.-]{20,200}")
_DIVIDER = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)
_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of upstream account.

    ``secret_hint`` shortens a secret for display; ``validate_secret`` takes what a
    person pasted, returns the secret proper and raises ``ValueError`` with a message
    for that person. ``base_url_setting`` names the setting by which the operator
    points the whole kind elsewhere, if there is one. ``warning`` is what a person must
    know before adding an account. ``split`` cuts a paste of many into credentials;
    ``renews`` tells that a known credential that is pasted again takes the place of
    what is stored; ``tried_at_once`` that nobody can see from a credential whether it
    works, so that each new one is tried as soon as it is stored. ``accepts`` says in
    words what may be pasted.
    """

    name: str
    label: str
    adapter: str
    default_base_url: str
    secret_hint: Callable[[str], str]
    validate_secret: Callable[[str], str]
    base_url_setting: str = ""
    warning: str = ""
    split: Callable[[str], list[str]] = str.splitlines
    renews: bool = False
    tried_at_once: bool = False
    accepts: str = "keys, one on each line"

    def adapter_class(self) -> Any:
        """Import and return the adapter class."""
        module, _, name = self.adapter.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def imitates(self) -> frozenset[str]:
        """Return the capabilities that its adapter lacks and knows how to imitate."""
        found: frozenset[str] = getattr(self.adapter_class(), "imitates", frozenset())
        return found


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


def divided(text: str) -> list[str]:
    """Return the credentials in a text where a line of dashes stands between them."""
    return [piece for piece in _DIVIDER.split(text) if piece.strip()]


def valid_xai_key(text: str) -> str:
    """Return the xAI key in what was pasted; blanks and quotes around it go."""
    key = valid_api_key(text)
    if not key.startswith("xai-"):
        raise ValueError("A key of xAI's begins with 'xai-'.")
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
            base_url_setting="GEMINI_BASE_URL",
        ),
        Kind(
            name="gemini_web",
            label="Gemini web cookies",
            adapter="proxy.upstreams.gemini_web.GeminiWeb",
            default_base_url="https://gemini.google.com",
            secret_hint=session_hint,
            validate_secret=session_secret,
            warning="Use a Google account of its own, signed in in a private window that"
            " you close after copying; one that a browser goes on using is signed out"
            " within minutes. Google's terms do not allow such use: the account may be"
            " suspended. See docs/cookies.md.",
            split=divided,
            renews=True,
            accepts="cookies as JSON, header, cookies.txt, cURL or name=value, with a"
            " line of dashes between accounts",
        ),
        Kind(
            name="code_assist",
            label="Gemini CLI login",
            adapter="proxy.upstreams.code_assist.CodeAssist",
            default_base_url="https://cloudcode-pa.googleapis.com",
            secret_hint=lambda secret: hint_of("code_assist", secret),
            validate_secret=lambda text: dumped(read_one(text)),
            base_url_setting="CODE_ASSIST_BASE_URL",
            warning="Google stopped serving personal accounts (free, AI Pro, AI Ultra)"
            " in June 2026: only Code Assist Standard and Enterprise licences work. Its"
            " terms forbid the use of this sign-in by other software; Google suspends"
            " accounts for it.",
            tried_at_once=True,
            accepts="JSON of logins, as many as there are; a file may also be a zip of"
            " such files",
        ),
        Kind(
            name="xai",
            label="xAI key",
            adapter="proxy.upstreams.xai.XAI",
            default_base_url="https://api.x.ai",
            secret_hint=shortened_secret,
            validate_secret=valid_xai_key,
            base_url_setting="XAI_BASE_URL",
        ),
    )
}
