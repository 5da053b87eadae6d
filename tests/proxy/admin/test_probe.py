"""“Test now” against a provider on this machine."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account
from proxy.admin import probe
from tests.proxy.admin.provider import Provider, provider

LIST = "/admin/accounts/account/"
KEY = "AIzaSyD-first-key-000000000000000000001"


@pytest.fixture
def google() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def account(db: None, google: Provider) -> Account:
    Account.add(kind="gemini_api", secret=KEY, label="one", base_url=google.url)
    return Account.objects.get()


def test_a_working_account_becomes_active(account: Account, google: Provider) -> None:
    google.body = {"models": [{"name": f"models/m{n}"} for n in range(3)]}
    verdict = probe.try_account(account)
    account.refresh_from_db()
    assert (verdict.passed, verdict.text) == (True, "It works, 3 models.")
    assert account.state == "active"
    assert google.keys == [KEY]


def test_a_refused_account_needs_attention(account: Account, google: Provider) -> None:
    google.refuses()
    verdict = probe.try_account(account)
    account.refresh_from_db()
    assert not verdict.passed
    assert account.state == "needs_attention"
    assert account.state_cause == "api_key_invalid"
    assert "Google does not know this key" in account.state_advice
    assert account.state_advice in verdict.text
    assert account.events.get().state == "needs_attention"
    assert KEY not in verdict.text


def test_a_passing_test_ends_the_trouble(account: Account, google: Provider) -> None:
    account.move("needs_attention", cause="upstream_auth", advice="Replace the key.")
    probe.try_account(account)
    account.refresh_from_db()
    assert (account.state, account.state_cause, account.state_advice) == (
        "active",
        "",
        "",
    )


def test_a_disabled_account_stays_disabled(account: Account, google: Provider) -> None:
    account.move("disabled", cause="disabled by olga")
    assert "stays disabled" in probe.try_account(account).text
    google.refuses()
    assert not probe.try_account(account).passed
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("disabled", "disabled by olga")


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}),
     (200, ["no models list"])],
    ids=["overloaded", "nonsense"],
)  # fmt: skip
def test_a_fault_of_the_provider_is_not_held_against_the_account(
    account: Account, google: Provider, status: int, body: Any
) -> None:
    google.status, google.body = status, body
    verdict = probe.try_account(account)
    account.refresh_from_db()
    assert not verdict.passed
    assert account.state == "new"
    assert account.events.get().cause.startswith("test_")


def test_a_silent_provider_is_given_up(
    account: Account, google: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.3)
    google.delay = 1.5
    verdict = probe.try_account(account)
    account.refresh_from_db()
    assert not verdict.passed
    assert account.events.get().cause == "test_timeout"
    assert account.state == "new"


def test_an_unreachable_provider_is_told_from_a_bad_key(account: Account) -> None:
    account.base_url = "http://127.0.0.1:9"
    verdict = probe.try_account(account)
    assert not verdict.passed
    assert "egress proxy" in verdict.text
    assert account.state == "new"


def test_a_secret_of_a_lost_encryption_key_says_so(
    account: Account, settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = ["another-passphrase-that-is-long-enough-now"]
    account.refresh_from_db()
    verdict = probe.try_account(account)
    assert "ENCRYPTION_KEYS" in verdict.text
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("needs_attention", "unreadable")


def test_every_test_leaves_an_event(account: Account, google: Provider) -> None:
    for _ in range(3):
        probe.try_account(account)
    assert [event.cause for event in account.events.all()] == ["test_passed"] * 2 + [""]


def test_the_action_reports_each_account(
    client: Client, operator: Any, account: Account, google: Provider
) -> None:
    bad = Account.add(
        kind="gemini_api", secret=KEY + "2", label="two", base_url="http://127.0.0.1:9"
    )
    client.force_login(operator)
    selected = {"action": "test_now", "_selected_action": [account.pk, bad.pk]}
    text = client.post(LIST, selected, follow=True).text
    assert "one: It works, 1 models." in text
    assert "two: " in text
    assert KEY not in text


def test_too_many_at_once_are_refused(client: Client, operator: Any) -> None:
    keys = [
        Account.add(
            kind="gemini_api", secret=f"{KEY}{n}", base_url="http://127.0.0.1:9"
        ).pk
        for n in range(11)
    ]
    client.force_login(operator)
    selected = {"action": "test_now", "_selected_action": keys}
    assert "at most 10" in client.post(LIST, selected, follow=True).text
    assert not Account.objects.exclude(state="new").exists()
