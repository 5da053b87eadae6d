"""The admin's front page."""

import datetime
import html
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Account, Token
from proxy.admin import dashboard
from proxy.wire.causes import cause_of
from tests.accounts.rows import hour, record

NOW = datetime.datetime(2026, 5, 4, 15, 30, tzinfo=datetime.UTC)
KEY = "AIzaSyD-first-key-00000000000000000000"


def at(**parts: int) -> datetime.datetime:
    return NOW - datetime.timedelta(**parts)


def tiles(now: datetime.datetime = NOW) -> dict[str, Any]:
    found = dashboard.overview(now)["tiles"]
    return {tile.title.partition(",")[0]: tile for tile in found} | {
        tile.title: tile for tile in found
    }


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def test_an_empty_database_says_what_to_do_first(admin: Client) -> None:
    text = admin.get("/admin/").text
    assert "First steps" in text
    assert 'href="/admin/accounts/account/paste/"' in text
    assert 'href="/admin/accounts/token/add/"' in text
    assert "no request yet" in text
    assert "No request failed" in text


@pytest.mark.django_db
def test_first_steps_are_ticked_off_and_go_away(alice: Any) -> None:
    def done() -> list[bool]:
        return [step["done"] for step in dashboard.overview(NOW)["steps"]]

    assert done() == [False, False, False]
    Account.add(kind="gemini_api", secret=KEY)
    assert done() == [True, False, False]
    Token.issue(user=alice, name="a")[0].revoke()
    assert done() == [True, False, False]
    Token.issue(user=alice, name="b")
    assert done() == [True, True, False]
    record(started_at=at(minutes=1))
    assert done() == []


@pytest.mark.django_db
def test_the_last_hour_is_counted_to_the_second() -> None:
    for minutes in (1, 59):
        record(started_at=at(minutes=minutes))
    for minutes in (61, 90, 100, 119):
        record(started_at=at(minutes=minutes))
    record(started_at=at(minutes=121))
    tile = tiles()["Requests, last hour"]
    assert (tile.value, tile.note) == ("2", "50 % less than in the hour before")


@pytest.mark.django_db
def test_a_day_joins_sums_and_fresh_rows_without_counting_twice() -> None:
    # 15:30: the hours 14 and 15 come from the log, older ones from the sums.
    record(started_at=at(minutes=10), prompt_tokens=100)
    hour(hour=NOW.replace(hour=15, minute=0), requests=1, prompt_tokens=100)
    record(started_at=at(minutes=80), prompt_tokens=100)
    hour(hour=NOW.replace(hour=14, minute=0), requests=1, prompt_tokens=100)
    hour(hour=NOW.replace(hour=13, minute=0), requests=40, prompt_tokens=3000)
    hour(hour=NOW.replace(hour=16, minute=0) - datetime.timedelta(days=1), requests=8)
    hour(hour=NOW.replace(hour=15, minute=0) - datetime.timedelta(days=1), requests=25)
    tile = tiles()["Requests, 24 h"]
    assert (tile.value, tile.note) == ("50", "100 % more than in the 24 h before")
    assert tiles()["Tokens in, 24 h"].value == "3.2k"


@pytest.mark.django_db
def test_on_a_busy_gateway_the_sums_alone_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dashboard, "LIVE_CAP", 2)
    for _ in range(3):
        record(started_at=at(minutes=10))
    hour(hour=NOW.replace(hour=15, minute=0), requests=700)
    assert tiles()["Requests, 24 h"].value == "700"


@pytest.mark.django_db
def test_a_count_at_its_cap_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "COUNT_CAP", 2)
    for _ in range(3):
        record(started_at=at(minutes=10))
    assert tiles()["Requests, last hour"].value == "2+"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ok", "fault", "value", "tone"),
    [
        (100, 0, "100 %", "good"),
        (199, 1, "99.5 %", "good"),
        (100_000, 1, "99.9 %", "good"),
        (97, 3, "97.0 %", "warn"),
        (1, 1, "50.0 %", "bad"),
    ],
)
def test_answered_is_the_share_of_finished_requests(
    ok: int, fault: int, value: str, tone: str
) -> None:
    then = NOW.replace(hour=10, minute=0)
    hour(hour=then, requests=ok)
    hour(hour=then, requests=5, outcome="cancelled")
    if fault:
        hour(hour=then, requests=fault, outcome="fault")
    tile = tiles()["Answered, 24 h"]
    assert (tile.value, tile.tone) == (value, tone)


@pytest.mark.django_db
def test_latency_is_of_the_latest_answers() -> None:
    for number in range(1, 101):
        record(duration_ms=number * 10, first_token_ms=number, started_at=at(hours=1))
    record(duration_ms=99_999, outcome="fault")
    tile = tiles()["Median latency"]
    assert tile.title == "Median latency, last 100"
    assert tile.value == "500 ms"
    assert tile.note == "p95 950 ms; first token 50 ms"


@pytest.mark.django_db
def test_failures_are_grouped_by_cause_with_advice() -> None:
    for minutes in (30, 20, 10):
        record(outcome="fault", cause="timeout", started_at=at(minutes=minutes))
    record(
        outcome="fault", cause="overloaded", started_at=at(minutes=5), model_asked="m-2"
    )
    record(outcome="fault", cause="stream_cut", started_at=at(hours=30))
    record(outcome="cancelled", cause="gone", started_at=at(minutes=1))
    found = dashboard.overview(NOW)["troubles"]
    assert [(t.cause, t.count, t.models) for t in found] == [
        ("overloaded", 1, "m-2"),
        ("timeout", 3, "gemini-2.5-flash"),
    ]
    assert all(trouble.advice.action for trouble in found)


@pytest.mark.django_db
def test_an_unknown_cause_still_gets_advice() -> None:
    record(outcome="fault", cause="brand_new_cause", started_at=at(minutes=1))
    advice = dashboard.overview(NOW)["troubles"][0].advice
    assert advice.meaning == "Brand new cause"
    assert advice.action


@pytest.mark.django_db
def test_states_are_counted_and_lead_to_the_filtered_list() -> None:
    for number, state in enumerate(["active", "active", "disabled", "needs_attention"]):
        Account.add(kind="gemini_api", secret=f"{KEY}{number}").move(state)
    shown = {s.title: (s.count, s.href.partition("?")[2]) for s in
             dashboard.overview(NOW)["states"]}  # fmt: skip
    assert shown == {
        "Active": (2, "state__exact=active"),
        "New": (0, "state__exact=new"),
        "Needs attention": (1, "state__exact=needs_attention"),
        "Disabled": (1, "state__exact=disabled"),
    }


@pytest.mark.django_db
def test_top_lists_join_sums_and_fresh_rows(alice: Any) -> None:
    busy, _ = Token.issue(user=alice, name="busy")
    calm, _ = Token.issue(user=alice, name="calm")
    then = NOW.replace(hour=10, minute=0)
    hour(hour=then, token=calm, requests=3, model_asked="a&b")
    hour(hour=then, token=busy, requests=3, model_asked="other")
    record(started_at=at(minutes=3), token=busy, model_asked="a&b")
    overview = dashboard.overview(NOW)
    assert [(r.name, r.count) for r in overview["tokens"]] == [
        ("alice: busy", "4"),
        ("alice: calm", "3"),
    ]
    assert [(r.name, r.count, r.share) for r in overview["models"]] == [
        ("a&b", "4", 100),
        ("other", "3", 75),
    ]
    assert overview["models"][0].href.endswith("?model_asked=a%26b")


def test_the_page_shows_numbers_bars_and_trouble(admin: Client) -> None:
    account = Account.add(kind="gemini_api", secret=KEY, label="sick")
    account.move("needs_attention", cause="upstream_auth")
    record(outcome="fault", cause="timeout")
    text = html.unescape(admin.get("/admin/").text)
    assert "sick" in text
    cause = cause_of("upstream_auth", of_account=True)
    assert cause.meaning in text
    assert cause.action in text
    assert "The provider did not answer in time" in text
    assert text.count("<g transform") == 24
    assert 'class="gp-bar-fault" y=' in text
    assert "First steps" not in text


def test_the_page_makes_a_bounded_number_of_queries(
    admin: Client, alice: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        token, _ = Token.issue(user=alice, name=f"t{number}")
        record(
            token=token,
            outcome="fault",
            cause=f"cause {number}",
            model_asked=f"m{number}",
        )
        hour(token=token, model_asked=f"m{number}", hour=at(hours=number % 5))
        Account.add(kind="gemini_api", secret=f"{KEY}{number}").move("needs_attention")
    with django_assert_max_num_queries(19):
        admin.get("/admin/")


def test_staff_without_the_right_see_no_numbers(client: Client, bob: Any) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_plan"))
    client.force_login(bob)
    record()
    text = client.get("/admin/").text
    assert "Requests, 24 h" not in text
    assert "/admin/accounts/plan/" in text
    assert "/admin/accounts/account/" not in text
