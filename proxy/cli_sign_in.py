"""Signing a Google account in from the admin, without a page of ours for Google.

The browser is sent to an address on the operator's own machine where nobody listens;
the operator copies it from the address bar. What the exchange needs stays in the
operator's session, for a few minutes.
"""

import hmac
import secrets
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings

from accounts.credentials.cli_json import CliCredential
from gemproxy.lib import clock
from proxy.scheduling.pool import make_adapter
from proxy.upstreams.base import Way
from proxy.upstreams.code_assist import CodeAssist
from proxy.upstreams.http import Clients
from proxy.wire.oauth import consent_url, read_callback

REDIRECT = "http://localhost:8085/oauth2callback"
MINUTES = 10
_KEY = "cli_sign_in"
_VERIFIER_BYTES = 64

Session = MutableMapping[str, Any]


class NotSetUp(Exception):
    """There is no OAuth client to sign in with."""


def begin(session: Session) -> str:
    """Return Google's page to open; an earlier begun sign-in is forgotten.

    Raises NotSetUp.
    """
    if not (settings.GEMINI_CLI_CLIENT_ID and settings.GEMINI_CLI_CLIENT_SECRET):
        raise NotSetUp(
            "Set GEMINI_CLI_CLIENT_ID and GEMINI_CLI_CLIENT_SECRET first: gemproxy"
            " ships no OAuth client. Importing a login works without."
        )
    state = secrets.token_urlsafe(24)
    verifier = secrets.token_urlsafe(_VERIFIER_BYTES)
    until = clock.now().timestamp() + MINUTES * 60
    session[_KEY] = {"state": state, "verifier": verifier, "until": until}
    return consent_url(
        settings.OAUTH_TOKEN_URL,
        client_id=settings.GEMINI_CLI_CLIENT_ID,
        redirect_uri=REDIRECT,
        state=state,
        verifier=verifier,
    )


def finish(
    session: Session,
    pasted: str,
    *,
    project: str = "",
    way: Way = Way(),  # noqa: B008 - it cannot change
) -> CliCredential:
    """Return the login that the pasted address stands for.

    Raises ValueError with words for a person, or the fault of the exchange. A begun
    sign-in serves once, because its code does.
    """
    code, state = read_callback(pasted)
    begun = session.get(_KEY) or {}
    if not begun or begun["until"] < clock.now().timestamp():
        session.pop(_KEY, None)
        raise ValueError("The sign-in took too long: begin again.")
    # A bare code carries no state; the verifier alone then ties it to this session.
    if state and not hmac.compare_digest(state.encode(), begun["state"].encode()):
        raise ValueError("The address belongs to another sign-in: begin again.")
    del session[_KEY]
    login = async_to_sync(_exchange, force_new_loop=True)(code, begun["verifier"], way)
    return replace(login, project_id=project)


async def _exchange(code: str, verifier: str, way: Way) -> CliCredential:
    adapter = make_adapter(CodeAssist.kind, Clients())
    assert isinstance(adapter, CodeAssist)  # noqa: S101
    endpoint = adapter.logins.endpoint
    try:
        login = await endpoint.exchange(
            code, redirect_uri=REDIRECT, verifier=verifier, way=way
        )
        if login.email:
            return login
        return replace(login, email=await endpoint.email(login, way))
    finally:
        await adapter.aclose()
