"""Faults in the words of each dialect: bodies, headers and stream frames."""

import math
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.errors import AccountRefused, Fault, LimitReached, Unauthenticated
from proxy.wire.gemini_answer import Json, mapping
from proxy.wire.redacted_errors import cleaned_error, redacted_text

_TYPE = "type.googleapis.com/google.rpc."
#: openai-python waits at most this long by itself; beyond it a retry is no use.
_LONGEST_WAIT = 120.0
_SPENT = "insufficient_quota"


def _type_of(fault: Fault) -> str:
    if fault.status >= 500:
        return "server_error"
    if fault.code == _SPENT:
        return "insufficient_quota"
    return "rate_limit_error" if fault.status == 429 else "invalid_request_error"


def _code_of(fault: Fault) -> str:
    """Return the code to show; why an account was refused is the operator's affair."""
    hidden = isinstance(fault, AccountRefused) and fault.status >= 500
    return AccountRefused.code if hidden else fault.code


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
    take that for a refusal of the own token.
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
    given = shown.get("details")
    details = given if isinstance(given, list) else []
    if fault.retry_after is not None and not _has_retry_info(details):
        details = [*details, _retry_info(fault.retry_after)]
    error: Json = {
        "code": fault.status,
        "message": str(shown.get("message") or redacted_text(fault.message)),
        "status": str(status or fault.google_status),
    }
    return {**error, "details": details} if details else error


def _has_retry_info(details: list[Any]) -> bool:
    kinds = [str(mapping(detail).get("@type")) for detail in details]
    return any(kind.endswith(".RetryInfo") for kind in kinds)


def _retry_info(wait: float) -> Json:
    delay = f"{max(wait, 0.0):.3f}".rstrip("0").rstrip(".")
    return {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{delay}s"}


def _details(fault: Fault) -> list[Json]:
    details: list[Json] = []
    if isinstance(fault, Unauthenticated):
        details.append(_error_info("API_KEY_INVALID"))
    if isinstance(fault, LimitReached):
        details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [_quota(fault)]})
    if fault.retry_after is not None:
        details.append(_retry_info(fault.retry_after))
    return details


def _error_info(reason: str) -> Json:
    info = {"reason": reason, "domain": "googleapis.com"}
    return {"@type": f"{_TYPE}ErrorInfo", **info}


def _quota(fault: Fault) -> Json:
    """Name the caller's limit so that clients which look for "PerDay" stop asking."""
    window = "Day" if _hopeless(fault) else "Minute"
    return {
        "quotaMetric": "gateway/requests",
        "quotaId": f"GatewayRequestsPer{window}PerToken",
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
