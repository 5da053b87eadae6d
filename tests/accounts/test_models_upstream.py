"""What operators do to upstream accounts, and what is remembered of it."""

import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import Account, AccountEvent, Change, CoolDown, LearnedLimit
from gemproxy.lib import clock

SECRET = "AIzaSyA1234567890abcdefghijklmnopqrstuv"
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def account(db: None) -> Account:
    made = Account.add(kind="gemini_api", secret=SECRET)
    assert made is not None
    return made


def rest(account: Account, model: str = "m", **fields: Any) -> CoolDown:
    values = {"cause": "quota_minute", "until": clock.now() + HOUR, **fields}
    return account.cool_downs.create(model=model, **values)


def stories(account: Account) -> list[tuple[str, str, str]]:
    """Return state, cause and author of the account's events, oldest first."""
    events = account.events.order_by("id")
    return list(events.values_list("state", "cause", "by"))


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def test_a_new_account_has_no_bounds_and_an_ordinary_weight(account: Account) -> None:
    found = fresh(account)
    assert (found.priority, found.weight, found.concurrency) == (0, 100, 0)
    assert (found.rpm, found.tpm, found.rpd, found.tier) == (None, None, None, "")
    assert found.cleared_at is None


@pytest.mark.parametrize("weight", [0, 1001])
def test_a_weight_out_of_bounds_is_refused(account: Account, weight: int) -> None:
    account.weight = weight
    with pytest.raises(ValidationError, match="weight"):
        account.full_clean()


@pytest.mark.parametrize("weight", [1, 1000])
def test_a_weight_within_its_bounds_is_taken(account: Account, weight: int) -> None:
    account.weight = weight
    account.full_clean()


@pytest.mark.parametrize("state", ["disabled", "needs_attention"])
def test_enabling_puts_an_account_back(account: Account, state: str) -> None:
    account.move(state, cause="leaked", advice="Replace it.", link="https://x.org/")
    assert account.enable("olga")
    found = fresh(account)
    assert (found.state, found.state_advice, found.state_link) == ("new", "", "")
    assert stories(account)[-1] == ("new", "enabled by olga", "olga")


@pytest.mark.parametrize("state", ["new", "active"])
def test_enabling_what_is_in_use_changes_nothing(account: Account, state: str) -> None:
    account.move(state, cause="x")
    before = stories(account)
    assert not account.enable("olga")
    assert fresh(account).state == state
    assert stories(account) == before


def test_disabling_says_who_did_it(account: Account) -> None:
    assert account.disable("olga")
    found = fresh(account)
    assert (found.state, found.state_cause) == ("disabled", "disabled by olga")
    assert not account.disable("bob")
    assert stories(account) == [("disabled", "disabled by olga", "olga")]


def test_a_long_name_does_not_break_an_action(account: Account) -> None:
    by = "o" * 150
    account.disable(by)
    account.enable(by)
    assert len(fresh(account).state_cause) == 60
    assert [event[2] for event in stories(account)] == [by, by]


def test_moving_remembers_the_link_and_who_did_it(account: Account) -> None:
    link = "https://aistudio.google.com/apikey"
    account.move("needs_attention", cause="leaked", link=link, by="olga")
    assert fresh(account).state_link == link
    assert stories(account) == [("needs_attention", "leaked", "olga")]


def test_cooling_lets_the_whole_account_rest(account: Account) -> None:
    until = clock.now() + HOUR
    account.cool(until, "olga")
    (found,) = CoolDown.objects.running(clock.now())
    assert (found.model, found.cause, found.by) == ("", "operator", "olga")
    assert found.until == until
    (event,) = account.events.all()
    assert (event.state, event.until, event.by) == ("resting", until, "olga")


def test_an_operator_may_shorten_a_rest(account: Account) -> None:
    rest(account, "", until=clock.now() + 5 * HOUR, strikes=4, evidence="x")
    until = clock.now() + HOUR
    account.cool(until, "olga", cause="maintenance")
    found = account.cool_downs.get()
    assert (found.until, found.cause) == (until, "maintenance")
    assert (found.strikes, found.evidence) == (0, "")


def test_cooling_the_account_leaves_the_rests_of_models(account: Account) -> None:
    rest(account, "m")
    account.cool(clock.now() + HOUR, "olga")
    assert sorted(row.model for row in account.cool_downs.all()) == ["", "m"]


def test_clearing_ends_all_rests_of_this_account_only(account: Account) -> None:
    other = Account.add(kind="gemini_api", secret=f"{SECRET}2")
    for one in (account, other):
        rest(one, "")
        rest(one, "m")
    before = clock.now()
    account.clear("olga")
    assert not account.cool_downs.exists()
    assert other.cool_downs.count() == 2
    assert fresh(account).cleared_at >= before
    assert fresh(other).cleared_at is None
    assert stories(account) == [("cleared", "operator", "olga")]


@pytest.mark.parametrize(
    ("state", "after"),
    [("needs_attention", "active"), ("disabled", "disabled"), ("new", "new"),
     ("active", "active")],
)  # fmt: skip
def test_clearing_reopens_what_needed_attention_and_nothing_else(
    account: Account, state: str, after: str
) -> None:
    account.move(state, cause="x")
    account.clear("olga")
    assert fresh(account).state == after


def test_clearing_forgets_no_learned_limit(account: Account) -> None:
    account.learned_limits.create(model="m", rpm=15)
    account.clear("olga")
    assert account.learned_limits.exists()


@pytest.mark.parametrize(
    "write",
    [
        lambda account: rest(account),
        lambda account: account.cool_downs.get(model="kept").save(),
        lambda account: account.cool_downs.get(model="kept").delete(),
        lambda account: account.cool(clock.now() + HOUR, "olga"),
        lambda account: account.clear("olga"),
    ],
    ids=["create", "save", "delete", "cool", "clear"],
)
def test_the_change_feed_names_the_account_of_a_rest(
    account: Account, write: Any
) -> None:
    rest(account, "kept")
    Change.objects.all().delete()
    write(account)
    assert ("cool_down", str(account.pk)) in Change.objects.values_list("topic", "key")


def test_the_change_feed_names_the_account_of_a_limit(account: Account) -> None:
    Change.objects.all().delete()
    account.learned_limits.create(model="m", rpm=15)
    assert list(Change.objects.values_list("topic", "key")) == [
        ("limit", str(account.pk))
    ]


@pytest.mark.parametrize("model", [CoolDown, LearnedLimit])
def test_a_pair_has_one_row(account: Account, model: Any) -> None:
    fields = {"cause": "x", "until": clock.now()} if model is CoolDown else {}
    model.objects.create(account=account, model="m", **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(account=account, model="m", **fields)


def test_only_rests_that_are_not_over_run(account: Account) -> None:
    now = clock.now()
    rest(account, "over", until=now)
    rest(account, "running", until=now + HOUR)
    running = CoolDown.objects.running(now)
    assert [row.model for row in running] == ["running"]


def test_what_an_account_had_goes_with_it(account: Account) -> None:
    rest(account)
    account.learned_limits.create(model="m")
    account.move("active")
    account.delete()
    for model in (CoolDown, LearnedLimit, AccountEvent):
        assert not model.objects.exists()


def test_rows_say_what_they_are(account: Account) -> None:
    assert str(rest(account, "m")) == "m: quota_minute"
    assert str(rest(account, "")) == "whole account: quota_minute"
    limit = account.learned_limits.create(model="m", rpm=15, rpd=100)
    assert str(limit) == "m: 15 a minute, 100 a day"
