"""Gemini CLI accounts in the admin: pasted, signed in, imported by programs, shown."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.test import Client

from accounts.credentials.cli_json import CliCredential, dumped, loaded
from accounts.models import Account, Token
from gemproxy.lib import clock
from proxy import cli_sign_in
from proxy.admin.login_facts import facts_table
from proxy.admin.upstream_forms import AccountForm
from proxy.cli_logins import import_logins
from proxy.sandbox.logins import (
    CLIENT_ID,
    CLIENT_SECRET,
    project_of,
    refresh_token,
    sandbox_login,
)
from tests.proxy.sandbox.serving import Served, serve

LIST = "/admin/accounts/account/"
IMPORT = "/admin/cli-auth/import"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture
def google(served: Served, settings: Any) -> Served:
    """Let the sandbox be Google, with its OAuth client as the operator's."""
    settings.CODE_ASSIST_BASE_URL = served.url
    settings.OAUTH_TOKEN_URL = f"{served.url}/token"
    settings.GEMINI_CLI_CLIENT_ID = CLIENT_ID
    settings.GEMINI_CLI_CLIENT_SECRET = CLIENT_SECRET
    return served


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def stored(account: Account) -> CliCredential:
    account.refresh_from_db()
    return loaded(account.secret.reveal())


def login_json(behaviour: str = "ok", n: int = 1) -> str:
    return json.dumps(sandbox_login(behaviour, n))


def pasted(admin: Client, lines: str) -> str:
    form = {"kind": "code_assist", "lines": lines, "base_url": "", "label": ""}
    return admin.post(f"{LIST}paste/", form).content.decode()


def test_many_are_pasted_and_the_warning_is_there(
    admin: Client, google: Served
) -> None:
    page = admin.get(f"{LIST}paste/").content.decode()
    assert "Standard and Enterprise" in page
    page = pasted(admin, login_json(n=1) + "\n" + login_json(n=2))
    assert "<strong>2</strong> added" in page
    assert refresh_token() not in page
    assert Account.objects.filter(kind="code_assist").count() == 2


def test_a_paste_that_is_nothing_says_why(admin: Client) -> None:
    assert "not JSON" in pasted(admin, "{")
    assert "There is no JSON" in pasted(admin, "# nothing")
    assert not Account.objects.exists()


def test_a_login_is_added_by_the_form_as_well(admin: Client, google: Served) -> None:
    form = {"kind": "code_assist", "label": "ann", "new_secret": login_json()}
    answer = admin.post(f"{LIST}add/", {**form, "base_url": "", "new_proxy": ""})
    assert answer.status_code == 302
    account = Account.objects.get()
    assert loaded(account.secret.reveal()).refresh_token == refresh_token()
    assert account.state == "active"


def test_a_test_shows_who_and_where_the_account_is(
    admin: Client, google: Served
) -> None:
    (account,) = import_logins(login_json()).added
    page = admin.get(f"{LIST}{account.pk}/change/").content.decode()
    assert "not yet" in page
    admin.post(LIST, {"action": "test_now", "_selected_action": [account.pk]})
    account.refresh_from_db()
    assert account.state == "active"
    page = admin.get(f"{LIST}{account.pk}/change/").content.decode()
    for shown in (
        "ok1@sandbox.example",
        project_of(refresh_token()),
        "Gemini Code Assist Standard",
        "gemini-2.5-flash",
        "forbid the use",
    ):
        assert shown in page
    assert "_claim" not in page
    assert loaded(account.secret.reveal()).access_token not in page


@pytest.mark.parametrize(
    ("behaviour", "cause", "link"),
    [
        ("revoked", "login_expired", ""),
        ("rapt", "reauth_required", ""),
        ("consumer", "no_license", ""),
        ("license", "no_license", ""),
        ("terms", "tos_violation", "https://forms.gle"),
        ("validation", "validation_required", "https://accounts.google.com"),
        ("verify", "validation_required", "https://accounts.google.com"),
    ],
)
def test_what_is_in_the_way_is_told_with_its_page(
    admin: Client, google: Served, behaviour: str, cause: str, link: str
) -> None:
    (account,) = import_logins(login_json(behaviour)).added
    admin.post(LIST, {"action": "test_now", "_selected_action": [account.pk]})
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("needs_attention", cause)
    assert account.state_link.startswith(link)
    assert account.state_advice


def test_texts_of_googles_are_escaped() -> None:
    shown = facts_table(
        Account(
            kind="code_assist",
            facts={"email": "<b>", "ineligible": ["<i>"], "models": ["<u>"] * 50},
        )
    )
    assert not re.search("<[biu]>", shown)
    assert "and 10 more" in shown


def test_saving_the_form_keeps_a_token_that_a_job_has_just_renewed(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account,) = import_logins(login_json()).added
    renewed = dumped(replace(stored(account), access_token="ya29.renewed"))
    is_valid = AccountForm.is_valid

    def meanwhile(form: AccountForm) -> bool:
        # The form has read its row; now the job writes.
        row = Account.objects.get(pk=account.pk)
        row.set_secret(renewed)
        row.save(update_fields=["secret"])
        return is_valid(form)

    monkeypatch.setattr(AccountForm, "is_valid", meanwhile)
    lists = {
        f"{name}-{count}_FORMS": "0"
        for name in ("cool_downs", "learned_limits", "events")
        for count in ("TOTAL", "INITIAL")
    }
    form = {"label": "renamed", "base_url": "", "new_proxy": "", "in_use": "on"}
    numbers = {"priority": "0", "weight": "100", "concurrency": "0"}
    answer = admin.post(f"{LIST}{account.pk}/change/", {**lists, **form, **numbers})
    assert answer.status_code == 302
    assert stored(account).access_token == "ya29.renewed"
    assert account.label == "renamed"


# Signing in -----------------------------------------------------------------------


def consented(link: str) -> str:
    """Return what the browser's address bar shows once a person has agreed."""
    return httpx.get(link).raise_for_status().text.strip()


def begun(admin: Client) -> str:
    page = admin.post(f"{LIST}sign-in/").content.decode()
    found = re.search(r'href="([^"]+/o/oauth2/v2/auth[^"]+)"', page)
    assert found, page
    return found[1].replace("&amp;", "&")


def test_a_sign_in_ends_in_an_account_that_was_tested(
    admin: Client, google: Served
) -> None:
    address = consented(begun(admin))
    assert address.startswith("http://localhost:8085/oauth2callback?")
    answer = admin.post(f"{LIST}sign-in/", {"address": address, "label": "ann"})
    account = Account.objects.get()
    assert answer.status_code == 302
    assert urlsplit(answer["Location"]).path == f"{LIST}{account.pk}/change/"
    assert (account.label, account.state) == ("ann", "active")
    login = loaded(account.secret.reveal())
    assert login.client_id == CLIENT_ID
    assert login.email == account.facts["email"]


def test_the_page_links_only_after_a_press_and_sends_nobody_elsewhere(
    admin: Client, google: Served
) -> None:
    page = admin.get(f"{LIST}sign-in/").content.decode()
    assert "oauth2/v2/auth" not in page
    assert "Third-party apps" in page
    link = begun(admin)
    assert "code_verifier" not in link
    assert urlsplit(link).netloc == urlsplit(google.url).netloc


def test_a_sign_in_serves_once(admin: Client, google: Served) -> None:
    address = consented(begun(admin))
    admin.post(f"{LIST}sign-in/", {"address": address})
    page = admin.post(f"{LIST}sign-in/", {"address": address}).content.decode()
    assert "begin again" in page
    assert Account.objects.count() == 1


def test_an_address_of_another_sign_in_is_refused(
    admin: Client, google: Served
) -> None:
    first = consented(begun(admin))
    begun(admin)
    page = admin.post(f"{LIST}sign-in/", {"address": first}).content.decode()
    assert "another sign-in" in page
    assert not Account.objects.exists()


def test_a_bare_code_serves_as_well(admin: Client, google: Served) -> None:
    address = consented(begun(admin))
    code = httpx.URL(address).params["code"]
    admin.post(f"{LIST}sign-in/", {"address": code, "project": "my-own-project"})
    assert Account.objects.count() == 1


def test_a_sign_in_that_took_too_long_is_begun_anew(
    admin: Client, google: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_sign_in, "MINUTES", -1)
    address = consented(begun(admin))
    page = admin.post(f"{LIST}sign-in/", {"address": address}).content.decode()
    assert "too long" in page


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://localhost:8085/?error=access_denied", "access_denied"),
        ("http://localhost:8085/", "no code"),
        ("4/0Anonsense", "Credential refused|credential"),
    ],
)
def test_what_google_refuses_is_said_on_the_page(
    admin: Client, google: Served, address: str, words: str
) -> None:
    begun(admin)
    page = admin.post(f"{LIST}sign-in/", {"address": address}).content.decode()
    assert re.search(words, page)
    assert not Account.objects.exists()


def test_a_project_is_named_by_its_id(admin: Client, google: Served) -> None:
    begun(admin)
    form = {"address": "4/0A", "project": "123456"}
    page = admin.post(f"{LIST}sign-in/", form).content.decode()
    assert "not its number" in page


def test_without_an_oauth_client_the_page_says_what_to_set(
    admin: Client, settings: Any
) -> None:
    settings.GEMINI_CLI_CLIENT_ID = ""
    page = admin.post(f"{LIST}sign-in/").content.decode()
    assert "GEMINI_CLI_CLIENT_ID" in page


def test_who_may_not_add_accounts_may_not_sign_any_in(client: Client, bob: Any) -> None:
    bob.is_staff = True
    bob.save()
    client.force_login(bob)
    assert client.post(f"{LIST}sign-in/").status_code == 403


# By program -----------------------------------------------------------------------


@pytest.fixture
def token(operator: Any) -> str:
    return Token.issue(user=operator, name="t", scope=Token.Scope.OPERATOR)[1]


def imported(token: str, body: Any) -> Any:
    data = body if isinstance(body, str) else json.dumps(body)
    return Client(enforce_csrf_checks=True).post(
        IMPORT,
        data,
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"} if token else {},
    )


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "object"])
def test_a_program_imports_a_login(token: str, google: Served, as_text: bool) -> None:
    given: Any = login_json() if as_text else sandbox_login()
    answer = imported(token, {"credentials_json": given})
    account = Account.objects.get()
    assert answer.status_code == 200
    told = answer.json()
    assert told["account_id"] == account.pk
    assert (told["state"], told["account_email"]) == ("active", "ok1@sandbox.example")
    assert account.label == "cli-account-1"


def test_an_import_again_replaces_the_login_and_clears_the_trouble(
    token: str, google: Served
) -> None:
    body = {"credentials_json": sandbox_login(), "label": "mine"}
    imported(token, body)
    account = Account.objects.get()
    account.move(Account.State.NEEDS_ATTENTION, cause="login_expired")
    told = imported(token, body).json()
    assert (told["account_id"], told["state"]) == (account.pk, "active")
    assert Account.objects.get().label == "mine"


def test_an_import_tells_at_once_that_a_login_does_not_work(
    token: str, google: Served
) -> None:
    told = imported(token, {"credentials_json": sandbox_login("license")}).json()
    assert told["state"] == "needs_attention"
    assert "licence" in told["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "not JSON"),
        ([], "credentials_json"),
        ({}, "credentials_json"),
        ({"credentials_json": "{}"}, "refresh_token"),
        ({"credentials_json": {"access_token": "ya29.x"}}, "within the hour"),
        ({"credentials_json": {}, "extra": 1}, "'extra'"),
        ({"credentials_json": {}, "label": 5}, "label"),
        ({"credentials_json": {}, "label": "x" * 81}, "label"),
    ],
)
def test_a_malformed_import_is_refused_with_words(
    token: str, body: Any, words: str
) -> None:
    answer = imported(token, body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert not Account.objects.exists()


def test_strangers_and_callers_import_nothing(alice: Any) -> None:
    text = Token.issue(user=alice, name="t")[1]
    for each in ("", "gp-nonsense", text):
        answer = imported(each, {"credentials_json": sandbox_login()})
        assert answer.status_code == 401
    assert not Account.objects.exists()


def test_a_signed_in_operator_imports_with_the_forms_token(
    operator: Any, google: Served
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    body = json.dumps({"credentials_json": sandbox_login()})
    kind = "application/json"
    assert client.post(IMPORT, body, content_type=kind).status_code == 401
    client.get("/admin/")
    csrf = client.get(f"{LIST}paste/").context["csrf_token"]
    answer = client.post(
        IMPORT, body, content_type=kind, headers={"x-csrftoken": str(csrf)}
    )
    assert answer.status_code == 200


def test_only_post_imports(token: str) -> None:
    answer = Client().get(IMPORT, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 405


def test_the_network_guard_covers_the_import(token: str, settings: Any) -> None:
    settings.ADMIN_ALLOWED_IPS = ["10.0.0.0/8"]
    assert imported(token, {"credentials_json": sandbox_login()}).status_code == 403


def test_a_sign_in_ends_when_its_time_is_over() -> None:
    session = {
        "cli_sign_in": {
            "state": "s",
            "verifier": "v",
            "until": clock.now().timestamp() - 1,
        }
    }
    with pytest.raises(ValueError, match="too long"):
        cli_sign_in.finish(session, "4/0A")
    assert session == {}
