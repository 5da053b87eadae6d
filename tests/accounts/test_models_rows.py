"""Tokens, plans, people and upstream accounts as rows."""

import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection

from accounts import tokens
from accounts.models import Account, Change, Plan, Token, User
from accounts.models.plans import validate_patterns
from accounts.models.upstream import fingerprint
from gemproxy.lib import clock

SECRET = "AIzaSyA1234567890abcdefghijklmnopqrstuv"


def add(secret: str = SECRET, **fields: Any) -> Account:
    account = Account.add(kind="gemini_api", secret=secret, **fields)
    assert account is not None
    return account


def test_the_text_of_a_token_is_stored_nowhere(alice: User) -> None:
    _, text = Token.issue(user=alice, name="laptop")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_token")
        row = str(cursor.fetchone())
    assert text not in row
    assert text[11:] not in row
    assert tokens.prefix(text) in row


def test_a_token_shows_its_name_and_first_characters(alice: User) -> None:
    token, text = Token.issue(user=alice, name="laptop")
    assert str(token) == f"laptop ({text[:11]}…)"


def test_a_token_may_be_given_its_text(operator: User) -> None:
    given = "4f0c2a9e7b1d8365" * 2
    token, text = Token.issue(user=operator, name="env", text=given, scope="operator")
    assert text == given
    assert token.digest != given


def test_only_staff_may_hold_an_operator_token(alice: User) -> None:
    with pytest.raises(ValueError, match="Only staff"):
        Token.issue(user=alice, name="t", scope="operator")
    assert not Token.objects.exists()


def test_the_state_of_a_token_follows_time_and_revocation(alice: User) -> None:
    token, _ = Token.issue(user=alice, name="t")
    assert token.state == "active"
    token.expires_at = clock.now() + datetime.timedelta(hours=1)
    assert token.state == "active"
    token.expires_at = clock.now()
    assert token.state == "expired"
    token.revoke()
    assert token.state == "revoked"


def test_revoking_twice_keeps_the_first_time(alice: User) -> None:
    token, _ = Token.issue(user=alice, name="t")
    token.revoke()
    first = Token.objects.get().revoked_at
    Change.objects.all().delete()
    token.revoke()
    assert Token.objects.get().revoked_at == first
    assert not Change.objects.exists()


def test_usable_tokens_are_neither_ended_nor_of_ended_people(
    alice: User, bob: User
) -> None:
    now = clock.now()
    hour = datetime.timedelta(hours=1)
    good, _ = Token.issue(user=alice, name="good", expires_at=now + hour)
    Token.issue(user=alice, name="expired", expires_at=now)
    Token.issue(user=alice, name="revoked", revoked_at=now)
    Token.issue(user=bob, name="switched off")
    bob.is_active = False
    bob.save()
    assert list(Token.objects.usable(now)) == [good]


def test_there_is_one_default_plan(db: None) -> None:
    first = Plan.objects.create(name="first", is_default=True)
    second = Plan.objects.create(name="second", is_default=True)
    first.refresh_from_db()
    assert not first.is_default
    assert Plan.objects.get(is_default=True) == second
    second.save()
    assert Plan.objects.get(is_default=True) == second


def test_a_plan_becomes_plain_limits(db: None) -> None:
    plan = Plan.objects.create(
        name="p", requests_per_minute=5, concurrency=2, models=["gemini-*"]
    )
    limits = Plan.objects.get(pk=plan.pk).limits()
    assert (limits.requests_per_minute, limits.concurrency) == (5, 2)
    assert limits.models == ("gemini-*",)


@pytest.mark.parametrize("value", [[], ["gemini-*"], ["a", "b"]])
def test_patterns_are_texts(value: Any) -> None:
    validate_patterns(value)


@pytest.mark.parametrize("value", ["gemini-*", [""], [1], {"a": 1}, None])
def test_what_are_no_patterns_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        validate_patterns(value)


def test_a_deleted_plan_leaves_its_people_and_tokens(alice: User) -> None:
    plan = Plan.objects.create(name="p")
    alice.plan = plan
    alice.save()
    token, _ = Token.issue(user=alice, name="t", plan=plan)
    plan.delete()
    token.refresh_from_db()
    alice.refresh_from_db()
    assert (token.plan, alice.plan) == (None, None)


def test_an_account_shows_only_the_ends_of_its_secret(db: None) -> None:
    account = add()
    assert account.secret_hint == f"{SECRET[:4]}…{SECRET[-4:]}"
    assert SECRET not in f"{account} {account!r} {account.__dict__}".replace(
        "'secret': '" + SECRET, ""
    )
    assert SECRET not in str(Account.objects.get().__dict__)


def test_the_same_credential_is_not_added_twice(db: None) -> None:
    add(label="first")
    assert Account.add(kind="gemini_api", secret=SECRET, label="second") is None
    assert Account.objects.get().label == "first"


def test_the_same_credential_is_recognised_after_a_change_of_secret_key(
    settings: Any, db: None
) -> None:
    # Once: the fingerprint is keyed with SECRET_KEY alone; after a rotation every key
    # of GEMINI_API_KEYS enters the pool a second time at the next start.
    add()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-" + "x" * 40
    assert Account.add(kind="gemini_api", secret=SECRET) is None


def test_two_who_add_the_same_credential_at_once_make_one(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: the check and the insert are apart, and the loser sees IntegrityError.
    add()
    monkeypatch.setattr(
        "accounts.models.changes.WatchedQuerySet.exists", lambda _: False
    )
    try:
        again = Account.add(kind="gemini_api", secret=SECRET)
    except IntegrityError:
        pytest.fail("the race was lost with an IntegrityError")
    assert again is None


def test_a_fingerprint_hides_the_secret_and_depends_on_the_kind() -> None:
    assert SECRET not in fingerprint("gemini_api", SECRET)
    assert fingerprint("gemini_api", SECRET) != fingerprint("xai", SECRET)


def test_moving_an_account_remembers_why(db: None) -> None:
    account = add()
    before = account.state_since
    assert account.move("needs_attention", cause="leaked", advice="Replace it.")
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("needs_attention", "leaked")
    assert account.state_since > before
    (event,) = account.events.all()
    assert (event.state, event.cause, event.advice) == (
        "needs_attention",
        "leaked",
        "Replace it.",
    )
    assert str(event) == "needs_attention leaked"


def test_moving_to_where_it_is_changes_nothing(db: None) -> None:
    account = add()
    account.move("disabled", cause="by hand")
    Change.objects.all().delete()
    assert not account.move("disabled", cause="by hand")
    assert account.events.count() == 1
    assert not Change.objects.exists()


def test_an_accounts_name_is_its_label_or_its_hint(db: None) -> None:
    account = add(label="team key")
    assert str(account) == "team key"
    account.label = ""
    assert str(account) == f"gemini_api {account.secret_hint}"
