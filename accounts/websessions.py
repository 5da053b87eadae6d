"""The cookies of web accounts as rows: given, claimed, renewed (sync).

A change is made under the row's lock and only to what its maker has seen: cookies that
somebody replaced meanwhile are never overwritten by older ones.
"""

from collections.abc import Callable

from django.db import transaction
from django.db.models import F

from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import WebSession, load_session, source_of
from accounts.models import Account
from accounts.models.upstream import WEB_FACTS, fingerprints
from gemproxy.lib import clock
from gemproxy.lib.secrets import SecretUnreadable

KIND = Account.Kind.GEMINI_WEB
State = Account.State
NEW_COOKIES = "new_cookies"

Change = Callable[[WebSession], WebSession | None]


class Ambiguous(LookupError):
    """Several web accounts could be meant."""


def session_of(account: Account) -> WebSession:
    """Return an account's session.

    Raises ValueError or SecretUnreadable if nobody can read it.
    """
    secret = account.secret
    text = secret if isinstance(secret, str) else secret.reveal()
    return load_session(text, account.facts.get(WEB_FACTS))


def known(cookies: WebCookies) -> Account | None:
    """Return the account whose session this is, whatever has been renewed since."""
    secret = WebSession(cookies=cookies).secret()
    return Account.objects.filter(fingerprint__in=fingerprints(KIND, secret)).first()


def named(name: str) -> Account | None:
    """Return the web account of an id or label, or None.

    Raises Ambiguous if several have the label.
    """
    rows = Account.objects.filter(kind=KIND)
    if name.isdecimal() and len(name) < 19:
        found = rows.filter(pk=int(name)).first()
        if found is not None:
            return found
    labelled = list(rows.filter(label=name)[:2])
    if len(labelled) > 1:
        raise Ambiguous("Several web accounts have this label; name one by its id.")
    return labelled[0] if labelled else None


def chosen(name: str, cookies: WebCookies) -> Account | None:
    """Return the account that given cookies are for; None for a new one.

    Without a name it is the one whose session they are, else the only web account.
    Raises LookupError if there is none of that name, Ambiguous if several may be meant.
    """
    if name:
        found = named(name)
        if found is None:
            raise LookupError("There is no web account of this id or label.")
        return found
    found = known(cookies)
    if found is not None:
        return found
    rows = list(Account.objects.filter(kind=KIND)[:2])
    if len(rows) > 1:
        raise Ambiguous("There are several web accounts; say which by `account`.")
    return rows[0] if rows else None


def add(cookies: WebCookies, *, source: str = "", **fields: object) -> Account | None:
    """Store a new account; None if its session is in the pool already."""
    secret = WebSession(cookies=cookies).secret()
    with transaction.atomic():
        account = Account.add(kind=KIND, secret=secret, **fields)
        if account is not None and source:
            _change(account.pk, lambda s: s.replaced(cookies, _now(), source))
    return account


def replace(
    account_id: int, cookies: WebCookies, *, by: str = "", source: str = ""
) -> bool:
    """Give an account other cookies and let it work again; False if it is gone.

    Raises ValueError if another account of the pool has this session.
    """
    twin = known(cookies)
    if twin is not None and twin.pk != account_id:
        raise ValueError(f"Another account has these cookies: {twin}.")

    with transaction.atomic():
        row = _locked(account_id)
        if row is None:
            return False
        try:
            before = session_of(row)
        except (ValueError, SecretUnreadable):
            before = WebSession(cookies=cookies)
        session = before.replaced(cookies, _now(), source)
        row.set_secret(session.secret())
        _write(row, session)
        if row.state == State.NEEDS_ATTENTION:
            row.move(State.NEW, cause=NEW_COOKIES, by=by)
    return True


def renew(secret: str, *, by: str = "") -> Account | None:
    """Give a known account the cookies in a text to seal; None if nobody knows it."""
    cookies = load_session(secret).cookies
    account = known(cookies)
    if account is None or not replace(account.pk, cookies, by=by):
        return None
    account.refresh_from_db()
    return account


def due(now: float) -> list[int]:
    """Return the ids of the usable accounts whose cookies want to be renewed."""
    found = []
    for row in Account.objects.filter(kind=KIND, state__in=Account.USABLE):
        try:
            if session_of(row).is_due(now):
                found.append(row.pk)
        except (ValueError, SecretUnreadable):
            # Loading the pool sets such an account aside.
            continue
    return found


def unheard_of(now: float, most: int) -> list[int]:
    """Return the ids of a few usable accounts that may be signed out unnoticed.

    Those that were not used for longest come first.
    """
    rows = Account.objects.filter(kind=KIND, state__in=Account.USABLE)
    found = []
    for row in rows.order_by(F("last_used_at").asc(nulls_first=True), "pk"):
        if len(found) == most:
            break
        try:
            if session_of(row).is_unheard_of(now, _used_at(row)):
                found.append(row.pk)
        except (ValueError, SecretUnreadable):
            continue
    return found


def claim_check(account_id: int) -> WebSession | None:
    """Note that its page is looked at now; return its session, or None if somebody
    else has done so."""
    claimed: list[WebSession] = []

    def change(session: WebSession) -> WebSession | None:
        if not session.is_unheard_of(_now(), 0.0):
            return None
        claimed.append(session)
        return session.looked_at(_now())

    with transaction.atomic():
        _change(account_id, change)
    return claimed[0] if claimed else None


def claim(account_id: int) -> WebSession | None:
    """Note that its cookies are renewed now; return them, or None if somebody else
    does it."""
    claimed: list[WebSession] = []

    def change(session: WebSession) -> WebSession | None:
        if not session.is_due(_now()):
            return None
        claimed.append(session)
        return session.claimed(_now())

    with transaction.atomic():
        _change(account_id, change)
    return claimed[0] if claimed else None


def finish(account_id: int, before: WebSession, change: Change) -> WebSession | None:
    """Change a session if its cookies are still those of ``before``.

    Returns the session as it is now, None if it was not changed.
    """

    def only_mine(session: WebSession) -> WebSession | None:
        return change(session) if session.cookies == before.cookies else None

    with transaction.atomic():
        return _change(account_id, only_mine)


def take_from_environment(cookies: WebCookies) -> str:
    """Take in the cookies of the environment; return "added", "replaced" or "".

    Those that were taken in before change nothing: the account may have newer ones.
    """
    source = source_of(cookies)
    account = known(cookies) or _of_environment()
    if account is None:
        return "added" if add(cookies, source=source) else ""
    facts = account.facts.get(WEB_FACTS) or {}
    if facts.get("source") == source:
        return ""
    if not facts.get("source") and facts.get("rotated_at"):
        # A person gave these, and they were renewed since: what is here is older.
        return ""
    return "replaced" if replace(account.pk, cookies, source=source) else ""


def _of_environment() -> Account | None:
    """Return the account that was made from the environment, if there is one."""
    for account in Account.objects.filter(kind=KIND):
        if (account.facts.get(WEB_FACTS) or {}).get("source"):
            return account
    return None


def _change(account_id: int, change: Change) -> WebSession | None:
    """Change a session under its lock; the facts alone if the cookies stay."""
    row = _locked(account_id)
    if row is None:
        return None
    before = session_of(row)
    after = change(before)
    if after is None:
        return None
    if after.cookies != before.cookies:
        row.secret = after.secret()
    _write(row, after)
    return after


def _write(row: Account, session: WebSession) -> None:
    row.facts = {**row.facts, WEB_FACTS: session.facts()}
    row.save(update_fields=["secret", "secret_hint", "fingerprint", "facts"])


def _used_at(row: Account) -> float:
    return row.last_used_at.timestamp() if row.last_used_at else 0.0


def _locked(account_id: int) -> Account | None:
    rows = Account.objects.select_for_update().order_by()
    return rows.filter(pk=account_id, kind=KIND).first()


def _now() -> float:
    return clock.now().timestamp()
