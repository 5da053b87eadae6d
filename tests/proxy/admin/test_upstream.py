"""Upstream accounts in the admin."""

import datetime
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Account
from gemproxy.lib import clock
from tests.accounts.rows import hour

LIST = "/admin/accounts/account/"
KEY = "AIzaSyD-first-key-000000000000000000001"
OTHER = "AIzaSyD-other-key-000000000000000000002"
PROXY = "socks5://egress:hush-hush@10.0.0.9:1080"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def account(db: None) -> Account:
    Account.add(kind="gemini_api", secret=KEY, label="first", proxy_url=PROXY)
    return Account.objects.get()


def form(**fields: str) -> dict[str, str]:
    lists = {
        f"{name}-{count}_FORMS": "0"
        for name in ("cool_downs", "learned_limits", "events")
        for count in ("TOTAL", "INITIAL")
    }
    empty = {"kind": "gemini_api", "label": "", "base_url": "", "new_proxy": ""}
    scheduling = {"priority": "0", "weight": "100", "concurrency": "0"}
    return {**lists, **empty, **scheduling, "in_use": "on", **fields}


def run(admin: Client, action: str, *accounts: Account) -> Any:
    selected = [account.pk for account in accounts]
    return admin.post(
        LIST, {"action": action, "_selected_action": selected}, follow=True
    )


def test_a_new_account_is_kept_encrypted(admin: Client) -> None:
    answer = admin.post(f"{LIST}add/", form(new_secret=f" {KEY} ", new_proxy=PROXY))
    assert answer.status_code == 302
    account = Account.objects.get()
    assert (account.state, account.secret_hint) == ("new", "AIza…0001")
    assert account.secret.reveal() == KEY
    assert account.proxy_url.reveal() == PROXY
    assert KEY not in account.secret.token


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "This field is required."),
        ({"new_secret": "short"}, "20 to 200 characters"),
        ({"new_secret": "two words in this one key 1234"}, "blanks"),
        ({"new_secret": KEY, "new_proxy": "ftp://host"}, "must be a full URL"),
        ({"new_secret": KEY, "new_proxy": "10.0.0.1:80"}, "must be a full URL"),
        ({"new_secret": KEY, "base_url": "not a url"}, "Enter a valid URL."),
    ],
    ids=["no key", "short", "blank inside", "ftp proxy", "bare proxy", "bad base URL"],
)
def test_a_bad_account_is_refused_with_the_reason(
    admin: Client, fields: dict[str, str], problem: str
) -> None:
    answer = admin.post(f"{LIST}add/", form(**fields))
    assert problem in answer.text
    assert KEY not in answer.text
    assert not Account.objects.exists()


def test_a_credential_that_is_there_is_refused_by_name(
    admin: Client, account: Account
) -> None:
    answer = admin.post(f"{LIST}add/", form(new_secret=KEY))
    assert "This credential is in the pool: first." in answer.text
    assert Account.objects.count() == 1


def test_empty_secret_fields_keep_what_is_stored(
    admin: Client, account: Account
) -> None:
    admin.post(f"{LIST}{account.pk}/change/", form(label="renamed"))
    account.refresh_from_db()
    assert account.label == "renamed"
    assert account.secret.reveal() == KEY
    assert account.proxy_url.reveal() == PROXY


def test_a_new_secret_replaces_the_old_one_and_reopens_the_account(
    admin: Client, account: Account
) -> None:
    account.move("needs_attention", cause="upstream_auth")
    admin.post(f"{LIST}{account.pk}/change/", form(new_secret=OTHER))
    account.refresh_from_db()
    assert account.secret.reveal() == OTHER
    assert account.secret_hint.endswith("0002")
    assert (account.state, account.state_cause) == ("new", "new_secret")


def test_saving_the_same_secret_again_is_no_duplicate(
    admin: Client, account: Account
) -> None:
    answer = admin.post(f"{LIST}{account.pk}/change/", form(new_secret=KEY))
    assert answer.status_code == 302


def test_the_proxy_is_removed_on_demand_only(admin: Client, account: Account) -> None:
    admin.post(f"{LIST}{account.pk}/change/", form(drop_proxy="on"))
    account.refresh_from_db()
    assert not account.proxy_url


def test_the_form_shows_a_hint_and_never_the_secret(
    admin: Client, account: Account
) -> None:
    text = admin.get(f"{LIST}{account.pk}/change/").text
    assert "Stored: AIza…0001. Leave empty to keep it." in text
    assert "One is set. Leave empty to keep it." in text
    for secret in (KEY, PROXY, "hush-hush", account.secret.token, account.fingerprint):
        assert secret not in text
    assert re.search(r'<input type="password" name="new_secret"', text)


def test_trouble_comes_first_with_cause_and_advice(admin: Client) -> None:
    for number, state in enumerate(("active", "disabled", "needs_attention", "new")):
        one = Account.add(
            kind="gemini_api", secret=KEY + str(number), label=f"l-{state}"
        )
        one.move(
            state, cause="api_key_invalid" if state == "needs_attention" else "answered"
        )
    text = admin.get(LIST).text
    places = {state: text.index(f"l-{state}") for state in
              ("needs_attention", "active", "new", "disabled")}  # fmt: skip
    assert min(places.values()) == places["needs_attention"]
    assert max(places.values()) == places["disabled"]
    assert "Key refused" in text
    assert "replace it or delete the account" in text


def test_the_list_shows_the_last_day_of_each_account(
    admin: Client, account: Account
) -> None:
    quiet = Account.add(kind="gemini_api", secret=OTHER, label="quiet")
    hour(account=account, requests=1500)
    hour(account=account, requests=7, outcome="fault")
    hour(account=account, requests=99, hour=clock.now() - datetime.timedelta(hours=30))
    text = admin.get(LIST).text
    usage = f"/admin/accounts/usagerecord/?account_id={account.pk}"
    assert f'href="{usage}">1.5k</a>' in text
    assert f'href="{usage}&amp;outcome__exact=fault">7</a>' in text
    assert f"account_id={quiet.pk}" not in text


def test_the_list_has_no_query_for_each_row(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        Account.add(kind="gemini_api", secret=f"{KEY}{number}")
    with django_assert_max_num_queries(9):
        admin.get(LIST)


def test_disabling_and_enabling_are_remembered(admin: Client, account: Account) -> None:
    assert "Disabled 1 account." in run(admin, "disable", account).text
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("disabled", "disabled by olga")
    assert "Disabled 0 accounts." in run(admin, "disable", account).text
    assert "Enabled 1 account." in run(admin, "enable", account).text
    account.refresh_from_db()
    assert account.state == "new"
    assert [event.state for event in account.events.all()] == ["new", "disabled"]
    history = admin.get(f"{LIST}{account.pk}/change/").text
    assert "Disabled by olga" in history
    assert "Enabled by olga" in history


def test_enabling_leaves_working_accounts_alone(
    admin: Client, account: Account
) -> None:
    account.move("active")
    run(admin, "enable", account)
    account.refresh_from_db()
    assert account.state == "active"


@pytest.mark.parametrize("action", ["enable", "disable", "test_now"])
def test_who_may_only_look_cannot_act(
    client: Client, bob: Any, account: Account, action: str
) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_account"))
    client.force_login(bob)
    account.move("needs_attention")
    run(client, action, account)
    account.refresh_from_db()
    assert account.state == "needs_attention"


@pytest.mark.parametrize("page", ["paste/", "add/"])
def test_who_may_only_look_cannot_add(client: Client, bob: Any, page: str) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_account"))
    client.force_login(bob)
    answer = client.post(f"{LIST}{page}", {"kind": "gemini_api", "lines": KEY})
    assert answer.status_code == 403
    assert not Account.objects.exists()


def test_pasting_says_what_became_of_each_line(admin: Client, account: Account) -> None:
    assert "Paste many" in admin.get(LIST).text
    lines = f"{OTHER}\n\n# spare\n{KEY}\nnot a key at all, sorry about it\n{OTHER}9\n"
    pasted = {"kind": "gemini_api", "lines": lines, "label": "batch",
              "base_url": "http://127.0.0.1:9", "proxy_url": PROXY}  # fmt: skip
    text = admin.post(f"{LIST}paste/", pasted).text
    counts = re.findall(r"<strong>(\d+)</strong>", text)
    assert counts == ["2", "1", "1"]
    for secret in (OTHER, KEY, "hush-hush"):
        assert secret not in text
    new = Account.objects.exclude(pk=account.pk)
    assert {one.base_url for one in new} == {"http://127.0.0.1:9"}
    assert {one.proxy_url.reveal() for one in new} == {PROXY}
    assert all(one.label.startswith("batch") for one in new)


@pytest.mark.parametrize(
    "fields",
    [{"lines": ""}, {"proxy_url": "ftp://x"}, {"kind": "made-up"}, {"base_url": "x y"}],
    ids=["no lines", "bad proxy", "unknown kind", "bad base URL"],
)
def test_a_bad_paste_adds_nothing(admin: Client, fields: dict[str, str]) -> None:
    pasted = {"kind": "gemini_api", "lines": KEY, **fields}
    assert admin.post(f"{LIST}paste/", pasted).status_code == 200
    assert not Account.objects.exists()
