"""How accounts stand, as rows: in order, counted, in words."""

import datetime
import re
from typing import Any

import pytest

from gemproxy.lib import clock
from proxy.admin.candidates import (
    READY,
    UNABLE,
    Candidate,
    Fit,
    Fits,
    Question,
    fit_of,
    groups,
    in_order,
    meaning,
    shown,
    tone,
)
from proxy.catalog import TargetPlan
from proxy.scheduling.outlook import Standing
from proxy.scheduling.quota import UNKNOWN, Limits, Usage
from tests.proxy.scheduling.pools import NOON, Time, time

__all__ = ["time"]
pytestmark = pytest.mark.usefixtures("time")
ASKED = Question(model="r")
NOTHING_LACKS: Fits = {}


def stands(account_id: int = 1, reason: str = READY, **fields: Any) -> Standing:
    values: dict[str, Any] = {
        "account_id": account_id,
        "label": f"acc {account_id}",
        "kind": "gemini_api",
        "model": "m",
        "state": "active",
        "reason": reason,
        "detail": "",
        "until": None,
        "headroom": 1.0,
        "limits": UNKNOWN,
        "usage": Usage(0, 0, 0, 0),
        "success": 1.0,
        "latency_ms": None,
        "strikes": 0,
        "failed_at": 0.0,
        "in_flight": 0,
        "canary": False,
        "priority": 0,
        "weight": 100,
    }
    return Standing(**{**values, **fields})


def row(one: Standing, question: Question = ASKED, fit: Fit | None = None) -> Candidate:
    return shown(one, question, {(one.kind, one.model): fit} if fit else {})


def words(html: object) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", str(html)).split())


def order(*found: Standing, models: tuple[str, ...] = ("m",)) -> list[int]:
    targets = [TargetPlan(kind="gemini_api", upstream_model=m) for m in models]
    return [one.account_id for one in in_order(found, targets, NOTHING_LACKS)]


class TestOrder:
    """Who is asked first stands first."""

    def test_the_ready_ones_stand_before_all_others(self) -> None:
        found = [stands(1, "strikes", until=NOON + 5), stands(2), stands(3, "disabled")]
        assert order(*found) == [2, 1, 3]

    def test_earlier_targets_then_lower_priorities_come_first(self) -> None:
        found = [
            stands(1, model="n"),
            stands(2, model="m", priority=5),
            stands(3, model="m", priority=1),
        ]
        assert order(*found, models=("m", "n")) == [3, 2, 1]
        assert order(*found, models=("n", "m")) == [1, 3, 2]

    def test_the_others_follow_as_they_come_back(self) -> None:
        found = [
            stands(1, "needs_attention"),
            stands(2, "quota_day", until=NOON + 400),
            stands(3, "quota_minute", until=NOON + 4),
        ]
        assert order(*found) == [3, 2, 1]

    def test_what_cannot_serve_the_request_comes_last(self) -> None:
        found = [stands(1), stands(2, "disabled", kind="other"), stands(3, kind="web")]
        lacking = {("web", "m"): Fit(lacks=frozenset({"tools"}))}
        placed = [one.account_id for one in in_order(found, [], lacking)]
        assert placed[0] == 1
        assert set(placed[1:]) == {2, 3}


class TestGroups:
    """The counts say at a glance what holds the accounts."""

    def test_the_ready_ones_then_the_most_frequent(self) -> None:
        found = [
            *(stands(n, "quota_minute") for n in range(3)),
            *(stands(n, "leaked") for n in range(5)),
            stands(9),
        ]
        told = [(one.reason, one.count) for one in groups(found, NOTHING_LACKS)]
        assert told == [("ready", 1), ("leaked", 5), ("quota_minute", 3)]

    def test_a_kind_that_lacks_something_is_counted_as_unable(self) -> None:
        found = [stands(1), stands(2, "strikes", kind="web")]
        told = groups(found, {("web", "m"): Fit(lacks=frozenset({"tools"}))})
        assert [(one.reason, one.count) for one in told] == [("ready", 1), (UNABLE, 1)]


@pytest.mark.parametrize(
    ("reason", "detail", "said"),
    [
        ("ready", "", "Ready"),
        ("tried", "", "Asked by this request already"),
        ("minute_limit", "", "The account's limit of this minute is reached"),
        ("all_seats_taken", "", "The account answers as many requests as it may"),
        ("quota_day", "limit: 250", "The day's quota of an account is used up"),
        ("needs_attention", "leaked", "Key blocked"),
        ("needs_attention", "", "Needs attention"),
        ("disabled", "disabled by olga", "Disabled by olga"),
        ("permission_denied", "", "Permission denied to the key's project"),
        ("never_heard_of", "", "Never heard of"),
    ],
)
def test_reasons_are_told_in_words(reason: str, detail: str, said: str) -> None:
    assert meaning(reason, detail).startswith(said)


@pytest.mark.parametrize(
    ("reason", "colour"),
    [
        ("ready", "good"),
        ("needs_attention", "bad"),
        ("disabled", "quiet"),
        ("all_seats_taken", "info"),
        ("quota_minute", "warn"),
        ("strikes", "warn"),
    ],
)
def test_reasons_have_a_colour(reason: str, colour: str) -> None:
    assert tone(reason) == colour
    badge = "gp-" + colour
    assert badge in row(stands(reason=reason)).state


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (stands(), "Ready"),
        (stands(canary=True), "Ready, on trial"),
        (stands(reason="minute_limit"), "At a limit"),
        (stands(reason="quota_day"), "At a limit"),
        (stands(reason="overloaded"), "Resting"),
        (stands(reason="all_seats_taken"), "Busy"),
        (stands(reason="canary_under_way"), "On trial"),
        (stands(reason="needs_attention"), "Needs attention"),
        (stands(reason="disabled"), "Disabled"),
    ],
)
def test_the_state_is_one_word(one: Standing, state: str) -> None:
    assert words(row(one).state) == state


class TestWhy:
    """A reason comes with what is known of it, and with nothing that is secret."""

    def test_the_evidence_of_a_rest_is_shown(self) -> None:
        found = row(stands(reason="quota_day", detail="429 limit: 250"))
        assert found.why == "The day's quota of an account is used up"
        assert found.detail == "429 limit: 250"

    def test_secrets_in_evidence_are_not(self) -> None:
        key = "AIzaSyD-secret-000000000000000000000"
        found = row(stands(reason="strikes", detail=f"refused ?key={key} and {key}"))
        assert key not in found.detail
        assert "[secret]" in found.detail

    def test_long_evidence_is_cut(self) -> None:
        assert len(row(stands(reason="strikes", detail="x" * 999)).detail) == 200

    def test_a_ready_account_needs_no_reason_unless_it_is_on_trial(self) -> None:
        assert row(stands()).why == ""
        assert "next call is a test" in row(stands(canary=True)).why

    def test_what_a_kind_lacks_is_named(self) -> None:
        one = stands(reason="strikes", until=NOON + 5, detail="3 failures")
        found = row(one, fit=Fit(lacks=frozenset({"tools", "code"})))
        assert words(found.state) == "Unable"
        assert found.detail == "code, tools"
        assert found.until == "-"

    def test_what_a_target_imitates_is_named(self) -> None:
        found = row(stands(), fit=Fit(imitates=frozenset({"tools", "json_schema"})))
        assert found.imitates == "json_schema, tools"
        assert words(found.state) == "Ready"
        assert row(stands()).imitates == ""

    def test_the_cause_of_a_refused_account_is_told_once(self) -> None:
        found = row(stands(reason="needs_attention", detail="leaked"))
        assert (found.why, found.detail) == ("Key blocked", "")


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (stands(), "-"),
        (stands(reason="all_seats_taken"), "-"),
        (stands(reason="needs_attention"), "until you act"),
        (stands(reason="disabled"), "until you enable it"),
        (
            stands(reason="quota_minute", until=NOON + 41),
            "in 41 s 2026-01-15 20:00:41 UTC",
        ),
        (
            stands(reason="day_limit", until=NOON + 12 * 3600),
            "in 12 h 0 min 2026-01-16 08:00:00 UTC",
        ),
    ],
)
def test_the_end_is_told_from_now_and_by_the_clock(one: Standing, told: str) -> None:
    assert words(row(one).until) == told


@pytest.mark.parametrize(
    ("limits", "headroom", "told"),
    [
        (UNKNOWN, 1.0, "no known limit 3 a minute, 40 a day"),
        (Limits(rpm=15), 0.8, "3 / 15 a minute 80 % left"),
        (Limits(rpd=250), 0.84, "40 / 250 a day 84 % left"),
        (
            Limits(15, 250_000, 1000),
            0.0,
            "3 / 15 a minute 1.2k / 250k tokens a minute 40 / 1k a day 0 % left",
        ),
    ],
)
def test_what_is_used_stands_beside_what_is_allowed(
    limits: Limits, headroom: float, told: str
) -> None:
    usage = Usage(requests=3, tokens=1200, day_requests=40, day_tokens=9000)
    found = row(stands(usage=usage, limits=limits, headroom=headroom))
    assert words(found.used) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "no call yet"),
        ({"latency_ms": 812.4}, "100 % succeed 812 ms"),
        ({"latency_ms": 1234.0, "success": 0.999}, "99 % succeed 1.2 s"),
        (
            {"latency_ms": 90.0, "success": 0.8, "failed_at": NOON - 30, "strikes": 1},
            "80 % succeed 90 ms , failed 30 s ago",
        ),
        (
            {"success": 0.5, "failed_at": NOON - 30, "strikes": 4},
            "50 % succeed 4 failures in a row, failed 30 s ago",
        ),
    ],
)
def test_health_is_success_speed_and_the_last_failure(
    fields: dict[str, Any], told: str
) -> None:
    found = words(row(stands(**fields)).health)
    assert found.replace(" ,", ",") == told.replace(" ,", ",")


def test_the_rest_of_a_row_is_plain(time: Time) -> None:
    asked = Question(
        model="r",
        tried={7: "The provider failed"},
        at=clock.now() - datetime.timedelta(minutes=1),
    )
    found = row(stands(7, in_flight=3, priority=2, weight=50), asked)
    link = '<a class="gp-link" href="/admin/accounts/account/7/change/">acc 7</a>'
    assert found.account == link
    assert found.kind == "Gemini API key"
    assert found.asked == "The provider failed"
    assert (found.in_flight, found.order) == (3, "2 / 50")
    assert row(stands(8), asked).asked == ""


def test_labels_are_text() -> None:
    assert "<b>" not in row(stands(label="<b>bold</b>")).account


@pytest.mark.parametrize(
    ("needs", "able", "emulates", "lacks", "imitates"),
    [
        ("", "tools", "", "", ""),
        ("tools", "tools", "", "", ""),
        ("tools code", "code", "tools", "", "tools"),
        ("tools code", "", "tools", "code", "tools"),
        ("", "", "tools", "", "tools"),
        ("tools", "tools", "tools", "", ""),
    ],
)
def test_what_is_imitated_is_not_lacking(
    needs: str, able: str, emulates: str, lacks: str, imitates: str
) -> None:
    found = fit_of(set(needs.split()), set(able.split()), set(emulates.split()))
    assert found == Fit(frozenset(lacks.split()), frozenset(imitates.split()))
