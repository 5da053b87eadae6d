"""One call's journey and the row it leaves."""

import pytest

from proxy.calls import Event
from proxy.catalog import TargetPlan
from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    NoAccount,
    Overloaded,
    RateLimited,
    StreamCut,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.scheduling.pool import Lease
from proxy.trips import Trip
from proxy.upstreams.base import AccountConfig
from tests.proxy.house import Upstream, call, text


def lease(number: int = 1) -> Lease:
    account = AccountConfig(id=number, kind="gemini_api", secret="hush-hush")
    target = TargetPlan(kind="gemini_api", upstream_model="up-1")
    return Lease(account, target, Upstream(), 0.0)


def event(data: object) -> Event:
    return Event(b"", data)  # type: ignore[arg-type]


def test_a_trip_that_never_left_has_a_row_without_account() -> None:
    entry = Trip(call()).record()
    assert (entry.account_id, entry.kind, entry.model_served) == (None, "", "")
    assert (entry.attempts, entry.first_token_ms) == ([], None)
    assert (entry.token_id, entry.user_id) == (3, 7)


def test_attempts_are_kept_in_order() -> None:
    trip = Trip(call())
    trip.begin(lease(1))
    trip.end(Overloaded())
    trip.begin(lease(2))
    trip.end(None)
    entry = trip.record()
    assert [(a["account"], a["code"]) for a in entry.attempts] == [
        (1, "overloaded"),
        (2, "ok"),
    ]
    assert entry.attempts[0]["blame"] == "model"
    assert "blame" not in entry.attempts[1]
    assert entry.account_id == 2
    assert trip.tried == {1, 2}


def test_a_row_holds_the_last_attempts_usage() -> None:
    trip = Trip(call())
    trip.begin(lease(1))
    trip.see([event(text("x", usageMetadata={"promptTokenCount": 99}))])
    trip.end(Overloaded())
    trip.begin(lease(2))
    usage = {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 6,
        "toolUsePromptTokenCount": 2,
        "totalTokenCount": 23,
    }
    trip.see([event(text("y", usageMetadata=usage))])
    entry = trip.record()
    assert (entry.prompt_tokens, entry.cached_tokens) == (10, 4)
    assert (entry.output_tokens, entry.thoughts_tokens) == (5, 6)
    assert (entry.tool_use_tokens, entry.total_tokens) == (2, 23)
    assert entry.usage_metadata["totalTokenCount"] == 23


def test_a_failed_trip_tells_why() -> None:
    trip = Trip(call())
    trip.fail(RateLimited("hush-hush is not a cause"))
    entry = trip.record()
    assert (entry.status, entry.outcome) == (429, "fault")
    assert (entry.cause, entry.blame) == ("rate_limit_exceeded", "account")
    assert "hush" not in str(entry)


def test_a_left_trip_is_not_a_failed_one() -> None:
    trip = Trip(call())
    trip.cancel()
    entry = trip.record()
    assert (entry.status, entry.outcome) == (499, "cancelled")
    assert (entry.cause, entry.blame) == ("client_closed", "")


def test_long_texts_fit_their_columns() -> None:
    trip = Trip(
        call(model="m" * 500, client_ip="x" * 100, user_agent="u" * 500, surface="s")
    )
    trip.fail(Fault(code="c" * 200))
    entry = trip.record()
    assert len(entry.model_asked) == 120
    assert len(entry.client_ip) == 45
    assert len(entry.user_agent) == 200
    assert len(entry.cause) == 60


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"candidates": None},
        {"candidates": ["text"]},
        {"candidates": [{"content": "text", "finishReason": 7}]},
        {"usageMetadata": "many"},
        {"usageMetadata": {"promptTokenCount": "seven", "totalTokenCount": -1}},
        {"promptFeedback": None},
    ],
)
def test_odd_answers_of_the_provider_still_leave_a_row(data: object) -> None:
    trip = Trip(call())
    trip.begin(lease())
    trip.see([event(data)])
    assert trip.record().request_id == trip.call.request_id


def test_no_secret_of_the_account_reaches_the_row() -> None:
    trip = Trip(call())
    trip.begin(lease())
    trip.end(AccountRefused())
    assert "hush-hush" not in str(trip.record())
    assert "hush-hush" not in repr(trip.lease)


def test_the_deadline_counts_down_to_zero() -> None:
    assert Trip(call()).remaining() is None
    remaining = Trip(call(deadline=10)).remaining()
    assert remaining is not None
    assert 9 < remaining <= 10
    assert Trip(call(deadline=-5)).remaining() == 0.0


@pytest.mark.parametrize(
    ("faults", "truest"),
    [
        ([ConnectFailed(), UpstreamRefused(), RateLimited()], UpstreamRefused),
        ([AccountRefused(), RateLimited()], RateLimited),
        ([ConnectFailed(), Overloaded()], Overloaded),
        ([BadAnswer(), UpstreamTimeout(), StreamCut()], UpstreamTimeout),
        ([StreamCut(), ConnectFailed()], StreamCut),
        ([], NoAccount),
    ],
)
def test_the_truest_fault_tells_the_caller_most(
    faults: list[Fault], truest: type[Fault]
) -> None:
    trip = Trip(call())
    trip.faults = faults
    assert type(trip.truest()) is truest


def test_of_several_limits_the_soonest_is_told() -> None:
    trip = Trip(call())
    trip.faults = [
        RateLimited(),
        RateLimited(retry_after=9),
        RateLimited(retry_after=5),
    ]
    assert trip.truest().retry_after == 5
