"""Faults in the words of each dialect: bodies, headers and stream frames."""

import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.errors import (
    AccountRefused,
    Fault,
    LimitReached,
    Overloaded,
    RateLimited,
    Unauthenticated,
)
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.redacted_errors import cleaned_error, redacted_text

_TYPE = "type.googleapis.com/google.rpc."
#: openai-python waits at most this long by itself; beyond it a retry is no use.
_LONGEST_WAIT = 120.0
_SPENT = "insufficient_quota"
# gemini-cli obeys these words before anything else: it sleeps for hours on the first,
# gives up on the second, and waits as long as the third says.
_CAPACITY_TEXT = re.compile(r"exhausted your capacity|capacity[ _]exceed", re.I)
_NEVER_TEXT = re.compile(r"\blimit: ?0(?![\d.])|per ?day|daily", re.IGNORECASE)
_WAIT_TEXT = re.compile(
    r"\s{0,9}[^.!?\n]{0,60}\b(?:retry in|resets? (?:after|in)) "
    r"(?:\d[\d.]* ?(?:ms|h|m|s) ?)+\.?",
    re.IGNORECASE,
)
_DAY_ID = re.compile(r"PerDay|Daily", re.IGNORECASE)
_SHOWN_DIMENSIONS = frozenset({"location", "model"})


def _type_of(fault: Fault) -> str:
    if fault.status >= 500:
        return "server_error"
    if _code_of(fault) == _SPENT:
        return "insufficient_quota"
    return "rate_limit_error" if fault.status == 429 else "invalid_request_error"


def _code_of(fault: Fault) -> str:
    """Return the code to show; why an account was refused is the operator's affair.

    Where a retry helps, no quota is spent: programs stop for good at that code.
    """
    if isinstance(fault, AccountRefused) and fault.status >= 500:
        return AccountRefused.code
    if fault.code == _SPENT and fault.should_retry:
        return RateLimited.code
    return fault.code


def openai_error(fault: Fault, *, in_frame: bool = False) -> Json:
    """Return ``{"error": {message, type, param, code}}`` as OpenAI SDKs read it.

    ``in_frame`` is for an error inside a stream, where no header can carry the wait:
    then ``retry_after`` (seconds) stands in the body when it is known.
    """
    error: Json = {
        "message": redacted_text(fault.message),
        "type": _type_of(fault),
        "param": fault.param,
        "code": _code_of(fault),
    }
    if in_frame and fault.retry_after is not None:
        error["retry_after"] = fault.retry_after
    return {"error": error}


def simple_error(fault: Fault) -> Json:
    """Return the body for the gateway's own endpoints: OpenAI's shape."""
    return openai_error(fault)


def google_error(fault: Fault) -> Json:
    """Return ``{"error": {code, message, status, details}}`` as Google's SDKs read it.

    Google's own error object is passed on, without debugging details, projects and
    keys, unless it is about the credential of an upstream account: a caller would
    take that for a refusal of the own token. How long to wait, and whether to wait at
    all, is the fault's to say (``retry_after``, ``should_retry``), never Google's:
    its times are those of one account, and some make gemini-cli sleep for hours.
    """
    if fault.google and not _about_credential(fault):
        return {"error": _passed(fault, fault.google)}
    error: Json = {
        "code": fault.status,
        "message": redacted_text(fault.message),
        "status": fault.google_status,
    }
    details = _details(fault)
    if details:
        error["details"] = details
    return {"error": error}


def _about_credential(fault: Fault) -> bool:
    if isinstance(fault, AccountRefused) and fault.status >= 500:
        return True
    status = (fault.google or {}).get("status")
    return fault.blame == "account" and status in {
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    }


def _passed(fault: Fault, google: Mapping[str, Any]) -> Json:
    shown = cleaned_error(google)
    same = shown.get("code") in (None, fault.status)
    status = shown.get("status") if same else None
    message = str(shown.get("message") or redacted_text(fault.message))
    given = shown.get("details")
    details = given if isinstance(given, list) else []
    if isinstance(fault, RateLimited | Overloaded):
        message = _limit_message(fault, message)
        details = _limit_details(fault, details)
    details = _without(details, "RetryInfo")
    if fault.retry_after is not None:
        details.append(_retry_info(fault.retry_after))
    error: Json = {
        "code": fault.status,
        "message": message,
        "status": str(status or fault.google_status),
    }
    return {**error, "details": details} if details else error


def _limit_message(fault: Fault, message: str) -> str:
    """Return Google's words without its wait, or ours where they would mislead."""
    if _CAPACITY_TEXT.search(message):
        return redacted_text(fault.message)
    if not _hopeless(fault) and _NEVER_TEXT.search(message):
        return redacted_text(fault.message)
    told = _WAIT_TEXT.sub("", message)
    if told == message or fault.retry_after is None or _hopeless(fault):
        return told or redacted_text(fault.message)
    return f"{told}\nPlease retry in {_duration(fault.retry_after)}.".lstrip()


def _limit_details(fault: Fault, details: list[Any]) -> list[Any]:
    """Return Google's details about a limit, with our verdict on whether to wait.

    ErrorInfo goes: its reasons and reset times overrule RetryInfo in clients.
    """
    hopeless = _hopeless(fault)
    kept: list[Any] = []
    for detail in _without(details, "ErrorInfo"):
        if _kind_of(detail) == "QuotaFailure":
            detail = _quota_failure(detail, hopeless=hopeless)
        if detail:
            kept.append(detail)
    if _ends_a_day(fault) and not _names_a_day(kept):
        kept.append({"@type": f"{_TYPE}QuotaFailure", "violations": [_quota(fault)]})
    return kept


def _ends_a_day(fault: Fault) -> bool:
    """Must a client read that this quota is spent, and not just for a minute?"""
    return isinstance(fault, RateLimited) and _hopeless(fault)


def _quota_failure(detail: Json, *, hopeless: bool) -> Json | None:
    """Return the violations that fit the verdict; None if none is left."""
    violations = [
        _shown_violation(violation)
        for violation in dicts(detail.get("violations"))
        if hopeless or not _DAY_ID.search(str(violation.get("quotaId")))
    ]
    return {**detail, "violations": violations} if violations else None


def _shown_violation(violation: Json) -> Json:
    dimensions = mapping(violation.get("quotaDimensions"))
    shown = {key: dimensions[key] for key in dimensions if key in _SHOWN_DIMENSIONS}
    rest = {key: violation[key] for key in violation if key != "quotaDimensions"}
    return {**rest, "quotaDimensions": shown} if shown else rest


def _names_a_day(details: list[Any]) -> bool:
    return any(
        _DAY_ID.search(str(violation.get("quotaId")))
        for detail in details
        if _kind_of(detail) == "QuotaFailure"
        for violation in detail["violations"]
    )


def _kind_of(detail: object) -> str:
    return str(mapping(detail).get("@type")).rpartition(".")[2]


def _without(details: list[Any], *kinds: str) -> list[Any]:
    return [detail for detail in details if _kind_of(detail) not in kinds]


def _duration(wait: float) -> str:
    return f"{max(wait, 0.0):.3f}".rstrip("0").rstrip(".") + "s"


def _retry_info(wait: float) -> Json:
    return {"@type": f"{_TYPE}RetryInfo", "retryDelay": _duration(wait)}


def _details(fault: Fault) -> list[Json]:
    details: list[Json] = []
    if isinstance(fault, Unauthenticated):
        details.append(_error_info("API_KEY_INVALID"))
    if isinstance(fault, LimitReached) or _ends_a_day(fault):
        details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [_quota(fault)]})
    if fault.retry_after is not None:
        details.append(_retry_info(fault.retry_after))
    return details


def _error_info(reason: str) -> Json:
    info = {"reason": reason, "domain": "googleapis.com"}
    return {"@type": f"{_TYPE}ErrorInfo", **info}


def _quota(fault: Fault) -> Json:
    """Name the limit so that clients which look for "PerDay" stop asking."""
    window = "Day" if _hopeless(fault) else "Minute"
    whose = "PerToken" if isinstance(fault, LimitReached) else ""
    return {
        "quotaMetric": "gateway/requests",
        "quotaId": f"GatewayRequestsPer{window}{whose}",
        "description": redacted_text(fault.message),
    }


def _hopeless(fault: Fault) -> bool:
    """Is a retry by the client's own loop of no use?"""
    if fault.should_retry is not None:
        return not fault.should_retry
    if fault.code == _SPENT:
        return True
    return fault.retry_after is not None and fault.retry_after > _LONGEST_WAIT


def headers(fault: Fault) -> dict[str, str]:
    """Return the headers that steer a client's retries.

    ``Retry-After`` in whole seconds, ``retry-after-ms`` for OpenAI's SDKs, and
    ``x-should-retry`` which they obey above everything else.
    """
    found: dict[str, str] = {}
    if fault.retry_after is not None:
        wait = max(fault.retry_after, 0.0)
        found["Retry-After"] = str(math.ceil(wait))
        found["retry-after-ms"] = str(math.ceil(round(wait * 1000, 3)))
    if _hopeless(fault):
        found["x-should-retry"] = "false"
    elif fault.should_retry:
        found["x-should-retry"] = "true"
    return found


def gemini_frame(fault: Fault) -> bytes:
    """Return the event that ends a native stream with an error."""
    return b"data: %b\r\n\r\n" % orjson.dumps(google_error(fault))
