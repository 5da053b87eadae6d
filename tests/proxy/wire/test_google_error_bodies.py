"""Google's error bodies in all their shapes, and the times inside them."""

from datetime import UTC, datetime

import orjson
import pytest

from proxy.errors import (
    BadAnswer,
    Overloaded,
    RateLimited,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.google_errors import (
    read_duration,
    read_error,
    read_error_object,
    seconds_to_quota_reset,
)

TYPE = "type.googleapis.com/google.rpc."
NOON = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><title>Sorry AIzaSyHTMLHTML</title>",
        b"{",
        b"[]",
        b"[1,2]",
        b'"error"',
        b"{}",
        b'{"error":null}',
        b'{"error":[]}',
        b'{"detail":"x"}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_what_is_not_google_s_json_is_a_bad_answer_and_not_repeated(status, body):
    fault = read_error(status, body, {}, now=NOON)
    assert type(fault) is BadAnswer
    assert (fault.status, fault.code) == (502, "bad_gateway")
    assert "AIza" not in fault.message
    assert "html" not in fault.message
    assert fault.google is None


@pytest.mark.parametrize("body", [b"", b"<html>AIzaSyHTMLHTML", b"{}", b'{"error":{}}'])
def test_a_429_without_a_word_is_still_a_limit(body):
    fault = read_error(429, body, {"retry-after": "12"}, now=NOON)
    assert type(fault) is RateLimited
    assert (fault.cause, fault.retry_after) == ("throttled", 12)
    assert fault.google is None
    assert "AIza" not in fault.message


def test_the_front_end_s_own_413_is_the_caller_s():
    fault = read_error(413, b"<html>too large", {}, now=NOON)
    assert type(fault) is UpstreamRefused
    assert (fault.status, fault.code) == (413, "request_too_large")


def test_an_array_around_the_error_is_taken_off():
    body = orjson.dumps([{"error": {"code": 503, "message": "m"}}])
    assert type(read_error(503, body, {}, now=NOON)) is Overloaded


def test_a_bare_string_is_an_error_too():
    fault = read_error(400, b'{"error":"bad thing"}', {}, now=NOON)
    assert type(fault) is UpstreamRefused
    assert fault.message == "bad thing"


def test_keys_with_stray_blanks_are_read():
    detail = {" @type": f"{TYPE}RetryInfo", "retryDelay ": "7s"}
    error = {" code": 429, "message ": "m", "details": [detail]}
    fault = read_error(429, orjson.dumps({"error": error}), {}, now=NOON)
    assert fault.retry_after == 7
    assert fault.google["details"] == [
        {"@type": f"{TYPE}RetryInfo", "retryDelay": "7s"}
    ]


@pytest.mark.parametrize(
    "details",
    ["odd", {"a": 1}, [1, None, "x"], [{"@type": 5}], [{"@type": f"{TYPE}QuotaFailure"}],
     [{"@type": f"{TYPE}QuotaFailure", "violations": [1, {"quotaId": 7}]}],
     [{"@type": f"{TYPE}QuotaFailure",
       "violations": [{"quotaDimensions": "x", "quotaValue": "many"}]}]],
)  # fmt: skip
def test_odd_details_do_no_harm(details):
    error = {"code": 429, "message": "m", "details": details}
    fault = read_error(429, orjson.dumps({"error": error}), {}, now=NOON)
    assert type(fault) is RateLimited
    assert fault.quota.value is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 503, "message": "m", "status": "UNAVAILABLE"}, Overloaded),
        ({"code": "429", "message": "m"}, RateLimited),
        ({"status": "RESOURCE_EXHAUSTED"}, RateLimited),
        ({"status": "INVALID_ARGUMENT"}, UpstreamRefused),
        ({"status": "DEADLINE_EXCEEDED"}, UpstreamTimeout),
        ({"code": 14, "status": "UNAVAILABLE"}, Overloaded),
        ({}, UpstreamFault),
        ("text", BadAnswer),
        (None, BadAnswer),
    ],
)
def test_errors_inside_a_stream(error, kind):
    assert type(read_error_object(error, now=NOON)) is kind


def test_a_nameless_error_inside_a_stream_is_a_500():
    assert read_error_object({}, now=NOON).status == 500


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5s", 1.5), ("900ms", 0.9), ("2h", 7200), ("1m30s", 90), ("0s", 0),
     ("", None), ("soon", None), ("1.2.3s", None), (".s", None), ("5", None)],
)  # fmt: skip
def test_durations(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Your quota will reset after 5h2m3s.", 18123),
        ("Resets in 9h22m20s", 33740),
        ("Please retry in 2.1s. See the docs.", 2.1),
        ("Please retry in 1m30s. Must you?", 90),
        ("Please retry in a while.", None),
    ],
)
def test_waits_in_messages(text, seconds):
    error = {"code": 429, "message": text}
    assert read_error_object(error, now=NOON).retry_after == seconds


@pytest.mark.parametrize(
    ("metadata", "seconds"),
    [
        ({"quotaResetTimeStamp": "2026-11-20T21:00:00Z", "quotaResetDelay": "5s"}, 3600),
        ({"quotaResetTimeStamp": "2026-11-20T20:00:30.123456789Z"}, 30.123456),
        ({"quotaResetTimeStamp": "2026-11-20T20:00:30"}, 30),
        ({"quotaResetTimeStamp": "2026-11-20T19:00:00Z"}, 0),
        ({"quotaResetTimeStamp": "soon", "quotaResetDelay": "13h19m1.2s"}, 47941.2),
        ({"quotaResetDelay": "373.8ms"}, 0.3738),
        ({"quotaResetDelay": "soon"}, 7),
        ({}, 7),
    ],
)  # fmt: skip
def test_a_reset_in_the_details_comes_before_message_and_header(metadata, seconds):
    info = {"@type": f"{TYPE}ErrorInfo", "reason": "X", "metadata": metadata}
    error = {"code": 429, "message": "m", "details": [info]}
    body = orjson.dumps({"error": error})
    fault = read_error(429, body, {"Retry-After": "7"}, now=NOON)
    assert fault.retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 11, 20, 20, 0, tzinfo=UTC), 12),
        (datetime(2026, 11, 20, 8, 0, tzinfo=UTC), 24),
        (datetime(2026, 11, 20, 7, 59, 59, tzinfo=UTC), 1 / 3600),
        (datetime(2026, 7, 1, 19, 0, tzinfo=UTC), 12),
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25),
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23),
    ],
    ids=["winter", "midnight", "last second", "summer", "clocks back", "clocks on"],
)
def test_the_day_of_a_quota_ends_at_midnight_in_california(now, hours):
    assert seconds_to_quota_reset(now) == pytest.approx(hours * 3600)
