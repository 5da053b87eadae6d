"""A ``google.rpc.Status`` as JSON, taken apart: the words and times inside an error."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from proxy.wire.redacted_errors import cleaned_error

Detail = Mapping[str, Any]

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
_DURATION = r"((?:\d[\d.]* ?(?:ms|h|m|s) ?)+)"
_DURATION_PART = re.compile(r"([\d.]+) ?(ms|h|m|s)", re.IGNORECASE)
_RETRY_TEXT = re.compile(rf"(?:retry in|resets? after|resets? in) {_DURATION}", re.I)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# Where Google's errors name a page for the account's owner, the likeliest first.
_LINK_NAMES = (
    "validation_url",
    "validation_link",
    "appeal_url",
    "activationUrl",
    "activation_url",
)
_LONGEST_LINK = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleError:
    """An error of Google's. ``shown``, ``message`` and ``details`` are safe for callers;
    ``named`` holds the details, and ``said`` the message, with our projects in it."""

    code: int
    status: str
    message: str
    reason: str
    metadata: Mapping[str, str]
    details: list[dict[str, Any]]
    shown: dict[str, Any]
    named: list[dict[str, Any]]
    said: str
    retry_header: float | None
    now: datetime


def error_of(body: bytes) -> Mapping[str, Any] | str | None:
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


def taken_apart(
    error: Mapping[str, Any] | str,
    http_status: int,
    headers: Mapping[str, str],
    now: datetime,
) -> GoogleError:
    """Return the parts of an ``error`` object; ``http_status`` 0 means unknown."""
    if isinstance(error, str):
        error = {"code": http_status, "message": error}
    shown = cleaned_error(error)
    raw = _trimmed(error)
    status = str(shown.get("status") or "")
    named = [_trimmed(d) for d in items(raw.get("details")) if isinstance(d, Mapping)]
    infos = of_type(named, "ErrorInfo")
    return GoogleError(
        code=http_status or _code_of(shown.get("code"), status),
        status=status,
        message=str(shown.get("message") or ""),
        reason=str(infos[0].get("reason") or "") if infos else "",
        metadata=texts(infos[0].get("metadata")) if infos else {},
        details=[d for d in items(shown.get("details")) if isinstance(d, dict)],
        shown=shown,
        named=named,
        said=str(raw.get("message") or ""),
        retry_header=seconds_header(headers),
        now=now,
    )


def items(value: object) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def texts(value: object) -> dict[str, str]:
    """Return a JSON object as texts with trimmed keys; anything else is empty."""
    if not isinstance(value, Mapping):
        return {}
    return {str(key).strip(): str(item) for key, item in value.items()}


def of_type(details: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the details of a google.rpc type such as ``RetryInfo``."""
    return [d for d in details if str(d.get("@type", "")).endswith(f".{name}")]


def seconds_header(headers: Mapping[str, str]) -> float | None:
    """Return the ``Retry-After`` in seconds, if it is there as a number."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            return float(value) if value.strip().isdecimal() else None
    return None


def read_duration(text: str) -> float | None:
    """Return the seconds in ``38.601s``, ``900ms`` or ``1m30s``; None if unreadable."""
    parts = _DURATION_PART.findall(text)
    try:
        seconds = sum(float(n) * _UNIT_SECONDS[unit.lower()] for n, unit in parts)
    except ValueError:
        return None
    return seconds if parts and math.isfinite(seconds) else None


def retry_delay(error: GoogleError) -> float | None:
    """Return the seconds after which Google wants to be asked again, if it says so.

    The details come first, then what the message says, then the header.
    """
    for info in of_type(error.details, "RetryInfo"):
        delay = read_duration(str(info.get("retryDelay") or ""))
        if delay is not None:
            return delay
    reset = _reset_delay(error)
    if reset is not None:
        return reset
    spoken = _RETRY_TEXT.search(error.message)
    return read_duration(spoken[1]) if spoken else error.retry_header


def link_of(error: GoogleError) -> str:
    """Return the page that the error asks the account's owner to open, or ""."""
    found = [error.metadata.get(name, "") for name in _LINK_NAMES]
    for help_ in of_type(error.named, "Help"):
        found += [texts(link).get("url", "") for link in items(help_.get("links"))]
    for url in found:
        if url.startswith("https://") and len(url) <= _LONGEST_LINK:
            return url
    return ""


def _trimmed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).strip(): item for key, item in value.items()}


def _code_of(code: object, status: str) -> int:
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        return code
    return _STATUS_CODES.get(status, 500)


def _reset_delay(error: GoogleError) -> float | None:
    """Read the reset that Code Assist names: an instant, else a duration."""
    stamp = error.metadata.get("quotaResetTimeStamp", "")
    try:
        until = datetime.fromisoformat(stamp)
    except ValueError:
        return read_duration(error.metadata.get("quotaResetDelay", ""))
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max((until - error.now).total_seconds(), 0.0)
