"""Gemini CLI logins into the pool: new ones are added, known ones get the newer login."""

import re
from dataclasses import dataclass, replace

from django.db import transaction

from accounts.credentials.cli_json import (
    CliCredential,
    dumped,
    loaded,
    read_many,
)
from accounts.models import Account
from accounts.models.upstream import fingerprints
from gemproxy.lib.secrets import SecretUnreadable
from proxy.cli_routes import open_routes
from proxy.imports import ImportResult, Rejected, Where, take_over

KIND = Account.Kind.CODE_ASSIST
_NUMBERED = re.compile(r"cli-account-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Stored:
    """An account that holds a login now; ``what`` became of it: added, replaced, or
    known when nothing had to change."""

    account: Account
    what: str


def import_logins(data: bytes | str, where: Where | None = None) -> ImportResult:
    """Store every login in a paste, a file or a zip.

    Several under one label are numbered. Raises ValueError if there is none at all, or
    a part of ``where`` cannot be used.
    """
    where = (where or Where()).checked()
    found = read_many(data)
    logins = [entry.credential for entry in found if entry.credential is not None]
    each = zip(logins, where.numbered(len(logins)), strict=True)
    stored = [store_login(login, place) for login, place in each]
    return ImportResult(
        added=tuple(s.account for s in stored if s.what == "added"),
        replaced=tuple(s.account for s in stored if s.what == "replaced"),
        duplicates=tuple(s.account.secret_hint for s in stored if s.what == "known"),
        malformed=tuple(
            Rejected(line=number, shown=entry.name, reason=entry.reason)
            for number, entry in enumerate(found, 1)
            if entry.credential is None
        ),
    )


def store_login(login: CliCredential, where: Where, by: str = "") -> Stored:
    """Store one login. An account is known by its refresh token or its e-mail; what a
    newer login does not say stays, and an account that needed attention is new again.
    """
    with transaction.atomic():
        known = _known(login)
        if known is not None:
            return _renewed(known, login, where, by)
        account = Account.add(
            kind=KIND,
            secret=dumped(login),
            facts=_facts(login),
            **{"label": _free_label(), **where.fields()},
        )
        if account is not None and not _others(account):
            open_routes()
    if account is None:
        # Somebody added it at the same moment.
        return store_login(login, where, by)
    # Sealed fields are sealed as they are stored.
    account.refresh_from_db()
    return Stored(account, "added")


def _others(account: Account) -> bool:
    return Account.objects.filter(kind=KIND).exclude(pk=account.pk).exists()


def _known(login: CliCredential) -> Account | None:
    rows = Account.objects.select_for_update().filter(kind=KIND)
    found = rows.filter(fingerprint__in=fingerprints(KIND, dumped(login))).first()
    if found is None and login.email:
        found = rows.filter(facts__email=login.email).first()
    return found


def _renewed(account: Account, login: CliCredential, where: Where, by: str) -> Stored:
    old = _login_of(account)
    made = _merged(old, login)
    changed = made != old
    changed = bool(take_over(account, where)) or changed
    account.set_secret(dumped(made))
    account.facts = {**account.facts, **_facts(made)}
    account.save()
    account.refresh_from_db()
    if account.state == Account.State.NEEDS_ATTENTION:
        changed = account.move(Account.State.NEW, cause="new_secret", by=by)
    return Stored(account, "replaced" if changed else "known")


def _login_of(account: Account) -> CliCredential | None:
    try:
        return loaded(account.secret.reveal())
    except (ValueError, SecretUnreadable):
        return None


def _merged(old: CliCredential | None, new: CliCredential) -> CliCredential:
    """Return the newer login; of the same one the token that lasts longer."""
    if old is None:
        return new
    project, email = new.project_id or old.project_id, new.email or old.email
    made = replace(new, project_id=project, email=email)
    if old.refresh_token != new.refresh_token or old.expires_at <= new.expires_at:
        return made
    return replace(made, access_token=old.access_token, expires_at=old.expires_at)


def _facts(login: CliCredential) -> dict[str, str]:
    found = {"email": login.email, "project": login.project_id}
    return {name: value for name, value in found.items() if value}


def _free_label() -> str:
    labels = Account.objects.filter(kind=KIND).values_list("label", flat=True)
    taken = [int(m[1]) for m in map(_NUMBERED.fullmatch, labels) if m]
    return f"cli-account-{max(taken, default=0) + 1}"
