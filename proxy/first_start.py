"""What every start puts in order before the gateway serves."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from accounts import websessions
from accounts.credentials.cookies import read_cookie_object
from accounts.models import Token
from accounts.tokens import digest, weakness
from gemproxy import setup
from proxy import schedules
from proxy.imports import import_secrets

Say = Callable[[str], None]

TOKEN_NAME = "ADMIN_AUTH_TOKEN"  # noqa: S105 (a name, no secret)
#: Kinds of account whose keys a setting may list.
KEY_SETTINGS = {"gemini_api": "GEMINI_API_KEYS", "xai": "XAI_API_KEYS"}
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 (compared, not bound)


class CannotStart(Exception):
    """The environment asks for something that cannot be done."""


def put_in_order(address: str, say: Say) -> None:
    """Sync schedules, then take accounts and the operator from the environment.

    Everything here may be repeated at every start. While there is no operator, a
    set-up link below ``address`` is printed. Raises CannotStart.
    """
    schedules.sync()
    import_keys(say)
    import_cookies(say)
    make_operator(say)
    store_operator_token(say)
    if not setup.operator_exists():
        say("There is no operator yet. Open this link once to become one:")
        say(f"  {address}/setup/{setup.new_setup_link()}/")


def import_keys(say: Say) -> None:
    """Put the keys of the settings into the pool; those in it stay as they are."""
    for kind, name in KEY_SETTINGS.items():
        result = import_secrets(kind, getattr(settings, name))
        if result.added:
            say(f"Added {len(result.added)} accounts from {name}")
        for entry in result.malformed:
            say(f"{name}, entry {entry.line} ({entry.shown}): {entry.reason}")


def import_cookies(say: Say) -> None:
    """Put the cookies of SECURE_1PSID into the pool, unless it has newer ones."""
    given = {
        "SECURE_1PSID": settings.SECURE_1PSID,
        "SECURE_1PSIDTS": settings.SECURE_1PSIDTS,
        "SECURE_1PSIDCC": settings.SECURE_1PSIDCC,
    }
    if not settings.SECURE_1PSID:
        return
    try:
        done = websessions.take_from_environment(read_cookie_object(given))
    except ValueError as error:
        say(f"SECURE_1PSID: {error}")
        return
    if done:
        say(f"The web account of SECURE_1PSID was {done}")


def make_operator(say: Say) -> None:
    """Create the operator of ADMIN_USER and ADMIN_PASSWORD if there is none."""
    try:
        user = setup.operator_from_environment()
    except ValidationError as error:
        reasons = " ".join(error.messages)
        raise CannotStart(f"ADMIN_USER or ADMIN_PASSWORD: {reasons}") from error
    if user is not None:
        say(f"Created the operator {user.get_username()}")


def store_operator_token(say: Say) -> None:
    """Make ADMIN_AUTH_TOKEN an operator token of the first operator.

    A token taken out of the environment, or changed there, is revoked.
    """
    text = settings.ADMIN_AUTH_TOKEN
    if text and weakness(text):
        raise CannotStart(f"ADMIN_AUTH_TOKEN is refused: {weakness(text)}.")
    key = digest(text, settings.SECRET_KEY) if text else ""
    stored = Token.objects.filter(name=TOKEN_NAME, scope=Token.Scope.OPERATOR)
    for old in stored.filter(revoked_at=None).exclude(digest=key):
        old.revoke()
    if not text or Token.objects.filter(digest=key).exists():
        return
    owner = setup.operators().order_by("pk").first()
    if owner is None:
        say("ADMIN_AUTH_TOKEN waits for the first operator; restart after set-up")
        return
    Token.issue(text=text, user=owner, name=TOKEN_NAME, scope=Token.Scope.OPERATOR)
    say("Stored ADMIN_AUTH_TOKEN as an operator token")


def address_of(host: str, port: int) -> str:
    """Return the URL by which people reach the gateway."""
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL)
    name = "127.0.0.1" if host in EVERYWHERE else host
    bracketed = f"[{name}]" if ":" in name else name
    return urlsplit(f"http://{bracketed}:{port}").geturl()
