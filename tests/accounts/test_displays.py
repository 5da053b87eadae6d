"""How values look in admin lists."""

import datetime

import pytest

from accounts.admin import displays
from gemproxy.lib import clock

NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (4, "just now"),
        (5, "5 s ago"),
        (59, "59 s ago"),
        (61, "1\xa0minute ago"),
        (3_600, "1\xa0hour ago"),
        (90_000, "1\xa0day ago"),
        (-7_300, "in 2\xa0hours"),
        (-30, "in 30 s"),
    ],
)
def test_an_age_is_one_short_word(seconds: int, shown: str) -> None:
    moment = NOW - datetime.timedelta(seconds=seconds)
    assert f">{shown}</time>" in displays.ago(moment)


def test_an_age_keeps_the_exact_moment_as_title() -> None:
    shown = displays.ago(NOW - datetime.timedelta(hours=3))
    assert 'datetime="2026-05-04T09:00:00+00:00"' in shown
    assert 'title="2026-05-04 09:00:00 UTC"' in shown


def test_never_is_a_dash() -> None:
    assert displays.ago(None) == displays.milliseconds(None) == "-"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_900, "59.9 s"),
        (60_000, "1 min 0 s"),
        (125_400, "2 min 5 s"),
    ],
)
def test_durations_take_a_fitting_unit(value: int, shown: str) -> None:
    assert displays.milliseconds(value) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (1_234, "1.2k"),
        (12_300, "12.3k"),
        (1_048_576, "1M"),
        (4_500_000, "4.5M"),
        (2_000_000_000, "2G"),
    ],
)
def test_large_numbers_are_short(number: int, shown: str) -> None:
    assert displays.compact(number) == shown


@pytest.mark.parametrize(
    "shown",
    [
        displays.badge("<b>", "good", '"><script>'),
        displays.two_lines("<b>", "<script>"),
        displays.two_lines("<b>", ""),
        displays.pretty_json({"<b>": "<script>"}),
    ],
    ids=["badge", "two lines", "one line", "json"],
)
def test_markup_in_values_stays_text(shown: str) -> None:
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "<script>" not in shown


def test_a_badge_inside_two_lines_stays_a_badge() -> None:
    shown = displays.two_lines(displays.badge("Active", "good"), "since noon")
    assert '<span class="gp-badge gp-good"' in shown
    assert shown.endswith('<span class="gp-second">since noon</span></div>')


def test_json_is_indented_readable_and_cut() -> None:
    assert "{\n  &quot;größe&quot;: 1\n}" in displays.pretty_json({"größe": 1})
    long = displays.pretty_json(["x" * 30_000])
    assert len(long) < 20_200
    assert long.endswith("\n…</pre>")


def test_json_that_is_none_is_still_shown() -> None:
    assert "2026-05-04" in displays.pretty_json({"at": NOW})
