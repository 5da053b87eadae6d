"""Limits as native clients read them: nothing that makes them wait for the wrong."""

import json
from typing import Any

import pytest

from proxy.errors import AccountRefused, Fault, Overloaded, RateLimited, UpstreamFault
from proxy.wire.error_bodies import google_error, headers, openai_error
from tests.proxy.wire.error_samples import (
    PER_DAY,
    PER_MINUTE,
    TYPE,
    info,
    retry,
    violation,
    violations,
)


def google(fault: Fault) -> dict[str, Any]:
    return dict(google_error(fault)["error"])


def details(fault: Fault) -> dict[str, dict[str, Any]]:
    found = google(fault).get("details", [])
    return {detail["@type"].removeprefix(TYPE): detail for detail in found}


def limit(
    message: str = "m", *found: dict[str, Any], **options: Any
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return what a native caller reads of a 429: its message and its details."""
    error = {"code": 429, "message": message, "details": list(found)}
    fault = RateLimited(google=error, **options)
    return google(fault)["message"], details(fault)


def quota_ids(found: dict[str, dict[str, Any]]) -> list[str]:
    failure = found.get("QuotaFailure", {"violations": []})
    return [violation["quotaId"] for violation in failure["violations"]]


HOURS = 5 * 3600.0
SPENT = {"code": "insufficient_quota", "should_retry": False}
CLI_SLEEPS = "You have exhausted your capacity on this model. Resets after 13h19m1s."
CAPACITY = info("MODEL_CAPACITY_EXHAUSTED", "cloudcode-pa.googleapis.com")
RESET = info("QUOTA_EXHAUSTED", quotaResetTimeStamp="2026-11-21T10:00:00Z")


@pytest.mark.parametrize("google_says", ["0s", "38.6s", "46800s", "soon"])
@pytest.mark.parametrize("wait", [None, 3.5, HOURS])
def test_the_gateway_s_wait_always_wins_over_google_s(
    google_says: str, wait: float | None
) -> None:
    asked = f"Quota exceeded.\nPlease retry in {google_says}."
    _, found = limit(asked, retry(google_says), retry_after=wait)
    delay = found.get("RetryInfo", {}).get("retryDelay")
    assert delay == {None: None, 3.5: "3.5s", HOURS: "18000s"}[wait]


def test_a_wait_that_a_failure_names_is_replaced_as_well() -> None:
    error = {"code": 500, "message": "m", "details": [retry("46800s")]}
    assert "RetryInfo" not in details(UpstreamFault(status=500, google=error))
    later = UpstreamFault(status=500, google=error, retry_after=2)
    assert details(later)["RetryInfo"]["retryDelay"] == "2s"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Quota exceeded.\nPlease retry in 54.887755558s.", "Quota exceeded.\nPlease retry in 3.5s."),
        ("Slow down. Please retry in 1m30s. See the docs.", "Slow down. See the docs.\nPlease retry in 3.5s."),
        ("Your quota will reset after 13h19m1.2s.", "Please retry in 3.5s."),
        ("Resets in 250ms", "Please retry in 3.5s."),
        ("Quota exceeded.", "Quota exceeded."),
    ],
)  # fmt: skip
def test_waits_in_words_become_ours(message: str, shown: str) -> None:
    assert limit(message, retry_after=3.5)[0] == shown


@pytest.mark.parametrize("options", [{}, {**SPENT, "retry_after": HOURS}])
def test_a_wait_in_words_goes_where_we_know_none_or_it_is_no_use(
    options: dict[str, Any],
) -> None:
    assert limit("Quota exceeded. Please retry in 9s.", **options)[0] == (
        "Quota exceeded."
    )
    assert limit("Please retry in 9s.", **options)[0] == RateLimited().message


@pytest.mark.parametrize(
    "message",
    [CLI_SLEEPS, "Capacity exceeded for model x", "MODEL_CAPACITY_EXCEEDED"],
)
@pytest.mark.parametrize("kind", [RateLimited, Overloaded])
@pytest.mark.parametrize("wait", [None, 9, HOURS])
def test_nothing_makes_gemini_cli_sleep_for_hours(
    kind: type[Fault], message: str, wait: float | None
) -> None:
    error = {"message": message, "details": [CAPACITY, RESET, retry("46800s")]}
    fault = kind(google=error, retry_after=wait)
    told = json.dumps(google(fault))
    for word in ("capacity", "CAPACITY", "46800", "QUOTA_EXHAUSTED", "10:00:00"):
        assert word not in told
    assert google(fault)["message"] == fault.message


@pytest.mark.parametrize(
    "found",
    [
        [],
        [violations(PER_MINUTE), retry("20s")],
        [violations(PER_DAY), retry("0s")],
        [violations(PER_MINUTE, PER_DAY)],
        [RESET],
        [violations()],
    ],
)
@pytest.mark.parametrize(
    "options",
    [SPENT, {**SPENT, "retry_after": HOURS}, {"retry_after": HOURS}, {"should_retry": False}],
)  # fmt: skip
def test_a_spent_quota_ends_the_run_of_a_native_client(
    found: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    _, shown = limit("Quota exceeded.", *found, **options)
    assert any("PerDay" in quota_id for quota_id in quota_ids(shown))


def test_a_spent_quota_without_google_s_words_ends_the_run_as_well() -> None:
    fault = RateLimited(code="insufficient_quota", should_retry=False)
    assert quota_ids(details(fault)) == ["GatewayRequestsPerDay"]
    assert "QuotaFailure" not in details(RateLimited(retry_after=9))
    assert "QuotaFailure" not in details(Overloaded(retry_after=HOURS))


@pytest.mark.parametrize(
    "options", [{"retry_after": 9.0}, {**SPENT, "should_retry": True}]
)
def test_where_a_retry_helps_nothing_says_that_it_does_not(
    options: dict[str, Any],
) -> None:
    text = "Quota exceeded for requests per day, limit: 0"
    message, shown = limit(text, violations(PER_DAY, PER_MINUTE), RESET, **options)
    assert quota_ids(shown) == [PER_MINUTE["quotaId"]]
    assert message == RateLimited().message
    _, shown = limit(text, violations(PER_DAY), **options)
    assert quota_ids(shown) == []


def test_a_spent_quota_that_a_retry_helps_is_a_rate_limit_to_openai_clients() -> None:
    fault = RateLimited(code="insufficient_quota", should_retry=True, retry_after=9)
    error = openai_error(fault)["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert headers(fault)["x-should-retry"] == "true"


def test_a_quota_names_no_project_of_ours() -> None:
    named = violation("XPerMinute", "9", model="gemini-x", project="411082643095")
    bare = violation("XPerMinute", "9", project_id="my-own")
    _, shown = limit("m", violations(named, bare))
    first, second = shown["QuotaFailure"]["violations"]
    assert first["quotaDimensions"] == {"model": "gemini-x"}
    assert "quotaDimensions" not in second


@pytest.mark.parametrize(
    "fault",
    [
        AccountRefused(cause="validation_required", link="https://a.test/x"),
        AccountRefused(status=400, code="failed_precondition", cause="region", link="https://a.test/x"),
        RateLimited(cause="no_credit", link="https://a.test/x"),
        UpstreamFault(cause="web_session_distrusted", link="https://a.test/x"),
    ],
)  # fmt: skip
def test_what_the_operator_must_do_is_shown_to_no_caller(fault: Fault) -> None:
    for body in (google_error(fault), openai_error(fault, in_frame=True)):
        told = json.dumps(body)
        assert "a.test" not in told
        assert fault.cause not in told
