"""Strategies put the slot first that a request should take."""

from collections import Counter
from collections.abc import Callable

import pytest

from proxy.scheduling.quota import Limits
from proxy.scheduling.selection import STRATEGIES, ranked, reason, take_turn
from proxy.scheduling.slots import Slot
from tests.proxy.scheduling.pools import NOON, slots_of


def use(slot: Slot, times: int = 1) -> None:
    for _ in range(times):
        slot.window.count(NOON, 0)


def fail(slot: Slot, ago: float) -> None:
    slot.health.failed(NOON - ago)


def latency(slot: Slot, ms: float) -> None:
    slot.health.passed(ms)


def order(slots: list[Slot], strategy: str) -> list[int]:
    return [slot.account_id for slot in ranked(slots, strategy, NOON)]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda slot: fail(slot, 1), "has just failed"),
        (lambda slot: fail(slot, 600), "succeeds less often"),
        (lambda slot: latency(slot, 5000), "is slow"),
        (lambda slot: setattr(slot, "in_flight", 3), "is busy"),
        (lambda slot: use(slot, 5), "was used a moment ago"),
        (lambda slot: setattr(slot.member, "weight", 50), "weighs less"),
        (lambda slot: setattr(slot, "turn", 7.0), "had its turn"),
    ],
)
def test_adaptive_puts_behind_whoever(spoil: Callable[[Slot], None], why: str) -> None:
    _, slots = slots_of(2, limits=Limits(rpm=50))
    for slot in slots:
        slot.limits = slot.member.limits
    latency(slots[1], 300)
    latency(slots[0], 300)
    spoil(slots[0])
    assert order(slots, "adaptive") == [2, 1], why


def test_adaptive_forgets_a_failure_by_and_by() -> None:
    _, slots = slots_of(2)
    fail(slots[0], 50)
    fail(slots[1], 5)
    assert order(slots, "adaptive") == [1, 2]


def test_adaptive_spares_the_account_that_is_near_its_limit() -> None:
    _, slots = slots_of(2)
    slots[0].limits, slots[1].limits = Limits(rpm=10), Limits(rpm=100)
    for slot in slots:
        use(slot, 8)
    assert order(slots, "adaptive") == [2, 1]


def test_an_account_without_room_still_has_a_cost() -> None:
    _, slots = slots_of(1)
    slots[0].limits = Limits(rpm=0)
    assert order(slots, "adaptive") == [1]


def test_least_used_counts_what_is_under_way_then_the_day() -> None:
    _, slots = slots_of(3)
    slots[0].in_flight = 1
    use(slots[1], 2)
    use(slots[2], 1)
    assert order(slots, "least_used") == [3, 2, 1]


def test_least_used_gives_heavy_accounts_more() -> None:
    _, slots = slots_of(2)
    slots[0].member.weight = 300
    use(slots[0], 2)
    use(slots[1], 1)
    assert order(slots, "least_used") == [1, 2]


def turns(slots: list[Slot], count: int) -> list[int]:
    taken = []
    for _ in range(count):
        slot = ranked(slots, "round_robin", NOON)[0]
        take_turn(slot)
        taken.append(slot.account_id)
    return taken


def test_round_robin_asks_one_after_another() -> None:
    _, slots = slots_of(3)
    assert turns(slots, 6) == [1, 2, 3, 1, 2, 3]


def test_round_robin_comes_to_heavy_accounts_more_often() -> None:
    _, slots = slots_of(2)
    slots[0].member.weight = 300
    assert Counter(turns(slots, 40)) == {1: 30, 2: 10}


def test_whoever_comes_back_from_a_rest_does_not_catch_up() -> None:
    _, slots = slots_of(3)
    turns(slots[:2], 20)
    assert turns(slots, 3).count(3) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equals_are_put_in_a_fixed_order(strategy: str) -> None:
    _, slots = slots_of(4)
    assert order(slots[::-1], strategy) == [1, 2, 3, 4]


def test_a_decision_has_a_reason() -> None:
    _, (slot, *_) = slots_of(3)
    told = reason(slot, "adaptive", NOON, 3)
    assert told == "adaptive, 1 of 3: 1.00 success, new, 1.00 left, 0 under way"
    latency(slot, 412)
    assert "412 ms" in reason(slot, "adaptive", NOON, 3)
