"""The upstream accounts that may be used now, and whose turn it is.

First form: each kind's accounts in turn; those that a recent answer told to wait
come last. What is right for one request only (which accounts were tried) is the
caller's to remember.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from accounts.models import Account
from gemproxy.lib import clock
from gemproxy.lib.secrets import SecretUnreadable
from proxy.catalog import RoutePlan, TargetPlan
from proxy.errors import (
    AccountRefused,
    BadRequest,
    Fault,
    NoAccount,
    Overloaded,
    RateLimited,
)
from proxy.upstreams.base import AccountConfig, Adapter
from proxy.upstreams.http import Clients
from proxy.upstreams.kinds import KINDS

OVERLOAD_SECONDS = 5.0
LONGEST_REST = 3600.0

ADVICE = {
    "api_key_invalid": "Google does not know this key: replace it or delete the account.",
    "leaked": "Google blocked this key as leaked: make a new one and delete this.",
    "failed_precondition": "Billing or region: look at the key's project at Google.",
    "permission_denied": "The key's project may not use this API: enable it at Google.",
    "no_models": "The key sees no models: enable the Gemini API for its project.",
    "unreadable": "No entry of ENCRYPTION_KEYS opens this secret: enter it again.",
}


@dataclass(slots=True)
class Lease:
    """The right to send one request on one account now."""

    account: AccountConfig
    target: TargetPlan
    adapter: Adapter
    started: float


class Pool:
    """The accounts, as last read from the database."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._adapters: dict[str, Adapter] = {}
        self._accounts: dict[str, list[AccountConfig]] = {}
        # Who read later must also write later.
        self._loading = threading.Lock()
        self._turn: dict[str, int] = {}
        self._resting: dict[tuple[int, str], float] = {}
        self.on_refused: Callable[[int, str], None] = lambda account, cause: None

    def load(self, _key: str = "") -> None:
        """Read the accounts (sync; any thread)."""
        with self._loading:
            found: dict[str, list[AccountConfig]] = {}
            for row in Account.objects.filter(state__in=Account.USABLE):
                config = _config(row)
                if config is not None:
                    found.setdefault(row.kind, []).append(config)
            self._accounts = found

    def size(self) -> int:
        return sum(len(configs) for configs in self._accounts.values())

    def lease(
        self, route: RoutePlan, needs: frozenset[str], tried: set[int]
    ) -> Lease | None:
        """Return an account not yet tried; None when all were.

        Raises NoAccount if the route has none at all, BadRequest if none of its
        kinds can do what the request needs.
        """
        able = [t for t in route.targets if needs <= self.adapter(t.kind).capabilities]
        if not able:
            missing = needs - self.adapter(route.targets[0].kind).capabilities
            names = ", ".join(sorted(missing))
            raise BadRequest(f"No account for {route.name} can do this: {names}.")
        if not any(self._accounts.get(target.kind) for target in able):
            raise NoAccount(f"No upstream account is ready to serve {route.name}.")
        for target in able:
            account = self._next(target, tried)
            if account is not None:
                adapter = self.adapter(target.kind)
                return Lease(account, target, adapter, clock.monotonic())
        return None

    def report(self, lease: Lease, fault: Fault | None) -> None:
        """Learn from how a lease ended."""
        key = (lease.account.id, lease.target.upstream_model)
        if fault is None:
            self._resting.pop(key, None)
        elif isinstance(fault, (RateLimited, Overloaded)):
            rest = fault.retry_after or OVERLOAD_SECONDS
            self._resting[key] = clock.monotonic() + min(rest, LONGEST_REST)
        elif isinstance(fault, AccountRefused):
            self.on_refused(lease.account.id, fault.code)

    def adapter(self, kind: str) -> Adapter:
        """Return the adapter of a kind, made on first use."""
        found = self._adapters.get(kind)
        if found is None:
            found = make_adapter(kind, self._clients)
            self._adapters[kind] = found
        return found

    async def aclose(self) -> None:
        await self._clients.aclose()

    def _next(self, target: TargetPlan, tried: set[int]) -> AccountConfig | None:
        accounts = self._accounts.get(target.kind, [])
        if not accounts:
            return None
        start = self._turn.get(target.kind, 0) % len(accounts)
        self._turn[target.kind] = start + 1
        if not tried and not self._resting:
            return accounts[start]
        ring = [*accounts[start:], *accounts[:start]]
        fresh = [account for account in ring if account.id not in tried]
        now = clock.monotonic()
        rested = (a for a in fresh if self._rest(a.id, target.upstream_model) <= now)
        return next(rested, fresh[0] if fresh else None)

    def _rest(self, account_id: int, model: str) -> float:
        return self._resting.get((account_id, model), 0.0)


def make_adapter(kind: str, clients: Clients) -> Adapter:
    """Return a new adapter of a kind, on the operator's default base URL."""
    entry = KINDS[kind]
    base = settings.GEMINI_BASE_URL if kind == Account.Kind.GEMINI_API else ""
    made: Adapter = entry.adapter_class()(
        clients, base or entry.default_base_url, version=settings.VERSION
    )
    return made


def config_of(row: Account) -> AccountConfig:
    """Return what an adapter needs of an account; raise SecretUnreadable."""
    return AccountConfig(
        id=row.pk,
        kind=row.kind,
        secret=row.secret.reveal(),
        base_url=row.base_url,
        proxy_url=row.proxy_url.reveal() if row.proxy_url else "",
    )


def set_aside(account_id: int, cause: str) -> None:
    """Take an account out until a human has looked at it (sync)."""
    row = Account.objects.filter(pk=account_id, state__in=Account.USABLE).first()
    if row is not None:
        advice = ADVICE.get(cause, "Test the account and replace its credential.")
        row.move(Account.State.NEEDS_ATTENTION, cause=cause, advice=advice)


def _config(row: Account) -> AccountConfig | None:
    try:
        return config_of(row)
    except SecretUnreadable:
        set_aside(row.pk, "unreadable")
        return None
