"""The quotas that Google's refusals name, and what they teach about an account."""

import functools
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from proxy.errors import Fault, Period, Quota, Unit
from proxy.wire.google_status import GoogleError, items, of_type, texts

__all__ = [
    "Quota",
    "bucket_of",
    "has_none",
    "learned_limit",
    "quota_of",
    "seconds_to_quota_reset",
]

Limit = Literal["rpm", "tpm", "rpd", "tpd"]

_LIMITS: Mapping[tuple[Unit, Period], Limit] = {
    ("requests", "minute"): "rpm",
    ("tokens", "minute"): "tpm",
    ("requests", "day"): "rpd",
    ("tokens", "day"): "tpd",
}
_DAY_TEXT = re.compile(r"PerDay|Daily|\bper day\b|/d\b", re.IGNORECASE)
_MINUTE_TEXT = re.compile(r"PerMinute|\bper minute\b|/min\b", re.IGNORECASE)
_NO_QUOTA_TEXT = re.compile(r"\blimit: ?0(?![\d.])", re.IGNORECASE)
_CONSUMER_TEXT = re.compile(
    r"\bconsumer '(?:project_number:|projects/)([\w-]{1,100})'", re.IGNORECASE
)
_PROJECT = re.compile(r"(?:projects/|project_number:)([\w.:-]{1,100})$")
_BARE_PROJECT = re.compile(r"(?:projects/|project_number:)?([\w.:-]{1,100})$")
_NUMBER = re.compile(r"[0-9]{1,15}")
_NAMES = ("project", "project_id", "project_number")
_PER_MODEL = re.compile(r"per_?(?:base_?)?model", re.IGNORECASE)


def quota_of(error: GoogleError) -> Quota:
    """Return the violated quota that lasts longest.

    It stands in QuotaFailure or in ErrorInfo's metadata; where neither names one, the
    message may still tell the period.
    """
    found = [
        _violated(violation, _bucket(error)) for violation in _violations(error.details)
    ]
    if not found and error.metadata.get("quota_limit"):
        found = [_from_metadata(error)]
    for period in ("day", "minute", ""):
        for quota in found:
            if quota.period == period:
                return quota
    return Quota(period=_period_of(error.message), bucket=_bucket(error))


def has_none(error: GoogleError) -> bool:
    """Return whether a violated quota is zero: no wait will ever help."""
    values = [str(each.get("quotaValue", "")) for each in _violations(error.details)]
    values.append(error.metadata.get("quota_limit_value", ""))
    return "0" in values or bool(_NO_QUOTA_TEXT.search(error.message))


def learned_limit(quota: Quota) -> tuple[Limit, int] | None:
    """Return the limit that a quota teaches, as a name and a number above zero."""
    limit = _LIMITS.get((quota.unit, quota.period))
    return (limit, quota.value) if limit and quota.value else None


def bucket_of(fault: Fault) -> str:
    """Return a hash of the Cloud project whose quota a fault is about, or "".

    All keys of one project share its quotas.
    """
    return fault.quota.bucket if fault.quota else ""


def seconds_to_quota_reset(now: datetime) -> float:
    """Return the seconds to the next midnight in Los Angeles.

    Daily quotas of the Gemini API start anew there ("Rate limits", Gemini API docs).
    """
    local = now.astimezone(_pacific())
    midnight = datetime.combine(
        local.date() + timedelta(days=1), time(), tzinfo=local.tzinfo
    )
    return (midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds()


@functools.cache
def _pacific() -> ZoneInfo:
    return ZoneInfo("America/Los_Angeles")


def _violations(details: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        violation
        for failure in of_type(details, "QuotaFailure")
        for violation in items(failure.get("violations"))
        if isinstance(violation, Mapping)
    ]


def _violated(violation: Mapping[str, Any], bucket: str) -> Quota:
    return _quota(
        id_=str(violation.get("quotaId") or ""),
        metric=str(violation.get("quotaMetric") or ""),
        value=str(violation.get("quotaValue", "")),
        dimensions=texts(violation.get("quotaDimensions")),
        bucket=bucket,
    )


def _from_metadata(error: GoogleError) -> Quota:
    """Read the quota of Service Infrastructure's ErrorInfo."""
    named = error.metadata
    return _quota(
        id_=named["quota_limit"],
        metric=named.get("quota_metric", ""),
        value=named.get("quota_limit_value", ""),
        dimensions={"location": named.get("quota_location", "")},
        bucket=_bucket(error),
        unit_text=named.get("quota_unit", ""),
    )


def _quota(
    *,
    id_: str,
    metric: str,
    value: str,
    dimensions: dict[str, str],
    bucket: str,
    unit_text: str = "",
) -> Quota:
    named = bool(id_ or metric)
    return Quota(
        id=id_,
        metric=metric,
        value=int(value) if _NUMBER.fullmatch(value) else None,
        dimensions=dimensions,
        period=_period_of(id_) or _period_of(unit_text),
        unit=_unit_of(metric) or _unit_of(id_),
        per_model=not named
        or bool(_PER_MODEL.search(id_))
        or not dimensions.keys().isdisjoint(("model", "base_model")),
        bucket=bucket,
    )


def _period_of(text: str) -> Period:
    if _DAY_TEXT.search(text):
        return "day"
    return "minute" if _MINUTE_TEXT.search(text) else ""


def _unit_of(text: str) -> Unit:
    lowered = text.lower()
    if "token" in lowered:
        return "tokens"
    return "requests" if "request" in lowered else ""


def _bucket(error: GoogleError) -> str:
    """Hash the project that the error shows; it is ours, so its name stays unsaid."""
    project = _project_of(error)
    if not project:
        return ""
    digest = hashlib.blake2b(project.encode(), digest_size=8, person=b"project")
    return digest.hexdigest()


def _project_of(error: GoogleError) -> str:
    found = [_PROJECT.match(error.metadata.get("consumer", ""))]
    found.append(_CONSUMER_TEXT.search(error.said))
    for violation in _violations(error.named):
        dimensions = texts(violation.get("quotaDimensions"))
        found += [_BARE_PROJECT.match(dimensions.get(name, "")) for name in _NAMES]
    return next((match[1] for match in found if match), "")
