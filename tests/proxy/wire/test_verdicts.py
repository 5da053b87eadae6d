"""What faults mean for scheduling."""

from typing import Any

import pytest

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    Busy,
    ConnectFailed,
    Fault,
    Forbidden,
    Internal,
    LimitReached,
    ModelNotFound,
    NoAccount,
    Overloaded,
    Quota,
    RateLimited,
    StreamCut,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
    Verdict,
)
from proxy.wire.causes import RULES
from proxy.wire.google_errors import read_error
from proxy.wire.verdicts import judge
from tests.proxy.wire.error_samples import (
    MIDNIGHT,
    NOON,
    PER_DAY,
    PER_MINUTE,
    body,
    info,
    retry,
    violation,
    violations,
)

HOUR = 3600.0


def read(
    code: int, message: str = "m", status: str = "", *details: dict[str, Any]
) -> Fault:
    return read_error(code, body(code, message, status, *details), {}, now=NOON)


def limited(*details: dict[str, Any], message: str = "m") -> Fault:
    return read(429, message, "RESOURCE_EXHAUSTED", *details)


def verdict(fault: Fault) -> Verdict:
    return judge(fault, now=NOON)


def rest(fault: Fault) -> float | None:
    until = verdict(fault).until
    return None if until is None else until - NOON.timestamp()


@pytest.mark.parametrize("delay", ["0s", "38.6s", "13h"])
def test_a_spent_day_lasts_to_midnight_in_california_whatever_the_delay_says(
    delay: str,
) -> None:
    found = verdict(limited(violations(PER_DAY), retry(delay)))
    assert (found.blame, found.scope, found.cause) == (
        "account",
        "account_model",
        "quota_day",
    )
    assert found.until == MIDNIGHT


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([violations(PER_MINUTE), retry("38.601s")], 38.601),
        ([violations(PER_MINUTE)], 60),
        ([violations(PER_MINUTE), retry("0s")], 1),
        ([violations(PER_MINUTE), retry("0.2s")], 1),
        ([violations(PER_MINUTE), retry("9h")], HOUR),
        ([], 30),
        ([retry("7s")], 7),
    ],
    ids=["delay", "no delay", "zero", "tiny", "huge", "no detail", "delay only"],
)
def test_a_limit_rests_the_account_for_that_model_as_long_as_it_says(
    details: list[dict[str, Any]], seconds: float
) -> None:
    fault = limited(*details)
    assert rest(fault) == pytest.approx(seconds)
    assert verdict(fault).scope == "account_model"


@pytest.mark.parametrize(
    "fault",
    [
        limited(),
        limited(violations(PER_MINUTE)),
        limited(violations(PER_DAY)),
        limited(message="limit: 0"),
        limited(retry("2h")),
        limited(info("MODEL_CAPACITY_EXHAUSTED")),
        read(402),
        read(503, "The model is overloaded."),
        read_error(429, b"", {}, now=NOON),
        RateLimited(),
        Overloaded(),
    ],
)
def test_no_limit_and_no_overload_is_a_strike(fault: Fault) -> None:
    found = verdict(fault)
    assert not found.strike
    assert not found.again
    assert found.elsewhere


@pytest.mark.parametrize(
    ("quota_id", "dimensions", "scope"),
    [
        ("RequestsPerMinutePerProjectPerRegion", {"location": "global"}, "account"),
        ("RequestsPerDayPerProject", {"location": "global"}, "account"),
        ("RequestsPerDayPerProject", {"model": "gemini-x"}, "account_model"),
        ("RequestsPerDayPerProjectPerModel", {"location": "x"}, "account_model"),
    ],
)
def test_a_quota_of_the_whole_project_rests_the_whole_account(
    quota_id: str, dimensions: dict[str, str], scope: str
) -> None:
    named = violation(quota_id, "9", **dimensions)
    found = verdict(limited(violations(named)))
    assert found.scope == scope
    assert found.quota is not None
    assert found.quota.value == 9


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (RateLimited(quota=Quota(period="day")), "quota_day"),
        (RateLimited(quota=Quota(period="minute")), "quota_minute"),
        (RateLimited(quota=Quota()), "rate_limit_exceeded"),
        (RateLimited(code="insufficient_quota"), "insufficient_quota"),
        (RateLimited(cause="throttled", quota=Quota(period="day")), "throttled"),
    ],
)
def test_a_quota_s_period_tells_what_a_bare_limit_does_not(
    fault: Fault, cause: str
) -> None:
    assert verdict(fault).cause == cause


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (read(503, "The model is overloaded."), 5),
        (read(503, "m", "", retry("9s")), 9),
        (read(503, "m", "", retry("0s")), 1),
        (read(503, "m", "", retry("13h")), 60),
        (limited(info("MODEL_CAPACITY_EXHAUSTED")), 8),
        (limited(info("MODEL_CAPACITY_EXHAUSTED"), retry("40s")), 40),
    ],
)
def test_an_overloaded_model_rests_briefly_and_the_account_not_at_all(
    fault: Fault, seconds: float
) -> None:
    found = verdict(fault)
    assert (found.blame, found.scope) == ("model", "model")
    assert rest(fault) == pytest.approx(seconds)
    assert not found.attention


def test_a_model_without_quota_rests_half_a_day_and_leaves_the_other_models() -> None:
    fault = limited(message="Quota exceeded, limit: 0, model: gemini-x")
    found = verdict(fault)
    assert (found.scope, found.cause) == ("account_model", "no_quota")
    assert rest(fault) == 12 * HOUR
    assert not found.attention
    assert "billing" in found.advice


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (limited(retry("2h")), 2 * HOUR),
        (limited(retry("200h")), 24 * HOUR),
        (RateLimited(code="insufficient_quota", retry_after=2 * HOUR), 2 * HOUR),
        (RateLimited(code="insufficient_quota"), HOUR),
        (RateLimited(cause="web_usage_limit", retry_after=72 * HOUR), 72 * HOUR),
    ],
)
def test_a_long_quota_is_believed_but_not_for_ever(
    fault: Fault, seconds: float
) -> None:
    assert rest(fault) == pytest.approx(seconds)


KEY_TEXT = "API key not valid. Please pass a valid API key."


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (read(400, KEY_TEXT, "INVALID_ARGUMENT", info("API_KEY_INVALID")), "api_key_invalid"),
        (read(400, "API key expired. Please renew.", "INVALID_ARGUMENT"), "api_key_invalid"),
        (read(401, "m", "UNAUTHENTICATED"), "unauthenticated"),
        (read(402, "Your prepayment credits are depleted."), "no_credit"),
        (limited(message="The project has exceeded its spending cap."), "spend_cap"),
        (read(403, "Your API key was reported as leaked."), "leaked"),
        (read(403, "m", "PERMISSION_DENIED"), "account_denied"),
        (read(403, "m", "PERMISSION_DENIED", info("SERVICE_DISABLED")), "service_disabled"),
        (read(403, "m", "PERMISSION_DENIED", info("TOS_VIOLATION")), "tos_violation"),
        (read(403, "m", "", info("VALIDATION_REQUIRED")), "validation_required"),
        (read(403, "m", "", info("CONSUMER_SUSPENDED")), "consumer_suspended"),
        (read(400, "User location is not supported", "FAILED_PRECONDITION"), "region"),
        (read(400, "Enable billing", "FAILED_PRECONDITION"), "billing"),
        (AccountRefused(), "upstream_auth"),
        (AccountRefused(code="permission_denied"), "account_denied"),
        (AccountRefused(code="failed_precondition"), "failed_precondition"),
        (AccountRefused(code="no_models"), "no_models"),
    ],
)  # fmt: skip
def test_a_refused_account_waits_for_a_human(fault: Fault, cause: str) -> None:
    found = verdict(fault)
    assert (found.blame, found.scope, found.cause) == ("account", "account", cause)
    assert found.attention
    assert found.until is None
    assert found.advice == RULES[cause].action
    assert found.elsewhere
    assert not found.strike
    assert not found.again


def test_the_link_of_the_error_comes_before_the_table_s() -> None:
    page = "https://accounts.google.com/verify?x=1"
    named = info("VALIDATION_REQUIRED", validation_url=page)
    assert verdict(read(403, "m", "", named)).link == page
    bare = verdict(read(400, KEY_TEXT, "", info("API_KEY_INVALID")))
    assert bare.link == RULES["api_key_invalid"].link != ""


def test_a_refusal_without_a_reason_counts_against_health_but_takes_nobody_out() -> (
    None
):
    found = verdict(read(403, "The caller does not have permission"))
    assert (found.scope, found.strike) == ("account_model", True)
    assert not found.attention
    assert found.elsewhere
    assert found.advice


def test_a_model_that_an_account_lacks_rests_there_for_an_hour() -> None:
    fault = read(404, "models/x is not found for API version v1beta", "NOT_FOUND")
    found = verdict(fault)
    assert (found.blame, found.scope) == ("model", "account_model")
    assert rest(fault) == HOUR
    assert found.elsewhere
    assert not found.strike


@pytest.mark.parametrize(
    "message",
    [
        "models/gemini-x is not found, or is not supported for embedContent.",
        "models/gemini-embedding-001 is not supported for generateContent.",
        "Requested entity was not found.",
    ],
)
def test_what_a_caller_asks_of_the_wrong_model_does_not_rest_it(message: str) -> None:
    found = verdict(read(404, message, "NOT_FOUND"))
    assert (found.scope, found.until, found.strike) == ("nothing", None, False)
    assert found.elsewhere


@pytest.mark.parametrize(
    ("fault", "blame", "scope", "again"),
    [
        (ConnectFailed(), "egress", "egress", True),
        (read(500), "upstream", "account_model", True),
        (read(502), "upstream", "account_model", True),
        (read(504), "upstream", "account_model", True),
        (read_error(503, b"<html>", {}, now=NOON), "upstream", "account_model", True),
        (UpstreamFault(), "upstream", "account_model", True),
        (UpstreamTimeout(), "upstream", "account_model", True),
        (UpstreamTimeout(cause="stalled"), "upstream", "account_model", True),
        (BadAnswer(), "upstream", "account_model", True),
        (StreamCut(), "upstream", "account_model", True),
        (BadAnswer(code="upstream_empty"), "upstream", "account_model", False),
    ],
)
def test_failures_are_strikes_that_rest_nothing_by_time(
    fault: Fault, blame: str, scope: str, again: bool
) -> None:
    found = verdict(fault)
    assert (found.blame, found.scope) == (blame, scope)
    assert found.strike
    assert found.until is None
    assert found.again is again
    assert found.elsewhere
    assert not found.attention


def test_a_blocked_address_blames_the_way_out_and_no_account() -> None:
    fault = read_error(429, b"<html>automated queries", {}, now=NOON)
    found = verdict(fault)
    assert (found.blame, found.scope, found.strike) == ("egress", "egress", False)
    assert rest(fault) == 300
    assert found.elsewhere
    assert not found.again


@pytest.mark.parametrize(
    "fault",
    [
        BadRequest(),
        Forbidden(),
        ModelNotFound(),
        LimitReached(code="insufficient_quota", retry_after=9),
        UpstreamRefused(),
        read(400, "contents is not specified", "INVALID_ARGUMENT"),
        read(400, "The input token count (9) exceeds the maximum (8)."),
        read(403, "You do not have permission to access the File abc."),
        read(404, "The File abc was not found."),
        UpstreamTimeout(cause="deadline"),
        UpstreamTimeout(cause="deadline", blame="caller"),
        UpstreamFault(cause="client_closed"),
        RateLimited(blame="caller"),
    ],
)
def test_the_caller_s_own_faults_touch_nobody_else(fault: Fault) -> None:
    found = verdict(fault)
    assert found.blame == "caller"
    assert (found.scope, found.until) == ("nothing", None)
    assert not any((found.strike, found.attention, found.again, found.elsewhere))
    assert found.advice == ""


@pytest.mark.parametrize(
    ("fault", "cause", "elsewhere"),
    [
        (NoAccount(), "no_account", False),
        (Busy(), "busy", False),
        (Busy(status=429, code="queue_full", retry_after=3), "queue_full", False),
        (Internal(), "internal_error", False),
        (AccountRefused(blame="gateway", cause="oauth_config"), "oauth_config", True),
    ],
)
def test_the_gateway_s_own_faults_touch_no_account(
    fault: Fault, cause: str, elsewhere: bool
) -> None:
    found = verdict(fault)
    assert (found.blame, found.cause) == ("gateway", cause)
    assert (found.scope, found.until) == ("nothing", None)
    assert not any((found.strike, found.attention, found.again))
    assert found.elsewhere is elsewhere


def test_a_cancelled_request_may_be_asked_again_and_strikes_nobody() -> None:
    found = verdict(read(499, "m", "CANCELLED"))
    assert (found.scope, found.strike) == ("nothing", False)
    assert found.again
    assert found.elsewhere


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (UpstreamFault(code="never_heard_of"), "bad_gateway"),
        (UpstreamTimeout(cause="never_heard_of"), "timeout"),
        (AccountRefused(code="never_heard_of"), "upstream_auth"),
        (Busy(code="never_heard_of"), "busy"),
        (UpstreamFault(code="model_not_found", blame="model"), "model_missing"),
        (UpstreamRefused(code="model_not_found"), "model_not_found"),
    ],
)
def test_every_fault_finds_a_row_of_the_table(fault: Fault, cause: str) -> None:
    assert verdict(fault).cause == cause


def test_a_fault_s_cause_is_its_code_unless_a_finer_one_is_given() -> None:
    assert RateLimited(code="insufficient_quota").cause == "insufficient_quota"
    assert RateLimited(cause="quota_day").cause == "quota_day"
    assert RateLimited(cause="quota_day").code == "rate_limit_exceeded"
    assert RateLimited(blame="model").blame == "model"
    assert (RateLimited.blame, RateLimited().link) == ("account", "")
