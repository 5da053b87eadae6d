"""Slots are offered in order, taken for a request, and given back."""

from typing import Any

import pytest

from proxy.scheduling.health import Rest
from proxy.scheduling.leases import MOST_TRIED, STICKY, Asked, Counter
from proxy.scheduling.quota import Limits
from proxy.scheduling.roster import Roster
from proxy.scheduling.slots import CANARY, SEATS, Slot
from proxy.scheduling.stickiness import Stickiness
from tests.proxy.scheduling.pools import NOON, member, route


class Desk:
    """A counter on a roster."""

    def __init__(self, *members: Any) -> None:
        self.roster = Roster()
        self.roster.replace(members, None, NOON)
        self.known = Stickiness()
        self.counter = Counter(self.roster, self.known, "round_robin")

    def offered(self, at_once: int = 8, **fields: Any) -> list[tuple[str, int]]:
        asked = Asked("r", fields.pop("route", route()).targets, **fields)
        offers = self.counter.offers(asked, NOON, at_once)
        return [(t.upstream_model, slot.account_id) for t, slot, _ in offers]

    def slot(self, number: int = 1, model: str = "m") -> Slot:
        found = self.roster.slot(number, model, NOON)
        assert found is not None
        return found

    def rest(self, number: int, until: float, *, canary: bool = False) -> None:
        rest = Rest(model="m", cause="c", since=NOON, until=until, canary=canary)
        self.roster.rest(number, rest, NOON)


def test_targets_come_in_their_order_and_priorities_within() -> None:
    desk = Desk(member(1, priority=1), member(2), member(3))
    found = desk.offered(route=route("a", "b"))
    assert found == [("a", 2), ("a", 3), ("a", 1), ("b", 2), ("b", 3), ("b", 1)]


def test_whoever_was_tried_is_not_offered() -> None:
    desk = Desk(member(1), member(2), member(3))
    assert desk.offered(tried={1, 3}) == [("m", 2)]


def test_all_ready_slots_come_round_once() -> None:
    desk = Desk(*(member(number) for number in range(1, 101)))
    found = [number for _, number in desk.offered(at_once=7)]
    assert sorted(found) == list(range(1, 101))


def test_offers_end_somewhere() -> None:
    desk = Desk(*(member(number) for number in range(1, 2 * MOST_TRIED)))
    assert MOST_TRIED <= len(desk.offered()) < MOST_TRIED + 8


def test_a_model_that_rests_is_not_offered() -> None:
    desk = Desk(member(1))
    rest = Rest(model="m", cause="overloaded", since=NOON, until=NOON + 5)
    desk.slot().ready_set.rest = rest
    assert desk.offered() == []
    assert desk.offered(route=route("m", "n")) == [("n", 1)]


def test_a_conversation_gets_its_account_first_and_once() -> None:
    desk = Desk(*(member(number) for number in range(1, 5)))
    desk.known.keep("c", 3, NOON)
    asked = Asked("r", route().targets, sticky="c")
    offers = list(desk.counter.offers(asked, NOON, 8))
    assert [slot.account_id for _, slot, _ in offers] == [3, 1, 2, 4]
    assert offers[0][2] == STICKY


@pytest.mark.parametrize("why", ["tried", "resting", "gone", "forgotten"])
def test_a_conversation_goes_on_without_its_account(why: str) -> None:
    desk = Desk(member(1), member(2))
    desk.known.keep("c", 2, NOON - (4000 if why == "forgotten" else 0))
    tried = {2} if why == "tried" else set()
    if why == "resting":
        desk.rest(2, NOON + 9)
    if why == "gone":
        desk.roster.drop(2)
    assert desk.offered(sticky="c", tried=tried)[0] == ("m", 1)


def test_a_slot_without_room_is_not_taken_and_goes_out() -> None:
    desk = Desk(member(1, limits=Limits(rpm=1)))
    assert desk.counter.take(desk.slot(), 0, NOON)
    assert desk.slot().reason == "minute_limit"
    assert desk.counter.take(desk.slot(), 0, NOON) is None
    assert desk.slot().in_flight == 1


def test_a_slot_short_of_tokens_stays_for_others() -> None:
    desk = Desk(member(1, limits=Limits(tpm=10)))
    assert desk.counter.take(desk.slot(), 6, NOON)
    assert desk.counter.take(desk.slot(), 6, NOON) is None
    assert desk.slot().place >= 0


def test_seats_are_taken_and_given_back_for_all_models() -> None:
    desk = Desk(member(1, concurrency=1))
    other = desk.slot(1, "n")
    assert desk.counter.take(desk.slot(), 0, NOON)
    assert (desk.slot().reason, other.reason) == (SEATS, SEATS)
    assert desk.counter.vacate(desk.slot(), NOON, canary=False)
    assert (desk.slot().place, other.place) == (0, 0)
    assert desk.slot().member.in_flight == 0


def test_a_half_open_slot_gives_one_canary() -> None:
    desk = Desk(member(1))
    desk.rest(1, NOON + 5, canary=True)
    slot = desk.slot()
    slot.ready_set.wake(NOON + 5)
    assert desk.counter.take(slot, 0, NOON + 5)
    assert (slot.canary_out, slot.reason) == (True, CANARY)
    assert desk.counter.testable(1, "m", NOON + 5) is None
    desk.counter.vacate(slot, NOON + 6, canary=True)
    assert not slot.canary_out
    assert desk.counter.testable(1, "m", NOON + 6) is slot


@pytest.mark.parametrize(
    ("account_id", "model", "testable"),
    [
        (1, "m", True),
        (1, "other", False),
        (2, "m", False),
        (3, "m", False),
        (9, "m", False),
    ],
)
def test_only_what_rests_for_failures_is_testable(
    account_id: int, model: str, testable: bool
) -> None:
    desk = Desk(member(1), member(2), member(3))
    desk.rest(1, NOON + 50, canary=True)
    desk.rest(2, NOON + 50)
    assert (desk.counter.testable(account_id, model, NOON) is not None) == testable


@pytest.mark.parametrize("spoil", ["disabled", "resting", "full"])
def test_an_account_that_is_out_is_not_tested(spoil: str) -> None:
    desk = Desk(member(1, concurrency=1))
    desk.rest(1, NOON + 50, canary=True)
    one = desk.slot().member
    if spoil == "disabled":
        one.state = "disabled"
    elif spoil == "resting":
        one.rest = Rest(model="", cause="operator", since=NOON, until=NOON + 9)
    else:
        one.in_flight = 1
    assert desk.counter.testable(1, "m", NOON) is None
