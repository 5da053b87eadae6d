"""Google's error bodies and what they mean: the quota grammar."""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    Fault,
    Overloaded,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.redacted_errors import cleaned_error

Period = Literal["minute", "day", ""]

# Above this a "rate limit" is a spent quota: waiting inside a request is no use.
_LONGEST_PAUSE = 300.0

_STATUS_CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_KEY_REASONS = {"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_NOT_FOUND"}
_KEY_TEXT = re.compile(r"API key (?:not valid|expired|not found)", re.IGNORECASE)
_LEAKED_TEXT = re.compile(r"API key.{0,40}\bleaked\b", re.IGNORECASE)
# A file, cache or tuned model that the caller named: no fault of the account.
_RESOURCE_TEXT = re.compile(r"\bthe File\b|\bCachedContent\b|\btuned model\b", re.I)
_TOO_LONG_TEXT = re.compile(r"input token count.*exceeds", re.IGNORECASE | re.DOTALL)
_DAY_TEXT = re.compile(r"PerDay|Daily|\bper day\b", re.IGNORECASE)
_MINUTE_TEXT = re.compile(r"PerMinute|\bper minute\b", re.IGNORECASE)
_NO_QUOTA_TEXT = re.compile(r"\blimit: ?0(?![\d.])", re.IGNORECASE)
_SPEND_TEXT = re.compile(r"\bspend(?:ing)?\b.{0,40}\b(?:cap|limit)\b", re.IGNORECASE)
_RETRY_TEXT = re.compile(r"retry in ((?:[\d.]+ ?(?:ms|h|m|s))+)", re.IGNORECASE)
_DURATION_PART = re.compile(r"([\d.]+) ?(ms|h|m|s)", re.IGNORECASE)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota that a 429 names: which one, how large, per what, for which model."""

    id: str = ""
    metric: str = ""
    value: int | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    period: Period = ""


@dataclass(frozen=True, slots=True)
class _GoogleError:
    """A ``google.rpc.Status`` as JSON, taken apart. ``shown`` is safe for callers."""

    code: int
    status: str
    message: str
    reason: str
    details: list[dict[str, Any]]
    shown: dict[str, Any]
    retry_header: float | None
    now: datetime


def read_error(
    status: int, body: bytes, headers: Mapping[str, str], *, now: datetime
) -> Fault:
    """Return the fault that an answer with an error status means.

    ``headers`` may be in any case; ``now`` is an aware time, from which the end of a
    daily quota is counted. Statuses, details and their meaning: google.rpc.Status and
    google.rpc.error_details. A body that is not Google's JSON becomes ``BadAnswer``
    and is never shown.
    """
    retry_header = _seconds_header(headers)
    error = _error_of(body)
    if error is None:
        return _unreadable(status, retry_header)
    if isinstance(error, str):
        error = {"code": status, "message": error}
    return _fault_of(_taken_apart(error, status, retry_header, now))


def read_error_object(error: object, *, now: datetime) -> Fault:
    """Return the fault that an ``error`` object inside a stream means."""
    if not isinstance(error, Mapping):
        return BadAnswer("The provider's stream ended in an unreadable error.")
    return _fault_of(_taken_apart(error, 0, None, now))


def seconds_to_quota_reset(now: datetime) -> float:
    """Return the seconds to the next midnight in Los Angeles.

    Daily quotas of the Gemini API start anew there ("Rate limits", Gemini API docs).
    """
    local = now.astimezone(_pacific())
    midnight = datetime.combine(
        local.date() + timedelta(days=1), time(), tzinfo=local.tzinfo
    )
    return (midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds()


def read_duration(text: str) -> float | None:
    """Return the seconds in ``38.601s``, ``900ms`` or ``1m30s``; None if unreadable."""
    parts = _DURATION_PART.findall(text)
    try:
        seconds = sum(float(n) * _UNIT_SECONDS[unit.lower()] for n, unit in parts)
    except ValueError:
        return None
    return seconds if parts and math.isfinite(seconds) else None


@functools.cache
def _pacific() -> ZoneInfo:
    return ZoneInfo("America/Los_Angeles")


def _seconds_header(headers: Mapping[str, str]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            return float(value) if value.strip().isdecimal() else None
    return None


def _error_of(body: bytes) -> Mapping[str, Any] | str | None:
    """Find the error in a body: an object, the same in an array of one, or OAuth's."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        return None
    error = data.get("error")
    return error if isinstance(error, (dict, str)) and error else None


def _unreadable(status: int, retry_after: float | None) -> Fault:
    if status == 413:
        # Google's front end answers this one in HTML, before the API sees it.
        return UpstreamRefused(
            "The request is larger than the provider takes.",
            status=413,
            code="request_too_large",
        )
    return BadAnswer(
        f"The provider answered {status} without a readable error.",
        retry_after=retry_after,
    )


def _taken_apart(
    error: Mapping[str, Any],
    http_status: int,
    retry_header: float | None,
    now: datetime,
) -> _GoogleError:
    shown = cleaned_error(error)
    status = str(shown.get("status") or "")
    details = shown.get("details")
    found = [d for d in _items(details) if isinstance(d, dict)]
    return _GoogleError(
        code=http_status or _code_of(shown.get("code"), status),
        status=status,
        message=str(shown.get("message") or ""),
        reason=_reason_of(found),
        details=found,
        shown=shown,
        retry_header=retry_header,
        now=now,
    )


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _code_of(code: object, status: str) -> int:
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        return code
    return _STATUS_CODES.get(status, 500)


def _of_type(details: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [d for d in details if str(d.get("@type", "")).endswith(f".{name}")]


def _reason_of(details: list[dict[str, Any]]) -> str:
    infos = _of_type(details, "ErrorInfo")
    return str(infos[0].get("reason") or "") if infos else ""


def _fault_of(error: _GoogleError) -> Fault:
    refused = _refused_account(error)
    if refused is not None:
        return refused
    if error.code in (402, 429):
        return _quota_fault(error)
    if error.code == 404:
        return _missing(error)
    if error.code in (408, 504):
        return UpstreamTimeout(google=error.shown)
    if error.code == 503:
        return Overloaded(retry_after=_retry_delay(error), google=error.shown)
    if error.code == 499:
        return _upstream_fault(error, "cancelled")
    if error.code >= 500 and not _TOO_LONG_TEXT.search(error.message):
        return _upstream_fault(error, "upstream_error")
    return _refused_request(error)


def _refused_account(error: _GoogleError) -> AccountRefused | None:
    """Tell an account that may not ask from a request that may not be asked.

    Google's words stay out of it: they name our key, project or billing.
    """
    if error.code not in (400, 401, 403) or _RESOURCE_TEXT.search(error.message):
        return None
    if error.reason in _KEY_REASONS or _KEY_TEXT.search(error.message):
        return AccountRefused(code="api_key_invalid")
    if error.code == 401:
        return AccountRefused(code="unauthenticated")
    if error.status == "FAILED_PRECONDITION":
        return AccountRefused(
            "The provider does not serve this account from its place or billing state.",
            status=400,
            code="failed_precondition",
            google_status="FAILED_PRECONDITION",
        )
    if error.code != 403:
        return None
    leaked = _LEAKED_TEXT.search(error.message)
    return AccountRefused(code="leaked" if leaked else "permission_denied")


def _quota_fault(error: _GoogleError) -> Fault:
    if error.reason == "MODEL_CAPACITY_EXHAUSTED":
        return Overloaded(retry_after=_retry_delay(error))
    quota = _quota_of(error)
    delay = _retry_delay(error)
    if quota.period == "day":
        return _spent(error, quota, seconds_to_quota_reset(error.now))
    if _is_spent(error, quota):
        return _spent(error, quota, None)
    if delay is not None and delay > _LONGEST_PAUSE:
        return _spent(error, quota, delay)
    return RateLimited(retry_after=delay, google=error.shown, quota=quota)


def _is_spent(error: _GoogleError, quota: Quota) -> bool:
    return (
        error.code == 402
        or quota.value == 0
        or bool(_NO_QUOTA_TEXT.search(error.message))
        or bool(_SPEND_TEXT.search(error.message))
    )


def _spent(error: _GoogleError, quota: Quota, wait: float | None) -> RateLimited:
    return RateLimited(
        "The provider's quota for this is used up.",
        code="insufficient_quota",
        should_retry=False,
        retry_after=wait,
        google={**error.shown, "code": 429},
        quota=quota,
    )


def _quota_of(error: _GoogleError) -> Quota:
    """Pick the violation that lasts longest; without any, read the message."""
    found = [
        _violation(violation)
        for failure in _of_type(error.details, "QuotaFailure")
        for violation in _items(failure.get("violations"))
        if isinstance(violation, Mapping)
    ]
    for period in ("day", "minute", ""):
        for quota in found:
            if quota.period == period:
                return quota
    return Quota(period=_period_of(error.message))


def _violation(violation: Mapping[str, Any]) -> Quota:
    quota_id = str(violation.get("quotaId") or "")
    dimensions = violation.get("quotaDimensions")
    value = str(violation.get("quotaValue", ""))
    return Quota(
        id=quota_id,
        metric=str(violation.get("quotaMetric") or ""),
        value=int(value) if value.isdecimal() else None,
        dimensions={str(k): str(v) for k, v in dimensions.items()}
        if isinstance(dimensions, Mapping)
        else {},
        period=_period_of(quota_id),
    )


def _period_of(text: str) -> Period:
    if _DAY_TEXT.search(text):
        return "day"
    return "minute" if _MINUTE_TEXT.search(text) else ""


def _retry_delay(error: _GoogleError) -> float | None:
    for info in _of_type(error.details, "RetryInfo"):
        delay = read_duration(str(info.get("retryDelay") or ""))
        if delay is not None:
            return delay
    spoken = _RETRY_TEXT.search(error.message)
    return read_duration(spoken[1]) if spoken else error.retry_header


def _missing(error: _GoogleError) -> Fault:
    fault = UpstreamFault(
        error.message or "The provider has no such model.",
        status=404,
        code="model_not_found",
        google=error.shown,
    )
    fault.blame = "model"
    return fault


def _upstream_fault(error: _GoogleError, code: str) -> UpstreamFault:
    return UpstreamFault(
        error.message,
        status=error.code,
        code=code,
        google=error.shown,
        google_status=error.status or None,
    )


def _refused_request(error: _GoogleError) -> UpstreamRefused:
    too_long = _TOO_LONG_TEXT.search(error.message)
    codes = {403: "permission_denied", 413: "request_too_large"}
    return UpstreamRefused(
        error.message,
        status=400 if too_long else error.code,
        code="context_length_exceeded"
        if too_long
        else codes.get(error.code, "invalid_argument"),
        google=error.shown,
        google_status="INVALID_ARGUMENT" if too_long else error.status or None,
    )
