"""Credentials that the sandbox issues, for each kind of account the lab can make."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.credentials.cli_json import dumped, read_one
from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import WebSession
from proxy.faultlab.row import Kind
from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.logins import refresh_token, sandbox_login
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.sandbox.xai_faults import xai_key


@dataclass(frozen=True, slots=True)
class Credential:
    """What an account is made of.

    ``secret`` is sealed in it, ``name`` is what the sandbox knows the credential by.
    """

    kind: Kind
    secret: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The part of the sandbox that stands for a kind's provider.

    ``models`` are the one that fails and one that must go on working. ``control`` is
    the path under which behaviours are told, ``field`` names the credential there.
    ``path`` is where the provider begins on the sandbox. A web account reaches its
    provider through a proxy of its own, ``by_proxy``.
    """

    models: tuple[str, str]
    control: str
    field: str
    path: str = ""
    by_proxy: bool = False


PROVIDERS: dict[Kind, Provider] = {
    "gemini_api": Provider(
        models=("gemini-2.5-flash", "gemini-2.5-flash-lite"),
        control="/sandbox/keys",
        field="key",
    ),
    "gemini_web": Provider(
        models=("gemini-flash", "gemini-pro"),
        control="/sandbox/accounts",
        field="psid",
        by_proxy=True,
    ),
    "code_assist": Provider(
        models=("gemini-2.5-flash", "gemini-2.5-flash-lite"),
        control="/sandbox/logins",
        field="login",
    ),
    "xai": Provider(
        models=("grok-4.3", "grok-4.20-0309-non-reasoning"),
        control="/sandbox/keys",
        field="key",
        path="/api.x.ai",
    ),
}


def new_credential(kind: Kind, number: int) -> Credential:
    """Return a credential that behaves well; ``number`` tells it from others."""
    return Credential(kind, *_MAKERS[kind](number))


def _plain(make: Callable[[str, int], str]) -> Callable[[int], tuple[str, str]]:
    def made(number: int) -> tuple[str, str]:
        key = make("ok", number)
        return key, key

    return made


def _login(number: int) -> tuple[str, str]:
    found: dict[str, Any] = sandbox_login("ok", number)
    return dumped(read_one(json.dumps(found))), refresh_token("ok", number)


def _cookies(number: int) -> tuple[str, str]:
    psid = sandbox_psid("ok", number)
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid))
    return WebSession(cookies=cookies).secret(), psid


_MAKERS: dict[Kind, Callable[[int], tuple[str, str]]] = {
    "gemini_api": _plain(sandbox_key),
    "gemini_web": _cookies,
    "code_assist": _login,
    "xai": _plain(xai_key),
}
