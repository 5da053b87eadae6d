"""Shapes of the front page."""

import datetime
from collections import Counter

import pytest

from proxy.admin import figures

HOURS = [datetime.datetime(2026, 5, 4, hour, tzinfo=datetime.UTC) for hour in range(4)]


@pytest.mark.parametrize(
    ("numbers", "percent", "expected"),
    [
        ([7], 50, 7),
        ([7], 95, 7),
        ([1, 2, 3, 4], 50, 2),
        (list(range(1, 101)), 95, 95),
        (list(range(1, 21)), 95, 19),
        ([1, 2], 100, 2),
        ([1, 2], 0, 1),
    ],
)
def test_percentiles_are_nearest_rank(
    numbers: list[int], percent: int, expected: int
) -> None:
    assert figures.percentile(numbers, percent) == expected


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (0, 0, ""),
        (5, 0, "none in the hour before"),
        (5, 5, "as in the hour before"),
        (6, 5, "20 % more than in the hour before"),
        (0, 5, "100 % less than in the hour before"),
    ],
)
def test_changes_are_told_in_words(now: int, before: int, expected: str) -> None:
    assert figures.change(now, before, "the hour before") == expected


def test_the_highest_bar_fills_the_chart_and_the_parts_stack() -> None:
    requests = {
        HOURS[0]: Counter(ok=60, fault=30, cancelled=10),
        HOURS[2]: Counter(ok=50),
    }
    first, second, third, _ = figures.bars(HOURS, requests)
    heights = [(part.outcome, part.y, part.height) for part in first.parts]
    assert heights == [("ok", 50, 70), ("cancelled", 38, 12), ("fault", 3, 35)]
    assert second.parts == []
    assert [part.height for part in third.parts] == [58]
    assert first.title == "2026-05-04 00:00 UTC: 100 requests, 30 failed"
    assert [bar.x for bar in (first, second, third)] == [0, 30, 60]


def test_a_single_failure_is_seen_among_thousands() -> None:
    (bar,) = figures.bars(HOURS[:1], {HOURS[0]: Counter(ok=10_000, fault=1)})
    assert [part.height for part in bar.parts] == [116, 2]
    assert all(part.y >= 0 for part in bar.parts)


def test_without_requests_the_chart_is_empty() -> None:
    assert all(not bar.parts for bar in figures.bars(HOURS, {}))


def test_names_are_the_most_frequent_and_the_number_of_others() -> None:
    assert figures.names(["a"]) == "a"
    assert figures.names(["b", "a", "a", "b", "a"]) == "a, b"
    assert figures.names(["a", "a", "b", "b", "c", "d"]) == "a, b and 2 more"
