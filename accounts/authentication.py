"""The one door: from the credentials of a request to its caller."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.auth.hashers import make_password

from accounts import tokens
from accounts.callers import Caller
from accounts.models import Plan, Token, User
from gemproxy.lib import clock, db
from gemproxy.lib.network import is_inside

logger = logging.getLogger(__name__)

KEPT_SECONDS = 10.0
KEPT_ENTRIES = 20_000
BEARER = "bearer "
#: The person that callers from WHITELIST_IPS act as.
LISTED = "allow-listed"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a look-up found, and until when it may be believed (epoch seconds)."""

    caller: Caller | None
    until: float


class Door:
    """Looks tokens up and remembers them for a few seconds."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._looking: dict[str, asyncio.Future[Caller | None]] = {}

    def forget(self, _key: str = "") -> None:
        """Drop what is remembered: some token, user or plan has changed."""
        self._entries = {}

    async def open(self, text: str) -> Caller | None:
        """Return the caller that a token stands for, or None if it opens nothing."""
        if not _is_possible(text):
            return None
        digest = tokens.digest(text, settings.SECRET_KEY)
        entry = self._entries.get(digest)
        if entry is not None and entry.until > clock.now().timestamp():
            return entry.caller
        return await self._look_up(digest, text)

    async def listed(self, address: str, origin: str = "") -> Caller | None:
        """Return the caller for an address that needs no token, None if it needs one.

        ``origin`` is the Origin header. A page that somebody at such an address looks
        at must not call us in his place, unless the operator named its origin.
        """
        if not settings.WHITELIST_IPS or not is_inside(address, settings.WHITELIST_IPS):
            return None
        if origin and origin not in settings.CORS_ALLOWED_ORIGINS:
            return None
        entry = self._entries.get(LISTED)
        if entry is not None and entry.until > clock.now().timestamp():
            return entry.caller
        return await self._remember(LISTED, db.run(find_listed))

    async def guest(self, address: str) -> Caller:
        """Return the caller who needs no token at this address."""
        name = f"guest {address}"
        entry = self._entries.get(name)
        if entry is not None and entry.until > clock.now().timestamp():
            assert entry.caller is not None  # noqa: S101
            return entry.caller
        return await self._remember(name, db.run(find_guest, address))

    async def _look_up(self, digest: str, text: str) -> Caller | None:
        """Ask the database, once for all who ask at the same moment."""
        looking = self._looking.get(digest)
        if looking is None:
            work = db.run(find_caller, text)
            looking = asyncio.ensure_future(self._remember(digest, work))
            self._looking[digest] = looking
            looking.add_done_callback(lambda _: self._looking.pop(digest, None))
        return await asyncio.shield(looking)

    async def _remember(self, digest: str, work: object) -> Caller | None:
        entries = self._entries
        entry: Entry = await work
        if len(entries) >= KEPT_ENTRIES:
            entries.clear()
        # Into the dictionary of before the question: if it was dropped meanwhile,
        # this answer may be stale and must not be kept.
        entries[digest] = entry
        return entry.caller


def find_caller(text: str) -> Entry:
    """Look a token up in the database (sync)."""
    now = clock.now()
    until = now.timestamp() + KEPT_SECONDS
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [tokens.digest(text, key) for key in keys]
    rows = Token.objects.usable(now).select_related("user__plan", "plan")
    token = rows.filter(digest__in=digests).first()
    if token is None:
        return Entry(None, until)
    if token.scope == Token.Scope.OPERATOR and not token.user.is_staff:
        return Entry(None, until)
    if token.expires_at:
        until = min(until, token.expires_at.timestamp())
    return Entry(_caller(token.user, token), until)


def find_listed() -> Entry:
    """Return the caller that all listed addresses are (sync).

    The person behind it is made when it is first needed. Nobody can sign in as it, and
    whatever rights it is given, it is no operator here.
    """
    user, _made = User.objects.get_or_create(
        username=LISTED, defaults={"password": make_password(None)}
    )
    caller = _caller(user, None) if user.is_active else None
    return Entry(caller, clock.now().timestamp() + KEPT_SECONDS)


def find_guest(address: str) -> Entry:
    """Return the caller without a token that an address stands for (sync)."""
    plan = Plan.objects.filter(is_default=True).first()
    caller = Caller(
        user_id=None,
        username="guest",
        guest=address,
        plan=plan.name if plan else "",
        **({"limits": plan.limits()} if plan else {}),
    )
    return Entry(caller, clock.now().timestamp() + KEPT_SECONDS)


def person(user: User) -> Caller:
    """Return the caller that a signed-in person is."""
    return _caller(user, None)


def _caller(user: User, token: Token | None) -> Caller:
    plan = (token.plan if token else None) or user.plan
    plan = plan or Plan.objects.filter(is_default=True).first()
    return Caller(
        user_id=user.pk,
        username=user.username,
        token_id=token.pk if token else None,
        token_name=token.name if token else "",
        scope="operator" if token and token.scope == "operator" else "api",
        plan=plan.name if plan else "",
        remove_mark=token.remove_mark if token else None,
        **({"limits": plan.limits()} if plan else {}),
    )


def credentials(headers: Mapping[str, str], query: str) -> str:
    """Return the token a request carries, or an empty string.

    A non-empty ``x-goog-api-key`` wins, then ``Authorization: Bearer``, then
    ``x-api-key``, then ``?key=``: gemini-cli sends both of the first two.
    """
    google = headers.get("x-goog-api-key", "").strip()
    if google:
        return google
    authorization = headers.get("authorization", "").strip()
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    plain = headers.get("x-api-key", "").strip()
    if plain or "key=" not in query:
        return plain
    return parse_qs(query).get("key", [""])[-1].strip()


def _is_possible(text: str) -> bool:
    """Spare the database what cannot be a token."""
    if tokens.is_well_formed(text):
        return True
    chosen = settings.ADMIN_AUTH_TOKEN
    return bool(chosen) and compare_digest(text.encode(), chosen.encode())
