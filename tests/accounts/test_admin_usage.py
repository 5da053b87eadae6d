"""The usage log in the admin."""

import datetime
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, Token, UsageRecord
from gemproxy.lib import clock
from tests.accounts.rows import hour, record

LIST = "/admin/accounts/usagerecord/"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def ago(**parts: int) -> datetime.datetime:
    return clock.now() - datetime.timedelta(**parts)


def listed(admin: Client, query: str = "") -> set[int]:
    text = admin.get(f"{LIST}{query}").text
    return {int(pk) for pk in re.findall(rf'href="{LIST}(\d+)/change/', text)}


def test_a_row_tells_who_what_how_and_how_long(admin: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    record(
        user=alice,
        token=token,
        model_asked="gemini-3.0-pro",
        model_served="gemini-3.1-pro-preview",
        status=429,
        outcome="fault",
        cause="rate_limit_exceeded",
        duration_ms=2345,
        first_token_ms=340,
        prompt_tokens=12_300,
        attempts=[{"account": 1}, {"account": 2}],
    )
    text = admin.get(LIST).text
    for shown in (
        "alice", "laptop", "openai.chat", "gemini-3.0-pro", "→ gemini-3.1-pro-preview",
        "429 Failed", "rate_limit_exceeded", "2.3 s", "first in 340 ms",
        "12.3k / 20", "5 thinking", ">2<",
    ):  # fmt: skip
        assert shown in text


def test_the_last_day_is_shown_unless_asked_otherwise(admin: Client) -> None:
    fresh = record(started_at=ago(minutes=5)).pk
    older = record(started_at=ago(hours=5)).pk
    week = record(started_at=ago(days=5)).pk
    oldest = record(started_at=ago(days=50)).pk
    assert listed(admin) == {fresh, older}
    assert listed(admin, "?window=1h") == {fresh}
    assert listed(admin, "?window=7d") == {fresh, older, week}
    assert listed(admin, "?window=all") == {fresh, older, week, oldest}
    assert listed(admin, "?window=made-up") == {fresh, older}


def test_a_request_id_is_found_at_any_age_but_only_whole(admin: Client) -> None:
    row = record(request_id="req-abcdef", started_at=ago(days=50))
    record(request_id="req-other")
    assert listed(admin, "?q=req-abcdef") == {row.pk}
    assert listed(admin, "?q=+req-abcdef+") == {row.pk}
    assert listed(admin, "?q=req-abc") == set()


def test_filters_pick_outcome_surface_model_and_ids(admin: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    account = Account.add(kind="gemini_api", secret="k" * 30)
    record()
    mine = record(
        outcome="fault", surface="gemini", model_asked="m-2", token=token, user=alice,
        account=account, cause="timeout",
    ).pk  # fmt: skip
    for query in (
        "outcome__exact=fault", "surface=gemini", "model_asked=m-2", "cause=timeout",
        f"token_id={token.pk}", f"user_id={alice.pk}", f"account_id={account.pk}",
    ):  # fmt: skip
        assert listed(admin, f"?{query}") == {mine}, query


def test_filters_offer_what_was_used(admin: Client) -> None:
    record(surface="gemini")
    hour(model_asked="gemini-9-ultra")
    text = admin.get(LIST).text
    assert "?surface=gemini" in text
    assert "?model_asked=gemini-9-ultra" in text


@pytest.mark.parametrize("bad", ["abc", "1 OR 1=1", "-1", "²"])
def test_an_id_that_is_no_number_finds_nothing(admin: Client, bad: str) -> None:
    record()
    answer = admin.get(LIST, {"token_id": bad})
    assert answer.status_code == 200
    assert "/change/" not in answer.text.split("result_list")[-1]


def test_an_id_filter_keeps_the_other_filters(admin: Client) -> None:
    record()
    text = admin.get(f"{LIST}?window=7d&token_id=5").text
    assert '<input type="hidden" name="window" value="7d">' in text
    assert 'name="token_id" value="5"' in text


def test_the_detail_page_shows_the_providers_metadata(admin: Client) -> None:
    row = record(usage_metadata={"promptTokenCount": 10, "note": "<b>bold</b>"})
    text = admin.get(f"{LIST}{row.pk}/change/").text
    assert "&quot;promptTokenCount&quot;: 10" in text
    assert "<b>bold" not in text


def test_a_huge_detail_is_cut(admin: Client) -> None:
    row = record(usage_metadata={"x": "y" * 100_000})
    text = admin.get(f"{LIST}{row.pk}/change/").text
    assert "y" * 10_000 in text
    assert "y" * 50_000 not in text


def test_rows_of_deleted_owners_are_still_shown(admin: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    account = Account.add(kind="gemini_api", secret="k" * 30)
    row = record(user=alice, token=token, account=account)
    account.delete()
    alice.delete()
    assert listed(admin) == {row.pk}
    assert admin.get(f"{LIST}{row.pk}/change/").status_code == 200


def test_nobody_writes_the_log_here(admin: Client) -> None:
    row = record()
    assert admin.get(f"{LIST}add/").status_code == 403
    assert admin.post(f"{LIST}{row.pk}/change/", {"status": 1}).status_code == 403
    assert admin.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    selected = {"_selected_action": [row.pk], "post": "yes"}
    admin.post(LIST, {"action": "delete_selected", **selected})
    row.refresh_from_db()
    assert row.status == 200


def test_paging_needs_no_count(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    UsageRecord.objects.bulk_create(
        UsageRecord(
            request_id=f"r{n}", started_at=ago(seconds=n), status=200, outcome="ok",
            surface="gemini", method="generateContent", model_asked="m",
        )
        for n in range(120)
    )  # fmt: skip
    with django_assert_max_num_queries(5) as queries:
        first = listed(admin)
    assert not [q for q in queries.captured_queries if "COUNT(" in q["sql"]]
    second, third = listed(admin, "?p=2"), listed(admin, "?p=3")
    assert (len(first), len(second), len(third)) == (50, 50, 20)
    assert not first & second
    assert "10000" not in admin.get(LIST).text


def test_pages_too_deep_for_an_offset_are_refused(admin: Client) -> None:
    assert admin.get(f"{LIST}?p=200").status_code == 200
    assert admin.get(f"{LIST}?p=201").headers["Location"].endswith("?e=1")


def test_filters_without_an_index_look_at_the_latest_rows_only(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [record(model_asked="m", started_at=ago(minutes=n)).pk for n in range(5)]
    assert listed(admin, "?model_asked=m") == set(rows)
    monkeypatch.setattr("accounts.admin.usage.MOST_SCANNED", 3)
    assert listed(admin, "?model_asked=m") == set(rows[:3])
    assert listed(admin, "?surface=openai.chat") == set(rows[:3])
