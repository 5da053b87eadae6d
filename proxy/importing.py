"""Credentials of any kind into the pool, from whatever a person has of them."""

from accounts.models import Account
from proxy.cli_logins import Where, import_logins
from proxy.imports import ImportResult, import_secrets
from proxy.upstreams.kinds import KINDS


def import_data(
    kind: str,
    data: bytes | str,
    *,
    base_url: str = "",
    proxy_url: str = "",
    label: str = "",
) -> ImportResult:
    """Store what a paste or a file holds; raises ValueError for what cannot be used.

    What is pasted of one kind is cut as that kind says, most by lines.
    """
    if kind == Account.Kind.CODE_ASSIST:
        where = Where(base_url=base_url, proxy_url=proxy_url, label=label)
        return import_logins(data, where)
    split = KINDS[kind].split if kind in KINDS else str.splitlines
    return import_secrets(
        kind,
        split(_text(data)),
        base_url=base_url,
        proxy_url=proxy_url,
        label=label,
    )


def _text(data: bytes | str) -> str:
    """Return text without a byte order mark."""
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("It cannot be read: this is no text in UTF-8.") from None
