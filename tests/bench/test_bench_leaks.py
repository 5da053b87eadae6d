"""The search for leaks: what it calls a leak, and that the server has none for a while."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.leak_verdict import (
    MEGABYTE,
    Bounds,
    Sample,
    complaints,
    in_flight,
    slope,
    table,
    tail,
)
from tests.running import ROOT

IDLE = Sample(
    at=0, rss=100 * MEGABYTE, fds=40, threads=10, tasks=9, requests=0, sessions=5
)


def loaded(growth: float, seconds: int = 300, requests: int = 200) -> list[Sample]:
    """Samples of a server that grows by so many MB a minute."""
    return [
        replace(
            IDLE,
            at=float(at),
            rss=int((100 + growth * at / 60) * MEGABYTE),
            requests=requests,
        )
        for at in range(0, seconds, 5)
    ]


@pytest.mark.parametrize("growth", [-3.0, 0.0, 0.5, 12.0])
def test_growth_is_measured_in_megabytes_a_minute(growth: float) -> None:
    assert slope(loaded(growth)) == pytest.approx(growth, abs=0.01)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_samples_do_not_grow(count: int) -> None:
    assert slope(loaded(5)[:count]) == 0.0


def test_samples_of_one_moment_do_not_grow() -> None:
    assert slope([IDLE, replace(IDLE, rss=2 * IDLE.rss)]) == 0.0


def test_what_was_warmed_up_at_first_is_no_growth() -> None:
    begin = [replace(IDLE, at=float(at), rss=at * MEGABYTE) for at in range(0, 100, 5)]
    steady = [replace(IDLE, at=float(at)) for at in range(100, 300, 5)]
    assert list(complaints(begin + steady, IDLE, IDLE, Bounds())) == []
    assert tail(begin + steady)[0].at >= 115


def test_a_server_that_gives_all_back_does_not_leak() -> None:
    assert list(complaints(loaded(0.2), IDLE, IDLE, Bounds(requests=100))) == []


def test_memory_that_grows_is_a_leak() -> None:
    [told] = complaints(loaded(4), IDLE, IDLE, Bounds())
    assert told == "memory grows by 4.00 MB a minute"


@pytest.mark.parametrize(("name", "more"), [("fds", 11), ("threads", 3), ("tasks", 6)])
def test_what_stays_when_idle_is_a_leak(name: str, more: int) -> None:
    after = replace(IDLE, **{name: getattr(IDLE, name) + more})
    [told] = complaints(loaded(0), IDLE, after, Bounds())
    then, now = getattr(IDLE, name), getattr(after, name)
    assert told == f"{now} {name} when idle, {then} before the load"
    less = replace(IDLE, **{name: getattr(after, name) - 1})
    assert list(complaints(loaded(0), IDLE, less, Bounds())) == []


def test_more_sessions_than_accounts_are_a_leak() -> None:
    after = replace(IDLE, sessions=31)
    [told] = complaints(loaded(0), IDLE, after, Bounds(sessions=30))
    assert told == "31 web sessions for 30 accounts"


def test_a_load_that_was_too_thin_proves_nothing() -> None:
    thin = loaded(0, requests=3)
    assert in_flight(thin) == 3
    assert in_flight([]) == 0
    [told] = complaints(thin, IDLE, IDLE, Bounds(requests=100))
    assert told == "only 3 requests were in flight"


def test_the_table_shows_one_line_in_so_many_seconds() -> None:
    lines = table(loaded(0, 100), every=50).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["0", "50"]
    assert lines[1].split() == ["0", "100.0", "40", "10", "9", "200", "5"]


def test_a_sample_is_read_from_its_line() -> None:
    line = {"at": 107.5, "rss": 1, "fds": 2, "threads": 3, "tasks": 4}
    line |= {"requests": 5, "sessions": 6, "named": {"x": 1}}
    assert Sample.read(line, 100.0) == Sample(
        at=7.5, rss=1, fds=2, threads=3, tasks=4, requests=5, sessions=6
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_server_under_load_gives_back_what_it_took(tmp_path: Path) -> None:
    """The short form; memory is for the long one to judge."""
    words = ["--seconds", "15", "--accounts", "6", "--callers", "40", "--every", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.leaks", *words, "--growth", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("verdict: nothing leaks")
