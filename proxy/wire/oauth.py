"""OAuth 2 as Google speaks it: forms for the token endpoint, its answers, sign-ins."""

import base64
import hashlib
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import orjson

from proxy.errors import BadAnswer

SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
)
_GOOGLE = "https://oauth2.googleapis.com"
_CONSENT = "https://accounts.google.com/o/oauth2/v2/auth"
_USER = "https://www.googleapis.com/oauth2/v2/userinfo"
_LONGEST_LIFE = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the token endpoint gave; ``seconds`` is how long the access token lasts."""

    access_token: str = field(repr=False)
    seconds: float
    refresh_token: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)


def refresh_form(refresh_token: str, client_id: str, client_secret: str) -> bytes:
    """Return the form that asks for an access token; it never names scopes."""
    return urlencode(
        {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        }
    ).encode()


def exchange_form(
    code: str, *, client_id: str, client_secret: str, redirect_uri: str, verifier: str
) -> bytes:
    """Return the form that changes an authorization code for a login."""
    return urlencode(
        {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client_id,
            "client_secret": client_secret,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
    ).encode()


def read_tokens(body: bytes) -> Tokens:
    """Read a good answer of the token endpoint; raise BadAnswer if it is none."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("access_token"), str):
        raise BadAnswer("The sign-in service's answer holds no access token.")
    return Tokens(
        access_token=data["access_token"],
        seconds=_life(data.get("expires_in")),
        refresh_token=_text(data.get("refresh_token")),
        id_token=_text(data.get("id_token")),
    )


def consent_url(
    token_url: str, *, client_id: str, redirect_uri: str, state: str, verifier: str
) -> str:
    """Return the page on which a person agrees to a sign-in (PKCE with S256)."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        # Without it a second sign-in brings no refresh token.
        "prompt": "consent",
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    return f"{_beside(token_url, _CONSENT)}?{urlencode(query)}"


def user_url(token_url: str) -> str:
    """Return where the e-mail address behind an access token is told."""
    return _beside(token_url, _USER)


def challenge(verifier: str) -> str:
    """Return the PKCE challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def read_callback(pasted: str) -> tuple[str, str]:
    """Return code and state from a pasted address bar, a query or a bare code.

    The state of a bare code is empty. Raises ValueError with words for a person.
    """
    text = pasted.strip()
    if not text:
        raise ValueError("Paste the address that the browser shows.")
    if "=" not in text and "://" not in text:
        # Cut out of an address bar it is still encoded.
        return unquote(text), ""
    query = urlsplit(text).query if "://" in text else text.lstrip("?")
    values = {name: found[0] for name, found in parse_qs(query).items()}
    if "error" in values:
        raise ValueError(f"Google did not sign in: {values['error'][:80]}.")
    if not values.get("code"):
        raise ValueError("There is no code in it; copy the whole address.")
    return values["code"], values.get("state", "")


def _beside(token_url: str, usual: str) -> str:
    """Return Google's address of a service, or its path where tokens come from."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(token_url))
    return usual if origin == _GOOGLE else origin + urlsplit(usual).path


def _life(value: object) -> float:
    if not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 < value <= _LONGEST_LIFE else 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
