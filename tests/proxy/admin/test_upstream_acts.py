"""What operators do to accounts: use, rest, clear, limits."""

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Account, AccountEvent
from gemproxy.lib import clock
from proxy.scheduling.store import Store, StoredLimit
from tests.proxy.admin.test_upstream import LIST, form, run

KEY = "AIzaSyD-acted-key-0000000000000000000001"
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def account(db: None) -> Account:
    made = Account.add(kind="gemini_api", secret=KEY, label="first")
    assert made is not None
    made.move("active", cause="answered")
    return made


def save(admin: Client, account: Account, **fields: str) -> Any:
    values = form(**fields)
    if fields.get("in_use") == "":
        del values["in_use"]
    return admin.post(f"{LIST}{account.pk}/change/", values)


def cool(admin: Client, *accounts: Account, **fields: str) -> Any:
    selected = [account.pk for account in accounts]
    posted = {"action": "cool", "_selected_action": selected, **fields}
    return admin.post(LIST, posted, follow=True)


def test_the_tick_takes_an_account_out_and_puts_it_back(
    admin: Client, account: Account
) -> None:
    assert save(admin, account, in_use="").status_code == 302
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("disabled", "disabled by olga")
    save(admin, account)
    account.refresh_from_db()
    assert account.state == "new"
    assert [event.by for event in account.events.all()[:2]] == ["olga", "olga"]


def test_saving_without_a_change_moves_nothing(admin: Client, account: Account) -> None:
    before = AccountEvent.objects.count()
    save(admin, account, label="renamed")
    account.refresh_from_db()
    assert (account.state, account.label) == ("active", "renamed")
    assert AccountEvent.objects.count() == before


def test_a_tick_does_not_hide_that_an_account_needs_attention(
    admin: Client, account: Account
) -> None:
    account.move("needs_attention", cause="leaked")
    save(admin, account)
    account.refresh_from_db()
    assert account.state == "needs_attention"


def test_the_tick_shows_whether_the_account_is_in_use(
    admin: Client, account: Account
) -> None:
    page = f"{LIST}{account.pk}/change/"
    assert admin.get(page).context["adminform"].form["in_use"].value() is True
    account.disable("olga")
    assert admin.get(page).context["adminform"].form["in_use"].value() is False


def test_clearing_on_the_accounts_page_ends_its_rests(
    admin: Client, account: Account
) -> None:
    account.cool(clock.now() + HOUR, "olga")
    save(admin, account, clear_now="on")
    account.refresh_from_db()
    assert not account.cool_downs.exists()
    assert account.cleared_at is not None


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("priority", "3", 3),
        ("weight", "250", 250),
        ("concurrency", "4", 4),
        ("rpm", "15", 15),
        ("tpm", "250000", 250_000),
        ("rpd", "500", 500),
        ("tier", "free", "free"),
    ],
)
def test_scheduling_is_the_operators(
    admin: Client, account: Account, field: str, value: str, stored: Any
) -> None:
    save(admin, account, **{field: value})
    account.refresh_from_db()
    assert getattr(account, field) == stored


@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", "0"), ("weight", "1001"), ("priority", "-1"), ("rpm", "-1"),
     ("concurrency", "")],
)  # fmt: skip
def test_scheduling_out_of_bounds_is_refused(
    admin: Client, account: Account, field: str, value: str
) -> None:
    answer = save(admin, account, **{field: value})
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors


def test_an_emptied_limit_is_none_again(admin: Client, account: Account) -> None:
    save(admin, account, rpm="15")
    save(admin, account, rpm="")
    account.refresh_from_db()
    assert account.rpm is None


def test_a_new_account_asks_only_for_what_it_needs(admin: Client) -> None:
    fields = admin.get(f"{LIST}add/").context["adminform"].form.fields
    assert {"in_use", "clear_now", "weight"}.isdisjoint(fields)


def test_clearing_ends_what_was_held_against_accounts(
    admin: Client, account: Account
) -> None:
    account.cool(clock.now() + HOUR, "olga")
    account.move("needs_attention", cause="leaked")
    assert "Cleared 1 account: nothing is held" in run(admin, "clear", account).text
    account.refresh_from_db()
    assert account.state == "active"
    assert not account.cool_downs.exists()
    assert account.events.filter(state="cleared", by="olga").exists()


def test_a_rest_is_asked_for_before_it_begins(admin: Client, account: Account) -> None:
    text = cool(admin, account).text
    assert "For so many minutes" in text
    assert f'name="_selected_action" value="{account.pk}"' in text
    assert not account.cool_downs.exists()


def test_accounts_rest_for_so_many_minutes(admin: Client, account: Account) -> None:
    other = Account.add(kind="gemini_api", secret=f"{KEY}2")
    before = clock.now()
    answer = cool(admin, account, other, cooled="yes", minutes="90")
    assert "2 accounts at rest until" in answer.text
    for one in (account, other):
        found = one.cool_downs.get()
        assert before + 1.5 * HOUR <= found.until <= clock.now() + 1.5 * HOUR
        assert (found.cause, found.by) == ("operator", "olga")


def test_accounts_rest_until_a_moment(admin: Client, account: Account) -> None:
    until = (clock.now() + 5 * HOUR).replace(second=0, microsecond=0)
    cool(admin, account, cooled="yes", until=f"{until:%Y-%m-%dT%H:%M}")
    assert account.cool_downs.get().until == until


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "Give minutes or a moment."),
        ({"minutes": "5", "until": "2999-01-01T00:00"}, "Give minutes or a moment."),
        ({"minutes": "0"}, "greater than or equal to 1"),
        ({"minutes": "many"}, "Enter a whole number."),
        ({"minutes": "9999999"}, "less than or equal to"),
        ({"until": "2001-01-01T00:00"}, "to come within a year"),
        ({"until": "2999-01-01T00:00"}, "to come within a year"),
        ({"until": "soon"}, "Enter a valid date/time."),
    ],
    ids=["none", "both", "zero", "word", "too many", "past", "far", "no time"],
)
def test_a_bad_rest_is_refused_with_the_reason(
    admin: Client, account: Account, fields: dict[str, str], problem: str
) -> None:
    answer = cool(admin, account, cooled="yes", **fields)
    assert problem in answer.text
    assert "first" in answer.text
    assert not account.cool_downs.exists()


@pytest.mark.parametrize("action", ["clear", "cool"])
def test_who_may_only_look_can_neither_rest_nor_clear(
    client: Client, bob: Any, account: Account, action: str
) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_account"))
    client.force_login(bob)
    before = account.events.count()
    posted = {"action": action, "_selected_action": [account.pk]}
    client.post(LIST, {**posted, "cooled": "yes", "minutes": "5"})
    assert account.events.count() == before
    assert not account.cool_downs.exists()


def test_a_learned_limit_can_be_forgotten(admin: Client, account: Account) -> None:
    for model in ("a", "b"):
        Store().keep_limit(StoredLimit(account_id=account.pk, model=model, rpm=1))
    first, second = account.learned_limits.order_by("model")
    save(
        admin,
        account,
        **{
            "learned_limits-TOTAL_FORMS": "2",
            "learned_limits-INITIAL_FORMS": "2",
            "learned_limits-0-id": str(first.pk),
            "learned_limits-0-account": str(account.pk),
            "learned_limits-0-DELETE": "on",
            "learned_limits-1-id": str(second.pk),
            "learned_limits-1-account": str(account.pk),
        },
    )
    assert [limit.model for limit in account.learned_limits.all()] == ["b"]
