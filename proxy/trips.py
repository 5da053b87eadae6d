"""One call's journey: what was tried, what came back, and the usage row of it."""

import asyncio
from typing import Any

from accounts.models import UsageRecord
from gemproxy.lib import clock
from proxy.calls import Call, Event
from proxy.catalog import RoutePlan
from proxy.entries import Entry
from proxy.errors import (
    AccountRefused,
    Fault,
    Internal,
    NoAccount,
    Overloaded,
    RateLimited,
    UpstreamRefused,
)
from proxy.scheduling.evidence import Shared
from proxy.scheduling.pool import Lease
from proxy.scheduling.queue import Place
from proxy.tasks import SIBLING
from proxy.wire.gemini import Progress
from proxy.wire.token_estimates import estimated_tokens

CLIENT_CLOSED = 499
#: The code of an answer that answered nothing.
EMPTY = "upstream_empty"
#: Which fault tells a caller most, when several accounts failed differently.
TRUTH = ("UpstreamRefused", "RateLimited", "Overloaded", "UpstreamTimeout")


class Trip:
    """Follows one call from its admission to its usage row."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.route: RoutePlan | None = None
        self.lease: Lease | None = None
        self.body = call.body
        self.tried: set[int] = set()
        #: Accounts that failed in passing and may be asked once more.
        self.again: set[int] = set()
        self.repeats = 0
        self.place: Place | None = None
        #: Seconds that the call may still spend waiting for its turn.
        self.patience = 0.0
        self.shared = Shared("", "")
        self.decision: dict[str, Any] = {}
        self.attempts: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.progress = Progress()
        self.repaired = False
        self.content_sent = False
        self.status = 200
        self.outcome = UsageRecord.Outcome.OK
        self.fault: Fault | None = None
        self._reason = ""
        self._tokens: int | None = None
        self._at = clock.now()
        self._started = clock.monotonic()
        self._first: float | None = None

    @property
    def elapsed(self) -> float:
        return clock.monotonic() - self._started

    def remaining(self) -> float | None:
        """Return the seconds until the caller stops waiting, None for no deadline."""
        if self.call.deadline is None:
            return None
        return max(0.0, self.call.deadline - self.elapsed)

    @property
    def plan(self) -> RoutePlan:
        """The route, which an admitted call has."""
        assert self.route is not None  # noqa: S101
        return self.route

    def tokens(self) -> int:
        """Return a guess at what the call will cost of a quota of tokens."""
        if self._tokens is None:
            self._tokens = estimated_tokens(self.body)
        return self._tokens

    def counted_tokens(self) -> int | None:
        """Return what the provider counted of a quota of input tokens, if it said so."""
        usage = self.progress.usage
        return usage.prompt + usage.tool_use or None

    def allowance(self) -> float:
        """Return the seconds that the call may still wait for its turn."""
        remaining = self.remaining()
        return self.patience if remaining is None else min(self.patience, remaining)

    def position(self) -> int:
        """Return the 1-based place among those who wait for the same model."""
        return 1 if self.place is None else self.place.position()

    def begin(self, lease: Lease) -> None:
        """Start an attempt: nothing of an earlier one counts any more."""
        self.lease = lease
        if self.call.audience is not None:
            self.call.audience.asked = True
        self.tried.add(lease.account.id)
        self.progress = Progress()
        self._first = None
        self.attempts.append(
            {
                "account": lease.account.id,
                "model": lease.target.upstream_model,
                "why": lease.reason,
                "start_ms": _ms(self.elapsed),
            }
        )

    def end(
        self, fault: Fault | None, *, cause: str = "", shared: bool = False
    ) -> None:
        """Close the running attempt; ``shared`` trouble is not held against it."""
        attempt = self.attempts[-1]
        attempt["ms"] = _ms(self.elapsed) - attempt["start_ms"]
        attempt["code"] = fault.code if fault else "ok"
        if fault is None:
            return
        attempt["blame"] = fault.blame
        if cause and cause != fault.code:
            attempt["cause"] = cause
        if shared:
            attempt["shared"] = True
        else:
            self.faults.append(fault)

    def attempt_ms(self) -> int:
        """Return how long the last attempt took."""
        return int(self.attempts[-1].get("ms", 0))

    def own_attempts(self) -> int:
        """Count the attempts that failed for their own reasons."""
        return sum("shared" not in attempt for attempt in self.attempts)

    def is_spoilt(self) -> bool:
        """Tell whether an account failed in a way that waiting does not mend."""
        passing = (RateLimited, Overloaded, AccountRefused)
        return any(not isinstance(fault, passing) for fault in self.faults)

    def rewrite(self, fault: Fault) -> bool:
        """Rewrite a refused body once, where the surface knows how."""
        repair = self.call.repair
        if self.repaired or repair is None or not isinstance(fault, UpstreamRefused):
            return False
        body = repair(fault.message, self.body)
        if body is None:
            return False
        self.repaired, self.body = True, body
        return True

    def see(self, events: list[Event]) -> None:
        """Take in chunks of the running attempt."""
        if self._first is None:
            self._first = self.elapsed
        see = self.progress.see
        for event in events:
            see(event.data)

    def conclude(self, error: BaseException) -> None:
        """Note what ended the call: a fault, its client's leaving, or our own bug."""
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.cancel(*error.args[:1])
        else:
            self.fail(error if isinstance(error, Fault) else Internal())

    def fail(self, fault: Fault) -> None:
        self.fault = fault
        self._close_attempt(fault.code)
        self.status = fault.status
        self.outcome = UsageRecord.Outcome.FAULT

    def cancel(self, reason: object = "") -> None:
        """Note that the call was given up; by default its client went away."""
        self.status = CLIENT_CLOSED
        self.outcome = UsageRecord.Outcome.CANCELLED
        self._reason = "sibling_failed" if reason == SIBLING else "client_closed"
        self._close_attempt(self._reason)

    def close(self) -> None:
        """Note, at the end, that nobody was left to hear an answer."""
        audience = self.call.audience
        if audience and audience.gone and self.outcome == UsageRecord.Outcome.OK:
            self.cancel()

    def _close_attempt(self, code: str) -> None:
        """Give an attempt that nobody ended its length and code."""
        if self.attempts and "code" not in self.attempts[-1]:
            attempt = self.attempts[-1]
            attempt["ms"] = _ms(self.elapsed) - attempt["start_ms"]
            attempt["code"] = code

    def empty_answers(self) -> int:
        return sum(fault.code == EMPTY for fault in self.faults)

    def truest(self) -> Fault:
        """Return the fault that tells the caller most about why nobody answered."""
        if not self.faults:
            return NoAccount()
        return min(self.faults, key=_rank)

    def record(self) -> Entry:
        """Return the usage row (not saved)."""
        call, lease, usage = self.call, self.lease, self.progress.usage
        caller = call.caller
        return Entry(
            request_id=call.request_id,
            started_at=self._at,
            duration_ms=_ms(self.elapsed),
            first_token_ms=None if self._first is None else _ms(self._first),
            surface=call.surface,
            method=call.method,
            streamed=call.stream,
            model_asked=call.model[:120],
            model_served=lease.target.upstream_model if lease else "",
            kind=lease.account.kind if lease else "",
            account_id=lease.account.id if lease else None,
            token_id=caller.token_id,
            user_id=caller.user_id,
            status=self.status,
            outcome=str(self.outcome.value),
            cause=self._cause(),
            blame=self.fault.blame if self.fault else "",
            finish=(self.progress.finish or self.progress.blocked or "")[:40],
            attempts=self.attempts,
            decision=self.decision,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            output_tokens=usage.output,
            thoughts_tokens=usage.thoughts,
            tool_use_tokens=usage.tool_use,
            total_tokens=usage.total,
            images=usage.images,
            usage_metadata=usage.details,
            client_ip=call.client_ip[:45],
            user_agent=call.user_agent[:200],
        )

    def _cause(self) -> str:
        if self.outcome == UsageRecord.Outcome.CANCELLED:
            return self._reason
        return self.fault.code[:60] if self.fault else ""


def _rank(fault: Fault) -> tuple[int, float]:
    """Order faults by how much they tell; of equal ones the soonest to pass."""
    name = type(fault).__name__
    place = TRUTH.index(name) if name in TRUTH else len(TRUTH)
    wait = fault.retry_after if isinstance(fault, RateLimited) else None
    return place, float("inf") if wait is None else wait


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
