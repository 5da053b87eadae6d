"""By what a credential is known again, and shown, although parts of it change."""

import hashlib
from collections.abc import Callable, Mapping

from accounts.credentials import cli_json, websession

LONGEST_HINT = 24


def identity_of(kind: str, secret: str) -> str:
    """Return the part of a stored secret that stays while the credential is the same.

    A secret that its kind cannot read is its own identity.
    """
    find = _IDENTITIES.get(kind)
    if find is None:
        return secret
    try:
        return find(secret)
    except ValueError:
        return secret


def hint_of(kind: str, secret: str) -> str:
    """Return a short name of a secret that gives nothing away; empty if its kind has
    no better one than its first and last characters."""
    find = _HINTS.get(kind)
    try:
        return find(secret) if find else ""
    except ValueError:
        return ""


def _login(secret: str) -> str:
    return cli_json.loaded(secret).refresh_token


def _login_hint(secret: str) -> str:
    login = cli_json.loaded(secret)
    if login.email:
        short = len(login.email) <= LONGEST_HINT
        return login.email if short else login.email[: LONGEST_HINT - 1] + "…"
    digest = hashlib.sha256(login.refresh_token.encode()).hexdigest()
    return f"login {digest[:8]}"


_IDENTITIES: Mapping[str, Callable[[str], str]] = {
    "code_assist": _login,
    "gemini_web": websession.session_identity,
}
_HINTS: Mapping[str, Callable[[str], str]] = {
    "code_assist": _login_hint,
    "gemini_web": websession.session_hint,
}
