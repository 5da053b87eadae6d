"""Google logins of the sandbox: refresh tokens, the access tokens made from them."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.sandbox.behaviours import Behaviour

CLIENT_ID = "000000000000-sandbox.apps.googleusercontent.com"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - opens only this sandbox
SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
)
LIFETIME = 3599
_CODE_SECONDS = 600
_ENCODED = re.compile(r"1//0gSandbox-([a-z]+)-(\d{6})-[0-9a-z]{16}")


def refresh_token(behaviour: str = "ok", n: int = 1) -> str:
    """A refresh token whose account shows ``behaviour``; ``n`` numbers it."""
    made = f"1//0gSandbox-{behaviour}-{n:06d}-"
    made += hashlib.sha256(made.encode()).hexdigest()[:16]
    if not _ENCODED.fullmatch(made):
        raise ValueError(f"no login can be made for {behaviour!r}, {n}")
    return made


def sandbox_login(behaviour: str = "ok", n: int = 1) -> dict[str, Any]:
    """The JSON of a login as a person would have it in a file."""
    return {
        "type": "authorized_user",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": refresh_token(behaviour, n),
        "scopes": list(SCOPES),
    }


@dataclass(frozen=True)
class Code:
    """An authorization code: what its exchange must bring along."""

    challenge: str
    redirect_uri: str
    ends: float


@dataclass(frozen=True)
class Access:
    """An access token: of which login, and until when."""

    login: str
    ends: float


class Logins:
    """Everything that the sandbox knows of Google accounts with logins."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.lifetime = LIFETIME
        self.refreshes: Counter[str] = Counter()
        self.joined: set[str] = set()
        self.polls: Counter[str] = Counter()
        self._told: dict[str, Behaviour] = {}
        self._own: dict[str, Behaviour] = {}
        self._access: dict[str, Access] = {}
        self._codes: dict[str, Code] = {}
        self._revoked: set[str] = set()

    def tell(self, wish: Mapping[str, Any], names: frozenset[str]) -> Behaviour:
        """Set what a login does, from ``{"login", "behaviour", "times", …}``.

        Raises ``ValueError`` for a wish that cannot be followed.
        """
        params = dict(wish)
        login, name = params.pop("login", None), params.pop("behaviour", "ok")
        times = params.pop("times", None)
        if not isinstance(login, str) or not self.knows(login):
            raise ValueError("login must be a refresh token of the sandbox")
        if name not in names:
            raise ValueError(f"unknown behaviour {name!r}")
        if times is not None and (type(times) is not int or times < 0):
            raise ValueError("times must be a whole number")
        self._told[login] = Behaviour(name, params, times)
        return self._told[login]

    def knows(self, login: str) -> bool:
        """Whether a refresh token is one of the sandbox's, and still good."""
        return _ENCODED.fullmatch(login) is not None and login not in self._revoked

    def show(self, login: str, names: frozenset[str]) -> Behaviour:
        """What a login does now, counted as one call if it is one of ``names``."""
        behaviour = self._of(login)
        if behaviour.name not in names or behaviour.times == 0:
            return Behaviour()
        if behaviour.times is not None:
            behaviour.times -= 1
        behaviour.calls += 1
        return behaviour

    def name_of(self, login: str) -> str:
        """The name of what a login does, without counting a call."""
        behaviour = self._of(login)
        return "ok" if behaviour.times == 0 else behaviour.name

    def grant(self, login: str) -> str:
        """A new access token for a login."""
        self.refreshes[login] += 1
        count = self.refreshes[login]
        digest = hashlib.sha256(f"{login} {count}".encode()).hexdigest()
        token = f"ya29.a0Sandbox-{digest[:40]}"
        self._access[token] = Access(login, self._clock() + self.lifetime)
        return token

    def login_of(self, token: str) -> str | None:
        """The login that a valid access token belongs to."""
        access = self._access.get(token)
        return access.login if access and access.ends > self._clock() else None

    def end_access(self, login: str) -> None:
        """Let all access tokens of a login end now."""
        self._access = {t: a for t, a in self._access.items() if a.login != login}

    def rotate(self, login: str) -> str:
        """A new refresh token for the same account; the old one ends."""
        match = _ENCODED.fullmatch(login)
        assert match  # noqa: S101 - only known logins are rotated
        self._revoked.add(login)
        return refresh_token("ok", int(match[2]) + 500_000)

    def make_code(self, challenge: str, redirect_uri: str) -> str:
        """A new authorization code for one exchange."""
        digest = hashlib.sha256(f"code {len(self._codes)}".encode()).hexdigest()
        code = f"4/0A{digest[:32]}"
        ends = self._clock() + _CODE_SECONDS
        self._codes[code] = Code(challenge, redirect_uri, ends)
        return code

    def take_code(self, code: str) -> Code | None:
        """What a code stands for, once."""
        found = self._codes.get(code)
        if code in self._revoked or found is None or found.ends <= self._clock():
            return None
        self._revoked.add(code)
        return found

    def _of(self, login: str) -> Behaviour:
        if login in self._told:
            return self._told[login]
        match = _ENCODED.fullmatch(login)
        return self._own.setdefault(login, Behaviour(match[1] if match else "ok"))


def email_of(login: str) -> str:
    """The e-mail address of a login's account."""
    match = _ENCODED.fullmatch(login)
    return f"{match[1]}{int(match[2])}@sandbox.example" if match else ""


def project_of(login: str) -> str:
    """The Cloud project that Google manages for a login."""
    return f"sandbox-{hashlib.sha256(email_of(login).encode()).hexdigest()[:8]}"


def id_token(login: str) -> str:
    """An unsigned OpenID token that names the account."""
    claims = {"email": email_of(login), "email_verified": True, "azp": CLIENT_ID}
    parts = ({"alg": "none"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "sandbox"])
