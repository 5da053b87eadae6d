"""Cookies come into the pool: by paste, file, environment; and how the admin shows them."""

import io
import json

import pytest
from django.core.management import call_command
from django.test import Client

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.models import Account
from proxy.admin.web_session import renewal
from proxy.demonstration import seed
from proxy.first_start import import_cookies
from proxy.importing import import_data
from proxy.imports import Where
from proxy.scheduling.account_rows import read_members

pytestmark = pytest.mark.django_db

PSID = "g.a000SandboxSession-0001_abcdefghijklmnop"
OTHER = "g.a000SandboxSession-0002_abcdefghijklmnop"
NETSCAPE = (
    "# Netscape HTTP Cookie File\n\n"
    f".google.com\tTRUE\t/\tTRUE\t0\t__Secure-1PSID\t{PSID}\n"
    ".google.com\tTRUE\t/\tTRUE\t0\t__Secure-1PSIDTS\tsidts-first\n"
)
LIST = "/admin/accounts/account/"


@pytest.fixture
def client(operator) -> Client:
    made = Client()
    made.force_login(operator)
    return made


def cookies_of(account: Account) -> WebCookies:
    return websessions.session_of(Account.objects.get(pk=account.pk)).cookies


def test_a_paste_of_several_lines_is_one_account():
    result = import_data("gemini_web", NETSCAPE, Where(label="anna"))
    (account,) = result.added
    assert (account.label, account.kind) == ("anna", "gemini_web")
    assert cookies_of(account) == WebCookies(psid=PSID, psidts="sidts-first")


def test_dashes_stand_between_accounts_and_a_bad_one_stops_nothing():
    text = f"{NETSCAPE}\n---\nnonsense\n-----\n1PSID={OTHER}\n"
    result = import_data("gemini_web", text)
    assert len(result.added) == 2
    (bad,) = result.malformed
    assert (bad.line, "No __Secure-1PSID" in bad.reason) == (2, True)


def test_a_known_session_is_renewed_by_an_import():
    (account,) = import_data("gemini_web", NETSCAPE).added
    account.move("needs_attention", cause="cookies_expired")
    again = import_data("gemini_web", NETSCAPE.replace("sidts-first", "sidts-newer"))
    assert again.added == ()
    assert [row.pk for row in again.replaced] == [account.pk]
    assert again.replaced[0].state == "new"
    assert cookies_of(account).psidts == "sidts-newer"


def test_the_command_reads_a_file_of_cookies(tmp_path):
    path = tmp_path / "cookies.txt"
    path.write_text(NETSCAPE)
    out = io.StringIO()
    call_command("import_accounts", "gemini_web", str(path), stdout=out)
    assert "1 added" in out.getvalue()
    assert "private window" in out.getvalue()
    assert PSID not in out.getvalue()


def test_a_web_account_takes_one_request_at_a_time_unless_told(settings):
    (account,) = import_data("gemini_web", NETSCAPE).added
    (member,), _ = read_members()
    assert member.concurrency == settings.GEMINI_WEB_CONCURRENCY == 1
    Account.objects.filter(pk=account.pk).update(concurrency=3)
    assert read_members()[0][0].concurrency == 3


def test_the_environment_adds_an_account_at_the_first_start(settings):
    said: list[str] = []
    settings.SECURE_1PSID, settings.SECURE_1PSIDTS = PSID, "sidts-first"
    for _ in range(2):
        import_cookies(said.append)
    assert said == ["The web account of SECURE_1PSID was added"]
    assert cookies_of(Account.objects.get()).psidts == "sidts-first"


def test_without_cookies_in_the_environment_nothing_happens():
    said: list[str] = []
    import_cookies(said.append)
    assert said == []


def test_a_damaged_cookie_in_the_environment_is_named_and_not_shown(settings):
    said: list[str] = []
    settings.SECURE_1PSID = "../secret/value"
    import_cookies(said.append)
    assert said == [
        "SECURE_1PSID: The value of __Secure-1PSID is damaged; copy it again."
    ]


def test_cookies_are_pasted_in_the_admin_and_never_shown_again(client):
    body = {"kind": "gemini_web", "lines": NETSCAPE}
    page = client.post(f"{LIST}paste/", body).content.decode()
    account = Account.objects.get()
    assert PSID not in page
    assert "sidts-first" not in page
    shown = client.get(f"{LIST}{account.pk}/change/").content.decode()
    assert PSID not in shown
    assert "Forecast" in shown
    assert "the first renewal comes ten minutes" in shown


def test_new_cookies_for_an_account_are_pasted_as_its_secret(client):
    (account,) = import_data("gemini_web", NETSCAPE).added
    account.move("needs_attention", cause="cookies_expired")
    page = client.get(f"{LIST}{account.pk}/change/").content.decode()
    assert '<textarea name="new_secret"' in page
    form = {
        "label": "anna",
        "in_use": "on",
        "new_secret": json.dumps({"1PSID": OTHER, "1PSIDTS": "sidts-new"}),
        "priority": "0",
        "weight": "100",
        "concurrency": "0",
        "new_proxy": "",
        "base_url": "",
    }
    for inline in ("cool_downs", "learned_limits", "events"):
        form |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    done = client.post(f"{LIST}{account.pk}/change/", form)
    assert done.status_code == 302, done.content.decode()
    assert cookies_of(account) == WebCookies(psid=OTHER, psidts="sidts-new")
    assert Account.objects.get().state == "new"


def test_a_secret_that_was_refused_does_not_come_back_in_the_page(client):
    (account,) = import_data("gemini_web", NETSCAPE).added
    page = client.post(f"{LIST}{account.pk}/change/", {"new_secret": "hush-hush-hush"})
    assert page.status_code == 200
    assert "hush-hush-hush" not in page.content.decode()


@pytest.mark.parametrize(
    ("result", "failures", "words"),
    [
        ("", 0, "not yet"),
        ("rotated", 0, "a week to two months"),
        ("no_new_value", 3, "3 times in a row"),
        ("cookies_expired", 1, "Cookies expired"),
    ],
)
def test_the_page_says_how_the_last_renewal_went(result, failures, words):
    (account,) = import_data("gemini_web", NETSCAPE).added
    account.facts = {"web": {"tried_at": 5.0, "result": result, "failures": failures}}
    assert words in renewal(account)


def test_an_unreadable_session_has_nothing_to_show():
    (account,) = import_data("gemini_web", NETSCAPE).added
    account.secret = "no session"
    assert renewal(account) == "-"


def test_the_demo_has_a_web_account_that_follows_its_sandbox(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    seed(8198)
    account = Account.objects.get(kind="gemini_web")
    before = cookies_of(account)
    websessions.finish(
        account.pk,
        websessions.session_of(account),
        lambda s: s.rotated(WebCookies(psid=before.psid, psidts="sidts-late"), 5.0),
    )
    seed(8298)
    again = Account.objects.get(kind="gemini_web")
    assert again.proxy_url.reveal() == "http://127.0.0.1:8298"
    assert cookies_of(again) == before


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("", "not looked at while idle yet"),
        ("alive", "yes, when last looked at while idle"),
        ("cookies_expired", "Cookies expired"),
    ],
)
def test_the_page_says_what_a_look_at_an_idle_account_showed(check, words):
    (account,) = import_data("gemini_web", NETSCAPE).added
    account.facts = {"web": {"checked_at": 5.0, "check": check}}
    assert words in str(renewal(account))
