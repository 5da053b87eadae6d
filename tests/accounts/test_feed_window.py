"""Which identifiers the change feed reads again, and which it has done with."""

from accounts.feed import LOOK_BACK, WINDOW, Window


def test_a_number_is_new_once() -> None:
    window = Window(0, now=0)
    assert window.see(1)
    assert not window.see(1)


def test_the_floor_follows_numbers_without_a_gap() -> None:
    window = Window(0, now=0)
    for number in (1, 2, 3):
        window.see(number)
    window.move(0.3)
    assert window.floor == 3


def test_a_gap_holds_the_floor_until_it_is_filled() -> None:
    window = Window(0, now=0)
    window.see(1)
    window.see(3)
    window.move(0.3)
    assert window.floor == 1
    assert window.see(2)
    window.move(0.6)
    assert window.floor == 3


def test_a_gap_is_given_up_when_its_time_is_over() -> None:
    window = Window(0, now=0)
    window.see(5)
    window.move(0)
    window.move(WINDOW - 1)
    assert window.floor == 0
    window.move(WINDOW + 1)
    assert window.floor == 5


def test_a_number_seen_late_does_not_lift_the_floor_over_a_younger_gap() -> None:
    window = Window(0, now=0)
    window.see(2)
    window.move(0)
    window.see(9)
    window.move(WINDOW - 1)
    window.move(WINDOW + 1)
    assert window.floor == 2
    assert window.see(3)


def test_the_beginning_looks_back_for_open_transactions() -> None:
    assert Window(LOOK_BACK + 7, now=0).floor == 7
    assert Window(3, now=0).floor == 0


def test_a_window_that_was_not_moved_for_long_is_stale() -> None:
    window = Window(0, now=0)
    assert not window.is_stale(WINDOW)
    assert window.is_stale(WINDOW + 0.1)


def test_what_is_remembered_stays_small() -> None:
    window = Window(0, now=0)
    for number in range(2, 5000, 2):
        window.see(number)
        window.move(number * 0.1)
    assert len(window._seen) < 500
    assert len(window._history) < 500
