"""The job that keeps logins usable, on the sandbox."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from accounts.credentials.cli_json import dumped, loaded
from accounts.models import Account
from gemproxy.lib import clock
from proxy.cli_logins import import_logins
from proxy.errors import ConnectFailed
from proxy.jobs import renew_logins
from proxy.sandbox.logins import sandbox_login
from tests.proxy.sandbox.serving import Served, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def google(served: Served, settings: Any) -> Served:
    settings.CODE_ASSIST_BASE_URL = served.url
    settings.OAUTH_TOKEN_URL = f"{served.url}/token"
    return served


def account(behaviour: str = "ok", n: int = 1, seconds: float = 3000) -> Account:
    """Return an account that was looked at, its token ending in so many seconds."""
    (made,) = import_logins(json.dumps(sandbox_login(behaviour, n))).added
    at = clock.now().timestamp() + seconds
    login = loaded(made.secret.reveal())
    made.set_secret(dumped(replace(login, access_token="ya29.old", expires_at=at)))
    made.facts = {**made.facts, "checked_at": "2026-01-01T00:00:00+00:00"}
    made.save()
    made.refresh_from_db()
    return made


def token(of: Account) -> str:
    of.refresh_from_db()
    return loaded(of.secret.reveal()).access_token


def test_without_logins_there_is_nothing_to_do() -> None:
    Account.add(kind="gemini_api", secret="AIzaSy" + "a" * 33)
    assert renew_logins() == "no logins"


def test_tokens_are_renewed_ahead_of_their_end() -> None:
    soon, later = account(n=1, seconds=600), account(n=2, seconds=3000)
    assert renew_logins() == "1 fresh, 1 renewed"
    assert token(soon) != "ya29.old"
    assert token(later) == "ya29.old"
    assert renew_logins() == "2 fresh"


def test_a_new_account_is_looked_at() -> None:
    (made,) = import_logins(json.dumps(sandbox_login("ok", 3))).added
    assert renew_logins() == "1 looked at"
    made.refresh_from_db()
    assert made.facts["email"] == "ok3@sandbox.example"
    assert made.facts["project"].startswith("sandbox-")
    assert (made.state, made.events.get().state) == ("active", "active")
    assert renew_logins() == "1 fresh"


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("revoked", "login_expired"),
        ("rapt", "reauth_required"),
        ("badclient", "oauth_client"),
        ("policy", "login_policy"),
    ],
)
def test_a_login_that_has_ended_is_set_aside_with_its_reason(
    behaviour: str, cause: str
) -> None:
    made = account(behaviour, seconds=10)
    assert renew_logins() == "1 set aside"
    made.refresh_from_db()
    assert (made.state, made.state_cause) == ("needs_attention", cause)
    assert made.state_advice
    # It is left alone from then on.
    assert renew_logins() == "no logins"


def test_trouble_of_the_endpoint_is_not_held_against_the_account() -> None:
    made = account("tokendown", seconds=10)
    assert renew_logins() == "1 failed"
    made.refresh_from_db()
    assert made.state == "new"
    assert token(made) == "ya29.old"


def test_a_new_account_is_looked_at_until_somebody_could(
    google: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = import_logins(json.dumps(sandbox_login("ok", 4))).added

    async def broken(*_: Any) -> None:
        raise ConnectFailed("The provider could not be reached.")

    with monkeypatch.context() as patch:
        # Its standing is known by then; what it is worth is not.
        patch.setattr("proxy.upstreams.code_assist.CodeAssist.answer", broken)
        assert renew_logins() == "1 failed"
    made.refresh_from_db()
    assert made.facts["project"]
    assert made.state == "new"
    assert renew_logins() == "1 looked at"
    made.refresh_from_db()
    assert made.state == "active"


def test_disabled_accounts_are_left_alone() -> None:
    account(seconds=10).disable("olga")
    assert renew_logins() == "no logins"
