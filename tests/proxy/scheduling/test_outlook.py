"""The pool can say when, how many at once, and who cannot and why."""

from typing import Any

import pytest

from proxy.scheduling.forecast import ROUND
from proxy.scheduling.health import Rest
from proxy.scheduling.outlook import EXAMPLES, Outlook, Standing
from proxy.scheduling.quota import KEPT, Limits
from proxy.scheduling.roster import Roster
from proxy.scheduling.slots import Member, Slot
from tests.proxy.scheduling.pools import KIND, NOON, member, route

TARGETS = route("m").targets
NONE: frozenset[int] = frozenset()


class Pool:
    """A roster with an outlook."""

    def __init__(self, *members: Member) -> None:
        self.roster = Roster()
        self.roster.replace(members, None, NOON)
        self.outlook = Outlook(self.roster)

    def slot(self, number: int) -> Slot:
        found = self.roster.slot(number, "m", NOON)
        assert found is not None
        return found

    def use(self, number: int, at: float = NOON) -> None:
        self.slot(number).window.count(at, 0).settle(at)
        self.slot(number).member.place(NOON)

    def rest(self, number: int, seconds: float, **fields: Any) -> None:
        base = {"model": "m", "cause": "quota_minute", "since": NOON}
        self.roster.rest(
            number, Rest(**{**base, **fields, "until": NOON + seconds}), NOON
        )

    def busy(self, number: int) -> None:
        one = self.slot(number).member
        one.in_flight = one.concurrency
        one.place(NOON)

    def earliest(self, place: int = 1, tried: frozenset[int] = NONE) -> float | None:
        return self.outlook.earliest(TARGETS, tried, place, 0, NOON)

    def explain(self) -> dict[int, Standing]:
        return {
            s.account_id: s
            for s in self.outlook.standings(self.outlook.slots(TARGETS, NOON), NOON)
        }


class TestEarliest:
    """Callers are told when the n-th slot frees."""

    def test_now_if_somebody_is_ready(self) -> None:
        pool = Pool(member(1), member(2))
        pool.rest(1, 30)
        assert [pool.earliest(place) for place in (1, 2, 99)] == [0, 0, 0]

    def test_when_the_first_rest_ends(self) -> None:
        pool = Pool(member(1), member(2))
        pool.rest(1, 30)
        pool.rest(2, 20)
        assert pool.earliest() == 20
        assert pool.earliest(tried=frozenset({2})) == 30

    def test_place_by_place_as_windows_open(self) -> None:
        pool = Pool(*(member(n, limits=Limits(rpm=2)) for n in (1, 2)))
        for number in (1, 2):
            for ago in (10, 20):
                pool.use(number, NOON - ago)
        found = [pool.earliest(place) for place in (1, 2, 3, 4, 5)]
        opens = [KEPT - 20, KEPT - 20, KEPT - 10, KEPT - 10, KEPT + ROUND - 20]
        assert found == pytest.approx(opens)

    def test_keys_of_one_project_open_once(self) -> None:
        pool = Pool(member(1), member(2))
        for number in (1, 2):
            pool.roster.learn((number, "m"), Limits(rpm=1), "project", NOON)
        pool.use(1)
        pool.roster.refresh_limits(None, NOON)
        assert pool.earliest(1) == pytest.approx(KEPT)
        assert pool.earliest(2) == pytest.approx(KEPT + ROUND)

    def test_a_spent_day_opens_at_midnight(self) -> None:
        pool = Pool(member(1, limits=Limits(rpd=1)))
        pool.use(1)
        assert pool.earliest() == 12 * 3600

    def test_nobody_knows_when_a_seat_is_free(self) -> None:
        pool = Pool(member(1, concurrency=1), member(2))
        pool.busy(1)
        pool.rest(2, 20)
        assert pool.earliest() is None
        assert pool.outlook.seats_taken(TARGETS, NONE, NOON)
        assert pool.earliest(tried=frozenset({1})) == 20
        assert not pool.outlook.seats_taken(TARGETS, {1}, NOON)

    def test_seats_that_are_free_are_counted(self) -> None:
        pool = Pool(member(1, concurrency=3))
        assert [pool.earliest(place) for place in (3, 4)] == [0, None]

    def test_accounts_that_wait_for_people_bring_nothing(self) -> None:
        pool = Pool(member(1, state="disabled"))
        assert pool.earliest() is None
        assert not pool.outlook.seats_taken(TARGETS, NONE, NOON)

    def test_a_large_request_waits_for_its_tokens(self) -> None:
        pool = Pool(*(member(n, limits=Limits(tpm=1000)) for n in (1, 2)))
        for number, ago in ((1, 10), (2, 20)):
            pool.slot(number).window.count(NOON - ago, 600).settle(NOON - ago)
        found = [
            pool.outlook.earliest(TARGETS, NONE, 1, tokens, NOON)
            for tokens in (0, 400, 500)
        ]
        assert found == pytest.approx([0, 0, KEPT - 20])

    def test_a_model_that_rests_opens_when_it_is_over(self) -> None:
        pool = Pool(member(1), member(2))
        ready_set = pool.slot(1).ready_set
        ready_set.rest = Rest(model="m", cause="overloaded", since=NOON, until=NOON + 7)
        assert pool.earliest() == 7


def test_seats_add_up_over_kinds() -> None:
    pool = Pool(member(1, concurrency=2), member(2, concurrency=3))
    assert pool.outlook.seats(TARGETS) == 5
    assert pool.outlook.seats(route("m", "n").targets) == 5
    pool.roster.put(member(3), NOON)
    assert pool.outlook.seats(TARGETS) is None


def test_reasons_are_counted_with_some_examples() -> None:
    pool = Pool(*(member(n, concurrency=1) for n in range(1, 41)))
    for number in range(1, 31):
        pool.rest(number, 30)
    pool.busy(31)
    pool.busy(32)
    found = pool.outlook.counts(TARGETS, {5, 32, 33, 99}, NOON)
    told = {reason: entry["count"] for reason, entry in found.items()}
    assert told == {"tried": 3, "quota_minute": 29, "all_seats_taken": 1, "ready": 7}
    resting = found["quota_minute"]["accounts"]
    assert len(resting) == EXAMPLES
    assert 5 not in resting
    assert found["all_seats_taken"]["accounts"] == [31]
    assert sorted(found["tried"]["accounts"]) == [5, 32, 33]


def test_a_resting_model_is_the_reason_for_all_that_are_ready() -> None:
    pool = Pool(member(1), member(2))
    pool.rest(2, 30)
    rest = Rest(model="m", cause="overloaded", since=NOON, until=NOON + 7, evidence="e")
    pool.slot(1).ready_set.rest = rest
    found = pool.outlook.counts(TARGETS, set(), NOON)
    assert set(found) == {"overloaded", "quota_minute"}
    assert (pool.explain()[1].reason, pool.explain()[1].detail) == ("overloaded", "e")
    assert pool.explain()[1].until == NOON + 7


def test_every_account_is_explained() -> None:
    pool = Pool(
        member(1, label="one"),
        member(2, state="disabled", state_cause="disabled by olga"),
        member(3, limits=Limits(rpm=4)),
        member(4),
        member(5),
    )
    pool.use(3)
    pool.slot(3).health.passed(250)
    pool.rest(4, 30, evidence="429 …", canary=True, strikes=3)
    pool.rest(5, 60, model="", cause="operator", by="olga")
    found = pool.explain()
    assert {n: s.reason for n, s in found.items()} == {
        1: "ready",
        2: "disabled",
        3: "ready",
        4: "quota_minute",
        5: "operator",
    }
    assert (found[1].label, found[1].kind, found[1].model) == ("one", KIND, "m")
    assert found[2].detail == "disabled by olga"
    assert (found[3].headroom, found[3].usage.requests) == (0.75, 1)
    assert found[3].latency_ms == 250
    assert (found[4].detail, found[4].until) == ("429 …", NOON + 30)
    assert found[4].canary
    assert (found[5].detail, found[5].until) == ("by olga", NOON + 60)
