"""What goes wrong with web accounts: every row of what the site and client do."""

import pytest

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    RateLimited,
    StreamCut,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
    Verdict,
)
from proxy.wire.verdicts import judge
from proxy.wire.web_errors import fault_of
from tests.proxy.wire.error_samples import NOON


def verdict(fault: Fault) -> Verdict:
    found = judge(fault, now=NOON)
    assert found.cause == fault.cause
    return found


@pytest.mark.parametrize(
    ("kind", "code", "made", "cause"),
    [
        ("UsageLimitExceededError", None, RateLimited, "web_usage_limit"),
        ("UsageLimitExceeded", None, RateLimited, "web_usage_limit"),
        ("GeminiError", 1037, RateLimited, "web_usage_limit"),
        ("ModelInvalidError", None, UpstreamFault, "model_missing"),
        ("ModelInvalid", 1052, UpstreamFault, "model_missing"),
        ("ModelInvalidError", 1050, UpstreamFault, "web_conversation"),
        ("TemporarilyBlockedError", None, ConnectFailed, "ip_blocked"),
        ("TemporarilyBlocked", 1060, ConnectFailed, "ip_blocked"),
        ("HTTPError", 429, ConnectFailed, "ip_blocked"),
        ("http", 302, ConnectFailed, "ip_blocked"),
        ("APIError", 1013, UpstreamFault, "upstream_error"),
        ("APIError", None, UpstreamFault, "upstream_error"),
        ("APIError", 1234, UpstreamFault, "upstream_error"),
        ("APIError", 503, UpstreamFault, "upstream_error"),
        ("HTTPError", 500, UpstreamFault, "upstream_error"),
        ("HTTPError", None, UpstreamFault, "upstream_error"),
        ("SessionClosed", None, UpstreamFault, "upstream_error"),
        ("APIError", 1097, UpstreamFault, "web_session_distrusted"),
        ("APIError", 1090, UpstreamFault, "web_session_distrusted"),
        ("APIError", 400, BadAnswer, "web_session_suspect"),
        ("http", 403, BadAnswer, "web_session_suspect"),
        ("AuthError", None, AccountRefused, "cookies_expired"),
        ("AuthError", 401, AccountRefused, "cookies_expired"),
        ("guest", None, AccountRefused, "cookies_expired"),
        ("no_models", None, AccountRefused, "no_models"),
        ("GeminiError", None, StreamCut, "stream_cut"),
        ("rcid_changed", None, StreamCut, "stream_cut"),
        ("IncompleteRead", None, StreamCut, "stream_cut"),
        ("TimeoutError", None, UpstreamTimeout, "timeout"),
        ("Timeout", None, UpstreamTimeout, "timeout"),
        ("ReadTimeout", None, UpstreamTimeout, "timeout"),
        ("stalled", None, UpstreamTimeout, "stalled"),
        ("ConnectTimeout", None, ConnectFailed, "connection_failed"),
        ("ConnectionError", None, ConnectFailed, "connection_failed"),
        ("ProxyError", None, ConnectFailed, "connection_failed"),
        ("ProxyError", 407, BadAnswer, "web_session_suspect"),
        ("SSLError", None, ConnectFailed, "connection_failed"),
        ("ImageGenerationError", None, BadAnswer, "upstream_empty"),
        ("AssertionError", None, UpstreamRefused, "invalid_argument"),
        ("ValueError", None, UpstreamRefused, "invalid_argument"),
        ("NeverHeardOfError", None, BadAnswer, "bad_gateway"),
        ("", None, BadAnswer, "bad_gateway"),
    ],
)
def test_every_event_is_a_fault(
    kind: str, code: int | None, made: type[Fault], cause: str
) -> None:
    fault = fault_of(kind, code)
    assert type(fault) is made
    assert verdict(fault).cause == cause


@pytest.mark.parametrize(
    ("kind", "text", "cause"),
    [
        ("APIError", "Unknown API error code: 1097", "web_session_distrusted"),
        ("APIError", "Request failed with status code 503", "upstream_error"),
        ("APIError", "Request failed with status code 400", "web_session_suspect"),
        ("APIError", "Something else 1097", "upstream_error"),
        ("ConnectionError", "redirect to https://www.google.com/sorry/x", "ip_blocked"),
        ("GeminiError", "Gems are not available for this account", "cookies_expired"),
        ("GeminiError", "Permission denied", "cookies_expired"),
        ("APIError", "Permission denied", "upstream_error"),
    ],
)
def test_a_message_tells_what_the_class_does_not(
    kind: str, text: str, cause: str
) -> None:
    assert fault_of(kind, None, text).cause == cause


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (1016, "cookies_expired"),
        (1021, "account_rejected"),
        (1033, "account_untrusted"),
        (1040, "terms_pending"),
        (1042, "terms_pending"),
        (1054, "guardian"),
        (1057, "guardian"),
        (1060, "region"),
        (9999, "account_rejected"),
        (None, "account_rejected"),
    ],
)
def test_what_the_site_says_of_an_account_takes_it_out(
    code: int | None, cause: str
) -> None:
    found = verdict(fault_of("status", code))
    assert (found.cause, found.scope) == (cause, "account")
    assert found.attention
    assert found.advice


def test_an_account_that_is_away_for_a_while_rests_for_ten_minutes() -> None:
    found = verdict(fault_of("status", 1014))
    assert (found.blame, found.cause) == ("account", "web_unavailable")
    assert found.until == NOON.timestamp() + 600
    assert not found.attention
    assert not found.strike


@pytest.mark.parametrize(
    ("wait", "seconds"), [(7200.0, 7200), (None, 3600), (99 * 86400.0, 7 * 86400)]
)
def test_a_usage_limit_rests_until_its_reset(
    wait: float | None, seconds: float
) -> None:
    fault = fault_of("UsageLimitExceededError", 1037, wait=wait)
    assert (fault.status, fault.code) == (429, "insufficient_quota")
    found = verdict(fault)
    assert found.until == NOON.timestamp() + seconds
    assert (found.scope, found.strike) == ("account_model", False)


def test_a_blocked_address_is_not_the_account_s() -> None:
    found = verdict(fault_of("TemporarilyBlockedError", 1060))
    assert (found.blame, found.scope) == ("egress", "egress")
    assert not found.strike
    assert not found.attention


def test_a_distrusted_session_rests_the_account() -> None:
    found = verdict(fault_of("APIError", 1097))
    assert (found.blame, found.scope, found.strike) == ("account", "account", True)
    assert found.until == NOON.timestamp() + 300
    assert found.elsewhere


def test_a_conversation_of_another_model_may_begin_anew_at_once() -> None:
    found = verdict(fault_of("ModelInvalidError", 1050))
    assert (found.scope, found.strike, found.again) == ("nothing", False, True)


def test_the_words_of_the_client_reach_no_caller() -> None:
    secret = "cookie g.a000abc refused at /home/x"
    for kind in ("APIError", "GeminiError", "AuthError", "ValueError", "Odd"):
        assert secret not in fault_of(kind, None, secret).message
