"""Half the pool is broken in ten ways, and nobody notices."""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Account, CoolDown
from proxy.models import Incident
from tests.clients.conftest import Gateway, eventually
from tests.clients.volley import FLASH, chat, mixed, statuses, volley

#: Each way to fail before the first content, with what must be known of it after:
#: the account's state and its cause, or the cause of its rest.
ASIDE = {
    "invalid": "api_key_invalid",
    "leaked": "leaked",
    "billing": "region",
    "prepay": "no_credit",
}
LIMITED = {"perminute": "quota_minute", "perday": "quota_day"}
FAILING = {"internal": "upstream_error", "html": "bad_gateway"}
BROKEN = [*LIMITED, "overloaded", *FAILING, *ASIDE, "malformed"]
PACIFIC = ZoneInfo("America/Los_Angeles")


def by_behaviour() -> dict[str, Account]:
    """Return one account of each behaviour."""
    return {a.label.rpartition("-")[0]: a for a in Account.objects.all()}


def next_midnight(at: datetime.datetime) -> datetime.datetime:
    """Return when the provider's day ends in which ``at`` lies."""
    day = at.astimezone(PACIFIC).date() + datetime.timedelta(days=1)
    return datetime.datetime.combine(day, datetime.time(), PACIFIC)


def rest_of(account: Account) -> CoolDown:
    """Return the account's rest for the model that was asked for."""
    return account.cool_downs.get(model=FLASH)


def assert_the_guilty_are_known() -> None:
    found = by_behaviour()
    for behaviour, cause in ASIDE.items():
        state = found[behaviour].state, found[behaviour].state_cause
        assert state == ("needs_attention", cause)
        assert found[behaviour].state_advice
        assert not found[behaviour].cool_downs.exists()
    for behaviour in {*LIMITED, *FAILING, "overloaded", "malformed"}:
        assert found[behaviour].state in ("new", "active"), behaviour
    for behaviour, cause in {**LIMITED, **FAILING}.items():
        assert rest_of(found[behaviour]).cause == cause
        assert found[behaviour].cool_downs.count() == 1
    minute, day = rest_of(found["perminute"]), rest_of(found["perday"])
    assert (minute.until - minute.since).total_seconds() == pytest.approx(38.6, abs=0.1)
    late = day.until - next_midnight(day.since)
    assert abs(late.total_seconds()) < 2
    for behaviour in FAILING:
        rest = rest_of(found[behaviour])
        assert rest.strikes >= 3
        assert (rest.until - rest.since).total_seconds() >= 10


def assert_the_good_are_clean() -> None:
    good = Account.objects.filter(label__startswith="ok-")
    assert good.count() == 10
    assert {account.state for account in good} <= {"new", "active"}
    assert not CoolDown.objects.filter(account__in=good).exists()
    assert not any(account.events.exists() for account in good)
    assert not Incident.objects.exists()


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [[*BROKEN, *["ok"] * 10]], ids=["ten of twenty"])
def test_two_thousand_requests_see_no_error(gateway: Gateway) -> None:
    answers = volley(gateway, mixed(2000), at_once=50)
    assert statuses(answers) == {200: 2000}
    assert all(answer.is_whole for answer in answers)

    def written() -> bool:
        states = [a.state for a in Account.objects.all()]
        return states.count("needs_attention") == len(ASIDE)

    eventually(written, "the states were not written")
    assert_the_guilty_are_known()
    assert_the_good_are_clean()


BREAKING = {
    "cut": "stream_cut",
    "cutclean": "stream_cut",
    "errormid": "overloaded",
    "stall": "timeout",
}


@pytest.mark.parametrize("accounts", [[*BREAKING, "ok", "ok"]], ids=["four break"])
def test_exactly_the_streams_that_broke_end_in_one_error_frame(
    settings: Any, gateway: Gateway
) -> None:
    settings.UPSTREAM_IDLE_SECONDS = 1
    shots = [chat("count to 9", stream=True) for _ in range(60)]
    answers = volley(gateway, shots, at_once=12)
    assert statuses(answers) == {200: 60}
    broken = [a for a in answers if '"error"' in a.text]
    for answer in answers:
        ends = answer.text.count("data: [DONE]"), answer.text.count('data: {"error"')
        assert ends == ((0, 1) if answer in broken else (1, 0))
        assert ('"finish_reason":"stop"' in answer.text) is (answer not in broken)
    assert_each_breach_is_in_its_own_row(gateway, len(broken))


def assert_each_breach_is_in_its_own_row(gateway: Gateway, broken: int) -> None:
    label = {a.pk: a.label.rpartition("-")[0] for a in Account.objects.all()}
    rows = [(label[row.account_id], row.outcome, row.cause) for row in gateway.rows()]
    assert len(rows) == 60
    faults = [(name, cause) for name, outcome, cause in rows if outcome == "fault"]
    assert len(faults) == broken
    assert set(faults) == set(BREAKING.items())
    assert {name for name, outcome, _ in rows if outcome == "ok"} == {"ok"}
    assert not Account.objects.filter(state="needs_attention").exists()
    assert_no_rest_of("ok")


def assert_no_rest_of(behaviour: str) -> None:
    rests = CoolDown.objects.filter(account__label__startswith=f"{behaviour}-")
    assert not rests.exists()
