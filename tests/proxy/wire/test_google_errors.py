"""Google's errors and what they mean for caller, account, model and quota."""

from datetime import UTC, datetime

import orjson
import pytest

from proxy.errors import (
    AccountRefused,
    Overloaded,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.google_errors import (
    Quota,
    read_error,
)

TYPE = "type.googleapis.com/google.rpc."
NOON = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)  # noon in Los Angeles
NO_KEY = "API key not valid. Please pass a valid API key."


def read(code, message="m", status="", *details, headers=None):
    error = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = list(details)
    body = orjson.dumps({"error": error})
    return read_error(code, body, headers or {}, now=NOON)


def info(reason, **metadata):
    return {
        "@type": f"{TYPE}ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": metadata,
    }


def retry(delay):
    return {"@type": f"{TYPE}RetryInfo", "retryDelay": delay}


def violations(*found):
    return {"@type": f"{TYPE}QuotaFailure", "violations": list(found)}


PER_MINUTE = {
    "quotaMetric": "generativelanguage.googleapis.com/generate_requests",
    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
    "quotaDimensions": {"location": "global", "model": "gemini-x"},
    "quotaValue": "15",
}
PER_DAY = {
    "quotaMetric": "generativelanguage.googleapis.com/generate_requests",
    "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    "quotaDimensions": {"model": "gemini-x"},
    "quotaValue": "250",
}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (
            read(400, NO_KEY, "INVALID_ARGUMENT", info("API_KEY_INVALID")),
            "api_key_invalid",
        ),
        (read(400, NO_KEY, "INVALID_ARGUMENT"), "api_key_invalid"),
        (
            read(400, "API key expired. Please renew.", "INVALID_ARGUMENT"),
            "api_key_invalid",
        ),
        (
            read(401, NO_KEY, "UNAUTHENTICATED", info("API_KEY_INVALID")),
            "api_key_invalid",
        ),
        (read(401, "Missing credentials", "UNAUTHENTICATED"), "unauthenticated"),
        (
            read(403, "Your API key was reported as leaked.", "PERMISSION_DENIED"),
            "leaked",
        ),
        (
            read(403, "No.", "PERMISSION_DENIED", info("SERVICE_DISABLED")),
            "permission_denied",
        ),
        (read(403, "Consumer suspended", "PERMISSION_DENIED"), "permission_denied"),
        (
            read(400, "Location not supported.", "FAILED_PRECONDITION"),
            "failed_precondition",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_credential_is_the_account_s(fault, code):
    assert type(fault) is AccountRefused
    assert (fault.blame, fault.code, fault.elsewhere) == ("account", code, True)
    assert fault.google is None


@pytest.mark.parametrize("code", [400, 401, 403])
def test_callers_do_not_see_a_refused_credential_as_theirs(code):
    fault = read(code, NO_KEY, "X", info("API_KEY_INVALID"))
    assert fault.status == 503
    assert fault.google_status == "UNAVAILABLE"
    assert "key" not in fault.message.lower()


def test_a_place_that_is_not_served_is_a_precondition():
    fault = read(400, "User location is not supported.", "FAILED_PRECONDITION")
    assert (fault.status, fault.google_status) == (400, "FAILED_PRECONDITION")


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        (
            403,
            "PERMISSION_DENIED",
            "You may not access the File abc or it is not there.",
        ),
        (403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)"),
        (400, "FAILED_PRECONDITION", "The File abc is not in an ACTIVE state."),
    ],
)
def test_a_file_that_cannot_be_used_is_no_fault_of_the_account(code, status, message):
    fault = read(code, message, status)
    assert type(fault) is UpstreamRefused
    assert (fault.status, fault.blame, fault.message) == (code, "caller", message)


def test_a_bad_request_keeps_google_s_words():
    detail = {
        "@type": f"{TYPE}BadRequest",
        "fieldViolations": [{"field": "contents", "description": "empty"}],
    }
    fault = read(400, "contents is not specified", "INVALID_ARGUMENT", detail)
    assert type(fault) is UpstreamRefused
    assert (fault.status, fault.code, fault.blame) == (
        400,
        "invalid_argument",
        "caller",
    )
    assert fault.message == "contents is not specified"
    assert not fault.elsewhere
    assert fault.google["details"] == [detail]


@pytest.mark.parametrize("code", [400, 500])
def test_too_many_tokens_have_their_own_code(code):
    text = "The input token count (1200000) exceeds the maximum (1048576)."
    fault = read(code, text, "INVALID_ARGUMENT")
    assert type(fault) is UpstreamRefused
    assert (fault.status, fault.code) == (400, "context_length_exceeded")
    assert fault.google_status == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("code", "word", "ours"),
    [(405, "", "invalid_argument"), (409, "ABORTED", "invalid_argument"),
     (413, "", "request_too_large"), (422, "", "invalid_argument")],
)  # fmt: skip
def test_other_refusals_keep_their_status(code, word, ours):
    fault = read(code, "no", word)
    assert type(fault) is UpstreamRefused
    assert (fault.status, fault.code) == (code, ours)


def test_a_missing_model_may_be_there_for_another_account():
    text = "models/x is not found for API version v1beta"
    fault = read(404, text, "NOT_FOUND")
    assert type(fault) is UpstreamFault
    assert (fault.status, fault.code, fault.blame) == (404, "model_not_found", "model")
    assert fault.elsewhere
    assert fault.message == text
    assert fault.google["status"] == "NOT_FOUND"
    assert UpstreamFault.blame == "upstream"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("54s", 54), ("38.601s", 38.601), ("900ms", 0.9), ("1.000000009s", 1.000000009)],
)
def test_a_limit_per_minute_says_when_to_come_back(delay, seconds):
    fault = read(429, "m", "RESOURCE_EXHAUSTED", violations(PER_MINUTE), retry(delay))
    assert type(fault) is RateLimited
    assert (fault.status, fault.code) == (429, "rate_limit_exceeded")
    assert fault.retry_after == pytest.approx(seconds)
    assert fault.should_retry is None
    assert fault.quota == Quota(
        id=PER_MINUTE["quotaId"],
        metric=PER_MINUTE["quotaMetric"],
        value=15,
        dimensions={"location": "global", "model": "gemini-x"},
        period="minute",
        unit="requests",
        per_model=True,
    )
    assert fault.google["details"] == [violations(PER_MINUTE), retry(delay)]


@pytest.mark.parametrize(
    ("message", "headers", "seconds"),
    [
        ("Please retry in 54.887755558s.", {}, 54.887755558),
        ("Please retry in 1m30s.", {}, 90),
        ("Please retry in 250ms.", {}, 0.25),
        ("m", {"Retry-After": "12"}, 12),
        ("m", {"Retry-After": "Fri, 20 Nov 2026 21:00:00 GMT"}, None),
        ("m", {}, None),
    ],
)
def test_the_pause_is_also_found_elsewhere(message, headers, seconds):
    fault = read(429, message, "RESOURCE_EXHAUSTED", headers=headers)
    assert fault.retry_after == (seconds and pytest.approx(seconds))


def test_an_unreadable_delay_leaves_the_spoken_one():
    fault = read(429, "Please retry in 5s.", "", retry("soon"))
    assert fault.retry_after == 5


@pytest.mark.parametrize(
    "found",
    [[PER_DAY], [PER_MINUTE, PER_DAY], [PER_DAY, PER_MINUTE]],
    ids=["alone", "last", "first"],
)
def test_a_spent_day_lasts_until_midnight_in_california(found):
    fault = read(429, "m", "RESOURCE_EXHAUSTED", violations(*found), retry("31s"))
    assert type(fault) is RateLimited
    assert (fault.status, fault.code) == (429, "insufficient_quota")
    assert fault.should_retry is False
    assert fault.retry_after == 12 * 3600
    assert (fault.quota.period, fault.quota.value) == ("day", 250)
    assert "PerDay" in str(fault.google)


@pytest.mark.parametrize(
    "quota_id", ["XRequestsPerDay", "x_requests_daily", "DailyRequests"]
)
def test_all_spellings_of_a_day_are_days(quota_id):
    fault = read(429, "m", "", violations({"quotaId": quota_id}))
    assert fault.code == "insufficient_quota"
    assert fault.quota == Quota(
        id=quota_id, period="day", unit="requests", per_model=False
    )


@pytest.mark.parametrize(
    ("message", "details"),
    [
        ("Quota exceeded, limit: 0, model: gemini-x", []),
        ("m", [violations({**PER_MINUTE, "quotaValue": "0"})]),
        ("Your project has exceeded its spending cap.", []),
    ],
    ids=["message", "value", "spending"],
)
def test_no_quota_at_all_is_not_worth_a_retry(message, details):
    fault = read(429, message, "RESOURCE_EXHAUSTED", *details, retry("20s"))
    assert (fault.code, fault.should_retry) == ("insufficient_quota", False)
    assert fault.retry_after is None


@pytest.mark.parametrize("message", ["limit: 0.5", "limit: 05", "limit: 250"])
def test_a_limit_that_only_looks_like_none_is_a_limit(message):
    assert read(429, message, "RESOURCE_EXHAUSTED").code == "rate_limit_exceeded"


def test_a_pause_beyond_five_minutes_is_a_spent_quota():
    assert read(429, "m", "", retry("300s")).code == "rate_limit_exceeded"
    fault = read(429, "m", "", retry("301s"))
    assert (fault.code, fault.should_retry) == ("insufficient_quota", False)
    assert fault.retry_after == 301


def test_an_empty_prepaid_balance_is_no_rate_limit():
    fault = read(402, "Credits are used up.", "RESOURCE_EXHAUSTED")
    assert type(fault) is RateLimited
    assert (fault.status, fault.code) == (429, "insufficient_quota")
    assert fault.should_retry is False
    assert fault.google["code"] == 429


def test_a_model_without_capacity_is_overloaded():
    fault = read(429, "m", "", info("MODEL_CAPACITY_EXHAUSTED"), retry("9s"))
    assert type(fault) is Overloaded
    assert (fault.blame, fault.retry_after) == ("model", 9)


def test_rate_limits_speak_to_callers_in_our_words():
    fault = read(429, "You exceeded your current quota, check your plan", "")
    assert "your" not in fault.message


@pytest.mark.parametrize(
    ("code", "kind", "status", "word"),
    [
        (408, UpstreamTimeout, 504, "timeout"),
        (499, UpstreamFault, 499, "cancelled"),
        (500, UpstreamFault, 500, "upstream_error"),
        (501, UpstreamFault, 501, "upstream_error"),
        (503, Overloaded, 503, "overloaded"),
        (504, UpstreamTimeout, 504, "timeout"),
    ],
)
def test_the_provider_s_own_failures(code, kind, status, word):
    fault = read(code, "m", "")
    assert type(fault) is kind
    assert (fault.status, fault.code) == (status, word)
    assert fault.elsewhere
    assert fault.google["message"] == "m"


def test_an_overloaded_model_may_say_when_to_come_back():
    assert read(503, "m", "UNAVAILABLE", retry("3s")).retry_after == 3
