"""Rests, learned limits and accounts set aside, as rows."""

import dataclasses
import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from accounts.models import Account, AccountEvent, Change, CoolDown, LearnedLimit
from gemproxy.lib import clock
from proxy.jobs import clean_cool_downs
from proxy.scheduling import store as module
from proxy.scheduling.store import Store, StoredLimit, StoredRest

KEY = "AIzaSyD-kept-key-0000000000000000000001"


@pytest.fixture
def account(db: None) -> Account:
    made = Account.add(kind="gemini_api", secret=KEY)
    assert made is not None
    return made


@pytest.fixture
def store() -> Store:
    return Store()


def now() -> float:
    return clock.now().timestamp()


def rest(account: Account, seconds: float = 60, **fields: Any) -> StoredRest:
    start = fields.pop("since", now())
    values = {"model": "m", "cause": "rate_limit_exceeded", **fields}
    return StoredRest(
        account_id=account.pk, since=start, until=start + seconds, **values
    )


def stories(account: Account) -> list[tuple[str, str]]:
    """Return what the account's events say, oldest first."""
    return list(account.events.order_by("id").values_list("state", "cause"))


def topics() -> list[tuple[str, str]]:
    return list(Change.objects.order_by("id").values_list("topic", "key"))


def test_a_rest_comes_back_as_it_was_kept(store: Store, account: Account) -> None:
    kept = rest(account, strikes=3, evidence="429 from Google", by="")
    store.keep_rest(kept)
    (found,) = Store().rests()
    assert dataclasses.replace(found, since=0, until=0) == dataclasses.replace(
        kept, since=0, until=0
    )
    assert found.since == pytest.approx(kept.since, abs=0.001)
    assert found.until == pytest.approx(kept.until, abs=0.001)


def test_rests_of_models_and_of_the_account_are_apart(
    store: Store, account: Account
) -> None:
    for model in ("a", "b", ""):
        store.keep_rest(rest(account, model=model))
    assert [one.model for one in store.rests()] == ["", "a", "b"]


def test_the_rests_of_one_account_may_be_asked_for(
    store: Store, account: Account
) -> None:
    other = Account.add(kind="gemini_api", secret=f"{KEY}2")
    store.keep_rest(rest(account))
    store.keep_rest(rest(other))
    assert [one.account_id for one in store.rests(other.pk)] == [other.pk]
    assert len(store.rests()) == 2


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(60, 120, 120), (120, 60, 120), (60, 60, 60)],
    ids=["longer", "shorter", "same"],
)
def test_the_longer_of_two_rests_stays(
    store: Store, account: Account, first: int, second: int, kept: int
) -> None:
    start = now()
    store.keep_rest(rest(account, first, since=start, cause="one"))
    store.keep_rest(rest(account, second, since=start, cause="two"))
    (found,) = store.rests()
    assert found.until - start == pytest.approx(kept, abs=0.001)
    assert found.cause == ("two" if second > first else "one")


def test_a_rest_that_is_over_gives_way_to_a_shorter_one(
    store: Store, account: Account
) -> None:
    store.keep_rest(rest(account, 600, since=now() - 700, cause="old"))
    store.keep_rest(rest(account, 30, cause="new"))
    assert [one.cause for one in store.rests()] == ["new"]
    assert CoolDown.objects.count() == 1


def test_rests_that_are_over_are_not_read(store: Store, account: Account) -> None:
    store.keep_rest(rest(account, 60, since=now() - 61))
    assert store.rests() == []


def test_the_same_rest_from_two_processes_is_one_row_and_one_event(
    store: Store, account: Account
) -> None:
    kept = rest(account)
    store.keep_rest(kept)
    Change.objects.all().delete()
    Store().keep_rest(kept)
    assert CoolDown.objects.count() == 1
    assert account.events.count() == 1
    assert topics() == []


@pytest.mark.django_db(transaction=True)
def test_processes_that_keep_a_rest_at_once_make_one_row() -> None:
    account = Account.add(kind="gemini_api", secret=KEY)
    together = threading.Barrier(4, timeout=20)

    def keep(number: int) -> None:
        together.wait()
        try:
            Store().keep_rest(rest(account, 60 + number))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(keep, number) for number in range(4)]:
            done.result(20)
    (row,) = CoolDown.objects.all()
    assert (row.until - row.since).total_seconds() == pytest.approx(63, abs=0.01)
    assert account.events.count() == 1


def test_a_kept_rest_is_noticed_by_its_account(store: Store, account: Account) -> None:
    Change.objects.all().delete()
    store.keep_rest(rest(account))
    assert topics() == [("cool_down", str(account.pk))]


def test_an_ended_rest_is_over_at_once_and_noticed(
    store: Store, account: Account
) -> None:
    store.keep_rest(rest(account, model="a"))
    store.keep_rest(rest(account, model="b"))
    Change.objects.all().delete()
    store.end_rest(account.pk, "a")
    assert [one.model for one in store.rests()] == ["b"]
    assert topics() == [("cool_down", str(account.pk))]


def test_ending_what_is_over_changes_nothing(store: Store, account: Account) -> None:
    store.keep_rest(rest(account, 60, since=now() - 61))
    Change.objects.all().delete()
    store.end_rest(account.pk, "m")
    store.end_rest(account.pk, "never heard of")
    assert topics() == []


def test_a_long_rest_is_told_and_a_short_one_is_not(
    store: Store, account: Account
) -> None:
    store.keep_rest(rest(account, 9, model="short", cause="overloaded"))
    store.keep_rest(rest(account, 60, model="long", evidence="why", by=""))
    (event,) = account.events.all()
    assert (event.state, event.model, event.evidence) == ("resting", "long", "why")
    assert event.until is not None


def test_a_rest_that_grows_long_is_told_then(store: Store, account: Account) -> None:
    start = now()
    store.keep_rest(rest(account, 5, since=start))
    store.keep_rest(rest(account, 60, since=start + 5))
    store.keep_rest(rest(account, 60, since=start + 70))
    assert stories(account) == [("resting", "rate_limit_exceeded")]


def test_another_cause_is_another_story(store: Store, account: Account) -> None:
    start = now()
    store.keep_rest(rest(account, 60, since=start, cause="a"))
    store.keep_rest(rest(account, 600, since=start, cause="b"))
    assert stories(account) == [("resting", "a"), ("resting", "b")]


def test_the_same_cause_much_later_is_another_story(
    store: Store, account: Account
) -> None:
    store.keep_rest(rest(account, 60, since=now() - 3600))
    store.keep_rest(rest(account, 60))
    assert len(stories(account)) == 2


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 5000, f"bad {KEY}"])
def test_evidence_is_short_and_without_secrets(
    store: Store, account: Account, text: str
) -> None:
    store.keep_rest(rest(account, evidence=text))
    (found,) = store.rests()
    assert KEY not in found.evidence
    assert "\0" not in found.evidence
    assert 0 < len(found.evidence) <= 300


def test_names_that_are_too_long_are_cut(store: Store, account: Account) -> None:
    long = rest(account, model="m" * 500, cause="c" * 500, strikes=10**6, by="b" * 500)
    store.keep_rest(long)
    store.keep_rest(long)
    (found,) = store.rests()
    assert (len(found.model), len(found.cause), len(found.by)) == (120, 60, 150)
    store.end_rest(account.pk, "m" * 500)
    assert store.rests() == []


@pytest.mark.parametrize(
    "write",
    [
        lambda store, pk: store.keep_rest(
            StoredRest(account_id=pk, model="m", cause="c", since=0, until=now() + 60)
        ),
        lambda store, pk: store.end_rest(pk, "m"),
        lambda store, pk: store.keep_limit(
            StoredLimit(account_id=pk, model="m", rpm=1)
        ),
        lambda store, pk: store.set_aside(pk, "leaked", "Replace it.", ""),
    ],
    ids=["keep_rest", "end_rest", "keep_limit", "set_aside"],
)
@pytest.mark.django_db(transaction=True)
def test_an_account_that_was_deleted_is_passed_over(write: Any) -> None:
    account = Account.add(kind="gemini_api", secret=KEY)
    pk = account.pk
    Store().keep_rest(rest(account))
    account.delete()
    write(Store(), pk)
    assert not CoolDown.objects.exists()
    assert not LearnedLimit.objects.exists()
    assert not AccountEvent.objects.exists()


def test_a_learned_limit_comes_back(store: Store, account: Account) -> None:
    kept = StoredLimit(
        account_id=account.pk, model="m", rpm=15, tpm=250_000, rpd=500, bucket="b1"
    )
    store.keep_limit(kept)
    assert Store().limits() == [kept]
    assert Store().limits(account.pk) == [kept]
    assert Store().limits(account.pk + 1) == []
    assert ("limit", str(account.pk)) in topics()


def test_what_a_new_answer_says_nothing_about_stays(
    store: Store, account: Account
) -> None:
    known = StoredLimit(account_id=account.pk, model="m", rpm=15, bucket="b1")
    store.keep_limit(known)
    store.keep_limit(StoredLimit(account_id=account.pk, model="m", rpm=10, rpd=100))
    (found,) = store.limits()
    assert (found.rpm, found.tpm, found.rpd, found.bucket) == (10, None, 100, "b1")


def test_limits_of_models_are_apart(store: Store, account: Account) -> None:
    store.keep_limit(StoredLimit(account_id=account.pk, model="b", rpm=2))
    store.keep_limit(StoredLimit(account_id=account.pk, model="a", rpm=1))
    assert [(one.model, one.rpm) for one in store.limits()] == [("a", 1), ("b", 2)]


def test_an_account_set_aside_says_why_and_what_to_do(
    store: Store, account: Account
) -> None:
    link = "https://aistudio.google.com/apikey"
    store.set_aside(account.pk, "leaked", "Replace the key.", link)
    account.refresh_from_db()
    assert (account.state, account.state_cause) == ("needs_attention", "leaked")
    assert (account.state_advice, account.state_link) == ("Replace the key.", link)
    assert stories(account) == [("needs_attention", "leaked")]


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "http://google.com", "https://x/" + "y" * 600, ""]
)
def test_only_a_sound_link_is_shown(store: Store, account: Account, link: str) -> None:
    store.set_aside(account.pk, "leaked", "a" * 900, link)
    account.refresh_from_db()
    assert account.state_link == ""
    assert len(account.state_advice) == 300


def test_a_disabled_account_stays_disabled(store: Store, account: Account) -> None:
    account.disable("olga")
    store.set_aside(account.pk, "leaked", "", "")
    account.refresh_from_db()
    assert account.state == "disabled"


def test_rests_long_over_are_deleted_and_their_end_is_told(
    store: Store, account: Account
) -> None:
    began = now() - 3600
    store.keep_rest(rest(account, 60, since=began, model="told"))
    store.keep_rest(rest(account, 5, since=began, model="short"))
    store.keep_rest(rest(account, 60, model="running"))
    assert clean_cool_downs() == "deleted 2 rests, 0 learned limits"
    assert [row.model for row in CoolDown.objects.all()] == ["running"]
    ended = account.events.get(state="rested")
    assert (ended.model, ended.cause) == ("told", "rate_limit_exceeded")
    assert ended.at.timestamp() == pytest.approx(began + 60, abs=0.01)


def test_a_rest_just_over_is_kept_for_the_story(store: Store, account: Account) -> None:
    store.keep_rest(rest(account, 60, since=now() - 120))
    assert clean_cool_downs() == "deleted 0 rests, 0 learned limits"
    assert CoolDown.objects.exists()


def test_cleaning_is_nothing_that_pools_must_notice(
    store: Store, account: Account
) -> None:
    store.keep_rest(rest(account, 60, since=now() - 3600))
    Change.objects.all().delete()
    clean_cool_downs()
    assert topics() == []


def test_a_rest_that_began_anew_is_not_cleaned_away(
    store: Store, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep_rest(rest(account, 60, since=now() - 3600))
    locked = module._held

    def begins_anew(account_id: int) -> bool:
        monkeypatch.setattr(module, "_held", locked)
        store.keep_rest(rest(account, 60))
        return locked(account_id)

    monkeypatch.setattr(module, "_held", begins_anew)
    assert module.clean_rests(clock.now()) == 0
    assert len(store.rests()) == 1


def test_cleaning_is_done_a_few_at_a_time(
    store: Store, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLEANED_AT_ONCE", 2)
    for model in "abc":
        store.keep_rest(rest(account, 60, since=now() - 3600, model=model))
    assert module.clean_rests(clock.now()) == 2
    assert module.clean_rests(clock.now()) == 1


def test_limits_learned_long_ago_are_forgotten(store: Store, account: Account) -> None:
    for model in ("old", "new"):
        store.keep_limit(StoredLimit(account_id=account.pk, model=model, rpm=1))
    long_ago = clock.now() - module.LIMITS_KEPT - datetime.timedelta(hours=1)
    LearnedLimit.objects.filter(model="old").update(learned_at=long_ago)
    assert clean_cool_downs() == "deleted 0 rests, 1 learned limits"
    assert [one.model for one in store.limits()] == ["new"]


def test_learning_again_keeps_a_limit(store: Store, account: Account) -> None:
    limit = StoredLimit(account_id=account.pk, model="m", rpm=1)
    store.keep_limit(limit)
    LearnedLimit.objects.update(learned_at=clock.now() - datetime.timedelta(days=30))
    store.keep_limit(limit)
    clean_cool_downs()
    assert store.limits() == [limit]
