"""The demo's own people, accounts and credentials."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from accounts import websessions
from accounts.authentication import find_caller
from accounts.credentials.cookies import WebCookies
from accounts.models import Token, User
from gemproxy import setup
from proxy.cli_logins import import_logins
from proxy.imports import Where, import_secrets
from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.logins import sandbox_login
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.sandbox.xai_faults import xai_key

CREDENTIALS = "credentials.json"
ADMIN, CALLER = "admin", "demo"
ACCOUNTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the demo prints; kept in a file of mode 0600 for the next start."""

    admin_password: str
    demo_password: str
    token: str


def seed(web_port: int | None = None) -> Credentials:
    """Make what the demo shows, unless it is there; return how to get in.

    ``web_port`` is that of the sandbox's gemini.google.com.
    """
    keys = [sandbox_key("ok", number) for number in range(1, ACCOUNTS + 1)]
    import_secrets("gemini_api", keys, Where(label="Sandbox"))
    import_secrets("xai", [xai_key()], Where(label="Sandbox xAI"))
    import_logins(json.dumps(sandbox_login()), Where(label="Sandbox CLI"))
    if web_port is not None:
        _web_account(web_port)
    path = Path(settings.VAR_DIR) / CREDENTIALS
    kept = _kept(path)
    if kept and _open_doors(kept):
        return kept
    made = Credentials(
        admin_password=secrets.token_urlsafe(12),
        demo_password=secrets.token_urlsafe(12),
        token=_new_token(_person(CALLER)),
    )
    _set_password(_person(ADMIN, operator=True), made.admin_password)
    _set_password(_person(CALLER), made.demo_password)
    _keep(path, made)
    setup.close_setup()
    return made


def _web_account(port: int) -> None:
    """Put a web account into the pool, or tell it the sandbox's new port and cookies.

    A sandbox that starts anew knows nothing of cookies that were renewed before.
    """
    psid = sandbox_psid()
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid))
    proxy_url = f"http://127.0.0.1:{port}"
    account = websessions.known(cookies)
    if account is None:
        websessions.add(cookies, label="Sandbox web", proxy_url=proxy_url)
        return
    account.proxy_url = proxy_url
    account.save(update_fields=["proxy_url"])
    websessions.replace(account.pk, cookies)


def _kept(path: Path) -> Credentials | None:
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _open_doors(kept: Credentials) -> bool:
    """Return whether the kept credentials still work; somebody may have changed them."""
    people = {user.username: user for user in User.objects.filter(is_active=True)}
    admin, caller = people.get(ADMIN), people.get(CALLER)
    return (
        admin is not None
        and caller is not None
        and admin.is_superuser
        and admin.check_password(kept.admin_password)
        and caller.check_password(kept.demo_password)
        and find_caller(kept.token).caller is not None
    )


def _person(username: str, *, operator: bool = False) -> User:
    user, _ = User.objects.get_or_create(username=username)
    user.is_active = True
    if operator:
        user.is_staff = user.is_superuser = True
    user.save()
    return user


def _set_password(user: User, password: str) -> None:
    user.set_password(password)
    user.save()


def _new_token(user: User) -> str:
    _, text = Token.issue(user=user, name="make demo")
    return text


def _keep(path: Path, credentials: Credentials) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file)
