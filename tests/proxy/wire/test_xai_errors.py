"""What xAI's refusals mean, row by row."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    Overloaded,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.causes import RULES
from proxy.wire.error_bodies import openai_error
from proxy.wire.repair import repair
from proxy.wire.verdicts import judge
from proxy.wire.xai_errors import read_error, read_error_object, shown

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEAM = "16f2151a-40f4-4a80-8ad0-cae00c27e8dd"
SPENT = (
    f"Your team {TEAM} has either used all available credits or reached its monthly"
    " spending limit."
)
NEW_TEAM = "Your newly created team doesn't have any credits or licenses yet."
RULES_TEXT = f"Content violates usage guidelines. Team: {TEAM}, API key ID: {TEAM}"
NO_MODEL = f"The model grok-9 does not exist or your team {TEAM} does not have access"


def fault(status: int, text: Any, **headers: str) -> Fault:
    body = {"code": "some-code", "error": text}
    return read_error(status, orjson.dumps(body), headers)


@pytest.mark.parametrize(
    ("status", "text", "kind", "cause", "told"),
    [
        (400, "Incorrect API key provided: xa***gA. You", AccountRefused, "xai_key_refused", 503),
        (401, "No credentials provided", AccountRefused, "xai_key_refused", 503),
        (402, "Payment", AccountRefused, "xai_no_credit", 503),
        (403, SPENT, AccountRefused, "xai_no_credit", 503),
        (429, SPENT, AccountRefused, "xai_no_credit", 503),
        (403, NEW_TEAM, AccountRefused, "xai_no_credit", 503),
        (403, "Your API key is blocked.", AccountRefused, "xai_key_blocked", 503),
        (403, "The caller does not have permission", AccountRefused, "xai_denied", 503),
        (403, RULES_TEXT, UpstreamRefused, "content_filter", 400),
        (400, "Generated image rejected by content moderation", UpstreamRefused, "content_filter", 400),
        (404, NO_MODEL, UpstreamFault, "model_missing", 404),
        (404, "Response with id=7 not found.", UpstreamRefused, "not_found", 404),
        (400, "This model's maximum prompt length is 500000 but", UpstreamRefused, "context_length_exceeded", 400),
        (400, "Model x does not support parameter stop.", UpstreamRefused, "invalid_argument", 400),
        (405, "Method not allowed", UpstreamRefused, "method_not_allowed", 405),
        (413, "Too large", UpstreamRefused, "request_too_large", 413),
        (415, "Expected JSON", UpstreamRefused, "invalid_argument", 400),
        (422, "Failed to deserialize", UpstreamRefused, "invalid_argument", 400),
        (500, "Internal error", UpstreamFault, "upstream_error", 502),
        (500, "The model is at capacity", Overloaded, "overloaded", 503),
        (503, "unavailable", Overloaded, "overloaded", 503),
        (504, "late", UpstreamTimeout, "timeout", 504),
    ],
)  # fmt: skip
def test_each_row_means_what_it_should(
    status: int, text: str, kind: type[Fault], cause: str, told: int
) -> None:
    found = fault(status, text)
    assert type(found) is kind
    assert (found.cause, found.status) == (cause, told)
    assert cause in RULES


@pytest.mark.parametrize(
    ("text", "cause", "period", "unit", "value", "wait"),
    [
        ("Requests per Minute (actual/limit): 1922/60.", "quota_minute", "minute", "requests", 60, None),
        ("Tokens per Minute (actual/limit): 65605/16000.", "quota_minute", "minute", "tokens", 16000, None),
        ("Requests per Second (actual/limit): 2/2.", "throttled", "", "requests", 2, 2.0),
        ("Requests per Second (actual/limit): 2/2, Requests per Minute (actual/limit): 73/60.", "quota_minute", "minute", "requests", 60, None),
        ("Requests per Second (actual/limit): 3/2, Requests per Minute (actual/limit): 5/60.", "throttled", "", "requests", 2, 2.0),
        ("Requests per Hour (actual/limit): 9/9.", "quota_exhausted", "", "requests", 9, None),
        ("Requests per Day (actual/limit): 101/100.", "quota_exhausted", "day", "requests", 100, None),
    ],
)  # fmt: skip
def test_limits_are_read_from_the_words(
    text: str, cause: str, period: str, unit: str, value: int, wait: float | None
) -> None:
    found = fault(429, f"Too many requests for team {TEAM} and model grok-4.3. {text}")
    assert isinstance(found, RateLimited)
    assert (found.cause, found.retry_after) == (cause, wait)
    assert found.quota is not None
    quota = found.quota
    assert (quota.period, quota.unit, quota.value) == (period, unit, value)
    assert quota.bucket
    assert TEAM not in quota.bucket
    assert not judge(found, now=NOW).strike


def test_keys_of_one_team_share_a_bucket() -> None:
    words = "Too many requests for team {} … Requests per Minute (actual/limit): 9/9."
    teams = [TEAM, TEAM, TEAM.replace("1", "2")]
    buckets = [fault(429, words.format(team)).quota.bucket for team in teams]
    assert buckets[0] == buckets[1] != buckets[2]


def test_a_limit_without_numbers_rests_as_long_as_it_says() -> None:
    found = fault(429, "Some resource has been exhausted", **{"Retry-After": "7"})
    assert (found.cause, found.retry_after, found.quota) == ("throttled", 7.0, None)


@pytest.mark.parametrize(
    ("status", "text", "attention", "scope"),
    [
        (400, "Incorrect API key provided: xa***gA", True, "account"),
        (403, SPENT, True, "account"),
        (403, "The caller does not have permission", False, "account_model"),
        (404, NO_MODEL, False, "account_model"),
        (403, RULES_TEXT, False, "nothing"),
    ],
)
def test_the_verdict_says_who_must_act(
    status: int, text: str, attention: bool, scope: str
) -> None:
    verdict = judge(fault(status, text), now=NOW)
    assert (verdict.attention, verdict.scope) == (attention, scope)
    if attention:
        assert verdict.link.startswith("https://console.x.ai/")


@pytest.mark.parametrize(
    "text",
    [
        RULES_TEXT,
        f"For team {TEAM}: see https://console.x.ai/team/{TEAM}",
        "Incorrect API key provided: xa***gA. You can",
        "Bad key xai-abcdefghijklmnop0123",
        f"API key ID: {TEAM}",
    ],
)
def test_what_is_shown_names_no_key_and_no_team(text: str) -> None:
    told = shown(text)
    assert TEAM not in told
    assert "xa***gA" not in told
    assert "xai-abc" not in told


def test_refused_accounts_are_no_callers_affair() -> None:
    body = openai_error(fault(403, SPENT))
    assert "credit" not in str(body)
    assert body["error"]["code"] == "upstream_auth"


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"Incorrect API key provided: x","code":"y"}}',
        b'"Incorrect API key provided: x"',
        b'{"detail":"Incorrect API key provided: x"}',
        b'{"error":"Incorrect API key provided: x","code":"invalid-argument"}',
    ],
)
def test_all_shapes_of_errors_are_read(body: bytes) -> None:
    assert read_error(400, body, {}).cause == "xai_key_refused"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, b"<title>Just a moment...</title>", ConnectFailed),
        (401, b"", AccountRefused),
        (413, b"<html>", UpstreamRefused),
        (429, b"slow down", RateLimited),
        (502, b"<html>secret words", BadAnswer),
        (403, b"[]", BadAnswer),
        (500, b'{"x": 1}', BadAnswer),
    ],
)
def test_bodies_that_are_no_error_of_xais_are_never_shown(
    status: int, body: bytes, kind: type[Fault]
) -> None:
    found = read_error(status, body, {})
    assert type(found) is kind
    assert "secret" not in found.message


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"error": "The model is at capacity"}, Overloaded),
        ({"error": {"message": "x"}, "code": 429}, RateLimited),
        ({"error": "Internal error", "code": "internal"}, UpstreamFault),
        ({"error": {}}, UpstreamFault),
    ],
)
def test_errors_inside_a_stream_are_read(data: Any, kind: type[Fault]) -> None:
    assert type(read_error_object(data)) is kind


@pytest.mark.parametrize(
    "message",
    [
        "Model grok-4-latest does not support parameter reasoningEffort.",
        "Argument not supported on this model: reasoning_effort",
    ],
)
def test_an_effort_that_is_refused_is_left_out_once(message: str) -> None:
    body = {"contents": [], "generationConfig": {"thinkingConfig": {}, "seed": 1}}
    assert repair(message, body) == {"contents": [], "generationConfig": {"seed": 1}}
    assert repair(message, {"contents": []}) is None
    assert repair("Model x does not support parameter stop.", body) is None
