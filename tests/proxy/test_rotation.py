"""The job that renews cookies, against an imitation of Google's sign-in."""

import asyncio
from pathlib import Path

import pytest

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import ROTATED, UNCHANGED
from accounts.models import Account
from proxy import rotation
from proxy.errors import ConnectFailed
from proxy.rotation import rotate_due
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.upstreams import web_rotation
from proxy.upstreams.web_rotation import renewed
from tests.proxy.upstreams.web_accounts import Site, served

pytestmark = pytest.mark.django_db
ROTATE = "POST accounts.google.com/RotateCookies"
NUMBERS = iter(range(1, 10_000))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(autouse=True)
def all_due(monkeypatch, settings, site):
    """Whatever was stored is long ago."""
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    moved = [0.0]

    def now():
        return websessions.clock.now().timestamp() + 600 + moved[0]

    monkeypatch.setattr(websessions, "_now", now)
    monkeypatch.setattr(rotation, "_now", now)
    return moved


def given(site: Site, behaviour: str = "ok", *, psidts: bool = True) -> Account:
    psid = sandbox_psid(behaviour, next(NUMBERS))
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid) if psidts else "")
    made = websessions.add(cookies, proxy_url=site.sandbox.proxy_url, label=behaviour)
    assert made is not None
    Account.objects.filter(pk=made.pk).update(facts={})
    return made


def session(account: Account):
    return websessions.session_of(Account.objects.get(pk=account.pk))


def state(account: Account) -> tuple[str, str]:
    row = Account.objects.get(pk=account.pk)
    return row.state, row.state_cause


def test_cookies_are_renewed_and_stored(site):
    account = given(site)
    assert rotate_due() == "1 rotated"
    kept = session(account)
    assert kept.cookies.psidts == sandbox_psidts(kept.cookies.psid, 2)
    assert kept.cookies.psidcc
    assert (kept.version, kept.result, kept.failures) == (2, ROTATED, 0)


def test_an_accounts_own_authorities_are_trusted_too(site, settings):
    settings.GEMINI_WEB_CA_FILE = ""
    account, other = given(site), given(site)
    pem = Path(site.ca_file).read_text()
    Account.objects.filter(pk=account.pk).update(ca_pem=pem)
    assert rotate_due() == "1 connection_failed, 1 rotated"
    assert session(account).result == ROTATED
    assert session(other).result == "connection_failed"


def test_renewed_cookies_work(site):
    account = given(site)
    rotate_due()
    cookies = session(account).cookies
    again = asyncio.run(
        renewed(cookies, proxy_url=site.sandbox.proxy_url, ca_file=site.ca_file)
    )
    assert again.psidts == sandbox_psidts(cookies.psid, 3)


def test_what_is_not_due_is_left_alone(site):
    given(site)
    rotate_due()
    before = site.count(ROTATE)
    assert rotate_due() == "nothing to renew"
    assert site.count(ROTATE) == before


def test_many_accounts_are_renewed_in_one_run(site):
    accounts = [given(site) for _ in range(6)]
    assert rotate_due() == "6 rotated"
    assert {session(account).result for account in accounts} == {ROTATED}


def test_one_refusal_is_tried_again_and_the_second_needs_a_person(site, all_due):
    account = given(site, "rotate401")
    assert rotate_due() == "1 cookies_expired"
    assert state(account)[0] == "new"
    all_due[0] = 61
    rotate_due()
    assert state(account) == ("needs_attention", "cookies_expired")
    row = Account.objects.get(pk=account.pk)
    assert "Firefox" in row.state_advice
    assert row.state_link.startswith("https://")


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [("rotate429", "ip_blocked"), ("rotate500", "upstream_error")],
)
def test_a_failure_that_passes_is_only_noted(site, behaviour, cause):
    account = given(site, behaviour)
    assert rotate_due() == f"1 {cause}"
    kept = session(account)
    assert (kept.result, kept.failures, kept.version) == (cause, 1, 1)
    assert state(account)[0] == "new"


def test_no_new_value_is_noticed_and_counted(site, all_due):
    account = given(site, "rotatesame")
    for round_ in range(3):
        all_due[0] = round_ * 600
        assert rotate_due() == f"1 {UNCHANGED}"
    assert (session(account).failures, session(account).version) == (3, 1)


def test_a_session_that_does_not_rotate_is_shown_to_live(site, all_due):
    account = given(site, psidts=False)
    assert rotate_due() == "1 alive"
    assert state(account)[0] == "new"


def test_a_session_that_does_not_rotate_may_be_found_dead(site, all_due):
    account = given(site, "expired", psidts=False)
    rotate_due()
    all_due[0] = 61
    rotate_due()
    assert state(account) == ("needs_attention", "cookies_expired")


def test_silence_ends_by_itself(site, monkeypatch):
    monkeypatch.setattr(web_rotation, "SECONDS", 0.3)
    account = given(site, "rotatestall")
    assert rotate_due() == "1 timeout"
    assert session(account).cookies.psidts


def test_a_dead_proxy_costs_nobody_his_cookies(site):
    account = given(site)
    Account.objects.filter(pk=account.pk).update(proxy_url="http://127.0.0.1:9")
    assert rotate_due() == "1 connection_failed"
    assert session(account).version == 1


def test_cookies_pasted_during_a_renewal_win(site, monkeypatch):
    account = given(site)
    pasted = WebCookies(psid=session(account).cookies.psid, psidts="sidts-pasted")
    settle = rotation._settle

    def settle_later(task, outcome):
        websessions.replace(account.pk, pasted)
        return settle(task, outcome)

    monkeypatch.setattr(rotation, "_settle", settle_later)
    assert rotate_due() == "1 replaced meanwhile"
    assert session(account).cookies == pasted


def test_a_worker_that_dies_in_the_middle_loses_no_cookie(site, monkeypatch, all_due):
    account = given(site)

    def dies(_task, _outcome):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_settle", dies)
        with pytest.raises(KeyboardInterrupt):
            rotate_due()
    # Google has gone on by one; what is stored is the value before, which it accepts.
    assert session(account).cookies.psidts == sandbox_psidts(
        session(account).cookies.psid
    )
    assert rotate_due() == "nothing to renew"
    all_due[0] = 130
    assert rotate_due() == "1 rotated"


async def test_a_rotation_that_google_blocks_is_a_fault_of_the_way_out(site):
    psid = sandbox_psid("rotate429", next(NUMBERS))
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid))
    with pytest.raises(ConnectFailed):
        await renewed(cookies, proxy_url=site.sandbox.proxy_url, ca_file=site.ca_file)
