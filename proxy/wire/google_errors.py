"""The Gemini API's error answers and what they mean: the quota grammar."""

import re
from collections.abc import Mapping
from datetime import datetime

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    Overloaded,
    Quota,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.google_status import (
    GoogleError,
    error_of,
    link_of,
    read_duration,
    retry_delay,
    seconds_header,
    taken_apart,
)
from proxy.wire.quotas import has_none, quota_of, seconds_to_quota_reset

__all__ = [
    "Quota",
    "fault_of",
    "quota_fault",
    "read_duration",
    "read_error",
    "read_error_object",
    "refusal_cause",
    "seconds_to_quota_reset",
    "unreadable",
]

# Above this a "rate limit" is a spent quota: waiting inside a request is no use.
_LONGEST_PAUSE = 300.0
_SEARCHED_BYTES = 20_000

#: ErrorInfo reasons that are about the account: what to call them.
_REASONS = {
    "SERVICE_DISABLED": "service_disabled",
    "BILLING_DISABLED": "billing",
    "CONSUMER_SUSPENDED": "consumer_suspended",
    "CONSUMER_INVALID": "bad_project",
    "USER_PROJECT_DENIED": "bad_project",
    "RESOURCE_PROJECT_INVALID": "bad_project",
    "IAM_PERMISSION_DENIED": "project_denied",
    "SECURITY_POLICY_VIOLATED": "security_policy",
    "LOCATION_POLICY_VIOLATED": "security_policy",
    "ORG_RESTRICTION_VIOLATION": "security_policy",
    "USER_BLOCKED_BY_ADMIN": "org_policy",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "scope_missing",
    "API_KEY_SERVICE_BLOCKED": "key_restricted",
    "API_KEY_HTTP_REFERRER_BLOCKED": "key_restricted",
    "API_KEY_IP_ADDRESS_BLOCKED": "key_restricted",
    "API_KEY_ANDROID_APP_BLOCKED": "key_restricted",
    "API_KEY_IOS_APP_BLOCKED": "key_restricted",
    "TOS_VIOLATION": "tos_violation",
    "VALIDATION_REQUIRED": "validation_required",
    "SUBSCRIPTION_REQUIRED": "no_license",
}
#: The same from the message of a 403, where no reason is given.
_TEXTS = (
    (r"API key.{0,40}\bleaked\b", "leaked"),
    (r"\bhas been suspended|\bconsumer suspended", "consumer_suspended"),
    (r"violation of (?:our |the )?Terms of Service", "tos_violation"),
    (r"\bverify your account\b", "validation_required"),
    (r"\(#3501\)|valid license|named user on your org|\black a Gemini Code Assist", "no_license"),
    (r"restricted from using Gemini Code Assist", "org_policy"),
    (r"has not been used in project|it is disabled", "service_disabled"),
    (r"project has been denied", "project_denied"),
    (r"unregistered callers", "unauthenticated"),
    (r"Requests .{0,100}\bare blocked", "key_restricted"),
    (r"^The caller does not have permission\.?$", "refused_unclear"),
)  # fmt: skip
_CAUSES = tuple((re.compile(text, re.IGNORECASE), cause) for text, cause in _TEXTS)
_KEY_REASONS = {"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_NOT_FOUND"}
# At the start only: further on, Google repeats what the caller wrote.
_KEY_TEXT = re.compile(r"API key (?:not valid|expired|not found)\b", re.IGNORECASE)
# A file, cache or tuned model that the caller named: no fault of the account.
_RESOURCE_TEXT = re.compile(
    r"\bthe File\b|\bCachedContent\b|\btuned ?model\b|\bfile ?search ?store\b", re.I
)
_REGION_TEXT = re.compile(r"\blocation\b|\bregion\b|\bcountry\b", re.IGNORECASE)
_BILLING_TEXT = re.compile(r"\bbilling\b|\bfree (?:tier|quota)\b", re.IGNORECASE)
_TOO_LONG_TEXT = re.compile(r"input token count.*exceeds", re.IGNORECASE | re.DOTALL)
_SPEND_TEXT = re.compile(r"\bspend(?:ing)?\b.{0,40}\b(?:cap|limit)\b", re.IGNORECASE)
_NO_CAPACITY_TEXT = re.compile(
    r"No capacity available|MODEL_CAPACITY_E|\bmodel is overloaded", re.IGNORECASE
)
_ROBOT_TEXT = re.compile(rb"automated (?:queries|requests)|unusual traffic", re.I)
_MODEL_TEXT = re.compile(r"\bmodels?\b", re.IGNORECASE)
_METHOD_TEXT = re.compile(r"not supported for (\w+)")
_ANSWERING = {"generateContent", "streamGenerateContent"}


def read_error(
    status: int, body: bytes, headers: Mapping[str, str], *, now: datetime
) -> Fault:
    """Return the fault that an answer with an error status means.

    ``headers`` may be in any case; ``now`` is an aware time, from which the end of a
    daily quota is counted. Statuses, details and their meaning: google.rpc.Status and
    google.rpc.error_details. A body that is not Google's JSON is never shown.
    """
    error = error_of(body)
    if error is None:
        return unreadable(status, body, headers)
    return fault_of(taken_apart(error, status, headers, now))


def read_error_object(error: object, *, now: datetime) -> Fault:
    """Return the fault that an ``error`` object inside a stream means."""
    if not isinstance(error, Mapping):
        return BadAnswer("The provider's stream ended in an unreadable error.")
    return fault_of(taken_apart(error, 0, {}, now))


def unreadable(status: int, body: bytes, headers: Mapping[str, str]) -> Fault:
    """Return the fault of an error status whose body is not Google's JSON."""
    retry_after = seconds_header(headers)
    if _ROBOT_TEXT.search(body[:_SEARCHED_BYTES]):
        return ConnectFailed(
            "The provider takes no requests from this network now.",
            cause="ip_blocked",
            retry_after=retry_after,
        )
    if status == 413:
        # Google's front end answers this one in HTML, before the API sees it.
        return UpstreamRefused(
            "The request is larger than the provider takes.",
            status=413,
            code="request_too_large",
        )
    if status == 429:
        return RateLimited(cause="throttled", retry_after=retry_after)
    return BadAnswer(
        f"The provider answered {status} without a readable error.",
        retry_after=retry_after,
    )


def fault_of(error: GoogleError) -> Fault:
    """Return the fault that an error of the Gemini API means."""
    refused = _refused_account(error)
    if refused is not None:
        return refused
    if error.code in (402, 429):
        return quota_fault(error)
    if error.code == 404:
        return _missing(error)
    if error.code in (408, 504):
        return UpstreamTimeout(google=error.shown)
    if error.code == 503:
        return _overloaded(error)
    if error.code == 499:
        return _upstream_fault(error, "cancelled")
    if error.code >= 500 and not _TOO_LONG_TEXT.search(error.message):
        return _upstream_fault(error, "upstream_error")
    return _refused_request(error)


def refusal_cause(error: GoogleError) -> str:
    """Return why a 403 refuses the account, as a row of ``causes.RULES``."""
    known = _REASONS.get(error.reason)
    if known:
        return known
    found = (cause for text, cause in _CAUSES if text.search(error.message))
    return next(found, "account_denied")


def quota_fault(error: GoogleError) -> Fault:
    """Return the fault that a 402 or 429 means."""
    if error.reason.startswith("MODEL_CAPACITY") or _NO_CAPACITY_TEXT.search(
        error.message
    ):
        return _overloaded(error)
    quota = quota_of(error)
    delay = retry_delay(error)
    never = _never_cause(error)
    if never:
        return spent(error, quota, None, never)
    if quota.period == "day":
        return spent(error, quota, seconds_to_quota_reset(error.now), "quota_day")
    cause = "quota_minute" if quota.period == "minute" else "throttled"
    if delay is not None and delay > _LONGEST_PAUSE:
        cause = cause if quota.period else "quota_exhausted"
        return spent(error, quota, delay, cause)
    return RateLimited(retry_after=delay, google=error.shown, quota=quota, cause=cause)


def spent(
    error: GoogleError, quota: Quota, wait: float | None, cause: str
) -> RateLimited:
    """Return the fault of a quota that no wait of seconds brings back."""
    return RateLimited(
        "The provider's quota for this is used up.",
        code="insufficient_quota",
        should_retry=False,
        retry_after=wait,
        google={**error.shown, "code": 429},
        quota=quota,
        cause=cause,
    )


def _refused_account(error: GoogleError) -> AccountRefused | None:
    """Tell an account that may not ask from a request that may not be asked.

    Google's words stay out of it: they name our key, project or billing.
    """
    if error.code not in (400, 401, 403) or _RESOURCE_TEXT.search(error.message):
        return None
    if error.reason in _KEY_REASONS or _KEY_TEXT.match(error.message):
        return AccountRefused(code="api_key_invalid")
    if error.code == 401:
        return AccountRefused(code="unauthenticated", link=link_of(error))
    if error.status == "FAILED_PRECONDITION":
        return AccountRefused(
            "The provider does not serve this account from its place or billing state.",
            status=400,
            code="failed_precondition",
            google_status="FAILED_PRECONDITION",
            cause=_precondition_cause(error),
        )
    if error.code != 403:
        return None
    cause = refusal_cause(error)
    code = "leaked" if cause == "leaked" else "permission_denied"
    return AccountRefused(code=code, cause=cause, link=link_of(error))


def _precondition_cause(error: GoogleError) -> str:
    if _REGION_TEXT.search(error.message):
        return "region"
    if error.reason == "BILLING_DISABLED" or _BILLING_TEXT.search(error.message):
        return "billing"
    return "refused_unclear"


def _never_cause(error: GoogleError) -> str:
    """Say why no wait will help, or ""."""
    if error.code == 402:
        return "no_credit"
    if _SPEND_TEXT.search(error.message):
        return "spend_cap"
    return "no_quota" if has_none(error) else ""


def _overloaded(error: GoogleError) -> Overloaded:
    capacity = error.reason.startswith("MODEL_CAPACITY") or error.code == 429
    return Overloaded(
        retry_after=retry_delay(error),
        google=None if capacity else error.shown,
        cause="model_capacity" if capacity else None,
    )


def _missing(error: GoogleError) -> Fault:
    if _RESOURCE_TEXT.search(error.message):
        return UpstreamRefused(
            error.message, status=404, code="not_found", google=error.shown
        )
    return UpstreamFault(
        error.message or "The provider has no such model.",
        status=404,
        code="model_not_found",
        google=error.shown,
        blame="model",
        cause=_missing_cause(error.message),
    )


def _missing_cause(message: str) -> str:
    """Tell a model that the account lacks from a method that the model lacks.

    Only the first may rest the model: anyone may ask an embedding model to chat.
    """
    method = _METHOD_TEXT.search(message)
    if method and (method[1] not in _ANSWERING or "embedding" in message):
        return "method_unsupported"
    return "model_missing" if _MODEL_TEXT.search(message) else "entity_missing"


def _upstream_fault(error: GoogleError, code: str) -> UpstreamFault:
    return UpstreamFault(
        error.message,
        status=error.code,
        code=code,
        google=error.shown,
        google_status=error.status or None,
    )


def _refused_request(error: GoogleError) -> UpstreamRefused:
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
