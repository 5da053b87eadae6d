"""The look at web accounts that nobody uses, against an imitation of the site."""

import datetime

import pytest

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import ALIVE, ROTATED, UNCHANGED
from accounts.models import Account
from proxy import rotation, session_checks
from proxy.jobs import rotate_cookies
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.session_checks import check_idle
from proxy.upstreams import web_rotation
from tests.proxy.upstreams.web_accounts import PAGE, Site, served

pytestmark = pytest.mark.django_db
NUMBERS = iter(range(20_000, 30_000))
HOUR = 3600.0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings, site):
    """An hour after everything was stored; tests put it forward."""
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    moved = [HOUR]

    def now():
        return websessions.clock.now().timestamp() + moved[0]

    for module in (websessions, rotation, session_checks):
        monkeypatch.setattr(module, "_now", now)
    return moved


def given(site: Site, behaviour: str = "ok", *, psidts: bool = True) -> Account:
    psid = sandbox_psid(behaviour, next(NUMBERS))
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid) if psidts else "")
    made = websessions.add(cookies, proxy_url=site.sandbox.proxy_url, label=behaviour)
    assert made is not None
    return made


def session(account: Account):
    return websessions.session_of(Account.objects.get(pk=account.pk))


def state(account: Account) -> tuple[str, str]:
    row = Account.objects.get(pk=account.pk)
    return row.state, row.state_cause


def test_an_account_that_was_idle_for_long_is_looked_at_once(site):
    account = given(site)
    before = site.count(PAGE)
    assert check_idle() == "1 checked: alive"
    assert check_idle() == ""
    assert site.count(PAGE) == before + 1
    assert session(account).check == ALIVE
    assert session(account).checked_at
    assert state(account)[0] == "new"


def test_an_account_that_answered_lately_is_not_looked_at(site, clock):
    account = given(site)
    used = websessions.clock.now() + datetime.timedelta(seconds=HOUR - 60)
    Account.objects.filter(pk=account.pk).update(last_used_at=used)
    assert check_idle() == ""
    clock[0] += HOUR
    assert check_idle() == "1 checked: alive"


def test_a_session_that_is_over_is_found_although_its_rotation_succeeds(
    site, clock, monkeypatch
):
    account = given(site, "expired")

    async def unchanged(cookies, **_options):
        return cookies

    monkeypatch.setattr(web_rotation, "renewed", unchanged)
    assert rotate_cookies() == "1 no_new_value, 1 checked: cookies_expired"
    assert state(account)[0] == "new"
    clock[0] += 30
    assert check_idle() == ""
    clock[0] += 31
    assert check_idle() == "1 checked: cookies_expired"
    assert state(account) == ("needs_attention", "cookies_expired")
    row = Account.objects.get(pk=account.pk)
    assert "Firefox" in row.state_advice
    assert session(account).result == UNCHANGED
    clock[0] += HOUR
    assert check_idle() == ""


def test_a_refusal_that_passes_is_forgotten(site, clock):
    account = given(site, "expired")
    psid = session(account).cookies.psid
    check_idle()
    site.people.tell({"psid": psid, "behaviour": "ok"})
    clock[0] += 61
    assert check_idle() == "1 checked: alive"
    assert session(account).refusals == 0
    site.people.tell({"psid": psid, "behaviour": "expired"})
    clock[0] += HOUR
    check_idle()
    assert state(account)[0] == "new"


def test_a_new_value_is_a_sign_of_life(site):
    account = given(site)
    assert rotate_cookies() == "1 rotated"
    assert session(account).result == ROTATED
    assert session(account).check == ""


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [("pageblocked", "ip_blocked"), ("pagebroken", "upstream_error")],
)
def test_a_page_that_fails_says_nothing_of_the_account(site, clock, behaviour, cause):
    account = given(site, behaviour)
    for _ in range(3):
        assert check_idle() == f"1 checked: {cause}"
        clock[0] += HOUR
    assert state(account)[0] == "new"
    assert session(account).refusals == 0


def test_a_page_that_never_comes_is_given_up(site, monkeypatch):
    monkeypatch.setattr(web_rotation, "SECONDS", 0.3)
    given(site, "headstall")
    assert check_idle() == "1 checked: timeout"


def test_accounts_that_do_not_rotate_are_left_to_the_rotation(site):
    given(site, psidts=False)
    assert check_idle() == ""


def test_a_run_looks_at_a_few_those_that_wait_longest_first(site, monkeypatch):
    monkeypatch.setattr(session_checks, "MOST", 2)
    accounts = [given(site) for _ in range(3)]
    used = websessions.clock.now() - datetime.timedelta(days=1)
    Account.objects.filter(pk=accounts[0].pk).update(last_used_at=used)
    assert check_idle() == "2 checked: alive"
    assert [bool(session(account).check) for account in accounts] == [False, True, True]
    assert check_idle() == "1 checked: alive"


def test_accounts_out_of_use_are_left_alone(site):
    account = given(site)
    row = Account.objects.get(pk=account.pk)
    row.move(Account.State.DISABLED, cause="operator")
    assert check_idle() == ""


def test_cookies_pasted_during_a_look_are_not_judged_by_it(site, monkeypatch):
    account = given(site, "expired")
    pasted = WebCookies(psid=session(account).cookies.psid, psidts="sidts-pasted")
    settle = session_checks._settle

    def settle_later(*arguments):
        websessions.replace(account.pk, pasted)
        return settle(*arguments)

    monkeypatch.setattr(session_checks, "_settle", settle_later)
    assert check_idle() == "1 checked: replaced meanwhile"
    assert session(account).check == ""


def test_two_workers_look_at_an_account_once(site):
    account = given(site)
    assert websessions.claim_check(account.pk) is not None
    assert websessions.claim_check(account.pk) is None


def test_an_unreadable_account_hinders_nobody(site):
    broken, good = given(site), given(site)
    Account.objects.filter(pk=broken.pk).update(secret="not a session")
    assert check_idle() == "1 checked: alive"
    assert session(good).check == ALIVE
