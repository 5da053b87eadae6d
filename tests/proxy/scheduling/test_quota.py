"""Requests, tokens and days are counted before they are used up."""

import datetime
import random

import pytest

from proxy.scheduling.quota import (
    KEPT,
    LONGEST_SENDING,
    UNKNOWN,
    Day,
    DayLimit,
    Limits,
    Reservation,
    Window,
    day_end,
    day_limit,
    tier_limits,
)
from tests.proxy.scheduling.pools import NOON

USUAL = (
    DayLimit("gemini-2.5-pro", 100),
    DayLimit("gemini-2.5-pro-preview*", 1000),
    DayLimit("gemini-2.5-flash", 1000),
)


def reserve(window: Window, now: float, limits: Limits, tokens: int = 0) -> Reservation:
    made = window.reserve(now, tokens, limits)
    assert isinstance(made, Reservation)
    return made


def test_a_minute_takes_so_many_requests_and_says_when_the_next_fits() -> None:
    window, limits = Window(), Limits(rpm=2)
    for _ in range(2):
        reserve(window, NOON, limits).settle(NOON + 1)
    assert window.reserve(NOON + 2, 0, limits) == KEPT - 1
    assert window.wait(NOON + KEPT, 0, limits) == pytest.approx(1)
    assert reserve(window, NOON + 1 + KEPT, limits)


@pytest.mark.parametrize(
    ("settled", "counts"),
    [
        (0.0, KEPT),
        (1.5, 1.5 + KEPT),
        (LONGEST_SENDING, LONGEST_SENDING + KEPT),
        (200.0, LONGEST_SENDING + KEPT),
        (-5.0, KEPT),
    ],
)
def test_a_request_counts_from_the_latest_time_it_can_have_arrived(
    settled: float, counts: float
) -> None:
    window = Window()
    made = window.count(NOON, 0)
    if settled <= counts:
        made.settle(NOON + settled)
    assert window.usage(NOON + counts - 0.01).requests == 1
    assert window.usage(NOON + counts).requests == 0
    made.settle(NOON + 300, 50)
    assert window.usage(NOON + counts).tokens == 0


def test_a_provider_never_sees_more_than_its_limit_in_any_minute() -> None:
    # Whenever between sending and answer the request arrives there.
    chance = random.Random(7)
    window, limits, now = Window(), Limits(rpm=5), NOON
    arrived: list[float] = []
    under_way: list[tuple[float, Reservation]] = []
    for _ in range(3000):
        now += chance.random()
        for ends, made in [entry for entry in under_way if entry[0] <= now]:
            made.settle(ends)
            under_way.remove((ends, made))
        made = window.reserve(now, 0, limits)
        if isinstance(made, Reservation):
            takes = chance.choice([0.1, 2.0, 30.0])
            arrived.append(now + min(takes, LONGEST_SENDING) * chance.random())
            under_way.append((now + takes, made))
    arrived.sort()
    assert len(arrived) > 100
    crowds = zip(arrived, arrived[5:], strict=False)
    assert min(after - before for before, after in crowds) >= 60


def test_tokens_of_a_minute_are_counted_and_corrected() -> None:
    window, limits = Window(), Limits(tpm=1000)
    first = reserve(window, NOON, limits, 600)
    first.settle(NOON + 1, 600)
    wait = window.reserve(NOON + 2, 600, limits)
    assert wait == pytest.approx(KEPT - 1)
    first.settle(NOON + 3, 300)
    assert reserve(window, NOON + 4, limits, 600)
    assert window.usage(NOON + 5).tokens == 900


def test_a_request_larger_than_the_quota_goes_when_nothing_else_counts() -> None:
    window, limits = Window(), Limits(tpm=1000)
    small = reserve(window, NOON, limits, 1)
    small.settle(NOON)
    assert window.reserve(NOON, 5000, limits) == KEPT
    assert reserve(window, NOON + KEPT, limits, 5000)


def test_the_day_ends_at_midnight_in_california() -> None:
    window, limits = Window(), Limits(rpd=1)
    reserve(window, NOON, limits)
    wait = window.reserve(NOON + 3600, 0, limits)
    assert wait == 11 * 3600
    assert window.usage(NOON).day_requests == 1
    assert reserve(window, NOON + 12 * 3600, limits)
    assert window.usage(NOON + 12 * 3600).day_requests == 1


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-03-07T20:00", "2026-03-08T08:00"),
        ("2026-03-08T20:00", "2026-03-09T07:00"),
        ("2026-11-01T20:00", "2026-11-02T08:00"),
        ("2026-07-01T06:59", "2026-07-01T07:00"),
    ],
)
def test_days_change_length_with_the_clocks(at: str, end: str) -> None:
    def seconds(text: str) -> float:
        return datetime.datetime.fromisoformat(f"{text}+00:00").timestamp()

    assert day_end(seconds(at)) == seconds(end)


def test_what_was_never_sent_counts_nowhere() -> None:
    window, limits = Window(), Limits(rpm=1, tpm=10, rpd=1)
    reserve(window, NOON, limits, 10).cancel()
    usage = window.usage(NOON)
    assert (usage.requests, usage.tokens) == (0, 0)
    assert (usage.day_requests, usage.day_tokens) == (0, 0)
    assert reserve(window, NOON, limits, 10)


def test_a_cancelled_request_of_yesterday_leaves_today_alone() -> None:
    window = Window()
    old = window.count(NOON, 5)
    tomorrow = NOON + 86_400
    window.count(tomorrow, 7)
    old.cancel()
    old.settle(tomorrow, 500)
    assert window.usage(tomorrow).day_requests == 1
    assert window.usage(tomorrow).day_tokens == 7


def test_the_longest_of_the_waits_counts() -> None:
    window, limits = Window(), Limits(rpm=1, tpm=10, rpd=1)
    reserve(window, NOON, limits, 10)
    assert window.wait(NOON, 1, limits) == 12 * 3600


def test_above_a_lowered_limit_as_many_must_end_as_are_too_many() -> None:
    window = Window()
    for second in range(4):
        window.count(NOON + second, 0).settle(NOON + second)
    wait = window.wait(NOON + 4, 0, Limits(rpm=2))
    assert wait == pytest.approx(KEPT - 2)


def test_without_limits_nothing_waits_but_all_is_counted() -> None:
    window = Window()
    for _ in range(500):
        reserve(window, NOON, UNKNOWN, 10)
    usage = window.usage(NOON)
    assert (usage.requests, usage.tokens) == (500, 5000)
    assert window.headroom(NOON, UNKNOWN) == 1.0


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(rpm=10), 0.8),
        (Limits(rpm=10, tpm=40), 0.5),
        (Limits(rpm=10, rpd=4), 0.5),
        (Limits(rpm=1), 0.0),
        (Limits(rpd=0), 0.0),
    ],
)
def test_headroom_is_that_of_the_scarcest_quota(limits: Limits, left: float) -> None:
    window = Window()
    window.count(NOON, 10)
    window.count(NOON, 10)
    assert window.headroom(NOON, limits) == pytest.approx(left)


def test_a_quota_of_none_never_fits() -> None:
    assert Window().wait(NOON, 0, Limits(rpm=0)) > 0
    assert Window().wait(NOON, 0, Limits(rpd=0)) > 0


def test_what_an_earlier_process_sent_counts_on() -> None:
    window, limits = Window(), Limits(rpm=2, rpd=100)
    window.seed(NOON, [(NOON - 59, 5), (NOON - 10, 7), (NOON - 90, 9)])
    window.seed_day(NOON, 40, 1000)
    usage = window.usage(NOON)
    assert (usage.requests, usage.tokens, usage.day_requests) == (2, 12, 40)
    assert window.wait(NOON, 0, limits) == pytest.approx(KEPT - 59)


def test_seeds_and_new_requests_end_in_their_order() -> None:
    window = Window()
    window.count(NOON, 0)
    window.seed(NOON, [(NOON - 30, 0), (NOON - 50, 0)])
    assert window.ends(NOON) == sorted(window.ends(NOON))
    assert window.recent() == 3


def test_two_windows_become_one() -> None:
    one, other = Window(), Window()
    one.count(NOON, 1)
    late = other.count(NOON + 1, 2)
    one.absorb(other, NOON + 2)
    usage = one.usage(NOON + 2)
    assert (usage.requests, usage.tokens, usage.day_requests) == (2, 3, 2)
    late.settle(NOON + 2, 20)
    assert one.usage(NOON + 2).tokens == 21
    late.cancel()
    assert one.usage(NOON + 2).requests == 1


def test_a_clock_that_steps_back_keeps_the_order() -> None:
    window = Window()
    window.count(NOON, 0)
    window.count(NOON - 30, 0)
    assert window.ends(NOON) == sorted(window.ends(NOON))


@pytest.mark.parametrize(
    ("tier", "model", "limits"),
    [
        ("free", "gemini-2.5-pro", Limits(5, 250_000, 100)),
        ("FREE", "gemini-2.5-flash", Limits(10, 250_000, 250)),
        ("free", "gemini-2.5-flash-lite", Limits(15, 250_000, 1000)),
        ("free", "gemini-embedding-001", Limits(100, 30_000, 1000)),
        ("free", "other", UNKNOWN),
        ("tier_1", "gemini-2.5-pro", UNKNOWN),
        ("", "gemini-2.5-pro", UNKNOWN),
    ],
)
def test_a_tier_grants(tier: str, model: str, limits: Limits) -> None:
    assert tier_limits(tier, model) == limits


def test_limits_stand_over_others_where_they_say_something() -> None:
    mine = Limits(rpm=1, rpd=0)
    assert mine.over(Limits(5, 6, 7)) == Limits(1, 6, 0)


@pytest.mark.parametrize(
    ("model", "rpd"),
    [
        ("gemini-2.5-pro", 100),
        ("gemini-2.5-pro-preview-06-05", 1000),
        ("gemini-2.5-flash", 1000),
        ("gemini-2.5-flash-lite", None),
        ("gemini-3-flash-preview", None),
    ],
)
def test_the_first_pattern_that_fits_a_model_limits_its_day(
    model: str, rpd: int | None
) -> None:
    found = day_limit(USUAL, model)
    assert (found.requests if found else None) == rpd


def test_a_pattern_with_a_star_is_of_all_its_models_together() -> None:
    one, several = DayLimit("a-*b", 5), DayLimit("ab", 5)
    assert one.limits == Limits(together=5)
    assert several.limits == Limits(rpd=5)


@pytest.mark.parametrize(
    ("mine", "others", "both"),
    [
        (Limits(), Limits(together=5), Limits(together=5)),
        (Limits(rpd=7), Limits(together=5), Limits(rpd=7)),
        (Limits(together=5), Limits(rpd=7), Limits(together=5)),
        (Limits(rpm=3), Limits(rpm=9, together=5), Limits(rpm=3, together=5)),
    ],
)
def test_who_limits_one_model_knows_better_than_a_common_sum(
    mine: Limits, others: Limits, both: Limits
) -> None:
    assert mine.over(others) == both


def pair() -> tuple[Window, Window]:
    """Two models whose days are one."""
    day = Day("m*")
    return Window(day), Window(day)


def test_models_of_one_day_use_it_up_together() -> None:
    one, two = pair()
    limits = Limits(together=3)
    for window in (one, two, one):
        assert not isinstance(window.reserve(NOON, 1, limits), float)
    wait = two.reserve(NOON + 1, 1, limits)
    assert wait == pytest.approx(12 * 3600 - 1)
    assert (one.usage(NOON).day_requests, two.usage(NOON).day_requests) == (2, 1)
    assert two.left_today(NOON, limits) == 0


def test_a_common_day_begins_anew_at_midnight_in_california() -> None:
    one, two = pair()
    one.count(NOON, 1)
    tomorrow = NOON + 12 * 3600
    assert two.wait(tomorrow - 1, 1, Limits(together=1)) == pytest.approx(1)
    assert two.wait(tomorrow, 1, Limits(together=1)) == 0
    assert one.left_today(tomorrow, Limits(together=1)) == 1


def test_what_was_never_sent_is_taken_from_the_common_day() -> None:
    one, two = pair()
    made = one.count(NOON, 1)
    made.cancel()
    assert two.left_today(NOON, Limits(together=1)) == 1
    late = one.count(NOON, 1)
    two.count(NOON + 12 * 3600, 1)
    late.cancel()
    assert two.left_today(NOON + 12 * 3600, Limits(together=3)) == 2


def test_what_earlier_processes_asked_counts_for_the_common_day() -> None:
    one, two = pair()
    one.seed_day(NOON, 4, 100)
    assert two.left_today(NOON, Limits(together=10)) == 6
    assert two.headroom(NOON, Limits(together=10)) == pytest.approx(0.6)


def test_each_models_own_limit_and_the_common_one_hold() -> None:
    one, _ = pair()
    one.count(NOON, 1)
    assert one.left_today(NOON, Limits(rpd=1, together=9)) == 0
    assert one.left_today(NOON, Limits(rpd=9, together=1)) == 0
    assert one.left_today(NOON, Limits()) is None
