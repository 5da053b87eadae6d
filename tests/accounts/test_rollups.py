"""Hourly sums of the usage log, last use, and new accounts that answered."""

import datetime
from typing import Any

import pytest
from django.db.models import Sum

from accounts import jobs, rollups
from accounts.models import (
    Account,
    Change,
    Token,
    UsageHour,
    UsageProgress,
    UsageRecord,
)
from accounts.pace import Pace
from gemproxy.lib import clock
from tests.usage import NOON, saved

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
HOUR = datetime.timedelta(hours=1)


def requests_by_hour() -> dict[int, int]:
    hours = UsageHour.objects.values_list("hour").annotate(n=Sum("requests"))
    return {hour.hour: n for hour, n in hours.order_by()}


def snapshot() -> set[tuple[Any, ...]]:
    return set(UsageHour.objects.values_list("id", "hour", *rollups.SUMS))


def test_rows_of_one_hour_and_key_become_one_sum() -> None:
    for first in (100, None):
        saved(
            token_id=1,
            user_id=2,
            account_id=3,
            prompt_tokens=10,
            cached_tokens=1,
            output_tokens=5,
            thoughts_tokens=2,
            total_tokens=17,
            images=1,
            duration_ms=400,
            first_token_ms=first,
        )
    jobs.roll_up_usage()
    row = UsageHour.objects.get()
    assert (row.hour, row.token_id, row.user_id, row.account_id) == (NOON, 1, 2, 3)
    assert {name: getattr(row, name) for name in rollups.SUMS} == {
        "requests": 2,
        "prompt_tokens": 20,
        "cached_tokens": 2,
        "output_tokens": 10,
        "thoughts_tokens": 4,
        "total_tokens": 34,
        "images": 2,
        "duration_ms": 800,
        "first_token_ms": 100,
        "first_tokens": 1,
    }


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"token_id": 2}, id="token"),
        pytest.param({"user_id": 2}, id="user"),
        pytest.param({"account_id": 2}, id="account"),
        pytest.param({"account_id": None}, id="no account"),
        pytest.param({"model_asked": "other"}, id="model"),
        pytest.param({"outcome": "fault"}, id="outcome"),
        pytest.param({"started_at": NOON + HOUR}, id="hour"),
        pytest.param({"started_at": NOON - datetime.timedelta(seconds=1)}, id="edge"),
    ],
)
def test_different_keys_are_summed_apart(other: dict[str, Any]) -> None:
    base = {"token_id": 1, "user_id": 1, "account_id": 1}
    saved(**base)
    saved(**base | other)
    jobs.roll_up_usage()
    assert list(UsageHour.objects.values_list("requests", flat=True)) == [1, 1]


def test_a_second_run_changes_nothing() -> None:
    for minute in range(0, 120, 7):
        saved(started_at=NOON + datetime.timedelta(minutes=minute))
    jobs.roll_up_usage()
    before = snapshot()
    jobs.roll_up_usage()
    assert snapshot() == before


def test_a_row_that_comes_late_is_added_to_its_hour() -> None:
    saved(started_at=NOON)
    saved(started_at=NOON + 3 * HOUR)
    jobs.roll_up_usage()
    saved(started_at=NOON + datetime.timedelta(minutes=30))
    jobs.roll_up_usage()
    assert requests_by_hour() == {12: 2, 15: 1}


def test_a_row_committed_out_of_order_is_not_missed() -> None:
    early, late = saved(), saved()
    values = UsageRecord.objects.filter(pk=early.pk).values().get()
    UsageRecord.objects.filter(pk=early.pk).delete()
    jobs.roll_up_usage()
    assert requests_by_hour() == {12: 1}
    UsageRecord.objects.create(**values)
    assert early.pk < late.pk
    jobs.roll_up_usage()
    assert requests_by_hour() == {12: 2}


def test_sums_that_have_no_rows_any_more_are_put_right() -> None:
    kept, gone = saved(token_id=1), saved(token_id=2)
    jobs.roll_up_usage()
    UsageRecord.objects.filter(pk=gone.pk).delete()
    jobs.roll_up_usage()
    assert list(UsageHour.objects.values_list("token_id", flat=True)) == [kept.token_id]


def test_slices_of_ids_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "SLICE", 4)
    monkeypatch.setattr(rollups, "OVERLAP", 1)
    UsageProgress.objects.create(pk=1, rolled_up_to=saved().pk - 1)
    monkeypatch.setattr(rollups, "UPDATES_AT_ONCE", 2)
    monkeypatch.setattr(jobs, "Pace", lambda: Pace(size=2, most=2, rest_seconds=0))
    for number in range(1, 19):
        saved(token_id=1 + number % 7, started_at=NOON + (number % 2) * HOUR)
    jobs.roll_up_usage()
    assert requests_by_hour() == {12: 10, 13: 9}
    progress = UsageProgress.objects.get()
    assert progress.rolled_up_to == UsageRecord.objects.latest("id").id


def test_rows_of_pruned_hours_are_added_and_deleted() -> None:
    saved(prompt_tokens=5, first_token_ms=9)
    jobs.roll_up_usage()
    UsageRecord.objects.all().delete()
    UsageProgress.objects.update(pruned_before=NOON + HOUR)
    saved(prompt_tokens=7, first_token_ms=1)
    saved(prompt_tokens=1, token_id=4)
    saved(started_at=NOON + HOUR)
    jobs.roll_up_usage()
    jobs.roll_up_usage()
    by_token = {
        row.token_id: (row.requests, row.prompt_tokens, row.first_tokens)
        for row in UsageHour.objects.filter(hour=NOON)
    }
    assert by_token == {None: (2, 12, 2), 4: (1, 1, 0)}
    assert UsageRecord.objects.get().started_at == NOON + HOUR


def test_two_runs_do_not_work_at_the_same_time() -> None:
    saved()
    with rollups.claimed() as mine:
        assert mine is not None
        assert jobs.roll_up_usage() == jobs.BUSY
        assert jobs.prune_usage() == jobs.BUSY
    assert jobs.roll_up_usage() == "1 hours looked at"


def test_the_claim_of_a_run_that_died_ends_by_itself() -> None:
    past = clock.now() - datetime.timedelta(seconds=1)
    UsageProgress.objects.create(pk=1, claimed_until=past)
    saved()
    assert jobs.roll_up_usage() == "1 hours looked at"


def test_a_run_that_fails_gives_its_claim_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved()

    def fail(*_: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(rollups, "_sum_hour", fail)
    with pytest.raises(ValueError, match="broken"):
        jobs.roll_up_usage()
    monkeypatch.undo()
    assert jobs.roll_up_usage() == "1 hours looked at"


def test_nothing_used_is_nothing_to_do() -> None:
    assert jobs.roll_up_usage() == "0 hours looked at"


def test_last_use_is_noted_without_a_change_notice(alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    account = Account.add(kind="gemini_api", secret="AIza" + "x" * 35, state="active")
    Change.objects.all().delete()
    saved(token_id=token.pk, account_id=account.pk, started_at=NOON)
    saved(token_id=token.pk, account_id=account.pk, started_at=NOON - HOUR)
    jobs.roll_up_usage()
    token.refresh_from_db()
    account.refresh_from_db()
    assert token.last_used_at == account.last_used_at == NOON
    assert not Change.objects.exists()


def test_last_use_never_goes_back(alice: Any) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    saved(token_id=token.pk, started_at=NOON)
    jobs.roll_up_usage()
    saved(token_id=token.pk, started_at=NOON - HOUR)
    jobs.roll_up_usage()
    token.refresh_from_db()
    assert token.last_used_at == NOON


def _account(**fields: Any) -> Account:
    made = Account.add(kind="gemini_api", secret="AIza" + "x" * 35, **fields)
    assert made is not None
    return made


LATER = clock.now() + HOUR


@pytest.mark.parametrize(
    ("state", "outcome", "at", "becomes"),
    [
        pytest.param("new", "ok", LATER, "active", id="new account that answered"),
        pytest.param("new", "fault", LATER, "new", id="new account that failed"),
        pytest.param("new", "ok", NOON - 999 * HOUR, "new", id="answered before"),
        pytest.param("disabled", "ok", LATER, "disabled", id="disabled stays so"),
        pytest.param(
            "needs_attention", "ok", LATER, "needs_attention", id="attention stays"
        ),
    ],
)
def test_new_accounts_become_active_by_an_answer(
    state: str, outcome: str, at: datetime.datetime, becomes: str
) -> None:
    account = _account(state=state)
    saved(account_id=account.pk, outcome=outcome, started_at=at)
    jobs.roll_up_usage()
    account.refresh_from_db()
    assert account.state == becomes


def test_becoming_active_is_told_and_remembered() -> None:
    account = _account()
    Change.objects.all().delete()
    saved(account_id=account.pk, started_at=LATER)
    jobs.roll_up_usage()
    assert account.events.get().state == "active"
    assert Change.objects.filter(topic="account", key=str(account.pk)).exists()
