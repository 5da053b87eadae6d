"""What an outcome means for health, rests and limits, and what is written down."""

from typing import Any

import pytest

from proxy.errors import Fault, Overloaded, Quota, RateLimited, StreamCut, Verdict
from proxy.scheduling.health import Rest
from proxy.scheduling.lessons import Ending, Lessons
from proxy.scheduling.quota import Limits
from proxy.scheduling.roster import Roster
from proxy.scheduling.slots import Slot
from tests.proxy.scheduling.pools import KIND, NOON, member, verdict


class Notebook:
    """Remembers what it was told to write."""

    def __init__(self) -> None:
        self.rests: list[tuple[int, Rest]] = []
        self.ended: list[tuple[int, str]] = []
        self.limits: list[tuple[int, str, Limits, str]] = []
        self.aside: list[tuple[int, str]] = []

    def begin_rest(self, account_id: int, rest: Rest) -> None:
        self.rests.append((account_id, rest))

    def end_rest(self, account_id: int, model: str) -> None:
        self.ended.append((account_id, model))

    def keep_limits(
        self, account_id: int, model: str, limits: Limits, bucket: str
    ) -> None:
        self.limits.append((account_id, model, limits, bucket))

    def set_aside(self, account_id: int, verdict: Verdict) -> None:
        self.aside.append((account_id, verdict.cause))


class Class:
    """A roster that learns; accounts are numbered from 1."""

    def __init__(self, accounts: int = 3) -> None:
        self.roster = Roster()
        members = [member(number) for number in range(1, accounts + 1)]
        self.roster.replace(members, None, NOON)
        self.notes = Notebook()
        self.lessons = Lessons(self.roster, self.notes)

    def slot(self, number: int = 1, model: str = "m") -> Slot:
        found = self.roster.slot(number, model, NOON)
        assert found is not None
        return found

    def fail(
        self,
        number: int = 1,
        now: float = NOON,
        *,
        fault: Fault | None = None,
        began: float | None = None,
        canary: bool = False,
        **fields: Any,
    ) -> None:
        at = now if began is None else began
        ending = Ending(self.slot(number), at, now, canary)
        self.lessons.failed(ending, fault or StreamCut(), verdict(**fields))

    def pass_(
        self,
        number: int = 1,
        now: float = NOON,
        *,
        canary: bool = False,
        began: float = 0,
    ) -> None:
        ending = Ending(self.slot(number), began or now, now, canary)
        self.lessons.passed(ending, 100)

    def ready(self, model: str = "m", now: float = NOON) -> set[int]:
        ready_set = self.roster.ready_set(KIND, model, now)
        ready_set.wake(now)
        if ready_set.resting(now):
            return set()
        return {s.account_id for tier in ready_set.tiers for s in tier.slots}


def quota(value: int | None = 15, **fields: Any) -> Quota:
    return Quota(**{"value": value, "period": "minute", "unit": "requests", **fields})


def test_a_429_cools_only_that_account_and_model() -> None:
    found = Class()
    found.fail(until=NOON + 30)
    assert found.ready() == {2, 3}
    assert found.ready("other") == {1, 2, 3}
    assert found.ready(now=NOON + 30) == {1, 2, 3}


def test_a_429_is_no_mark_against_health() -> None:
    found = Class()
    for _ in range(50):
        found.fail(until=NOON + 30)
    record = found.slot().health.record
    assert (record.strikes, record.success, record.failed_at) == (0, 1.0, 0.0)


def test_a_callers_fault_changes_nothing() -> None:
    found = Class()
    for _ in range(50):
        found.fail(blame="caller", scope="nothing")
    assert found.ready() == {1, 2, 3}
    assert found.slot().health.record.success == 1.0
    assert not found.notes.rests


def test_a_quota_of_the_account_rests_all_its_models() -> None:
    found = Class()
    found.fail(scope="account", until=NOON + 30)
    assert (found.ready(), found.ready("other")) == ({2, 3}, {2, 3})
    assert found.notes.rests[0][1].model == ""


def test_failures_in_a_row_bring_on_a_rest_with_its_evidence() -> None:
    found = Class()
    for second in range(2):
        found.fail(now=NOON + second, strike=True, cause="stream_cut")
    assert found.ready() == {1, 2, 3}
    found.fail(now=NOON + 2, strike=True, cause="stream_cut")
    assert found.ready() == {2, 3}
    account_id, rest = found.notes.rests[0]
    assert (account_id, rest.cause, rest.until) == (1, "stream_cut", NOON + 12)
    assert (rest.canary, rest.strikes) == (True, 3)
    assert rest.evidence.startswith("502 stream_cut: The provider's stream ended")


def test_a_canary_that_fails_makes_the_rest_longer() -> None:
    found = Class()
    for _ in range(3):
        found.fail(strike=True)
    now = NOON + 11
    found.fail(now=now, strike=True, canary=True)
    rest = found.slot().rest
    assert rest is not None
    assert (rest.until, rest.strikes) == (now + 20, 4)


def test_a_canary_that_succeeds_ends_it() -> None:
    found = Class()
    for _ in range(3):
        found.fail(strike=True)
    found.pass_(now=NOON + 11, canary=True)
    assert found.ready(now=NOON + 11) == {1, 2, 3}
    assert found.notes.ended == [(1, "m")]
    assert found.slot().health.record.strikes == 0


def test_calls_under_way_when_a_rest_began_do_not_make_it_longer() -> None:
    found = Class()
    for _ in range(40):
        found.fail(now=NOON + 1, began=NOON, strike=True)
    rest = found.slot().rest
    assert rest is not None
    assert rest.until == NOON + 11


def test_calls_under_way_when_a_rest_began_do_not_end_it() -> None:
    found = Class()
    found.fail(until=NOON + 30)
    found.pass_(now=NOON + 1, began=NOON - 5)
    assert found.ready(now=NOON + 1) == {2, 3}
    assert not found.notes.ended


def test_a_call_begun_later_ends_a_rest_but_not_an_operators() -> None:
    found = Class()
    found.fail(until=NOON + 30)
    found.pass_(now=NOON + 2, began=NOON + 1)
    assert found.ready(now=NOON + 2) == {1, 2, 3}
    by_hand = Rest(model="m", cause="operator", since=NOON, until=NOON + 90, by="olga")
    found.roster.rest(1, by_hand, NOON)
    found.pass_(now=NOON + 4, began=NOON + 3)
    assert found.ready(now=NOON + 4) == {2, 3}


def test_a_refused_credential_takes_the_account_out() -> None:
    found = Class()
    found.ready("other")
    found.fail(scope="account", attention=True, cause="leaked")
    assert (found.ready(), found.ready("other")) == ({2, 3}, {2, 3})
    assert found.notes.aside == [(1, "leaked")]
    assert found.slot().reason == "needs_attention"


class TestOverload:
    """One account's word rests only that account; several rest the model."""

    def test_one_says_so(self) -> None:
        found = Class()
        found.fail(1, scope="model", until=NOON + 5, fault=Overloaded())
        assert found.ready() == {2, 3}
        assert found.ready(now=NOON + 5) == {1, 2, 3}
        assert found.slot().health.record.strikes == 0

    def test_several_say_so(self) -> None:
        found = Class()
        found.fail(1, scope="model", until=NOON + 5)
        found.fail(2, NOON + 3, scope="model", until=NOON + 9)
        assert found.ready(now=NOON + 3) == set()
        assert found.ready("other") == {1, 2, 3}
        assert found.ready(now=NOON + 9) == {1, 2, 3}

    def test_the_same_one_twice_is_one(self) -> None:
        found = Class()
        for second in range(3):
            found.fail(1, NOON + second, scope="model", until=NOON + 5 + second)
        assert found.ready() == {2, 3}

    def test_long_after_each_other_is_not_together(self) -> None:
        found = Class()
        found.fail(1, scope="model", until=NOON + 5)
        found.fail(2, NOON + 60, scope="model", until=NOON + 65)
        assert found.ready(now=NOON + 60) == {1, 3}

    def test_the_only_account_says_so(self) -> None:
        found = Class(1)
        found.fail(1, scope="model", until=NOON + 5)
        assert found.roster.ready_set(KIND, "m", NOON).resting(NOON)

    def test_an_account_that_answers_denies_it(self) -> None:
        found = Class()
        found.pass_(3, NOON - 1)
        for number in (1, 2):
            found.fail(number, scope="model", until=NOON + 5)
        assert found.ready() == {3}

    def test_an_answer_ends_it_for_all(self) -> None:
        found = Class()
        for number in (1, 2):
            found.fail(number, scope="model", until=NOON + 5)
        assert found.ready() == set()
        found.pass_(3, NOON + 1)
        assert found.ready(now=NOON + 1) == {3}


class TestForgiving:
    """What many share is held against none."""

    def test_strikes_and_their_rests_go(self) -> None:
        found = Class()
        for number in (1, 2):
            for _ in range(3):
                found.fail(number, strike=True, scope="egress", blame="egress")
        assert found.ready() == {3}
        found.lessons.forgive([(1, "m"), (2, "m"), (9, "m"), (1, "x")], NOON + 2)
        assert found.ready() == {1, 2, 3}
        assert found.slot().health.record.success == 1.0
        assert found.notes.ended == [(1, "m"), (2, "m")]

    def test_overload_goes_too(self) -> None:
        found = Class()
        for number in (1, 2):
            found.fail(number, scope="model", until=NOON + 5)
        found.lessons.forgive([(1, "m"), (2, "m")], NOON + 1)
        assert found.ready() == {1, 2, 3}

    def test_quotas_stay(self) -> None:
        found = Class()
        found.fail(until=NOON + 30, quota=quota())
        found.lessons.forgive([(1, "m")], NOON + 1)
        assert found.ready() == {2, 3}

    def test_old_rests_stay(self) -> None:
        found = Class()
        for _ in range(4):
            found.fail(strike=True)
        found.fail(now=NOON + 30, strike=True, canary=True)
        found.lessons.forgive([(1, "m")], NOON + 60)
        assert found.ready() == {2, 3}


class TestLimits:
    """Refusals teach what an account's quotas are."""

    def test_a_quota_is_learned_and_written_once(self) -> None:
        found = Class()
        for _ in range(3):
            found.fail(quota=quota(15))
        assert found.slot().limits == Limits(rpm=15)
        assert found.slot(2).limits == Limits()
        assert found.notes.limits == [(1, "m", Limits(rpm=15), "")]

    def test_it_is_written_again_when_it_changes_or_grows_old(self) -> None:
        found = Class()
        found.fail(quota=quota(15))
        found.fail(quota=quota(20))
        found.fail(now=NOON + 100_000, quota=quota(20))
        assert [limits.rpm for _, _, limits, _ in found.notes.limits] == [15, 20, 20]

    @pytest.mark.parametrize(
        ("named", "limits"),
        [
            ({"period": "day"}, Limits(rpd=15)),
            ({"unit": "tokens"}, Limits(tpm=15)),
            ({"unit": "tokens", "period": "day"}, Limits()),
            ({"unit": ""}, Limits()),
            ({"value": None}, Limits()),
            ({"value": 0}, Limits()),
        ],
    )
    def test_what_a_quota_teaches(self, named: dict[str, Any], limits: Limits) -> None:
        found = Class()
        found.fail(quota=quota(**named))
        assert found.slot().limits == limits
        assert bool(found.notes.limits) == (limits != Limits())

    def test_one_limit_does_not_replace_another(self) -> None:
        found = Class()
        found.fail(quota=quota(15))
        found.fail(quota=quota(100, period="day"))
        assert found.slot().limits == Limits(rpm=15, rpd=100)

    def test_a_quota_of_all_models_is_the_accounts(self) -> None:
        found = Class()
        found.fail(quota=quota(15, per_model=False))
        assert found.slot(1, "other").limits == Limits(rpm=15)
        assert found.notes.limits[0][1] == ""

    def test_keys_of_one_project_rest_together(self) -> None:
        found = Class()
        for number in (1, 2):
            shown = quota(15, bucket="project")
            found.fail(number, quota=shown, fault=RateLimited(quota=shown))
        shown = quota(15, bucket="project")
        found.fail(1, quota=shown, until=NOON + 30, fault=RateLimited(quota=shown))
        assert found.ready() == {3}
        assert {number for number, _ in found.notes.rests} == {1, 2}

    def test_the_evidence_names_the_quota(self) -> None:
        found = Class()
        shown = quota(15, id="PerMinute-Free")
        fault = RateLimited(quota=shown)
        found.fail(1, quota=shown, until=NOON + 30, fault=fault)
        told = found.notes.rests[0][1].evidence
        assert told.startswith("429 rate_limit_exceeded (PerMinute-Free: 15): ")
