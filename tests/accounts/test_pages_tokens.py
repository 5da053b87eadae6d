"""The page of my tokens."""

import datetime
import re
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from accounts import tokens
from accounts.models import Token
from gemproxy.lib import clock


@pytest.fixture
def page(client: Client, alice: Any) -> Client:
    client.force_login(alice)
    return client


def issue(page: Client, name: str = "laptop", lifetime: str = "") -> Any:
    return page.post("/tokens/", {"name": name, "lifetime": lifetime})


def shown_token(text: str) -> str:
    found = re.search(r'id="token-text">(gp-\w+)<', text)
    assert found, "no token is shown"
    return found[1]


def test_a_stranger_is_sent_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/tokens/").headers["Location"] == "/sign-in/?next=/tokens/"
    assert client.post("/tokens/", {"name": "x"}).status_code == 302
    assert not Token.objects.exists()


def test_without_tokens_the_page_says_what_to_do(page: Client) -> None:
    assert "You have no tokens yet" in page.get("/tokens/").text


def test_an_issued_token_is_shown_and_works(page: Client, alice: Any) -> None:
    answer = issue(page)
    text = shown_token(answer.text)
    row = Token.objects.get()
    assert row.user == alice
    assert row.scope == "api"
    assert row.expires_at is None
    assert row.digest == tokens.digest(text, django_settings.SECRET_KEY)
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_issued_token_is_shown_only_once(page: Client) -> None:
    text = shown_token(issue(page).text)
    later = page.get("/tokens/").text
    assert text not in later
    assert text[:11] in later
    assert text not in str(dict(page.session.items()))
    assert text not in str(page.cookies)


def test_a_reload_by_the_list_issues_no_second_token(page: Client) -> None:
    issue(page)
    page.get("/tokens/")
    assert Token.objects.count() == 1


@pytest.mark.parametrize("days", [7, 365])
def test_the_chosen_lifetime_is_kept(page: Client, days: int) -> None:
    issue(page, lifetime=str(days))
    left = Token.objects.get().expires_at - clock.now()
    assert datetime.timedelta(days=days - 1) < left <= datetime.timedelta(days=days)


@pytest.mark.parametrize(
    "form",
    [{"name": ""}, {"name": "x" * 81}, {"name": "x", "lifetime": "99999"}],
    ids=["no name", "long name", "made-up lifetime"],
)
def test_a_bad_form_issues_nothing(page: Client, form: dict[str, str]) -> None:
    answer = page.post("/tokens/", form)
    assert answer.status_code == 200
    assert 'class="error"' in answer.text
    assert not Token.objects.exists()


def test_a_name_cannot_smuggle_markup(page: Client) -> None:
    issue(page, name="<script>alert(1)</script>")
    assert "<script>alert" not in page.get("/tokens/").text


def test_snippets_name_the_token_and_this_server(page: Client) -> None:
    text = issue(page).text
    token = shown_token(text)
    assert text.count(token) == 4
    assert "http://testserver/v1/chat/completions" in text
    assert "from google import genai" in text
    assert "from openai import OpenAI" in text
    assert django_settings.DEFAULT_MODEL in text


def test_snippets_prefer_the_public_address(page: Client, settings: Any) -> None:
    settings.PUBLIC_URL = "https://ai.example.org"
    answer = issue(page)
    assert "https://ai.example.org/v1/chat/completions" in answer.text
    assert "http://testserver/v1" not in answer.text


def test_only_my_own_tokens_are_listed(page: Client, alice: Any, bob: Any) -> None:
    Token.issue(user=bob, name="of bob")
    Token.issue(user=alice, name="of alice")
    text = page.get("/tokens/").text
    assert "of alice" in text
    assert "of bob" not in text


def test_revoking_asks_first(page: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    answer = page.get(f"/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert "Revoke “laptop”?" in answer.text
    assert token.revoked_at is None


def test_a_revoked_token_is_closed_and_stays_listed(page: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    answer = page.post(f"/tokens/{token.pk}/revoke/", follow=True)
    token.refresh_from_db()
    assert token.state == "revoked"
    assert "is revoked" in answer.text
    assert f"/tokens/{token.pk}/revoke/" not in answer.text


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_token_of_another_does_not_exist_for_me(
    page: Client, bob: Any, method: str
) -> None:
    token, _ = Token.issue(user=bob, name="of bob")
    answer = getattr(page, method)(f"/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert answer.status_code == 404
    assert "of bob" not in answer.text
    assert token.revoked_at is None


def test_usable_tokens_come_first(page: Client, alice: Any) -> None:
    Token.issue(user=alice, name="usable")
    past = clock.now() - datetime.timedelta(days=1)
    Token.issue(user=alice, name="expired one", expires_at=past)
    Token.issue(user=alice, name="revoked one")[0].revoke()
    text = page.get("/tokens/").text
    places = [
        text.index(f">{name}<") for name in ("usable", "expired one", "revoked one")
    ]
    assert places == sorted(places)


def test_the_list_costs_a_fixed_number_of_queries(
    page: Client, alice: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        Token.issue(user=alice, name=f"token {number}")
    with django_assert_max_num_queries(4):
        page.get("/tokens/")


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(page: Client, method: str) -> None:
    assert getattr(page, method)("/tokens/").status_code == 405
