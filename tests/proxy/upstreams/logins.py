"""Code Assist adapters on a sandbox of their own, and a store in memory for them."""

import json
from typing import Any

import httpx

from accounts.credentials.cli_json import CliCredential, dumped, loaded, read_one
from proxy.sandbox.app import Sandbox, create_sandbox
from proxy.sandbox.logins import (
    CLIENT_ID,
    CLIENT_SECRET,
    project_of,
    refresh_token,
    sandbox_login,
)
from proxy.upstreams.base import AccountConfig, Order
from proxy.upstreams.code_assist import CodeAssist
from proxy.upstreams.http import Clients
from proxy.upstreams.oauth import OAuthClient, StoreAway

MODEL = "gemini-2.5-flash"
OWN = OAuthClient(CLIENT_ID, CLIENT_SECRET)


class Memory:
    """A credential store in memory; ``away`` makes it fail."""

    def __init__(self, **secrets: str) -> None:
        self.secrets: dict[int, str] = {}
        self.facts: dict[int, dict[str, Any]] = {}
        self.claims: dict[int, bool] = {}
        self.away = False

    async def read(self, account_id: int) -> str:
        self._check(account_id)
        return self.secrets[account_id]

    async def claim(self, account_id: int, seconds: float) -> str | None:
        self._check(account_id)
        if self.claims.get(account_id):
            return None
        self.claims[account_id] = True
        return self.secrets[account_id]

    async def replace(self, account_id: int, old: str, new: str) -> bool:
        self._check(account_id)
        if self.secrets[account_id] != old:
            return False
        self.secrets[account_id] = new
        return True

    async def release(self, account_id: int) -> None:
        self._check(account_id)
        self.claims.pop(account_id, None)

    async def note(self, account_id: int, facts: dict[str, Any]) -> None:
        self._check(account_id)
        self.facts.setdefault(account_id, {}).update(facts)

    def _check(self, account_id: int) -> None:
        if self.away:
            raise StoreAway("away")
        if account_id not in self.secrets:
            raise LookupError(account_id)


class Stand:
    """A sandbox, an adapter that speaks to it, and the adapter's store."""

    def __init__(self, *, own: OAuthClient | None = None, stored: bool = True) -> None:
        self.sandbox: Sandbox = create_sandbox()
        self.store = Memory()
        self.own = own
        self.stored = stored
        self.adapter = self.another()

    def another(self) -> CodeAssist:
        """Return the adapter of another process on the same store."""
        transport = httpx.ASGITransport(app=self.sandbox)
        return CodeAssist(
            Clients(lambda _proxy: transport),
            "http://box",
            version="1.2.3",
            token_url="http://box/token",
            client=self.own,
            store=self.store if self.stored else None,
        )

    def account(self, behaviour: str = "ok", n: int = 1, **fields: Any) -> Any:
        """Return a stored account whose login shows a behaviour."""
        secret = dumped(login(behaviour, n, **fields))
        self.store.secrets[n] = secret
        return AccountConfig(id=n, kind="code_assist", secret=secret)

    def latest(self, account: AccountConfig) -> CliCredential:
        return loaded(self.store.secrets[account.id])

    def refreshes(self, account: AccountConfig) -> int:
        """Return how often the account's first refresh token was used."""
        return self.sandbox.state.logins.refreshes[loaded(account.secret).refresh_token]

    def requests(self, tail: str = "") -> list[dict[str, Any]]:
        """Return the requests received whose path ends so."""
        received = self.sandbox.state.received
        return [request for request in received if request["path"].endswith(tail)]


def login(behaviour: str = "ok", n: int = 1, **fields: Any) -> CliCredential:
    """Return a login as it is once imported; its project is known."""
    text = json.dumps(sandbox_login(behaviour, n))
    known = {"project_id": project_of(refresh_token(behaviour, n)), **fields}
    read = read_one(text)
    values = {name: getattr(read, name) for name in CliCredential.__slots__}
    return CliCredential(**{**values, **known})


def order(text: str = "hello", method: str = "generateContent", **body: Any) -> Order:
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return Order(method=method, model=MODEL, body={"contents": contents, **body})
