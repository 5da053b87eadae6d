"""Incidents in the admin: what is wrong now comes first, and nothing can be changed."""

import datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account
from gemproxy.lib import clock
from proxy.models import Incident

LIST = "/admin/proxy/incident/"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def incident(**fields: Any) -> Incident:
    now = clock.now()
    values = {
        "what": "egress",
        "which": "10.0.0.1:3128",
        "cause": "connection_failed",
        "why": "3 accounts failed alike within 0.2 s: connection_failed",
        "since": now - datetime.timedelta(seconds=90),
        "updated_at": now,
        "owner": "here:1",
        "accounts": [1, 2, 3],
        "account_count": 3,
        "count": 8,
    }
    return Incident.objects.create(**{**values, **fields})


def ended(seconds: float, **fields: Any) -> Incident:
    since = clock.now() - datetime.timedelta(hours=1)
    until = since + datetime.timedelta(seconds=seconds)
    return incident(since=since, until=until, **fields)


def test_the_list_says_what_failed_why_since_when_and_for_how_many(
    admin: Client,
) -> None:
    incident(since=clock.now() - datetime.timedelta(hours=1))
    text = admin.get(LIST).text.replace("\xa0", " ")
    for part in (
        "Lasts",
        "10.0.0.1:3128",
        "Egress",
        "The provider could not be reached",
        "3 accounts failed alike within 0.2 s",
        "1 hour ago",
        "60 min ",
        "8 failures",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("seconds", "length"), [(0.42, "420 ms"), (10.5, "10.5 s"), (3599, "59 min 59 s")]
)
def test_what_is_over_says_how_long_it_lasted(
    admin: Client, seconds: float, length: str
) -> None:
    ended(seconds)
    text = admin.get(LIST).text.replace("\xa0", " ")
    assert "Ended" in text
    assert length in text


def test_the_latest_comes_first(admin: Client) -> None:
    ended(1, which="older.example:1")
    incident(which="newer.example:1")
    text = admin.get(LIST).text
    assert text.index("newer.example") < text.index("older.example")


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("state=open", {"lasting"}, {"over", "model"}),
        ("state=ended", {"over", "model"}, {"lasting"}),
        ("state=junk", {"lasting", "over", "model"}, set()),
        ("what__exact=model", {"model"}, {"lasting", "over"}),
        ("cause__exact=overloaded", {"model"}, {"lasting", "over"}),
        ("q=lasting", {"lasting"}, {"over", "model"}),
    ],
)
def test_filters_and_search_narrow_the_list(
    admin: Client, query: str, shown: set[str], hidden: set[str]
) -> None:
    incident(which="lasting.example")
    ended(1, which="over.example")
    ended(1, which="model.example", what="model", cause="overloaded")
    text = admin.get(f"{LIST}?{query}").text
    assert {name for name in shown | hidden if f"{name}.example" in text} == shown


def test_the_page_says_what_to_do_and_names_the_accounts(admin: Client) -> None:
    accounts = [
        Account.add(kind="gemini_api", secret=f"key-{n}-" + "x" * 30, label=f"acc {n}")
        for n in range(2)
    ]
    keys = [account.pk for account in accounts if account]
    row = incident(accounts=[*keys, 99_999], account_count=60)
    text = admin.get(f"{LIST}{row.pk}/change/").text
    for key, name in zip(keys, ("acc 0", "acc 1"), strict=True):
        assert f'href="/admin/accounts/account/{key}/change/">{name}</a>' in text
    assert "and 57 more" in text
    assert "Held back until this way out works again" in text
    assert "egress proxy" in text


def test_a_cause_with_a_page_links_to_it(admin: Client) -> None:
    row = incident(cause="egress_region")
    text = admin.get(f"{LIST}{row.pk}/change/").text
    assert 'href="https://ai.google.dev/gemini-api/docs/available-regions"' in text


def test_a_cause_nobody_knows_names_itself(admin: Client) -> None:
    row = incident(cause="new_kind_of_trouble")
    assert "New kind of trouble" in admin.get(LIST).text
    assert admin.get(f"{LIST}{row.pk}/change/").status_code == 200


def test_what_others_wrote_is_shown_as_text(admin: Client) -> None:
    row = incident(which="<script>x</script>", why="<b>bold</b>")
    for url in (LIST, f"{LIST}{row.pk}/change/"):
        text = admin.get(url).text
        assert "<script>x" not in text
        assert "<b>bold" not in text


@pytest.mark.parametrize("page", ["add/", "{}/delete/"])
def test_nothing_can_be_added_or_deleted(admin: Client, page: str) -> None:
    row = incident()
    url = LIST + page.format(row.pk)
    assert admin.get(url).status_code == 403
    assert admin.post(url, {"post": "yes"}).status_code == 403
    assert Incident.objects.count() == 1


def test_nothing_can_be_changed(admin: Client) -> None:
    row = incident()
    url = f"{LIST}{row.pk}/change/"
    assert admin.post(url, {"which": "other"}).status_code == 403
    form = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin.post(LIST, form)
    row.refresh_from_db()
    assert row.which == "10.0.0.1:3128"


def test_the_list_has_no_query_for_each_row(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        incident(which=f"p{number}.example:1", accounts=list(range(number)))
    with django_assert_max_num_queries(8):
        admin.get(LIST)


def test_the_menu_leads_to_it(admin: Client) -> None:
    assert f'href="{LIST}"' in admin.get("/admin/").text
