"""xAI's error answers and what they mean.

An error is ``{"code": "…", "error": "…"}``, both text; gateways in between use the
shape of OpenAI's. The same status has several meanings: a bad key is a 400, a spent
balance a 403 or 429, a prompt against the rules a 403, so the text decides.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    Overloaded,
    Period,
    Quota,
    RateLimited,
    Unit,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.google_status import seconds_header
from proxy.wire.redacted_errors import redacted_text
from proxy.wire.xai_causes import LIMITS

_KEY_TEXT = re.compile(
    r"incorrect api key|invalid api key|api key .{0,20}expired", re.I
)
_CREDIT_TEXT = re.compile(
    r"available credits|spending limit|have any credits|purchase (?:more )?credits"
    r"|out of credits",
    re.IGNORECASE,
)
_BLOCKED_TEXT = re.compile(r"\b(?:key|team)\b.{0,40}\b(?:blocked|disabled)\b", re.I)
_CONTENT_TEXT = re.compile(
    r"violates usage guidelines|content moderation|safety_check", re.I
)
_LONG_TEXT = re.compile(r"maximum (?:prompt|context) length|too many tokens in", re.I)
_MODEL_TEXT = re.compile(r"\bmodel\b", re.IGNORECASE)
_BUSY_TEXT = re.compile(r"at capacity|overloaded|high demand", re.IGNORECASE)
_CHALLENGE = re.compile(rb"cloudflare|just a moment|cf-", re.IGNORECASE)
#: What names our team and key in a message: for the caller it is left out.
_OURS = (
    (re.compile(r"\bxai-[\w-]{8,}"), "…"),
    (re.compile(r"(API key provided): [^\s.]+", re.I), r"\1: …"),
    (re.compile(r"(\b(?:team|API key ID):? )[0-9a-f]{8}-[0-9a-f-]{20,}", re.I), r"\1…"),
    (re.compile(r"console\.x\.ai/team/[\w-]+", re.I), "console.x.ai/team/…"),
)
_TEAM = re.compile(r"\bteam:? ([0-9a-f]{8}-[0-9a-f-]{20,})", re.IGNORECASE)
_LIMIT = re.compile(
    r"(requests|tokens) per (second|minute|hour|day) \(actual/limit\): (\d+)/(\d+)",
    re.IGNORECASE,
)
_ORDER = ("day", "hour", "minute", "second")
_SECOND_WAIT = 2.0


def read_error(status: int, body: bytes, headers: Mapping[str, str]) -> Fault:
    """Return the fault that an answer with an error status means.

    ``headers`` may be in any case. A body that is no JSON is never shown.
    """
    text = _text_of(body)
    wait = seconds_header(headers)
    if text is None:
        return _unreadable(status, body, wait)
    return _fault(status, text, wait)


def read_error_object(data: Mapping[str, Any]) -> Fault:
    """Return the fault that an error in the middle of a stream means."""
    text = _said(data) or ""
    code = data.get("status") or data.get("code")
    return _fault(code if isinstance(code, int) else 0, text, None)


def shown(text: str) -> str:
    """Return a message of xAI's without our keys and team."""
    for pattern, replacement in _OURS:
        text = pattern.sub(replacement, text)
    return redacted_text(text)


def _text_of(body: bytes) -> str | None:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(data, str):
        return data
    return _said(data) if isinstance(data, Mapping) else None


def _said(data: Mapping[str, Any]) -> str | None:
    """Return an error's words in any of its shapes, None where there are none."""
    error = data.get("error") or data.get("message") or data.get("detail")
    if isinstance(error, Mapping):
        error = error.get("message")
    return error if isinstance(error, str) else None


def _fault(status: int, text: str, wait: float | None) -> Fault:
    refused = _refused_account(status, text)
    if refused is not None:
        return refused
    if _CONTENT_TEXT.search(text):
        return _refused(text, 400, "content_filter")
    if status == 404:
        return _missing(text)
    if status == 429 or _LIMIT.search(text):
        return _limited(text, wait)
    if status in (408, 504):
        return UpstreamTimeout()
    if status == 503 or (not 400 <= status < 500 and _BUSY_TEXT.search(text)):
        return Overloaded(retry_after=wait)
    if 400 <= status < 500:
        return _refused_request(status, text)
    return UpstreamFault(shown(text), status=502, code="upstream_error")


def _refused_account(status: int, text: str) -> AccountRefused | None:
    """Tell an account that may not ask; xAI's words name it, and stay out."""
    if status == 402 or _CREDIT_TEXT.search(text):
        return AccountRefused(cause="xai_no_credit")
    if status == 401 or (status in (400, 403) and _KEY_TEXT.search(text)):
        return AccountRefused(code="api_key_invalid", cause="xai_key_refused")
    if status != 403 or _CONTENT_TEXT.search(text):
        return None
    blocked = _BLOCKED_TEXT.search(text)
    cause = "xai_key_blocked" if blocked else "xai_denied"
    return AccountRefused(code="permission_denied", cause=cause)


def _missing(text: str) -> Fault:
    if not _MODEL_TEXT.search(text):
        return _refused(text, 404, "not_found")
    return UpstreamFault(
        "The provider has no such model.",
        status=404,
        code="model_not_found",
        blame="model",
        cause="model_missing",
    )


def _limited(text: str, wait: float | None) -> RateLimited:
    """Read "Requests per Minute (actual/limit): 73/60", of several the longest."""
    reached = [row for row in _LIMIT.findall(text) if int(row[2]) >= int(row[3])]
    if not reached:
        return RateLimited(cause="throttled", retry_after=wait, link=LIMITS)
    unit, period, _, most = min(reached, key=lambda row: _ORDER.index(row[1].lower()))
    period = period.lower()
    quota = Quota(
        id=f"{unit.title()} per {period}",
        value=int(most),
        period=_period(period),
        unit=_unit(unit),
        bucket=_bucket(text),
    )
    cause = "quota_minute" if period == "minute" else "throttled"
    if period in ("hour", "day"):
        # xAI does not say when its day begins.
        cause = "quota_exhausted"
    if period == "second":
        wait = wait or _SECOND_WAIT
    fault = RateLimited(cause=cause, retry_after=wait, quota=quota, link=LIMITS)
    if period == "day":
        # As with Google's: no retry of the caller's brings it back.
        fault.code, fault.should_retry = "insufficient_quota", False
    return fault


def _period(word: str) -> Period:
    if word == "day":
        return "day"
    return "minute" if word == "minute" else ""


def _unit(word: str) -> Unit:
    return "tokens" if word.lower() == "tokens" else "requests"


def _bucket(text: str) -> str:
    """Hash the team: all its keys draw on the same quotas."""
    team = _TEAM.search(text)
    if team is None:
        return ""
    return hashlib.blake2b(team[1].encode(), digest_size=8, person=b"team").hexdigest()


def _refused_request(status: int, text: str) -> UpstreamRefused:
    if _LONG_TEXT.search(text):
        return _refused(text, 400, "context_length_exceeded")
    codes = {413: "request_too_large", 405: "method_not_allowed"}
    # 422 is xAI's word for a field of a wrong type, 415 for a body that is no JSON.
    told = 400 if status in (415, 422) else status
    return _refused(text, told, codes.get(status, "invalid_argument"))


def _refused(text: str, status: int, code: str) -> UpstreamRefused:
    return UpstreamRefused(shown(text), status=status, code=code)


def _unreadable(status: int, body: bytes, wait: float | None) -> Fault:
    if status in (403, 429) and _CHALLENGE.search(body[:20_000]):
        return ConnectFailed(
            "The provider takes no requests from this network now.",
            cause="ip_blocked",
            retry_after=wait,
        )
    if status == 401:
        return AccountRefused(code="api_key_invalid", cause="xai_key_refused")
    if status == 413:
        text = "The request is larger than the provider takes."
        return _refused(text, 413, "request_too_large")
    if status == 429:
        return RateLimited(cause="throttled", retry_after=wait, link=LIMITS)
    return BadAnswer(
        f"The provider answered {status} without a readable error.", retry_after=wait
    )
