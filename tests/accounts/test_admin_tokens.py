"""Tokens in the admin."""

import datetime
import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client

from accounts import tokens
from accounts.models import Token
from gemproxy.lib import clock

LIST = "/admin/accounts/token/"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def helper(client: Client, bob: Any) -> Client:
    """Bob as staff who may handle tokens and nothing else."""
    bob.is_staff = True
    bob.save()
    wanted = ("add_token", "view_token", "change_token", "view_user")
    bob.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client.force_login(bob)
    return client


def issue(admin: Client, user: Any, **fields: str) -> Any:
    form = {
        "user": user.pk,
        "name": "ci",
        "scope": "api",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    return admin.post(f"{LIST}add/", {**form, **fields})


def test_an_issued_token_is_shown_once_and_works(admin: Client, alice: Any) -> None:
    answer = issue(admin, alice)
    text = re.search(r'id="token-text">(gp-\w+)<', answer.text)[1]
    row = Token.objects.get()
    assert row.user == alice
    assert row.digest == tokens.digest(text, settings.SECRET_KEY)
    assert "data-copy" in answer.text
    assert "no-store" in answer.headers["Cache-Control"]
    for page in (LIST, f"{LIST}{row.pk}/change/", f"{LIST}{row.pk}/history/"):
        shown = admin.get(page).text
        assert text not in shown
        assert row.digest not in shown
    assert text not in str(dict(admin.session.items()))


def test_issuing_is_noted_in_the_history(admin: Client, alice: Any) -> None:
    issue(admin, alice)
    token = Token.objects.get()
    assert "Added" in admin.get(f"{LIST}{token.pk}/history/").text


def test_an_operator_token_needs_a_staff_owner(
    admin: Client, alice: Any, operator: Any
) -> None:
    answer = issue(admin, alice, scope="operator")
    assert "Only staff users may hold an operator token." in answer.text
    assert not Token.objects.exists()
    issue(admin, operator, scope="operator")
    assert Token.objects.get().scope == "operator"


def test_a_token_cannot_be_born_expired(admin: Client, alice: Any) -> None:
    answer = issue(admin, alice, expires_at_0="2020-01-01", expires_at_1="00:00")
    assert "Give a moment that is still to come." in answer.text
    assert not Token.objects.exists()


def test_staff_cannot_issue_a_token_of_a_superuser(
    helper: Client, operator: Any, alice: Any
) -> None:
    assert issue(helper, operator).status_code == 403
    assert not Token.objects.exists()
    assert issue(helper, alice).status_code == 200
    assert Token.objects.get().user == alice


def test_staff_cannot_issue_an_operator_token(helper: Client, bob: Any) -> None:
    assert issue(helper, bob, scope="operator").status_code == 403
    assert not Token.objects.exists()


def test_owner_and_scope_of_a_token_are_fixed(
    admin: Client, alice: Any, bob: Any
) -> None:
    token, _ = Token.issue(user=alice, name="old name")
    answer = admin.post(
        f"{LIST}{token.pk}/change/",
        {"user": bob.pk, "scope": "operator", "name": "new name",
         "expires_at_0": "", "expires_at_1": ""},
    )  # fmt: skip
    assert answer.status_code == 302
    token.refresh_from_db()
    assert (token.user, token.scope, token.name) == (alice, "api", "new name")


def test_revoking_asks_before_it_acts(admin: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    form = {"action": "revoke", "_selected_action": [token.pk]}
    answer = admin.post(LIST, form)
    token.refresh_from_db()
    assert "cannot be undone" in answer.text
    assert token.revoked_at is None
    answer = admin.post(LIST, {**form, "confirmed": "yes"}, follow=True)
    token.refresh_from_db()
    assert token.state == "revoked"
    assert "Revoked 1 token." in answer.text


def test_revoking_what_is_revoked_changes_nothing(admin: Client, alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    token.revoke()
    before = token.revoked_at
    form = {"action": "revoke", "_selected_action": [token.pk]}
    assert "revoked already" in admin.post(LIST, form).text
    admin.post(LIST, {**form, "confirmed": "yes"})
    token.refresh_from_db()
    assert token.revoked_at == before


def test_who_may_only_look_cannot_revoke(client: Client, alice: Any, bob: Any) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_token"))
    client.force_login(bob)
    token, _ = Token.issue(user=alice, name="laptop")
    form = {"action": "revoke", "_selected_action": [token.pk], "confirmed": "yes"}
    client.post(LIST, form)
    token.refresh_from_db()
    assert token.revoked_at is None


@pytest.mark.parametrize("state", ["active", "expired", "revoked"])
def test_tokens_are_found_by_state(admin: Client, alice: Any, state: str) -> None:
    past = clock.now() - datetime.timedelta(days=1)
    Token.issue(user=alice, name="name-active")
    Token.issue(user=alice, name="name-expired", expires_at=past)
    Token.issue(user=alice, name="name-revoked", expires_at=past)[0].revoke()
    text = admin.get(f"{LIST}?state={state}").text
    found = {
        name for name in ("active", "expired", "revoked") if f"name-{name}" in text
    }
    assert found == {state}
    assert state.capitalize() in text


def test_the_list_asks_for_owners_and_plans_at_once(
    admin: Client, alice: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        Token.issue(user=alice, name=f"t{number}")
    with django_assert_max_num_queries(9):
        admin.get(LIST)


@pytest.mark.parametrize(
    ("given", "kept"), [("true", True), ("false", False), ("unknown", None)]
)
def test_a_token_says_whether_its_pictures_lose_their_mark(
    admin: Client, alice: Any, given: str, kept: bool | None
) -> None:
    issue(admin, alice, remove_mark=given)
    assert Token.objects.get().remove_mark is kept


def test_what_becomes_of_a_tokens_pictures_can_be_changed_later(
    admin: Client, alice: Any
) -> None:
    issue(admin, alice)
    token = Token.objects.get()
    form = {"name": "ci", "plan": "", "expires_at_0": "", "expires_at_1": ""}
    page = f"{LIST}{token.pk}/change/"
    assert admin.post(page, {**form, "remove_mark": "false"}).status_code == 302
    token.refresh_from_db()
    assert token.remove_mark is False
