"""The n-th who waits is told when the n-th place is free."""

from itertools import islice

import pytest

from proxy.scheduling.forecast import ROUND, Supply, nth, openings
from proxy.scheduling.quota import KEPT, day_end
from tests.proxy.scheduling.pools import NOON


def first(supply: Supply, count: int) -> list[float]:
    return [at - NOON for at in islice(openings(supply, NOON), count)]


@pytest.mark.parametrize(
    ("supply", "times"),
    [
        (Supply(NOON), [0, 0, 0]),
        (Supply(NOON - 50), [0, 0, 0]),
        (Supply(NOON + 5), [5, 5, 5]),
        (Supply(NOON, rpm=2), [0, 0, ROUND]),
        (Supply(NOON, ends=[NOON + 3, NOON + 9], rpm=2), [3, 9, 3 + ROUND]),
        (Supply(NOON, ends=[NOON + 3], rpm=2), [0, 3, ROUND]),
        (Supply(NOON + 5, ends=[NOON + 3], rpm=1), [5, 5 + ROUND]),
        (Supply(NOON, ends=[NOON + 1, NOON + 2, NOON + 3], rpm=2), [2, 3]),
        (Supply(NOON, left_today=2, rpd=1), [0, 0, 12 * 3600]),
        (Supply(NOON, left_today=0, rpd=2), [12 * 3600, 12 * 3600]),
        (Supply(NOON, rpm=0), []),
        (Supply(NOON, seats=2), [0, 0]),
        (Supply(NOON, seats=0), []),
    ],
)
def test_an_account_takes_the_next_requests_at(
    supply: Supply, times: list[float]
) -> None:
    found = first(supply, len(times) or 3)
    assert found == pytest.approx(times)


def test_a_seat_that_nobody_gives_back_is_not_foretold() -> None:
    assert len(first(Supply(NOON, seats=2), 9)) == 2


def test_a_day_without_room_opens_at_its_end() -> None:
    supply = Supply(NOON, rpm=15, left_today=0, rpd=100)
    assert nth([supply], 1, NOON) == day_end(NOON)


def test_places_are_counted_over_all_accounts() -> None:
    busy = Supply(NOON, ends=[NOON + 1, NOON + 4], rpm=2)
    other = Supply(NOON, ends=[NOON + 2, NOON + 3], rpm=2)
    found = [nth([busy, other], place, NOON) for place in range(1, 6)]
    assert found == [NOON + s for s in (1, 2, 3, 4, 1 + ROUND)]


def test_a_place_that_somebody_waited_for_is_free_again_later_than_a_minute() -> None:
    # He may come a second after his time, and be under way for a while.
    assert ROUND > KEPT + 1


def test_nobody_knows_when_there_is_no_account() -> None:
    assert nth([], 1, NOON) is None
    assert nth([Supply(NOON, seats=1)], 2, NOON) is None


def test_two_hundred_who_wait_are_spread_as_the_quota_allows() -> None:
    ends = [NOON + 10 + second for second in range(15)]
    supplies = [Supply(NOON, ends=ends, rpm=15) for _ in range(4)]
    found = [nth(supplies, place, NOON) or 0 for place in range(1, 201)]
    assert found == sorted(found)
    # No window of a minute holds more than the four accounts allow.
    assert all(after - found[n] >= 60 for n, after in enumerate(found[60:]))
