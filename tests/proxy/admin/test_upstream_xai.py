"""Accounts of xAI in the admin and in scripts: added, pasted, tested."""

import io
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import Account
from proxy.sandbox.app import create_sandbox
from proxy.sandbox.xai_faults import xai_key
from proxy.upstreams.http import Clients
from tests.proxy.admin.test_upstream import LIST, form, run

KEY, OTHER = xai_key("ok", 1), xai_key("ok", 2)
GOOGLES = "AIzaSyD-first-key-000000000000000000001"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def sandboxed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Let all that goes out end in a sandbox of this process."""
    settings.XAI_BASE_URL = "http://box/api.x.ai"
    sandbox = create_sandbox()
    monkeypatch.setattr(
        Clients, "transport", lambda *_: httpx.ASGITransport(app=sandbox)
    )


def test_an_account_is_added_by_its_key(admin: Client) -> None:
    assert 'value="xai"' in admin.get(f"{LIST}add/").text
    fields = form(kind="xai", label="mine", new_secret=KEY)
    assert admin.post(f"{LIST}add/", fields).status_code == 302
    account = Account.objects.get()
    assert (account.kind, account.secret.reveal()) == ("xai", KEY)
    page = admin.get(f"{LIST}{account.pk}/change/").text
    assert "xAI key" in page
    assert KEY not in page


def test_a_key_of_googles_is_none_of_xais(admin: Client) -> None:
    fields = form(kind="xai", new_secret=GOOGLES)
    answer = admin.post(f"{LIST}add/", fields)
    assert "begins with" in answer.text
    assert GOOGLES not in answer.text
    assert not Account.objects.exists()


def test_many_are_pasted(admin: Client) -> None:
    pasted = {"kind": "xai", "lines": f"{KEY}\n{GOOGLES}\n{OTHER}\n{KEY}\n"}
    text = admin.post(f"{LIST}paste/", pasted).text
    assert "begins with" in text
    assert set(Account.objects.values_list("kind", flat=True)) == {"xai"}
    assert Account.objects.count() == 2
    assert KEY not in text


@pytest.mark.django_db
def test_a_script_imports_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # The command reads bytes or text, whichever it prefers.
    data = f"# of the team\n{KEY}\n{OTHER}\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    call_command("import_accounts", "xai", "-", "--label", "team")
    labels = Account.objects.order_by("id").values_list("label", flat=True)
    assert list(labels) == ["team 1", "team 2"]


@pytest.mark.parametrize(
    ("behaviour", "said"), [("ok", "models"), ("invalid", "xAI does not know this key")]
)
def test_one_is_tested_by_listing_its_models(
    admin: Client, sandboxed: None, behaviour: str, said: str
) -> None:
    account = Account.add(kind="xai", secret=xai_key(behaviour))
    assert account is not None
    answer = run(admin, "test_now", account)
    assert said in answer.text
