"""Credentials into the pool by the list: pasted, from a file, from the environment."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from accounts import websessions
from accounts.credentials.authorities import valid_authorities
from accounts.models import Account
from accounts.models.upstream import LAST_PRIORITY
from gemproxy.lib.redaction import shorten
from gemproxy.lib.secrets import Sealed, SecretUnreadable
from proxy.upstreams.kinds import kind_named

COMMENT = "#"
BASE_SCHEMES = frozenset({"http", "https"})
PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks5", "socks5h"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """How accounts are reached, called and ordered; empty values say nothing."""

    base_url: str = ""
    proxy_url: str = field(default="", repr=False)
    ca_pem: str = field(default="", repr=False)
    label: str = ""
    priority: int | None = None

    def checked(self) -> "Where":
        """Return it with its certificates in order; raise ValueError for what cannot
        be used."""
        checked_url("base URL", self.base_url, BASE_SCHEMES)
        checked_url("proxy URL", self.proxy_url, PROXY_SCHEMES)
        if self.priority is not None and not 0 <= self.priority <= LAST_PRIORITY:
            raise ValueError(f"The priority is a number from 0 to {LAST_PRIORITY}.")
        return replace(self, ca_pem=valid_authorities(self.ca_pem))

    def numbered(self, count: int) -> Iterator["Where"]:
        """Yield it for each of several accounts, which then have numbered labels."""
        for number in range(1, count + 1):
            several = self.label and count > 1
            label = f"{self.label} {number}" if several else self.label
            yield replace(self, label=label)

    def fields(self) -> dict[str, Any]:
        """Return what it says as an account's fields."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in found.items() if value not in ("", None)}


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
    kind: str, lines: Iterable[str], where: Where | None = None
) -> ImportResult:
    """Store one account for each line; blank lines and # comments are skipped.

    A "line" is a credential, which for some kinds has several lines itself. Those kinds
    renew what is known already.

    Every account gets what ``where`` says; several accounts under one label are
    numbered. Each is stored for itself, so that a long list blocks nobody and a bad
    line stops nothing. Raises ValueError for a kind, or a part of ``where``, that
    cannot be used.
    """
    where = (where or Where()).checked()
    secrets, malformed = _sorted_out(kind, lines)
    added: list[Account] = []
    replaced: list[Account] = []
    duplicates: list[str] = []
    for secret, each in zip(secrets, where.numbered(len(secrets)), strict=True):
        account = Account.add(kind=kind, secret=secret, **each.fields())
        if account is not None:
            added.append(account)
        elif kind_named(kind).renews and (known := websessions.renew(secret)):
            if moved := take_over(known, each):
                known.save(update_fields=moved)
            replaced.append(known)
        else:
            duplicates.append(shorten(secret))
    return ImportResult(
        added=tuple(added),
        replaced=tuple(replaced),
        duplicates=tuple(duplicates),
        malformed=tuple(malformed),
    )


def take_over(account: Account, where: Where) -> list[str]:
    """Set what is said of an account that is known (not saved); return the fields that
    change by it."""
    before = {name: _revealed(getattr(account, name)) for name in where.fields()}
    changed = {n: v for n, v in where.fields().items() if before[n] != v}
    for name, value in changed.items():
        setattr(account, name, value)
    return list(changed)


def _revealed(value: Any) -> Any:
    try:
        return value.reveal() if isinstance(value, Sealed) else value
    except SecretUnreadable:
        return ""


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
