"""Credentials of any kind into the pool, from whatever a person has of them."""

from accounts.models import Account
from proxy.cli_logins import import_logins
from proxy.imports import ImportResult, Where, import_secrets
from proxy.upstreams.kinds import KINDS


def import_data(
    kind: str, data: bytes | str, where: Where | None = None
) -> ImportResult:
    """Store what a paste or a file holds; raises ValueError for what cannot be used.

    What is pasted of one kind is cut as that kind says, most by lines.
    """
    if kind == Account.Kind.CODE_ASSIST:
        return import_logins(data, where)
    split = KINDS[kind].split if kind in KINDS else str.splitlines
    return import_secrets(kind, split(_text(data)), where)


def _text(data: bytes | str) -> str:
    """Return text without a byte order mark."""
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("It cannot be read: this is no text in UTF-8.") from None
