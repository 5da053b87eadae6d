"""Attempts for the tests of evidence and guard, and how they end."""

import itertools
from typing import Any

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    Overloaded,
    RateLimited,
    StreamCut,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
    Verdict,
)
from proxy.scheduling.evidence import Failure, Kind, Shared
from proxy.scheduling.guard import Guard, Judgement

T0 = 1_800_000_000.0
FLASH, PRO = "gemini_api:flash", "gemini_api:pro"
_numbers = itertools.count(1)


def shared(
    request: str | None = None, *, egress: str = "direct", model: str = FLASH
) -> Shared:
    """Return what an attempt shares; each has a request of its own by default."""
    mark = f"request-{next(_numbers)}" if request is None else request
    return Shared(egress, model, mark)


def verdict(cause: str, **fields: Any) -> Verdict:
    return Verdict(
        **{
            "blame": "upstream",
            "scope": "account_model",
            "cause": cause,
            "until": None,
            "attention": False,
            "strike": True,
            "again": False,
            "elsewhere": True,
            "advice": "",
            "link": "",
            "quota": None,
            **fields,
        }
    )


UNREACHABLE = verdict("connection_failed", blame="egress", scope="egress")
SHUT_OUT = verdict("ip_blocked", blame="egress", scope="egress", strike=False)
CUT = verdict("stream_cut")
SILENT = verdict("timeout")
CRASH = verdict("upstream_error")
NONSENSE = verdict("bad_gateway")
FULL = verdict("overloaded", blame="model", scope="model", strike=False)
MINUTE = verdict("quota_minute", blame="account", strike=False)
UNCLEAR = verdict("throttled_unclear", blame="account", strike=False)
BAD_KEY = verdict("api_key_invalid", blame="account", attention=True, strike=False)
REFUSED = verdict("invalid_argument", blame="caller", scope="nothing", strike=False)
GONE = verdict("client_closed", blame="caller", scope="nothing", strike=False)
OURS = verdict("no_account", blame="gateway", scope="nothing", strike=False)

FAULTS: dict[str, Fault] = {
    "connection_failed": ConnectFailed("The provider could not be reached."),
    "ip_blocked": RateLimited("The provider takes no requests from this address."),
    "stream_cut": StreamCut(),
    "timeout": UpstreamTimeout(),
    "upstream_error": UpstreamFault("The provider failed."),
    "bad_gateway": BadAnswer(),
    "overloaded": Overloaded(),
    "quota_minute": RateLimited(),
    "throttled_unclear": RateLimited(),
    "api_key_invalid": AccountRefused(),
    "invalid_argument": UpstreamRefused(),
    "client_closed": UpstreamTimeout(),
    "no_account": UpstreamFault(),
}


def failure(
    account: int,
    kind: Kind = "crash",
    at: float = 0.0,
    *,
    cause: str = "",
    started: float | None = None,
    over: Shared | None = None,
) -> Failure:
    """Return a failed attempt; times are seconds after T0."""
    return Failure(
        at=T0 + at,
        started=T0 + (at if started is None else started),
        account_id=account,
        model="flash",
        shared=over or shared(),
        kind=kind,
        cause=cause or kind,
    )


class Scene:
    """A guard, and attempts on it at times that are seconds after T0."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def gate(self, at: float, over: Shared | None = None) -> Any:
        return self.guard.gate(over or shared(), now=T0 + at)

    def fails(
        self,
        account: int,
        how: Verdict,
        at: float,
        *,
        over: Shared | None = None,
        started: float | None = None,
        fault: Fault | None = None,
    ) -> Judgement:
        return self.guard.note(
            over or shared(),
            how,
            account_id=account,
            model="flash",
            started=T0 + (at if started is None else started),
            fault=fault or FAULTS[how.cause],
            now=T0 + at,
        )

    def passes(
        self,
        account: int,
        at: float,
        *,
        over: Shared | None = None,
        started: float | None = None,
    ) -> None:
        self.guard.passed(
            over or shared(),
            account_id=account,
            started=T0 + (at if started is None else started),
            now=T0 + at,
        )

    def warm(self, accounts: int, at: float = -60.0, **fields: Any) -> None:
        """Have so many accounts answer, some time before."""
        for account in range(1, accounts + 1):
            self.passes(account, at, over=shared(**fields))

    def what(self) -> list[tuple[str, str]]:
        """Return the open breakers."""
        return [(t.what, t.which) for t in self.guard.troubles()]
