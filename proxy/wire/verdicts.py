"""From a fault to a verdict: whose it is, what rests, until when, who must act."""

from dataclasses import dataclass
from datetime import datetime

from proxy.errors import Blame, Fault, RateLimited, Scope, UpstreamFault, Verdict
from proxy.wire.causes import RULES, Cause, row_of
from proxy.wire.quotas import seconds_to_quota_reset

_DAY = 86_400.0
#: However the fault says it: these end because the caller wants no more.
_GIVEN_UP = frozenset({"deadline", "client_closed", "sibling_failed"})
#: Codes that a quota's period makes more precise.
_VAGUE = frozenset({"rate_limit_exceeded", "insufficient_quota"})


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How far a provider's delay is believed, in seconds."""

    most: float
    least: float = 1.0

    def within(self, seconds: float) -> float:
        return min(max(seconds, self.least), self.most)


_BRIEF, _USUAL = _Bounds(60.0), _Bounds(3600.0)
_LONG = {
    "quota_exhausted": _Bounds(_DAY),
    "insufficient_quota": _Bounds(_DAY),
    "web_usage_limit": _Bounds(7 * _DAY),
}


def judge(fault: Fault, *, now: datetime) -> Verdict:
    """Return what a fault means for scheduling; ``now`` is an aware time.

    The provider's delay (``fault.retry_after``, seconds) is believed within bounds; a
    spent day ends at midnight in Los Angeles whatever the delay says. Where the
    caller or this gateway is to blame nothing rests.
    """
    cause = _cause(fault)
    rule = RULES[cause]
    blame: Blame = "caller" if cause in _GIVEN_UP else fault.blame
    ours = blame in ("caller", "gateway")
    rest = None if ours else _rest(fault, cause, rule, now)
    return Verdict(
        blame=blame,
        scope="nothing" if ours else _scope(fault, rule),
        cause=cause,
        until=None if rest is None else now.timestamp() + rest,
        attention=rule.attention and not ours,
        strike=rule.strike and not ours,
        again=rule.again and not ours,
        elsewhere=_elsewhere(fault, blame),
        advice="" if blame == "caller" else _advice(rule),
        link=fault.link or rule.link,
        quota=fault.quota,
    )


def _cause(fault: Fault) -> str:
    """Return the fault's cause as a row; an unknown one becomes its class's."""
    of_account = isinstance(fault, UpstreamFault) and fault.blame != "caller"
    if isinstance(fault, RateLimited) and fault.cause in _VAGUE and fault.quota:
        period = fault.quota.period
        return f"quota_{period}" if period else fault.cause
    codes = [getattr(kind, "code", "") for kind in type(fault).__mro__]
    words = (row_of(word, of_account=of_account) for word in (fault.cause, *codes))
    return next(word for word in words if word in RULES)


def _rest(fault: Fault, cause: str, rule: Cause, now: datetime) -> float | None:
    """Return for how many seconds the scope rests; None if not by time."""
    if cause == "quota_day":
        return seconds_to_quota_reset(now)
    if rule.rest_seconds is None or fault.retry_after is None:
        return rule.rest_seconds
    usual = _BRIEF if rule.scope == "model" else _USUAL
    return _LONG.get(cause, usual).within(fault.retry_after)


def _scope(fault: Fault, rule: Cause) -> Scope:
    """Return what rests: a quota of the whole project rests the whole account."""
    whole = fault.quota is not None and not fault.quota.per_model
    return "account" if whole and rule.scope == "account_model" else rule.scope


def _elsewhere(fault: Fault, blame: Blame) -> bool:
    return isinstance(fault, UpstreamFault) and fault.elsewhere and blame != "caller"


def _advice(rule: Cause) -> str:
    return rule.action if rule.who == "operator" else ""
