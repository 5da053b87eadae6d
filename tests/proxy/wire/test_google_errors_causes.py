"""What Google's errors tell the operator: their causes, and the page to open."""

from typing import Any

import pytest

from proxy.errors import AccountRefused, ConnectFailed, Fault, UpstreamRefused
from proxy.wire.google_errors import read_error
from tests.proxy.wire.error_samples import (
    NOON,
    PER_DAY,
    PER_MINUTE,
    body,
    info,
    retry,
    violations,
)


def read(
    code: int, message: str = "m", status: str = "", *details: dict[str, Any]
) -> Fault:
    return read_error(code, body(code, message, status, *details), {}, now=NOON)


@pytest.mark.parametrize(
    ("message", "reason", "cause"),
    [
        ("No.", "SERVICE_DISABLED", "service_disabled"),
        ("X API has not been used in project 5 before or it is disabled.", "", "service_disabled"),
        ("Permission denied: Consumer 'x' has been suspended.", "", "consumer_suspended"),
        ("No.", "CONSUMER_SUSPENDED", "consumer_suspended"),
        ("No.", "API_KEY_IP_ADDRESS_BLOCKED", "key_restricted"),
        ("Requests to this API x method y are blocked.", "", "key_restricted"),
        ("No.", "BILLING_DISABLED", "billing"),
        ("No.", "CONSUMER_INVALID", "bad_project"),
        ("Your project has been denied access. Contact support.", "", "project_denied"),
        ("Your API key was reported as leaked.", "", "leaked"),
        ("Method doesn't allow unregistered callers", "", "unauthenticated"),
        ("No.", "TOS_VIOLATION", "tos_violation"),
        ("No.", "VALIDATION_REQUIRED", "validation_required"),
        ("The caller does not have permission", "", "refused_unclear"),
        ("Something new", "SOMETHING_NEW", "account_denied"),
    ],
)  # fmt: skip
def test_a_403_tells_the_operator_why(message: str, reason: str, cause: str) -> None:
    details = [info(reason)] if reason else []
    fault = read(403, message, "PERMISSION_DENIED", *details)
    assert type(fault) is AccountRefused
    assert fault.cause == cause


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("User location is not supported for the API use.", "region"),
        ("Gemini API free tier is not available; enable billing.", "billing"),
        ("Precondition check failed.", "refused_unclear"),
    ],
)
def test_a_failed_precondition_tells_place_from_billing(
    message: str, cause: str
) -> None:
    fault = read(400, message, "FAILED_PRECONDITION")
    assert (fault.code, fault.cause) == ("failed_precondition", cause)


@pytest.mark.parametrize(
    "message",
    [
        'Invalid JSON payload received. Unknown name "API key not valid": Cannot find.',
        "Invalid value at 'contents[0].role': API key expired",
    ],
)
def test_words_that_a_caller_put_into_an_error_take_no_account_out(
    message: str,
) -> None:
    fault = read(400, message, "INVALID_ARGUMENT")
    assert type(fault) is UpstreamRefused
    assert fault.blame == "caller"


def test_the_page_that_the_operator_must_open_is_kept_apart_from_what_callers_see() -> (
    None
):
    page = (
        "https://console.developers.google.com/apis/api/x/overview?project=411082643095"
    )
    fault = read(403, "No.", "X", info("SERVICE_DISABLED", activationUrl=page))
    assert fault.link == page
    assert fault.google is None
    assert page not in fault.message


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://x.test", "https://" + "x" * 3000]
)
def test_an_odd_page_is_not_offered_to_the_operator(url: str) -> None:
    assert read(403, "No.", "X", info("X", activationUrl=url)).link == ""


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("models/x is not found for API version v1beta, or is not supported for generateContent.", "model_missing"),
        ("models/x is not found for API version v1beta, or is not supported for embedContent.", "method_unsupported"),
        ("models/x is not found for API version v1beta, or is not supported for countTokens.", "method_unsupported"),
        ("models/gemini-embedding-001 is not found, or is not supported for generateContent.", "method_unsupported"),
        ("models/x is not found for API version v1beta", "model_missing"),
        ("Requested entity was not found.", "entity_missing"),
    ],
)  # fmt: skip
def test_only_a_model_that_is_not_there_is_missing(message: str, cause: str) -> None:
    fault = read(404, message, "NOT_FOUND")
    assert (fault.code, fault.cause) == ("model_not_found", cause)


def test_a_file_that_is_not_there_is_the_caller_s() -> None:
    fault = read(404, "The File abc was not found.", "NOT_FOUND")
    assert type(fault) is UpstreamRefused
    assert (fault.status, fault.code, fault.blame) == (404, "not_found", "caller")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (read(429, "m", "", violations(PER_MINUTE), retry("9s")), "quota_minute"),
        (read(429, "m", "", violations(PER_MINUTE), retry("900s")), "quota_minute"),
        (read(429, "m", "", violations(PER_DAY), retry("0s")), "quota_day"),
        (read(429, "m", "", retry("900s")), "quota_exhausted"),
        (read(429, "m", "", retry("9s")), "throttled"),
        (read(429, "", ""), "throttled"),
        (read(429, "limit: 0", ""), "no_quota"),
        (read(429, "m", "", violations({**PER_DAY, "quotaValue": "0"})), "no_quota"),
        (read(429, "m", "", violations(PER_MINUTE, {**PER_DAY, "quotaValue": "0"})), "no_quota"),
        (read(429, "The project has exceeded its monthly spending cap.", ""), "spend_cap"),
        (read(402, "Your prepayment credits are depleted.", ""), "no_credit"),
        (read(429, "m", "", info("MODEL_CAPACITY_EXHAUSTED")), "model_capacity"),
        (read(429, "No capacity available for model x on the server", ""), "model_capacity"),
        (read(503, "The model is overloaded.", "UNAVAILABLE"), "overloaded"),
    ],
)  # fmt: skip
def test_every_kind_of_limit_has_its_own_cause(fault: Fault, cause: str) -> None:
    assert fault.cause == cause


def test_a_page_about_robots_blames_the_way_out() -> None:
    page = b"<html>Our systems have detected unusual traffic from your network"
    fault = read_error(429, page, {"Retry-After": "60"}, now=NOON)
    assert type(fault) is ConnectFailed
    assert (fault.blame, fault.cause, fault.retry_after) == ("egress", "ip_blocked", 60)
