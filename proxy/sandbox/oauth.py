"""Google's sign-in: the consent page, the token endpoint and userinfo."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from proxy.sandbox.exchange import Exchange
from proxy.sandbox.logins import (
    CLIENT_ID,
    CLIENT_SECRET,
    LIFETIME,
    SCOPES,
    Logins,
    email_of,
    id_token,
    refresh_token,
)
from proxy.sandbox.sending import EVER

TOKEN, CONSENT, USER = "/token", "/o/oauth2/v2/auth", "/oauth2/v2/userinfo"
PATHS = frozenset({TOKEN, CONSENT, USER})
_FORM = "application/x-www-form-urlencoded"
_FIELDS = {
    "refresh_token": {"grant_type", "client_id", "client_secret", "refresh_token"},
    "authorization_code": {
        "grant_type",
        "client_id",
        "client_secret",
        "code",
        "redirect_uri",
        "code_verifier",
    },
}
_ENDED = "Token has been expired or revoked."
#: behaviour: status, error, description, subtype
_REFUSED = {
    "revoked": (400, "invalid_grant", _ENDED, ""),
    "rapt": (
        400,
        "invalid_grant",
        "reauth related error (invalid_rapt)",
        "invalid_rapt",
    ),
    "badclient": (401, "invalid_client", "The OAuth client was not found.", ""),
    "deletedclient": (401, "deleted_client", "The OAuth client was deleted.", ""),
    "strangeclient": (401, "unauthorized_client", "Unauthorized", ""),
    "policy": (403, "admin_policy_enforced", "Blocked by the administrator.", ""),
    "tokendown": (503, "temporarily_unavailable", "Try again later.", ""),
    "tokenfail": (500, "internal_failure", "", ""),
}
#: Marks an answer that never leaves, although tokens were given.
_HOLD = "held"
#: The second takes the refresh token that was used back.
_HELD = frozenset({"grantstall", "rotatingstall"})
NAMES = frozenset({*_REFUSED, *_HELD, "rotating"})


class TokenRefusal(Exception):
    """The token endpoint says no, in the words of RFC 6749."""

    def __init__(
        self, status: int, error: str, description: str = "", subtype: str = ""
    ) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error}
        if description:
            self.body["error_description"] = description
        if subtype:
            self.body["error_subtype"] = subtype


async def answer(exchange: Exchange, logins: Logins) -> None:
    """Answer one call of the sign-in services."""
    wanted = exchange.method, exchange.path
    if wanted == ("POST", TOKEN):
        await _token(exchange, logins)
    elif wanted == ("GET", USER):
        await _user(exchange, logins)
    elif wanted == ("GET", CONSENT):
        await _consent(exchange, logins)
    else:
        await exchange.answer_json(405, {"error": "invalid_request"})


async def _token(exchange: Exchange, logins: Logins) -> None:
    try:
        found = _granted(_form(exchange), logins)
    except TokenRefusal as refusal:
        await exchange.answer_json(refusal.status, refusal.body)
        return
    if found.pop(_HOLD, False):
        await asyncio.sleep(EVER)
    await exchange.answer_json(200, found)


def _form(exchange: Exchange) -> dict[str, str]:
    if not exchange.headers.get("content-type", "").startswith(_FORM):
        raise TokenRefusal(400, "invalid_request", "The body is no form.")
    return dict(parse_qsl(exchange.body.decode(), keep_blank_values=True))


def _granted(form: Mapping[str, str], logins: Logins) -> dict[str, Any]:
    known = _FIELDS.get(form.get("grant_type", ""))
    if known is None:
        raise TokenRefusal(400, "unsupported_grant_type", "Invalid grant_type")
    _check_client(form)
    if "scope" in form:
        # Google answers so to this client's refreshes that name scopes.
        raise TokenRefusal(400, "restricted_client", "Unregistered scope(s)")
    unknown = form.keys() - known
    if unknown:
        raise TokenRefusal(400, "invalid_request", f"Unknown: {sorted(unknown)[0]}")
    if form["grant_type"] == "refresh_token":
        return _refreshed(form, logins)
    return _exchanged(form, logins)


def _check_client(form: Mapping[str, str]) -> None:
    if not form.get("client_secret"):
        raise TokenRefusal(400, "invalid_request", "client_secret is missing.")
    if form.get("client_id") != CLIENT_ID:
        raise TokenRefusal(401, "invalid_client", "The OAuth client was not found.")
    if form["client_secret"] != CLIENT_SECRET:
        raise TokenRefusal(401, "invalid_client", "The provided secret is invalid.")


def _refreshed(form: Mapping[str, str], logins: Logins) -> dict[str, Any]:
    login = form.get("refresh_token", "")
    if not logins.knows(login):
        raise TokenRefusal(400, "invalid_grant", _ENDED)
    behaviour = logins.show(login, NAMES)
    if behaviour.name in _REFUSED:
        raise TokenRefusal(*_REFUSED[behaviour.name])
    held = {_HOLD: True} if behaviour.name in _HELD else {}
    if behaviour.name.startswith("rotating"):
        login = logins.rotate(login)
        return {**_tokens(login, logins), "refresh_token": login, **held}
    return {**_tokens(login, logins), **held}


def _exchanged(form: Mapping[str, str], logins: Logins) -> dict[str, Any]:
    code = logins.take_code(form.get("code", ""))
    if code is None:
        raise TokenRefusal(400, "invalid_grant", "Malformed auth code.")
    if form.get("redirect_uri") != code.redirect_uri:
        raise TokenRefusal(400, "redirect_uri_mismatch", "Bad Request")
    if _challenge(form.get("code_verifier", "")) != code.challenge:
        raise TokenRefusal(400, "invalid_grant", "Invalid code verifier.")
    login = refresh_token("ok", 900_000 + secrets.randbelow(99_999))
    return {**_tokens(login, logins), "refresh_token": login}


def _tokens(login: str, logins: Logins) -> dict[str, Any]:
    return {
        "access_token": logins.grant(login),
        "expires_in": min(logins.lifetime, LIFETIME),
        "scope": " ".join([*SCOPES, "openid"]),
        "token_type": "Bearer",
        "id_token": id_token(login),
    }


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def _user(exchange: Exchange, logins: Logins) -> None:
    token = exchange.headers.get("authorization", "").removeprefix("Bearer ")
    login = logins.login_of(token)
    if login is None:
        error = {"code": 401, "message": "Invalid Credentials"}
        await exchange.answer_json(
            401, {"error": {**error, "status": "UNAUTHENTICATED"}}
        )
        return
    email = email_of(login)
    await exchange.answer_json(200, {"email": email, "verified_email": True})


async def _consent(exchange: Exchange, logins: Logins) -> None:
    """Agree at once: show the address that the browser would be sent to."""
    query = exchange.query
    problem = _bad_consent(query)
    if problem:
        await exchange.answer(400, f"Error 400: {problem}", "text/plain")
        return
    code = logins.make_code(query["code_challenge"], query["redirect_uri"])
    back = urlencode({"state": query["state"], "code": code, "scope": query["scope"]})
    target = f"{query['redirect_uri']}?{back}"
    await exchange.answer(200, f"{target}\n", "text/plain")


def _bad_consent(query: Mapping[str, str]) -> str:
    wanted = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge_method": "S256",
    }
    for name, value in wanted.items():
        if query.get(name) != value:
            return f"invalid_request: {name}"
    if set(query.get("scope", "").split()) != set(SCOPES):
        return "invalid_scope"
    if len(query.get("code_challenge", "")) != 43 or not query.get("state"):
        return "invalid_request: code_challenge or state"
    redirect = urlsplit(query.get("redirect_uri", ""))
    if redirect.scheme != "http" or redirect.hostname not in ("localhost", "127.0.0.1"):
        return "redirect_uri_mismatch"
    return ""
