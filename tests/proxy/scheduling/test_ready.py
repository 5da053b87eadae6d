"""Ready slots are found without a look at the others."""

import random

import pytest

from proxy.scheduling.health import Rest
from proxy.scheduling.quota import Limits
from proxy.scheduling.ready import SPARE, ReadySet
from proxy.scheduling.slots import (
    CANARY,
    DAY_LIMIT,
    MINUTE_LIMIT,
    SEATS,
    Slot,
    obstacle,
)
from tests.proxy.scheduling.pools import NOON, member, slots_of

NONE: frozenset[int] = frozenset()


def rest(until: float, *, cause: str = "quota_minute", canary: bool = False) -> Rest:
    return Rest(model="m", cause=cause, since=NOON, until=until, canary=canary)


def ready(ready_set: ReadySet) -> set[int]:
    return {slot.account_id for tier in ready_set.tiers for slot in tier.slots}


def lie_down(slot: Slot, until: float, *, canary: bool = False) -> None:
    slot.rest = rest(until, canary=canary)
    slot.ready_set.place(slot, NOON)


def test_a_resting_slot_leaves_and_comes_back_by_itself() -> None:
    ready_set, slots = slots_of(3)
    lie_down(slots[1], NOON + 10)
    assert ready(ready_set) == {1, 3}
    assert not ready_set.wake(NOON + 9)
    assert ready(ready_set) == {1, 3}
    assert ready_set.wake(NOON + 10)
    assert ready(ready_set) == {1, 2, 3}
    assert slots[1].rest is None


def test_a_rest_that_became_longer_is_not_ended_by_the_shorter_time() -> None:
    ready_set, (slot,) = slots_of(1)
    lie_down(slot, NOON + 10)
    lie_down(slot, NOON + 20)
    assert not ready_set.wake(NOON + 15)
    assert ready_set.wake(NOON + 20)


def test_one_canary_passes_when_a_rest_from_failures_is_over() -> None:
    ready_set, (slot,) = slots_of(1)
    lie_down(slot, NOON + 10, canary=True)
    assert ready_set.wake(NOON + 10)
    assert slot.half_open
    slot.canary_out = True
    ready_set.place(slot, NOON + 11)
    assert slot.reason == CANARY
    assert ready(ready_set) == set()


def full(slot: Slot) -> None:
    slot.member.concurrency, slot.member.in_flight = 1, 1


def used_up(slot: Slot, limits: Limits) -> None:
    slot.limits = limits
    slot.window.count(NOON, 0).settle(NOON)


@pytest.mark.parametrize(
    ("change", "reason", "seconds"),
    [
        (lambda s: setattr(s.member, "state", "disabled"), "disabled", None),
        (lambda s: setattr(s.member, "config", None), "needs_attention", None),
        (lambda s: setattr(s, "rest", rest(NOON + 5)), "quota_minute", 5),
        (lambda s: setattr(s.member, "rest", rest(NOON + 9)), "quota_minute", 9),
        (full, SEATS, None),
        (lambda s: used_up(s, Limits(rpm=1)), MINUTE_LIMIT, 60.25),
        (lambda s: used_up(s, Limits(rpd=1)), DAY_LIMIT, 12 * 3600),
    ],
)
def test_a_slot_is_out_for(change: object, reason: str, seconds: float | None) -> None:
    ready_set, (slot,) = slots_of(1)
    assert callable(change)
    change(slot)
    assert not ready_set.place(slot, NOON)
    assert slot.reason == reason
    until = None if seconds is None else NOON + seconds
    assert slot.until == (until if until is None else pytest.approx(until))
    assert list(ready_set.out_for(reason)) == [1]
    assert dict(ready_set.out()) == {reason: {1: slot}}


def test_the_longer_of_two_rests_holds() -> None:
    _, (slot,) = slots_of(1)
    slot.rest = rest(NOON + 5)
    slot.member.rest = rest(NOON + 9, cause="operator")
    assert obstacle(slot, NOON) == ("operator", NOON + 9)
    slot.rest = rest(NOON + 50)
    assert obstacle(slot, NOON) == ("quota_minute", NOON + 50)
    assert obstacle(slot, NOON + 60) is None
    assert (slot.rest, slot.member.rest) == (None, None)


def test_lower_numbers_come_first() -> None:
    ready_set, _ = slots_of(0)
    for number, priority in enumerate((5, 0, 5, 2), 1):
        one = Slot(
            member(number, priority=priority), "m", ready_set, slots_of(1)[1][0].window
        )
        ready_set.add(one, NOON)
    found = [[s.account_id for s in tier.slots] for tier in ready_set.tiers]
    assert found == [[2], [4], [1, 3]]
    assert ready_set.ready() == 4


def test_each_look_sees_other_slots() -> None:
    ready_set, _ = slots_of(20)
    (tier,) = ready_set.tiers
    looks = [{s.account_id for s in tier.next(5, NONE)} for _ in range(4)]
    assert set.union(*looks) == set(range(1, 21))
    assert all(len(look) == 5 for look in looks)


def test_a_look_passes_over_whom_it_is_told_to() -> None:
    ready_set, _ = slots_of(20)
    (tier,) = ready_set.tiers
    passed = set(range(1, 20))
    assert [s.account_id for s in tier.next(5, passed)] == [20]
    assert tier.next(5, set(range(1, 21))) == []
    assert [s.account_id for s in tier.next(50, passed)] == [20]


def test_slots_that_are_gone_stay_away() -> None:
    ready_set, slots = slots_of(2)
    ready_set.remove(slots[0])
    ready_set.remove(slots[0])
    assert not ready_set.place(slots[0], NOON)
    assert ready(ready_set) == {2}
    assert list(ready_set.slots) == [2]


def test_a_slot_of_the_same_account_is_no_other_slot() -> None:
    ready_set, (old,) = slots_of(1)
    ready_set.remove(old)
    new = Slot(member(1), "m", ready_set, old.window)
    ready_set.add(new, NOON)
    assert not ready_set.place(old, NOON)
    ready_set.remove(old)
    assert ready_set.slots == {1: new}


def test_those_that_come_next_are_told_soonest_first() -> None:
    ready_set, slots = slots_of(6)
    for slot, seconds in zip(slots, (50, 10, 40, 20, 30), strict=False):
        lie_down(slot, NOON + seconds)
    lie_down(slots[1], NOON + 60)
    assert [s.account_id for s in ready_set.coming(3, NONE)] == [4, 5, 3]
    assert [s.account_id for s in ready_set.coming(9, {4})] == [5, 3, 1, 2]


def test_out_of_date_entries_do_not_gather() -> None:
    ready_set, (slot,) = slots_of(1)
    for second in range(1000):
        lie_down(slot, NOON + 10 + second)
    assert len(ready_set._coming) <= SPARE + 3
    assert [s.until for s in ready_set.coming(5, NONE)] == [NOON + 1009]


def test_a_model_rests_for_a_while() -> None:
    ready_set, _ = slots_of(2)
    ready_set.rest = rest(NOON + 5)
    assert ready_set.resting(NOON + 4)
    assert ready_set.resting(NOON + 5) is None


def test_the_sets_agree_with_a_look_at_everything() -> None:
    chance = random.Random(3)
    ready_set, slots = slots_of(30)
    now = NOON
    for _ in range(2000):
        now += chance.random()
        slot = chance.choice(slots)
        match chance.randrange(4):
            case 0:
                slot.rest = rest(now + chance.random() * 20)
            case 1:
                slot.rest = rest(now + chance.random() * 20, canary=True)
            case 2:
                slot.canary_out = not slot.canary_out
            case 3:
                slot.member.concurrency = chance.randrange(2)
                slot.member.in_flight = chance.randrange(2)
        ready_set.place(slot, now)
        ready_set.wake(now)
        assert ready(ready_set) == {
            s.account_id for s in slots if obstacle(s, now) is None
        }
        out = [key for _, held in ready_set.out() for key in held]
        assert len(out) + ready_set.ready() == 30
        assert all(
            tier.slots[slot.place] is slot
            for tier in ready_set.tiers
            for slot in tier.slots
        )
