"""Cookies of web accounts as rows: given, claimed, renewed, never lost."""

import pytest
from django.db import connection

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import CLAIMED, ROTATED, UNCHANGED, load_session
from accounts.models import Account, Change
from gemproxy.lib import clock

pytestmark = pytest.mark.django_db

PSID = "g.a000SandboxSession-0001_abcdefghijklmnop"
OTHER = "g.a000SandboxSession-0002_abcdefghijklmnop"


def cookies(psidts: str = "sidts-first", psid: str = PSID) -> WebCookies:
    return WebCookies(psid=psid, psidts=psidts)


@pytest.fixture
def account() -> Account:
    made = websessions.add(cookies(), label="mine")
    assert made is not None
    return made


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = clock.now().timestamp() + seconds
    monkeypatch.setattr(websessions, "_now", lambda: now)


def test_an_account_keeps_its_cookies_encrypted(account):
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, facts FROM accounts_account")
        row = str(cursor.fetchone())
    assert PSID not in row
    assert "sidts-first" not in row
    assert websessions.session_of(fresh(account)).cookies == cookies()


def test_an_account_is_known_by_its_session_whatever_was_renewed(account):
    before = websessions.session_of(account)
    websessions.finish(account.pk, before, lambda s: s.rotated(cookies("sidts-2"), 1.0))
    assert websessions.known(cookies("sidts-3")) == account
    assert websessions.known(cookies(psid=OTHER)) is None
    assert websessions.add(cookies("sidts-4")) is None


def test_the_hint_shows_the_ends_of_the_session(account):
    assert account.secret_hint == "g.a0…mnop"


def test_an_account_is_named_by_id_or_label(account):
    assert websessions.named(str(account.pk)) == account
    assert websessions.named("mine") == account
    assert websessions.named("yours") is None
    assert websessions.named("9" * 30) is None


def test_a_label_that_several_have_is_ambiguous(account):
    websessions.add(cookies(psid=OTHER), label="mine")
    with pytest.raises(websessions.Ambiguous):
        websessions.named("mine")


def test_accounts_of_other_kinds_are_not_meant(account):
    key = Account.add(kind="gemini_api", secret="AIza" + "k" * 35, label="key")
    assert websessions.named("key") is None
    assert websessions.named(str(key.pk)) is None


def test_without_a_name_the_session_then_the_only_account_is_meant(account):
    assert websessions.chosen("", cookies("sidts-9")) == account
    assert websessions.chosen("", cookies(psid=OTHER)) == account
    websessions.add(cookies(psid=OTHER))
    assert websessions.chosen("", cookies("sidts-9")) == account
    with pytest.raises(websessions.Ambiguous):
        websessions.chosen("", cookies(psid=OTHER[:-1] + "q"))


def test_the_first_cookies_are_for_a_new_account():
    assert websessions.chosen("", cookies()) is None
    with pytest.raises(LookupError):
        websessions.chosen("nobody", cookies())


def test_new_cookies_let_an_account_work_again(account):
    account.move("needs_attention", cause="cookies_expired", advice="Paste.")
    assert websessions.replace(account.pk, cookies("sidts-new", OTHER), by="olga")
    row = fresh(account)
    session = websessions.session_of(row)
    assert (row.state, row.state_cause, row.state_advice) == ("new", "new_cookies", "")
    assert session.cookies == cookies("sidts-new", OTHER)
    assert session.version == 2
    assert websessions.known(cookies(psid=OTHER)) == row
    assert row.events.latest("id").by == "olga"


def test_new_cookies_leave_a_disabled_account_disabled(account):
    account.disable("olga")
    websessions.replace(account.pk, cookies("sidts-new"))
    assert fresh(account).state == "disabled"


def test_cookies_of_another_account_are_refused(account):
    other = websessions.add(cookies(psid=OTHER), label="other")
    with pytest.raises(ValueError, match="Another account has these cookies: other"):
        websessions.replace(account.pk, cookies(psid=OTHER))
    assert websessions.session_of(fresh(other)).cookies.psid == OTHER


def test_an_account_that_is_gone_takes_no_cookies(account):
    account.delete()
    assert websessions.replace(account.pk or 1, cookies()) is False


def test_a_change_of_cookies_is_noticed_by_running_processes(account):
    Change.objects.all().delete()
    websessions.replace(account.pk, cookies("sidts-new"))
    noted = set(Change.objects.values_list("topic", "key"))
    assert ("account", str(account.pk)) in noted


def test_pasting_a_known_session_again_renews_it(account):
    secret = websessions.WebSession(cookies=cookies("sidts-newer")).secret()
    assert websessions.renew(secret) == account
    assert websessions.session_of(fresh(account)).cookies.psidts == "sidts-newer"
    unknown = websessions.WebSession(cookies=cookies(psid=OTHER)).secret()
    assert websessions.renew(unknown) is None


def test_an_account_is_due_after_its_time_and_only_while_in_use(account, monkeypatch):
    now = clock.now().timestamp()
    assert websessions.due(now) == []
    assert websessions.due(now + 600) == [account.pk]
    account.disable("olga")
    assert websessions.due(now + 600) == []


def test_an_unreadable_secret_is_not_due(account):
    Account.objects.filter(pk=account.pk).update(secret="not a session")
    assert websessions.due(clock.now().timestamp() + 600) == []


def test_only_one_worker_claims_an_account(account, monkeypatch):
    later(monkeypatch, 600)
    first = websessions.claim(account.pk)
    assert first is not None
    assert first.cookies == cookies()
    assert websessions.claim(account.pk) is None
    assert websessions.session_of(fresh(account)).result == CLAIMED


def test_a_claim_whose_owner_died_is_free_after_a_while(account, monkeypatch):
    later(monkeypatch, 600)
    websessions.claim(account.pk)
    later(monkeypatch, 800)
    assert websessions.claim(account.pk) is not None


def test_nobody_claims_what_is_not_due(account):
    assert websessions.claim(account.pk) is None


def test_a_claim_changes_no_cookie_and_no_version(account, monkeypatch):
    before = fresh(account).secret.token
    later(monkeypatch, 600)
    websessions.claim(account.pk)
    assert fresh(account).secret.token == before


def test_renewed_cookies_are_stored_as_a_new_version(account):
    before = websessions.session_of(account)
    after = websessions.finish(
        account.pk, before, lambda s: s.rotated(cookies("sidts-2"), 5.0)
    )
    stored = websessions.session_of(fresh(account))
    assert stored == after
    assert (stored.version, stored.result, stored.rotated_at) == (2, ROTATED, 5.0)
    assert fresh(account).fingerprint == account.fingerprint


def test_renewed_cookies_never_overwrite_newer_ones(account):
    before = websessions.session_of(account)
    websessions.replace(account.pk, cookies("sidts-pasted"))
    done = websessions.finish(
        account.pk, before, lambda s: s.rotated(cookies("sidts-2"), 5.0)
    )
    assert done is None
    assert websessions.session_of(fresh(account)).cookies.psidts == "sidts-pasted"


def test_the_note_of_a_failure_keeps_the_cookies(account):
    before = websessions.session_of(account)
    websessions.finish(account.pk, before, lambda s: s.noted(UNCHANGED, 5.0))
    stored = websessions.session_of(fresh(account))
    assert (stored.cookies, stored.result, stored.failures) == (cookies(), UNCHANGED, 1)


def test_other_facts_of_an_account_survive(account):
    account.facts = {**account.facts, "note": "kept"}
    account.save()
    before = websessions.session_of(account)
    websessions.finish(account.pk, before, lambda s: s.noted(UNCHANGED, 5.0))
    websessions.replace(account.pk, cookies("sidts-new"))
    assert fresh(account).facts["note"] == "kept"


def test_cookies_of_the_environment_are_taken_in_once():
    assert websessions.take_from_environment(cookies()) == "added"
    assert websessions.take_from_environment(cookies()) == ""
    assert Account.objects.count() == 1


def test_cookies_of_the_environment_never_replace_renewed_ones():
    websessions.take_from_environment(cookies())
    account = Account.objects.get()
    before = websessions.session_of(account)
    websessions.finish(account.pk, before, lambda s: s.rotated(cookies("sidts-2"), 5.0))
    assert websessions.take_from_environment(cookies()) == ""
    assert websessions.session_of(fresh(account)).cookies.psidts == "sidts-2"


@pytest.mark.parametrize("psid", [PSID, OTHER])
def test_changed_cookies_of_the_environment_go_to_the_same_account(psid):
    websessions.take_from_environment(cookies())
    changed = cookies("sidts-changed", psid)
    assert websessions.take_from_environment(changed) == "replaced"
    assert websessions.session_of(Account.objects.get()).cookies == changed


def test_a_renewed_account_of_a_person_is_left_to_him(account):
    before = websessions.session_of(account)
    websessions.finish(account.pk, before, lambda s: s.rotated(cookies("sidts-2"), 5.0))
    assert websessions.take_from_environment(cookies()) == ""
    assert websessions.session_of(fresh(account)).cookies.psidts == "sidts-2"


def test_a_secret_that_the_admin_replaces_begins_a_new_history(account):
    before = websessions.session_of(account)
    websessions.finish(account.pk, before, lambda s: s.noted("cookies_expired", 5.0))
    row = fresh(account)
    row.set_secret(websessions.WebSession(cookies=cookies("sidts-admin")).secret())
    row.save()
    session = websessions.session_of(fresh(row))
    assert (session.result, session.failures) == ("", 0)
    assert session.pasted_at > 0
    assert load_session(fresh(row).secret.reveal()).cookies.psidts == "sidts-admin"
