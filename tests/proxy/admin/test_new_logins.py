"""New Gemini CLI logins are tried as soon as they are stored, within bounds."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, Token
from proxy.admin import probe
from proxy.cli_logins import import_logins
from proxy.jobs import renew_logins
from proxy.sandbox.logins import CLIENT_ID, CLIENT_SECRET, sandbox_login
from proxy.sandbox.web_authority import Authority
from proxy.upstreams.base import AccountConfig, Timeouts
from proxy.upstreams.code_assist import CodeAssist
from tests.proxy.sandbox.serving import Served, serve

LIST = "/admin/accounts/account/"
PEM = Authority(["localhost"]).pem.decode()
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture
def google(served: Served, settings: Any) -> Served:
    settings.CODE_ASSIST_BASE_URL = served.url
    settings.OAUTH_TOKEN_URL = f"{served.url}/token"
    settings.GEMINI_CLI_CLIENT_ID = CLIENT_ID
    settings.GEMINI_CLI_CLIENT_SECRET = CLIENT_SECRET
    return served


@pytest.fixture
def away(settings: Any) -> None:
    """Nobody listens where Google should be."""
    settings.CODE_ASSIST_BASE_URL = "http://127.0.0.1:9"
    settings.OAUTH_TOKEN_URL = "http://127.0.0.1:9/token"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def many(*behaviours: str) -> str:
    logins = [sandbox_login(each, n) for n, each in enumerate(behaviours, 1)]
    return json.dumps(logins)


def pasted(admin: Client, lines: str, **fields: Any) -> str:
    form = {"kind": "code_assist", "lines": lines, **fields}
    return admin.post(f"{LIST}paste/", form).text


def states() -> list[tuple[str, str]]:
    return list(Account.objects.values_list("state", "state_cause"))


def test_a_paste_ends_with_each_logins_real_state(
    admin: Client, google: Served
) -> None:
    page = pasted(admin, many("ok", "revoked", "consumer"))
    assert states() == [
        ("active", ""),
        ("needs_attention", "login_expired"),
        ("needs_attention", "no_license"),
    ]
    assert "It works" in page
    assert page.count("Needs attention") >= 2
    found = Account.objects.order_by("id").first()
    assert found is not None
    assert found.facts["email"] == "ok1@sandbox.example"
    assert found.facts["project"].startswith("sandbox-")
    assert found.facts["checked_at"]


def test_what_nobody_could_look_at_stays_new_and_says_who_will(
    admin: Client, away: None
) -> None:
    page = pasted(admin, many("ok"))
    assert "renew logins" in page
    assert states() == [("new", "")]


def test_a_program_hears_the_same(operator: Any, away: None) -> None:
    token = Token.issue(user=operator, name="t", scope=Token.Scope.OPERATOR)[1]
    answer = Client().post(
        "/admin/cli-auth/import",
        json.dumps({"credentials_json": sandbox_login()}),
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"},
    )
    told = answer.json()
    assert answer.status_code == 200
    assert told["state"] == "new"
    assert told["account_email"] == ""
    assert "renew logins" in told["message"]


def test_the_job_finds_what_the_import_could_not(
    admin: Client, served: Served, settings: Any, away: None
) -> None:
    pasted(admin, many("ok"))
    settings.CODE_ASSIST_BASE_URL = served.url
    settings.OAUTH_TOKEN_URL = f"{served.url}/token"
    assert renew_logins() == "1 looked at"
    assert states() == [("active", "")]


def test_the_form_of_one_account_tries_it_too(admin: Client, google: Served) -> None:
    form = {"kind": "code_assist", "new_secret": many("license"), "label": "ann"}
    answer = admin.post(f"{LIST}add/", form, follow=True)
    assert states() == [("needs_attention", "no_license")]
    assert "licence" in answer.text


class Slow:
    """Counts who is asked at the same moment; each takes ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = self.asked = 0

    async def probe(
        self, _adapter: Any, _account: AccountConfig, _timeouts: Timeouts
    ) -> list[str]:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
            return ["gemini-2.5-flash"]
        finally:
            self.now -= 1


def slowed(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Slow:
    slow = Slow(seconds)

    async def asked(adapter: Any, account: AccountConfig, timeouts: Timeouts) -> Any:
        return await slow.probe(adapter, account, timeouts)

    monkeypatch.setattr(CodeAssist, "probe", asked)
    return slow


def test_many_are_tried_side_by_side_but_not_all_at_once(
    google: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = slowed(monkeypatch, 0.05)
    accounts = list(import_logins(many(*["ok"] * 30)).added)
    tested = probe.try_new("code_assist", accounts)
    assert [verdict.passed for _, verdict in tested] == [True] * 30
    assert (slow.asked, slow.most) == (30, probe.AT_ONCE)
    assert {account.state for account, _ in tested} == {"active"}


def test_all_of_them_have_one_bound_and_the_rest_is_left_to_the_job(
    google: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = slowed(monkeypatch, 60)
    monkeypatch.setattr(probe, "ALL_SECONDS", 0.3)
    accounts = list(import_logins(many(*["ok"] * 10)).added)
    tested = probe.try_new("code_assist", accounts)
    assert (slow.asked, slow.now) == (probe.AT_ONCE, 0)
    texts = {verdict.text for _, verdict in tested}
    assert texts == {f"There was no time to test it. {probe.LATER}"}
    assert {state for state, _ in states()} == {"new"}


def test_one_that_takes_too_long_stops_nobody_else(
    google: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "LOGIN_SECONDS", 0.2)
    slowed(monkeypatch, 60)
    accounts = list(import_logins(many("ok", "ok")).added)
    tested = probe.try_new("code_assist", accounts)
    assert all(probe.LATER in verdict.text for _, verdict in tested)
    assert Account.objects.filter(events__cause="test_timeout").count() == 2


def test_other_kinds_are_tried_on_demand_only(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account.add(kind="xai", secret="xai-" + "k" * 40)
    assert account is not None
    assert probe.try_new("xai", [account]) == []
    assert probe.try_new("abacus", [account]) == []


# What is said of the way -----------------------------------------------------------


def test_a_paste_takes_authorities_and_a_priority(
    admin: Client, google: Served
) -> None:
    form = {"kind": "xai", "lines": "xai-" + "k" * 40, "ca_pem": PEM, "priority": "7"}
    page = admin.post(f"{LIST}paste/", form).text
    assert "<strong>1</strong> added" in page
    account = Account.objects.get()
    assert (account.ca_pem, account.priority) == (PEM, 7)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ca_pem": "nonsense"}, "no certificate in PEM"),
        ({"ca_pem": PEM + "-----BEGIN PRIVATE KEY-----\nAA\n"}, "private key"),
        ({"priority": "-1"}, "greater than or equal to 0"),
        ({"priority": "99999"}, "less than or equal to 32767"),
    ],
)
def test_a_paste_refuses_what_cannot_be_used(
    admin: Client, fields: dict[str, str], words: str
) -> None:
    assert words in pasted(admin, many("ok"), **fields)
    assert not Account.objects.exists()


def changed(admin: Client, account: Account, **fields: str) -> Any:
    lists = {
        f"{name}-{count}_FORMS": "0"
        for name in ("cool_downs", "learned_limits", "events")
        for count in ("TOTAL", "INITIAL")
    }
    form = {"label": "a", "in_use": "on", "priority": "0", "weight": "100"}
    given = {**lists, **form, "concurrency": "0", **fields}
    return admin.post(f"{LIST}{account.pk}/change/", given, follow=True)


def test_an_accounts_own_authorities_are_set_shown_and_removed(admin: Client) -> None:
    account = Account.add(kind="xai", secret="xai-" + "k" * 40)
    assert account is not None
    assert "no certificate in PEM" in changed(admin, account, ca_pem="x").text
    changed(admin, account, ca_pem=PEM.replace("\n", "\r\n"))
    account.refresh_from_db()
    assert account.ca_pem == PEM
    page = admin.get(f"{LIST}{account.pk}/change/").text
    assert "own CA: CN gemproxy sandbox CA, until " in page
    assert "Own CA" in admin.get(LIST).text
    changed(admin, account, ca_pem="")
    account.refresh_from_db()
    assert account.ca_pem == ""
    assert "own CA:" not in admin.get(f"{LIST}{account.pk}/change/").text


def test_damaged_authorities_do_not_break_the_page(admin: Client) -> None:
    account = Account.add(kind="xai", secret="xai-" + "k" * 40, ca_pem="damaged")
    assert account is not None
    assert "it cannot be read" in admin.get(f"{LIST}{account.pk}/change/").text
