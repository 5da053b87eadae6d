"""Signing in and out, and who is led where."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.pages import tries
from accounts.pages.tries import PER_NAME, PER_NAME_ANYWHERE

PASSWORD = "correct horse"
PAGES = ["/sign-in/", "/tokens/", "/password/", "/nowhere/"]


@pytest.fixture(autouse=True)
def _forget_tries() -> None:
    cache.clear()


def sign_in(client: Client, name: str, password: str = PASSWORD, **extra: Any) -> Any:
    return client.post(
        "/sign-in/", {"username": name, "password": password}, headers=extra
    )


def test_a_stranger_is_led_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/").headers["Location"] == "/sign-in/"


def test_a_user_is_led_to_the_tokens(client: Client, alice: Any) -> None:
    assert sign_in(client, "alice").headers["Location"] == "/"
    assert client.get("/").headers["Location"] == "/tokens/"


def test_an_operator_is_led_to_the_admin(client: Client, operator: Any) -> None:
    sign_in(client, "olga")
    assert client.get("/").headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_sign_in_goes_to_the_page_asked_for(client: Client, alice: Any) -> None:
    form = {"username": "alice", "password": PASSWORD, "next": "/password/"}
    assert client.post("/sign-in/", form).headers["Location"] == "/password/"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/x", "javascript:alert(1)"]
)
def test_sign_in_never_leads_to_another_site(
    client: Client, alice: Any, target: str
) -> None:
    form = {"username": "alice", "password": PASSWORD, "next": target}
    assert client.post("/sign-in/", form).headers["Location"] == "/"


def test_a_wrong_password_shows_the_form_again(client: Client, alice: Any) -> None:
    answer = sign_in(client, "alice", "wrong")
    assert answer.status_code == 200
    assert "correct username and password" in answer.text
    assert "_auth_user_id" not in client.session


def test_after_five_failures_even_the_right_password_waits(
    client: Client, alice: Any
) -> None:
    for _ in range(PER_NAME):
        assert sign_in(client, "alice", "wrong").status_code == 200
    answer = sign_in(client, "Alice ")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "300"
    assert sign_in(client, "alice").status_code == 429


def test_failures_of_one_name_do_not_lock_out_another(
    client: Client, alice: Any, bob: Any
) -> None:
    for _ in range(PER_NAME + 1):
        sign_in(client, "alice", "wrong")
    assert sign_in(client, "bob").status_code == 302


def test_a_success_clears_the_count(client: Client, alice: Any) -> None:
    for _ in range(3):
        for _ in range(PER_NAME - 1):
            sign_in(client, "alice", "wrong")
        assert sign_in(client, "alice").status_code == 302
        client.post("/sign-out/")


def test_somebody_else_who_is_signed_in_cannot_clear_the_count(
    client: Client, alice: Any, bob: Any
) -> None:
    thief = Client()
    thief.force_login(bob)
    for _ in range(PER_NAME):
        sign_in(client, "alice", "wrong")
        sign_in(thief, "alice", "any")
    assert sign_in(client, "alice").status_code == 429


def test_a_made_up_forwarded_header_does_not_evade_the_count(
    client: Client, alice: Any
) -> None:
    for number in range(PER_NAME):
        sign_in(client, "alice", "wrong", x_forwarded_for=f"10.0.0.{number}")
    assert sign_in(client, "alice", x_forwarded_for="10.9.9.9").status_code == 429


def test_behind_a_trusted_proxy_each_client_has_its_own_count(
    client: Client, alice: Any, settings: Any
) -> None:
    settings.TRUSTED_PROXY_HOPS = 1
    for _ in range(PER_NAME):
        sign_in(client, "alice", "wrong", x_forwarded_for="10.0.0.1")
    assert sign_in(client, "alice", x_forwarded_for="10.0.0.2").status_code == 302


def test_many_names_from_one_address_are_stopped_too(client: Client, db: None) -> None:
    answers = [sign_in(client, f"name{n}", "x").status_code for n in range(52)]
    assert answers[:50] == [200] * 50
    assert answers[50:] == [429] * 2


def test_the_admin_page_shares_the_count(client: Client, operator: Any) -> None:
    form = {"username": "olga", "password": "wrong"}
    for _ in range(PER_NAME):
        assert client.post("/admin/login/", form).status_code == 200
    assert client.post("/admin/login/", form).status_code == 429
    assert sign_in(client, "olga").status_code == 429


def test_the_admin_page_signs_operators_in(client: Client, operator: Any) -> None:
    form = {"username": "olga", "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", form).headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_the_admin_page_refuses_users(client: Client, alice: Any) -> None:
    answer = client.post("/admin/login/", {"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_signing_out_needs_a_post(client: Client, alice: Any) -> None:
    client.force_login(alice)
    assert client.get("/sign-out/").status_code == 405
    assert "_auth_user_id" in client.session
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert "_auth_user_id" not in client.session


def test_a_sign_in_without_a_form_token_is_refused(alice: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = sign_in(client, "alice")
    assert answer.status_code == 403
    assert "This form has expired" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_only_our_own_scripts(client: Client, alice: Any, path: str) -> None:
    if path != "/sign-in/":
        client.force_login(alice)
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(
        r"<style|<script(?![^>]* src=)| style=| on[a-z]+=", answer.text
    )


def test_a_missing_page_says_so(client: Client, db: None) -> None:
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "Nothing here" in answer.text


def test_a_broken_page_needs_no_database(settings: Any) -> None:
    from accounts.pages.views import broken

    answer = broken(None)
    assert answer.status_code == 500
    assert "Something broke" in answer.text


def test_the_password_is_changed_by_who_knows_it(client: Client, alice: Any) -> None:
    client.force_login(alice)
    new = "a longer staple"
    form = {"old_password": "wrong", "new_password1": new, "new_password2": new}
    assert client.post("/password/", form).status_code == 200
    form["old_password"] = PASSWORD
    answer = client.post("/password/", form, follow=True)
    assert "Your password is changed." in answer.text
    alice.refresh_from_db()
    assert alice.check_password(new)


def test_a_stranger_cannot_reach_the_password_page(client: Client, db: None) -> None:
    assert client.get("/password/").headers["Location"] == "/sign-in/?next=/password/"


def test_a_network_of_ipv6_addresses_counts_as_one(
    client: Client, alice: Any, settings: Any
) -> None:
    settings.TRUSTED_PROXY_HOPS = 1
    for number in range(PER_NAME):
        sign_in(client, "alice", "wrong", x_forwarded_for=f"2001:db8:1:2::{number}")
    answer = sign_in(client, "alice", x_forwarded_for="2001:db8:1:2:ffff::9")
    assert answer.status_code == 429
    answer = sign_in(client, "alice", x_forwarded_for="2001:db8:1:3::9")
    assert answer.status_code == 302


def test_many_addresses_do_not_get_endless_tries_at_one_name(
    client: Client, alice: Any, settings: Any
) -> None:
    settings.TRUSTED_PROXY_HOPS = 1
    for number in range(PER_NAME_ANYWHERE):
        sign_in(client, "alice", "wrong", x_forwarded_for=f"10.0.1.{number}")
    assert sign_in(client, "alice", x_forwarded_for="10.0.2.1").status_code == 429


def test_made_up_names_do_not_push_a_count_out(client: Client, alice: Any) -> None:
    for _ in range(PER_NAME):
        sign_in(client, "alice", "wrong")
    for number in range(2000):
        tries._count(f"made-up-{number}")
    assert sign_in(client, "alice").status_code == 429


def test_one_address_cannot_shut_a_person_out_elsewhere(
    client: Client, alice: Any, settings: Any
) -> None:
    settings.TRUSTED_PROXY_HOPS = 1
    for _ in range(2 * PER_NAME_ANYWHERE):
        sign_in(client, "alice", "wrong", x_forwarded_for="10.0.0.1")
    assert sign_in(client, "alice", x_forwarded_for="10.0.0.2").status_code == 302
