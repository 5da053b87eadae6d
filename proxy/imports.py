"""Credentials into the pool by the list: pasted, from a file, from the environment."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from accounts import websessions
from accounts.models import Account
from gemproxy.lib.redaction import shorten
from proxy.upstreams.kinds import kind_named

COMMENT = "#"
BASE_SCHEMES = frozenset({"http", "https"})
PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks5", "socks5h"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A line that is no credential: where, what (shortened) and why."""

    line: int
    shown: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What became of the lines; ``duplicates`` are shortened secrets. ``replaced`` are
    accounts that were there and got a newer credential."""

    added: tuple[Account, ...] = ()
    replaced: tuple[Account, ...] = ()
    duplicates: tuple[str, ...] = ()
    malformed: tuple[Rejected, ...] = ()


def import_secrets(
    kind: str,
    lines: Iterable[str],
    *,
    base_url: str = "",
    proxy_url: str = "",
    label: str = "",
) -> ImportResult:
    """Store one account for each line; blank lines and # comments are skipped.

    A "line" is a credential, which for some kinds has several lines itself. Those kinds
    renew what is known already.

    Every account gets the base URL, egress proxy and label given; several accounts
    under one label are numbered. Each is stored for itself, so that a long list
    blocks nobody and a bad line stops nothing. Raises ValueError for a kind or URL
    that cannot be used.
    """
    checked_url("base URL", base_url, BASE_SCHEMES)
    checked_url("proxy URL", proxy_url, PROXY_SCHEMES)
    secrets, malformed = _sorted_out(kind, lines)
    added: list[Account] = []
    replaced: list[Account] = []
    duplicates: list[str] = []
    for number, secret in enumerate(secrets, 1):
        account = Account.add(
            kind=kind,
            secret=secret,
            base_url=base_url,
            proxy_url=proxy_url,
            label=f"{label} {number}" if label and len(secrets) > 1 else label,
        )
        if account is not None:
            added.append(account)
        elif kind_named(kind).renews and (known := websessions.renew(secret)):
            replaced.append(known)
        else:
            duplicates.append(shorten(secret))
    return ImportResult(
        added=tuple(added),
        replaced=tuple(replaced),
        duplicates=tuple(duplicates),
        malformed=tuple(malformed),
    )


def checked_url(what: str, url: str, schemes: frozenset[str]) -> str:
    """Return the URL; raise ValueError if it is given and not of these schemes."""
    if not url:
        return url
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        known = ", ".join(sorted(schemes))
        raise ValueError(f"The {what} must be a full URL with one of: {known}.")
    return url


def _sorted_out(kind: str, lines: Iterable[str]) -> tuple[list[str], list[Rejected]]:
    try:
        validate = kind_named(kind).validate_secret
    except LookupError as error:
        raise ValueError(str(error)) from error
    secrets: list[str] = []
    malformed: list[Rejected] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or (text.startswith(COMMENT) and "\n" not in text):
            continue
        try:
            secrets.append(validate(text))
        except ValueError as error:
            malformed.append(
                Rejected(line=number, shown=shorten(text), reason=str(error))
            )
    return secrets, malformed
