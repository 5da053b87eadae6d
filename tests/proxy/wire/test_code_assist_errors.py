"""Errors of the Code Assist backend and of the token endpoint, row by row."""

from typing import Any

import orjson
import pytest

from proxy.errors import (
    AccountRefused,
    ConnectFailed,
    Fault,
    Overloaded,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
    Verdict,
)
from proxy.wire.code_assist_errors import (
    read_error,
    read_error_object,
    read_token_error,
)
from proxy.wire.verdicts import judge
from tests.proxy.wire.error_samples import (
    MIDNIGHT,
    NOON,
    PER_DAY,
    PER_MINUTE,
    body,
    info,
    links,
    retry,
    violations,
)

DOMAIN = "cloudcode-pa.googleapis.com"
HOUR = 3600.0


def read(
    code: int, message: str = "m", status: str = "", *details: dict[str, Any]
) -> Fault:
    return read_error(code, body(code, message, status, *details), {}, now=NOON)


def named(reason: str, **metadata: str) -> dict[str, Any]:
    return info(reason, DOMAIN, **metadata)


def verdict(fault: Fault) -> Verdict:
    found = judge(fault, now=NOON)
    assert found.cause == fault.cause
    return found


def rest(fault: Fault) -> float | None:
    until = verdict(fault).until
    return None if until is None else round(until - NOON.timestamp(), 3)


def test_a_bad_request_is_the_caller_s() -> None:
    fault = read(400, "Request contains an invalid argument.", "INVALID_ARGUMENT")
    assert type(fault) is UpstreamRefused
    assert verdict(fault).scope == "nothing"


def test_a_place_that_is_not_served_is_the_way_out_s_and_not_the_account_s() -> None:
    text = "User location is not supported for the API use."
    fault = read(400, text, "FAILED_PRECONDITION")
    assert type(fault) is UpstreamFault
    assert (fault.status, fault.blame) == (400, "egress")
    found = verdict(fault)
    assert (found.scope, found.cause) == ("egress", "egress_region")
    assert found.elsewhere
    assert not found.attention


def test_a_failed_precondition_without_a_reason_takes_nobody_out() -> None:
    found = verdict(read(400, "Precondition check failed.", "FAILED_PRECONDITION"))
    assert (found.cause, found.attention) == ("refused_unclear", False)


@pytest.mark.parametrize(
    "reason",
    ["ACCESS_TOKEN_EXPIRED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "CREDENTIALS_MISSING"],
)
def test_a_stale_token_rests_the_account_for_half_an_hour(reason: str) -> None:
    fault = read(401, "m", "UNAUTHENTICATED", info(reason))
    assert type(fault) is AccountRefused
    assert rest(fault) == HOUR / 2
    found = verdict(fault)
    assert (found.scope, found.cause) == ("account", "token_stale")
    assert not found.attention


@pytest.mark.parametrize(
    ("message", "details", "cause"),
    [
        ("m (#3501)", [info("SUBSCRIPTION_REQUIRED", "cloudaicompanion.googleapis.com")], "no_license"),
        ("You do not have a valid license (#3501)", [], "no_license"),
        ("configured to use a Google Cloud Project but lack a Gemini Code Assist license", [], "no_license"),
        ("You must be a named user on your organization's Gemini Code Assist Standard edition", [], "no_license"),
        ("m", [named("TOS_VIOLATION")], "tos_violation"),
        ("This service has been disabled in this account for violation of Terms of Service", [], "tos_violation"),
        ("m", [named("VALIDATION_REQUIRED")], "validation_required"),
        ("Verify your account to continue.", [], "validation_required"),
        ("m", [info("SERVICE_DISABLED", service="cloudaicompanion.googleapis.com")], "service_disabled"),
        ("m", [info("SERVICE_DISABLED", service="cloudcode-pa.googleapis.com")], "bad_project"),
        ("m", [info("IAM_PERMISSION_DENIED", permission="x", resource="projects/X")], "project_denied"),
        ("Permission denied on resource project X", [info("CONSUMER_INVALID")], "bad_project"),
        ("m", [info("SECURITY_POLICY_VIOLATED")], "security_policy"),
        ("m", [info("SOMETHING_NEW")], "account_denied"),
    ],
)  # fmt: skip
def test_a_403_takes_the_account_out_and_says_why(
    message: str, details: list[dict[str, Any]], cause: str
) -> None:
    fault = read(403, message, "PERMISSION_DENIED", *details)
    assert type(fault) is AccountRefused
    assert fault.google is None
    found = verdict(fault)
    assert (found.cause, found.scope) == (cause, "account")
    assert found.attention
    assert found.until is None
    assert found.advice


def test_an_organisation_s_no_rests_the_account_for_half_an_hour() -> None:
    text = "You're restricted from using Gemini Code Assist for individuals"
    fault = read(403, f"{text} in your organization.", "PERMISSION_DENIED")
    found = verdict(fault)
    assert (found.cause, found.scope, found.strike) == ("org_policy", "account", True)
    assert rest(fault) == HOUR / 2
    assert not found.attention


@pytest.mark.parametrize("message", ["The caller does not have permission", "No."])
def test_a_bare_403_counts_against_health_only(message: str) -> None:
    found = verdict(read(403, message, "PERMISSION_DENIED"))
    assert (found.cause, found.strike) == ("refused_unclear", True)
    assert not found.attention


PAGE = "https://accounts.google.com/signin/continue?x=1"


@pytest.mark.parametrize(
    "details",
    [
        [named("TOS_VIOLATION", appeal_url=PAGE)],
        [named("VALIDATION_REQUIRED", validation_url=PAGE, appeal_url="https://o.test")],
        [named("VALIDATION_REQUIRED", validation_link=PAGE)],
        [named("VALIDATION_REQUIRED"), links(PAGE, "https://learn.test")],
        [named("VALIDATION_REQUIRED"), links("javascript:x", PAGE)],
        [info("SERVICE_DISABLED", activationUrl=PAGE)],
        [{" @type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TOS_VIOLATION",
          "metadata": {" appeal_url": PAGE}}],
    ],
)  # fmt: skip
def test_the_page_to_open_is_handed_to_the_operator(
    details: list[dict[str, Any]],
) -> None:
    assert verdict(read(403, "m", "PERMISSION_DENIED", *details)).link == PAGE


def test_a_model_unknown_to_the_account_rests_there_for_half_a_day() -> None:
    fault = read(404, "Requested entity was not found.", "NOT_FOUND")
    assert (fault.status, fault.code, fault.blame) == (404, "model_not_found", "model")
    assert rest(fault) == 12 * HOUR
    assert verdict(fault).scope == "account_model"


@pytest.mark.parametrize(
    ("details", "cause", "seconds"),
    [
        ([named("RATE_LIMIT_EXCEEDED"), retry("2.1s")], "throttled", 2.1),
        ([named("RATE_LIMIT_EXCEEDED"), retry("373ms")], "throttled", 1),
        ([named("RATE_LIMIT_EXCEEDED"), retry("0s")], "throttled", 10),
        ([named("RATE_LIMIT_EXCEEDED")], "throttled", 10),
        ([named("QUOTA_EXHAUSTED"), retry("33740.9s")], "quota_exhausted", 33740.9),
        ([named("QUOTA_EXHAUSTED", quotaResetTimeStamp="2026-11-20T22:00:00Z")], "quota_exhausted", 2 * HOUR),
        ([named("QUOTA_EXHAUSTED", quotaResetDelay="13h19m1.2s")], "quota_exhausted", 47941.2),
        ([named("QUOTA_EXHAUSTED")], "quota_exhausted", HOUR),
        ([named("QUOTA_EXHAUSTED"), retry("300h")], "quota_exhausted", 24 * HOUR),
        ([named("INSUFFICIENT_G1_CREDITS_BALANCE"), retry("2h")], "quota_exhausted", 2 * HOUR),
        ([violations(PER_MINUTE)], "quota_minute", 60),
        ([violations(PER_DAY), retry("0s")], "quota_day", MIDNIGHT - NOON.timestamp()),
        ([violations(PER_DAY), retry("2h")], "quota_exhausted", 2 * HOUR),
        ([violations({**PER_DAY, "quotaValue": "0"}), retry("2h")], "no_quota", 12 * HOUR),
        ([], "throttled", 30),
    ],
)  # fmt: skip
def test_limits_rest_the_account_for_that_model_until_the_reset(
    details: list[dict[str, Any]], cause: str, seconds: float
) -> None:
    fault = read(429, "m", "RESOURCE_EXHAUSTED", *details)
    assert type(fault) is RateLimited
    found = verdict(fault)
    assert (found.cause, found.scope, found.strike) == (cause, "account_model", False)
    assert rest(fault) == pytest.approx(seconds)


def test_the_reset_may_be_told_in_words_only() -> None:
    text = "You have exhausted your capacity on this model. It resets after 5h2m3s."
    assert rest(read(429, text, "", named("QUOTA_EXHAUSTED"))) == 18123


def test_a_vague_limit_rests_for_a_minute() -> None:
    fault = read(429, "Resource has been exhausted (e.g. check quota).", "X")
    assert verdict(fault).cause == "throttled_unclear"
    assert rest(fault) == 60


@pytest.mark.parametrize(
    "fault",
    [
        read(429, "m", "", named("MODEL_CAPACITY_EXHAUSTED")),
        read(429, "m", "", named("MODEL_CAPACITY_EXCEEDED")),
        read(429, "No capacity available for model x on the server"),
        read(429, "Resource exhausted. Please try again later. error-code-429"),
        read(503, "m", "", named("MODEL_CAPACITY_EXHAUSTED")),
        read(503, "The model is overloaded."),
    ],
)
def test_missing_capacity_is_the_model_s_and_shows_no_words_of_google_s(
    fault: Fault,
) -> None:
    assert type(fault) is Overloaded
    assert fault.google is None
    found = verdict(fault)
    assert (found.cause, found.scope) == ("model_capacity", "model")
    assert rest(fault) == 8


def test_missing_capacity_may_say_when_to_come_back() -> None:
    assert (
        rest(read(429, "m", "", named("MODEL_CAPACITY_EXHAUSTED"), retry("40s"))) == 40
    )


def test_a_page_about_robots_blames_the_way_out() -> None:
    fault = read_error(429, b"<html>your automated queries", {}, now=NOON)
    assert type(fault) is ConnectFailed
    assert verdict(fault).scope == "egress"


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        (499, UpstreamFault, "cancelled"),
        (500, UpstreamFault, "upstream_error"),
        (502, UpstreamFault, "upstream_error"),
        (504, UpstreamTimeout, "timeout"),
    ],
)
def test_passing_failures_may_be_asked_again(
    code: int, kind: type[Fault], cause: str
) -> None:
    fault = read(code)
    assert type(fault) is kind
    found = verdict(fault)
    assert (found.cause, found.again) == (cause, True)


def test_an_error_inside_a_stream_is_read_alike() -> None:
    error = {"code": 429, "details": [named("QUOTA_EXHAUSTED")]}
    assert read_error_object(error, now=NOON).cause == "quota_exhausted"
    assert read_error_object("odd", now=NOON).status == 500


def refused(status: int, error: object, **more: str) -> Fault:
    return read_token_error(status, orjson.dumps({"error": error, **more}))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (refused(400, "invalid_grant", error_description="Token has been expired or revoked."), "login_expired"),
        (refused(400, "invalid_grant", error_subtype="invalid_rapt"), "reauth_required"),
        (refused(400, "invalid_grant", error_subtype="rapt_required"), "reauth_required"),
        (refused(400, "invalid_grant", error_description="ReAuth needed"), "reauth_required"),
        (refused(401, "invalid_client"), "oauth_client"),
        (refused(401, "deleted_client"), "oauth_client"),
        (refused(401, "disabled_client"), "oauth_client"),
        (refused(400, "unauthorized_client"), "oauth_client"),
        (refused(403, "restricted_client"), "oauth_client"),
        (refused(403, "access_denied"), "login_policy"),
        (refused(403, "admin_policy_enforced"), "login_policy"),
        (refused(403, "org_internal"), "login_policy"),
        (refused(400, {"code": 400, "status": "INVALID_GRANT", "message": "m"}), "login_expired"),
    ],
)  # fmt: skip
def test_a_refused_refresh_takes_the_account_out(fault: Fault, cause: str) -> None:
    assert type(fault) is AccountRefused
    assert fault.status == 503
    found = verdict(fault)
    assert (found.cause, found.scope) == (cause, "account")
    assert found.attention
    assert found.advice


@pytest.mark.parametrize(
    "word", ["invalid_request", "invalid_scope", "unsupported_grant_type"]
)
def test_our_own_mistake_is_not_the_account_s(word: str) -> None:
    fault = refused(400, word, error_description="client_secret is missing.")
    found = verdict(fault)
    assert (found.blame, found.cause) == ("gateway", "oauth_config")
    assert (found.scope, found.attention, found.strike) == ("nothing", False, False)
    assert found.advice
    assert found.elsewhere


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (408, b""),
        (429, b"{}"),
        (500, b"<html>"),
        (503, b'{"error":"invalid_grant"}'),
        (400, b'{"error":"internal_failure"}'),
        (400, b'{"error":"server_error"}'),
        (400, b'{"error":"temporarily_unavailable"}'),
    ],
)
def test_a_sign_in_service_in_trouble_keeps_the_account(
    status: int, raw: bytes
) -> None:
    fault = read_token_error(status, raw)
    assert type(fault) is UpstreamFault
    assert rest(fault) == 30
    found = verdict(fault)
    assert (found.cause, found.scope) == ("token_endpoint", "account")
    assert found.again
    assert not found.attention


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"error":7}', b'{"error":"new"}'])
def test_a_refresh_that_is_refused_without_a_known_word_takes_nobody_out(
    raw: bytes,
) -> None:
    found = verdict(read_token_error(400, raw))
    assert (found.cause, found.attention) == ("refused_unclear", False)
