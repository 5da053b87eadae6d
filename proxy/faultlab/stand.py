"""The stand: accounts made for the lab, in a gateway whose upstream is the sandbox."""

import itertools
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from accounts.models import Account
from gemproxy.lib import clock
from proxy.faultlab.credentials import PROVIDERS, Credential, new_credential
from proxy.faultlab.row import Kind, Place
from proxy.models import Route

LABEL = "fault lab"
#: What the sandbox was told of these it can forget.
_FORGOTTEN = ("gemini_api", "xai")
_PREFIX = "fault-lab-"
#: A bound for what another thread or process does.
PATIENCE = 20.0
_LOOK_AGAIN = 0.03
_NUMBERS = 1_000_000


class StandBroken(Exception):
    """The gateway or the sandbox does not do what the lab needs; says what."""


def eventually(
    condition: Callable[[], Any], what: str, seconds: float = PATIENCE
) -> Any:
    """Return the first true value of a condition; raise StandBroken after a while."""
    end = clock.monotonic() + seconds
    pause = threading.Event()
    while clock.monotonic() < end:
        value = condition()
        if value:
            return value
        pause.wait(_LOOK_AGAIN)
    raise StandBroken(f"not within {seconds:.0f} s: {what}")


class Stand:
    """A running gateway and its sandbox, seen from beside their database.

    Use it as a context manager: it takes away what it made. ``model`` and
    ``other_model`` are routes of its own for the two upstream models of the kind last
    settled for; ``model`` has a new name after each ``settle``, so that callers of
    earlier rows, whom the gateway has promised a turn, stand in another line.
    """

    def __init__(
        self, gateway_url: str, token: str, sandbox_url: str, web_url: str = ""
    ) -> None:
        """``web_url`` is the proxy of the sandbox's gemini.google.com, if it runs."""
        self.gateway_url = gateway_url.rstrip("/")
        self.sandbox_url = sandbox_url.rstrip("/")
        self.web_url = web_url.rstrip("/")
        self.token = token
        headers = {"Authorization": f"Bearer {token}"}
        # The gateway's own bounds end a request; this one only ends a hung lab.
        self.gateway = httpx.Client(
            base_url=self.gateway_url, headers=headers, timeout=300, trust_env=False
        )
        self.sandbox = httpx.Client(
            base_url=self.sandbox_url, timeout=20, trust_env=False
        )
        self._numbers = itertools.count(secrets.randbelow(_NUMBERS // 2))
        self._credentials: dict[int, Credential] = {}
        self.model = self.other_model = ""
        self._routes: dict[Kind, tuple[Route, Route]] = {}
        # Bound and not listening: whoever connects is refused, and nobody else can
        # take the port.
        self._deaf = socket.socket()
        self._deaf.bind(("127.0.0.1", 0))

    def __enter__(self) -> "Stand":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.remove_all()
            while self._routes:
                for route in self._routes.popitem()[1]:
                    route.delete()
        finally:
            self.gateway.close()
            self.sandbox.close()
            self._deaf.close()

    def add(
        self,
        kind: Kind = "gemini_api",
        *,
        place: Place = "sandbox",
        priority: int = 0,
    ) -> Account:
        """Put an account into the pool that behaves well, for the time being."""
        made = new_credential(kind, next(self._numbers) % _NUMBERS)
        provider = PROVIDERS[kind]
        if provider.by_proxy and not self.web_url:
            raise StandBroken("the sandbox's gemini.google.com does not run")
        way = {"base_url": self._url(place) + provider.path}
        if provider.by_proxy:
            # By another user: ways out are told apart by the whole address.
            name = f"lab{secrets.token_hex(4)}"
            way = {"proxy_url": self.web_url.replace("//", f"//{name}:x@", 1)}
        account = Account.add(
            kind=kind, secret=made.secret, label=LABEL, priority=priority, **way
        )
        if account is None:
            raise StandBroken("a credential of the lab is in the pool already")
        self._credentials[account.pk] = made
        return account

    def remove_all(self) -> None:
        """Take the lab's accounts out of the pool."""
        for account in Account.objects.filter(pk__in=self._credentials):
            account.delete()
        for made in self._credentials.values():
            if made.kind in _FORGOTTEN:
                self.sandbox.delete(f"/sandbox/keys/{quote(made.name)}")
        self._credentials.clear()

    def tell(self, account: Account, behaviour: str, params: Mapping[str, Any]) -> None:
        """Say what the sandbox does for an account from now on."""
        made = self._credentials[account.pk]
        provider = PROVIDERS[made.kind]
        wish = {provider.field: made.name, "behaviour": behaviour, **params}
        place = self.web_url if provider.by_proxy else self.sandbox_url
        answer = self.sandbox.post(place + provider.control, json=wish)
        if answer.status_code != 200:
            raise StandBroken(f"the sandbox refuses {behaviour}: {answer.text[:200]}")

    def stats(self) -> dict[str, Any]:
        """Return the sandbox's counters."""
        stats: dict[str, Any] = self.sandbox.get("/sandbox/stats").json()
        return stats

    def settle(self, kind: Kind = "gemini_api") -> None:
        """Wait until the gateway knows of all that was changed in the database.

        Changes are told in their order, so a mark that it shows proves the rest.
        """
        if kind not in self._routes:
            first, second = PROVIDERS[kind].models
            self._routes[kind] = _route(kind, first), _route(kind, second)
        route, other = self._routes[kind]
        route.name = self.model = _new_name()
        route.save()
        self.other_model = other.name
        eventually(lambda: self._lists(route.name), "the gateway follows the database")

    def strangers(self) -> list[Account]:
        """Return accounts that are not the lab's and would take its requests."""
        usable = Account.objects.filter(state__in=Account.USABLE)
        return list(usable.exclude(pk__in=self._credentials))

    def _lists(self, name: str) -> bool:
        answer = self.gateway.get("/v1/models")
        if answer.status_code != 200:
            raise StandBroken(f"the gateway refuses the token: {answer.text[:200]}")
        return any(model["id"] == name for model in answer.json()["data"])

    def _url(self, place: Place) -> str:
        if place == "dead port":
            return f"http://127.0.0.1:{self._deaf.getsockname()[1]}"
        if place == "no tls":
            # By another name: ways out are told apart by host and port.
            port = urlsplit(self.sandbox_url).port or 80
            return f"https://localhost:{port}"
        return self.sandbox_url


def _new_name() -> str:
    return f"{_PREFIX}{secrets.token_hex(4)}"


def _route(kind: Kind, upstream_model: str) -> Route:
    made = Route.objects.create(name=_new_name())
    # A route without targets is not listed.
    made.targets.create(kind=kind, upstream_model=upstream_model)
    return made
