"""What an operator reads when an account of a kind fails, and shared ways out."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, CoolDown, User
from proxy.faultlab.row import Kind
from proxy.faultlab.stand import Stand
from proxy.models import Incident
from proxy.sandbox.code_assist_faults import ACTIVATE, APPEAL, VERIFY
from tests.clients.conftest import Gateway, Sandbox, eventually
from tests.proxy.upstreams.web_accounts import Site, served

WEB = "https://gemini.google.com/app"
#: kind, behaviour: cause, words of the advice, the page to open
SET_ASIDE: dict[tuple[Kind, str], tuple[str, str, str]] = {
    ("gemini_web", "expired"): ("cookies_expired", "Paste new cookies", WEB),
    ("gemini_web", "rejected"): ("account_rejected", "Open it in a browser", WEB),
    ("gemini_web", "terms"): ("terms_pending", "accept its terms", WEB),
    ("code_assist", "revoked"): ("login_expired", "Sign the account in again", ""),
    ("code_assist", "rapt"): ("reauth_required", "Sign the account in again", ""),
    ("code_assist", "consumer"): ("no_license", "assign one or delete", "http"),
    ("code_assist", "license"): ("no_license", "assign one or delete", "http"),
    ("code_assist", "terms"): ("tos_violation", "appeal if that is wrong", APPEAL),
    ("code_assist", "validation"): ("validation_required", "Open the link", VERIFY),
    ("code_assist", "verify"): ("validation_required", "Open the link", VERIFY),
    ("code_assist", "apioff"): ("service_disabled", "enable it at Google", ACTIVATE),
    ("code_assist", "badclient"): ("oauth_client", "Correct the client id", "http"),
    ("xai", "invalid"): ("xai_key_refused", "replace it", "https://console.x.ai"),
    ("xai", "keyblocked"): ("xai_key_blocked", "another key", "https://console.x.ai"),
    ("xai", "credits"): ("xai_no_credit", "Buy credits", "https://console.x.ai"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def accounts() -> list[str]:
    return []


@pytest.fixture
def google(settings: Any, sandbox: Sandbox, site: Site) -> str:
    settings.OAUTH_TOKEN_URL = f"{sandbox.url}/token"
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    settings.QUEUE_MAX_WAIT_MS = 0
    settings.PROBE_AFTER_FAILURE = False
    return site.sandbox.proxy_url


@pytest.fixture
def stand(google: str, gateway: Gateway) -> Iterator[Stand]:
    with Stand(gateway.url, gateway.token, gateway.sandbox.url, google) as made:
        yield made


def failing(stand: Stand, kind: Kind, behaviour: str) -> Account:
    """Put an account into the pool that fails from its first request on."""
    account = stand.add(kind)
    stand.tell(account, behaviour, {})
    stand.settle(kind)
    return account


@pytest.mark.parametrize(("kind", "behaviour"), SET_ASIDE)
def test_the_operator_reads_what_happened_and_what_to_do(
    gateway: Gateway, stand: Stand, kind: Kind, behaviour: str
) -> None:
    cause, advice, link = SET_ASIDE[kind, behaviour]
    account = failing(stand, kind, behaviour)
    error = gateway.chat("hello", stand.model).json()["error"]
    assert error["code"] == "upstream_auth"
    # Why an account was refused is not the caller's affair.
    assert cause not in str(error)
    assert not link or link not in str(error)
    eventually(lambda: Account.objects.filter(state_cause=cause).exists(), "not aside")
    account.refresh_from_db()
    assert account.state == "needs_attention"
    assert advice in account.state_advice
    assert account.state_link.startswith(link)
    shown = page(account)
    assert advice in shown
    assert not link or account.state_link in shown
    row = gateway.row()
    assert (row.kind, row.account_id, row.outcome) == (kind, account.pk, "fault")
    assert row.attempts[-1]["cause"] == cause


def page(account: Account) -> str:
    """Return the account's page as an operator sees it."""
    boss = User.objects.create_superuser("olga", "olga@example.org", "long-winded-9")
    browser = Client()
    browser.force_login(boss)
    answer = browser.get(f"/admin/accounts/account/{account.pk}/change/", follow=True)
    assert answer.status_code == 200
    return answer.content.decode().replace("&#x27;", "'").replace("&amp;", "&")


@pytest.mark.parametrize(
    ("kind", "behaviour", "status", "code", "cause"),
    [
        ("code_assist", "location", 400, "failed_precondition", "egress_region"),
        ("xai", "challenge", 502, "connection_failed", "ip_blocked"),
    ],
)
def test_a_blocked_way_out_is_an_incident_and_no_accounts_fault(
    gateway: Gateway,
    stand: Stand,
    kind: Kind,
    behaviour: str,
    status: int,
    code: str,
    cause: str,
) -> None:
    account = failing(stand, kind, behaviour)
    answers = [gateway.chat("hello", stand.model) for _ in range(4)]
    assert answers[0].status_code == status
    assert answers[0].json()["error"]["code"] == code
    eventually(lambda: Incident.objects.filter(cause=cause).exists(), "no incident")
    account.refresh_from_db()
    assert account.state in Account.USABLE


def test_cookies_that_expire_in_use_are_found_out_at_the_next_sign_in(
    gateway: Gateway, stand: Stand
) -> None:
    account = failing(stand, "gemini_web", "expiring")
    assert gateway.chat("hello", stand.model).status_code == 502
    rests = CoolDown.objects.filter(account=account)
    eventually(lambda: rests.filter(cause="web_session_suspect").exists(), "no rest")
    account.clear("olga")

    def set_aside() -> bool:
        gateway.chat("hello", stand.model)
        account.refresh_from_db()
        return account.state_cause == "cookies_expired"

    eventually(set_aside, "nobody noticed")
