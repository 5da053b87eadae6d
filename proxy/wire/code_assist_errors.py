"""Error answers of the Code Assist backend, and of Google's OAuth token endpoint."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from proxy.errors import (
    AccountRefused,
    Fault,
    Overloaded,
    RateLimited,
    UpstreamFault,
)
from proxy.wire.google_errors import (
    fault_of,
    quota_fault,
    refusal_cause,
    spent,
    unreadable,
)
from proxy.wire.google_status import (
    GoogleError,
    error_of,
    link_of,
    retry_delay,
    taken_apart,
)
from proxy.wire.quotas import has_none, quota_of

#: RATE_LIMIT_EXCEEDED without a delay, or with one of 0 s.
_SHORT_PAUSE = 10.0
#: A shorter delay of a quota per day is not believed.
_SHORTEST_DAY = 300.0
_TOKEN_PAUSE = 30.0
_SPENT_REASONS = {"QUOTA_EXHAUSTED", "INSUFFICIENT_G1_CREDITS_BALANCE"}
_BACKEND = "cloudcode-pa.googleapis.com"
_LOCATION_TEXT = re.compile(r"\blocation is not supported\b", re.IGNORECASE)
_CAPACITY_TEXT = re.compile(
    r"Resource exhausted\. Please try again later|error-code-429", re.IGNORECASE
)
_VAGUE_TEXT = re.compile(r"Resource has been exhausted", re.IGNORECASE)
_REAUTH_TEXT = re.compile(r"reauth|rapt_|_rapt", re.IGNORECASE)

#: The ``error`` of a refused token refresh: what it means.
_TOKEN_CAUSES = {
    "invalid_grant": "login_expired",
    "invalid_request": "oauth_config",
    "invalid_scope": "oauth_config",
    "unsupported_grant_type": "oauth_config",
    "invalid_client": "oauth_client",
    "deleted_client": "oauth_client",
    "disabled_client": "oauth_client",
    "unauthorized_client": "oauth_client",
    "restricted_client": "oauth_client",
    "access_denied": "login_policy",
    "admin_policy_enforced": "login_policy",
    "org_internal": "login_policy",
    "internal_failure": "token_endpoint",
    "server_error": "token_endpoint",
    "temporarily_unavailable": "token_endpoint",
}


def read_error(
    status: int, body: bytes, headers: Mapping[str, str], *, now: datetime
) -> Fault:
    """Return the fault that an error answer of cloudcode-pa means.

    ``headers`` may be in any case; ``now`` is an aware time. Whoever gets the cause
    ``token_stale`` should refresh the access token once and ask again before blaming.
    """
    error = error_of(body)
    if error is None:
        return unreadable(status, body, headers)
    return _fault_of(taken_apart(error, status, headers, now))


def read_error_object(error: object, *, now: datetime) -> Fault:
    """Return the fault that an ``error`` object inside a stream means."""
    found = error if isinstance(error, Mapping) else {}
    return _fault_of(taken_apart(found, 0, {}, now))


def read_token_error(status: int, body: bytes) -> Fault:
    """Return the fault that a refused refresh of an access token means.

    ``error`` is a word as RFC 6749 has it, or an object with a ``status``.
    """
    word, text = _token_words(body)
    cause = _TOKEN_CAUSES.get(word)
    if cause == "login_expired" and _REAUTH_TEXT.search(text):
        cause = "reauth_required"
    if status in (408, 429) or status >= 500 or cause == "token_endpoint":
        return UpstreamFault(
            "The provider's sign-in service did not answer.",
            code="upstream_error",
            blame="upstream",
            cause="token_endpoint",
            retry_after=_TOKEN_PAUSE,
        )
    if cause == "oauth_config":
        return AccountRefused(blame="gateway", cause=cause)
    return AccountRefused(code="unauthenticated", cause=cause or "refused_unclear")


def _token_words(body: bytes) -> tuple[str, str]:
    """Return the error's word, and all that explains it."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    error = data.get("error")
    if isinstance(error, Mapping):
        word = str(error.get("status") or error.get("code") or "").lower()
        return word, str(error.get("message") or "")
    names = ("error_description", "error_subtype")
    return str(error or ""), " ".join(str(data.get(name) or "") for name in names)


def _fault_of(error: GoogleError) -> Fault:
    own = _ROWS.get(error.code)
    found = own(error) if own else None
    return found or fault_of(error)


def _precondition(error: GoogleError) -> Fault | None:
    """A country that is not served is the way out's, not the account's."""
    if error.status != "FAILED_PRECONDITION":
        return None
    if not _LOCATION_TEXT.search(error.message):
        return None
    return UpstreamFault(
        "The provider does not serve this place.",
        status=400,
        code="failed_precondition",
        google_status="FAILED_PRECONDITION",
        blame="egress",
        cause="egress_region",
    )


def _unauthenticated(error: GoogleError) -> Fault:
    return AccountRefused(code="unauthenticated", cause="token_stale")


def _forbidden(error: GoogleError) -> Fault:
    cause = refusal_cause(error)
    if cause == "service_disabled" and error.metadata.get("service") == _BACKEND:
        # The service is Google's own: the project that was named is wrong.
        cause = "bad_project"
    if cause == "account_denied" and not error.details:
        cause = "refused_unclear"
    return AccountRefused(code="permission_denied", cause=cause, link=link_of(error))


def _missing(error: GoogleError) -> Fault:
    return UpstreamFault(
        error.message or "The provider has no such model.",
        status=404,
        code="model_not_found",
        google=error.shown,
        blame="model",
        cause="model_unsupported",
    )


def _limited(error: GoogleError) -> Fault:
    delay = retry_delay(error)
    quota = quota_of(error)
    rolling = quota.period == "day" and delay is not None and delay > _SHORTEST_DAY
    if error.reason in _SPENT_REASONS or (rolling and not has_none(error)):
        return spent(error, quota, delay, "quota_exhausted")
    if _CAPACITY_TEXT.search(error.message):
        return Overloaded(retry_after=delay, cause="model_capacity")
    if error.reason == "RATE_LIMIT_EXCEEDED" and not delay:
        return RateLimited(
            retry_after=_SHORT_PAUSE,
            google=error.shown,
            quota=quota,
            cause="throttled",
        )
    if not error.details and _VAGUE_TEXT.search(error.message):
        return RateLimited(
            retry_after=delay, google=error.shown, cause="throttled_unclear"
        )
    return quota_fault(error)


def _overloaded(error: GoogleError) -> Fault:
    return Overloaded(retry_after=retry_delay(error), cause="model_capacity")


_ROWS: Mapping[int, Callable[[GoogleError], Any]] = {
    400: _precondition,
    401: _unauthenticated,
    403: _forbidden,
    404: _missing,
    429: _limited,
    503: _overloaded,
}
