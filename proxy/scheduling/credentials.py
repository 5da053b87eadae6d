"""Secrets that providers renew, as rows: read, claimed, compared and set.

A claim is a time in the account's facts. It is written in a transaction of its own, so
that no lock is held while a provider is asked; whoever dies loses it by the clock.
"""

import functools
import secrets
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.db import Error as DatabaseTrouble, transaction
from django.db.models import QuerySet

from accounts.models import Account
from gemproxy.lib import clock, db
from gemproxy.lib.secrets import SecretUnreadable
from proxy.upstreams.oauth import StoreAway

P = ParamSpec("P")
R = TypeVar("R")

#: Where in the facts a claim stands; not for people.
CLAIM = "_claim"
HIDDEN = "_"


class AccountSecrets:
    """The secrets of accounts, for adapters that renew them; of one adapter.

    It is a ``CredentialStore`` of ``proxy.upstreams.oauth``.
    """

    def __init__(self) -> None:
        self._member = secrets.token_hex(8)

    async def read(self, account_id: int) -> str:
        return await _run(_read, account_id)

    async def claim(self, account_id: int, seconds: float) -> str | None:
        until = clock.now().timestamp() + seconds
        return await _run(_claim, account_id, self._member, until)

    async def replace(self, account_id: int, old: str, new: str) -> bool:
        return await _run(_replace, account_id, old, new)

    async def release(self, account_id: int) -> None:
        await _run(_release, account_id, self._member)

    async def note(self, account_id: int, facts: dict[str, Any]) -> None:
        await _run(_note, account_id, facts)


def shown_facts(account: Account) -> dict[str, Any]:
    """Return what is known of an account, without what only processes need."""
    facts = account.facts if isinstance(account.facts, dict) else {}
    return {name: v for name, v in facts.items() if not name.startswith(HIDDEN)}


async def _run(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return await db.run(work, *args, **kwargs)
    except DatabaseTrouble as error:
        raise StoreAway(type(error).__name__) from error
    except SecretUnreadable as error:
        raise LookupError(str(error)) from error


def _atomic(work: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic():
            return work(*args, **kwargs)

    return wrapped


def _read(account_id: int) -> str:
    row = Account.objects.filter(pk=account_id).first()
    if row is None:
        raise LookupError(f"no account {account_id}")
    return row.secret.reveal()


@_atomic
def _claim(account_id: int, member: str, until: float) -> str | None:
    row = _locked(account_id)
    held = row.facts.get(CLAIM) or {}
    ours = held.get("by") == member
    if not ours and held.get("until", 0) > clock.now().timestamp():
        return None
    _write_facts(row, {**row.facts, CLAIM: {"by": member, "until": until}})
    return row.secret.reveal()


@_atomic
def _release(account_id: int, member: str) -> None:
    row = _locked(account_id)
    if (row.facts.get(CLAIM) or {}).get("by") == member:
        kept = {name: value for name, value in row.facts.items() if name != CLAIM}
        _write_facts(row, kept)


@_atomic
def _replace(account_id: int, old: str, new: str) -> bool:
    row = _locked(account_id)
    if row.secret.reveal() != old:
        return False
    row.set_secret(new)
    row.save(update_fields=["secret", "secret_hint", "fingerprint"])
    return True


@_atomic
def _note(account_id: int, facts: dict[str, Any]) -> None:
    row = _locked(account_id)
    _write_facts(row, {**row.facts, **facts})


def _locked(account_id: int) -> Account:
    row = Account.objects.select_for_update().filter(pk=account_id).first()
    if row is None:
        raise LookupError(f"no account {account_id}")
    return row


def _write_facts(row: Account, facts: dict[str, Any]) -> None:
    # No pool needs to hear of it: adapters do not read facts.
    QuerySet(Account).filter(pk=row.pk).update(facts=facts)
