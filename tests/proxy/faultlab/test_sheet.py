"""The sheet says for each row what was seen, who was blamed, until when, and the verdict."""

import datetime
from typing import Any

import pytest

from proxy.faultlab import sheet
from proxy.faultlab.answers import Seen
from proxy.faultlab.findings import Finding
from proxy.faultlab.row import GEMINI_STREAM, OPENAI
from proxy.faultlab.rows import ROWS
from proxy.faultlab.runner import Result

NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
ROW = ROWS["429 PerMinute with RetryInfo"]
REST = Finding("account_model", "quota_minute", "gemini-2.5-flash", NOON, NOON)


def result(**fields: Any) -> Result:
    seen = Seen("openai", status=429, errors=[{"code": "rate_limit_exceeded"}])
    return Result(ROW, OPENAI, alone=seen, **fields)


def test_a_row_that_passed_is_one_line() -> None:
    line = sheet.line(result(blamed=[REST]))
    assert line.startswith("pass  429 PerMinute with RetryInfo")
    for words in (
        "openai whole",
        "429 rate_limit_exceeded",
        "account's model: quota_minute",
    ):
        assert words in line
    assert line.endswith("2026-11-20 12:00:00")
    assert "\n" not in line


def test_a_row_that_failed_says_what_was_wrong_below() -> None:
    first, *rest = sheet.line(result(complaints=["alone: a", "alone: b"])).split("\n")
    assert first.startswith("FAIL")
    assert [line.strip() for line in rest] == ["alone: a", "alone: b"]


@pytest.mark.parametrize(
    ("finding", "until"),
    [
        (Finding("account", "leaked"), "a human acts"),
        (Finding("egress", "connection_failed"), "it works again"),
    ],
)
def test_what_does_not_end_by_time_says_how_it_ends(
    finding: Finding, until: str
) -> None:
    assert sheet.line(result(blamed=[finding])).endswith(until)


def test_a_row_that_blames_nobody_says_so() -> None:
    assert sheet.line(Result(ROW, GEMINI_STREAM)).endswith("nobody")


def test_columns_stand_below_their_titles() -> None:
    titles, rule = sheet.head().split("\n")
    line = sheet.line(result(blamed=[REST]))
    assert titles.index("form") == line.index("openai whole")
    assert titles.index("until") == line.index("2026-11-20")
    assert len(rule) > titles.index("until")


def test_the_last_line_counts() -> None:
    both = [result(), result(complaints=["x"]), result()]
    assert sheet.total(both) == "2 of 3 passed, 1 failed"


def test_programs_get_the_same() -> None:
    data = sheet.as_data(result(blamed=[REST], complaints=["x"], seconds=1.234))
    assert data == {
        "row": "429 PerMinute with RetryInfo",
        "form": "openai whole",
        "passed": False,
        "with_second_account": None,
        "alone": "429 rate_limit_exceeded",
        "blamed": [
            {
                "whose": "account_model",
                "cause": "quota_minute",
                "which": "gemini-2.5-flash",
                "until": "2026-11-20T12:00:00+00:00",
            }
        ],
        "complaints": ["x"],
        "seconds": 1.2,
    }
