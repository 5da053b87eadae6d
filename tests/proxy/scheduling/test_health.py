"""Failures lower the averages and bring on rests that grow; success ends them."""

import pytest

from proxy.scheduling.health import (
    FIRST_REST,
    FORGIVABLE,
    LONGEST_REST,
    STRIKES_TO_REST,
    Health,
    rest_after,
)

NOW = 1000.0


def failing(times: int, now: float = NOW) -> Health:
    health = Health()
    for _ in range(times):
        health.failed(now)
    return health


@pytest.mark.parametrize(
    ("strikes", "seconds"),
    [(0, 0), (2, 0), (3, 10), (4, 20), (5, 40), (8, 320), (9, 600), (500, 600)],
)
def test_rests_grow_up_to_a_bound(strikes: int, seconds: float) -> None:
    assert rest_after(strikes) == seconds
    assert seconds <= LONGEST_REST


def test_only_several_failures_in_a_row_bring_on_a_rest() -> None:
    health = Health()
    rests = [health.failed(NOW) for _ in range(STRIKES_TO_REST)]
    assert rests == [0.0, 0.0, FIRST_REST]


def test_a_success_in_between_begins_the_count_anew() -> None:
    health = failing(2)
    health.passed(100)
    assert health.failed(NOW) == 0.0
    assert health.record.strikes == 1


def test_a_failure_without_strike_counts_in_the_average_only() -> None:
    health = failing(2)
    before = health.record.success
    assert health.failed(NOW, strike=False) == 0.0
    assert health.record.strikes == 2
    assert health.record.success < before


def test_averages_follow_what_happens() -> None:
    health = Health()
    assert (health.record.success, health.record.latency) == (1.0, None)
    health.passed(100)
    assert health.record.latency == 100
    health.passed(200)
    assert health.record.latency == pytest.approx(120)
    health.passed(0)
    assert health.record.latency == pytest.approx(120)
    health.failed(NOW)
    assert health.record.success == pytest.approx(0.8)
    health.passed(0)
    assert health.record.success == pytest.approx(0.84)
    assert health.record.failed_at == NOW


def test_what_turns_out_to_be_shared_is_forgiven() -> None:
    health = failing(1, NOW - 100)
    before = health.record
    known = (before.success, before.strikes, before.failed_at)
    for second in range(3):
        health.failed(NOW + second)
    assert health.forgive(NOW + 5)
    found = health.record
    assert (found.success, found.strikes, found.failed_at) == known
    assert not health.forgive(NOW + 5)


def test_old_failures_are_not_forgiven() -> None:
    health = failing(3)
    assert not health.forgive(NOW + FORGIVABLE + 1)
    assert health.record.strikes == 3


def test_a_success_proves_the_failures_before_it_real() -> None:
    health = failing(2)
    health.passed(10)
    assert not health.forgive(NOW + 1)
    assert health.record.success < 1


def test_an_operator_may_have_all_forgotten() -> None:
    health = failing(5)
    health.forget()
    assert (health.record.strikes, health.record.success) == (0, 1.0)
    assert not health.forgive(NOW)
