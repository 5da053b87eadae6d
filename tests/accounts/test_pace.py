"""How background work leaves room for others."""

import gc

import pytest

from accounts.pace import Pace
from gemproxy.lib import clock


def test_it_slows_down_when_the_work_is_slow() -> None:
    pace = Pace(size=100, rest_seconds=0)
    pace.worked(0.04, 100)
    assert pace.size == 25
    assert pace.longest == 0.04


def test_it_speeds_up_to_a_bound() -> None:
    pace = Pace(size=400, most=500, rest_seconds=0)
    pace.worked(0.001, 400)
    assert pace.size == 500


def test_it_never_stands_still() -> None:
    pace = Pace(size=1, rest_seconds=0, aim_seconds=0.001)
    pace.worked(0.01, 1)
    assert pace.size == 1


@pytest.mark.parametrize(
    ("worked", "least"), [(0.0, 0.05), (0.05, 0.1)], ids=["short", "long"]
)
def test_the_rest_is_longer_than_the_work(worked: float, least: float) -> None:
    pace = Pace(rest_seconds=0.05)
    began = clock.monotonic()
    pace.worked(worked, 1)
    assert clock.monotonic() - began >= least


def test_a_step_counts_rows_and_takes_its_own_time() -> None:
    pace = Pace(rest_seconds=0)
    with pace.step(7):
        pass
    with pace.step(5):
        pass
    assert pace.done == 12
    assert 0 < pace.longest < 10


def test_no_garbage_is_collected_during_a_step() -> None:
    pace = Pace(rest_seconds=0)
    with pace.step(1):
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_step_that_fails_lets_garbage_be_collected_again() -> None:
    def fail() -> None:
        with Pace(rest_seconds=0).step(1):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert gc.isenabled()


def test_time_is_over_when_it_is() -> None:
    assert Pace(until=clock.monotonic() - 1).is_over
    assert not Pace().is_over
