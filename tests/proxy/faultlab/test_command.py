"""`manage.py faultlab`: which rows, on what, what it prints and how it ends."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account
from proxy.faultlab.answers import Seen
from proxy.faultlab.expectations import told
from proxy.faultlab.row import OPENAI, Row
from proxy.faultlab.rows import ROWS
from proxy.faultlab.runner import Result
from proxy.faultlab.stand import LABEL, StandBroken
from proxy.management.commands import faultlab
from proxy.sandbox.keys import sandbox_key
from tests.running import ROOT

RUNNING = ["--gateway", "http://127.0.0.1:9", "--token", "t"]
WHERE = [*RUNNING, "--sandbox", "http://127.0.0.1:9"]
SHORT = "429 PerMinute with RetryInfo"


def states() -> dict[str, str]:
    return dict(Account.objects.values_list("label", "state"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The names of the rows that would have run, and the states meanwhile."""
    seen: list[Any] = []

    def run(stand: object, rows: list[Row]) -> Iterator[Result]:
        seen.append(states())
        for row in rows:
            seen.append(row.name)
            wrong = ["wrong"] if "PerDay" in row.name else []
            yield Result(row, OPENAI, alone=Seen("openai"), complaints=wrong)

    monkeypatch.setattr(faultlab, "run", run)
    return seen


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        call_command("faultlab", *arguments)
    return int(end.value.code)


def test_a_name_that_no_row_has_is_refused() -> None:
    with pytest.raises(CommandError, match="there are: 400 API_KEY_INVALID, "):
        call_command("faultlab", "--only", "nothing of the kind")


@pytest.mark.parametrize("missing", ["--token", "--sandbox"])
def test_a_running_gateway_needs_a_token_and_a_sandbox(missing: str) -> None:
    place = WHERE.index(missing)
    with pytest.raises(CommandError, match="needs --token and --sandbox"):
        call_command("faultlab", *WHERE[:place], *WHERE[place + 2 :])


@pytest.mark.django_db
def test_rows_are_chosen_by_a_part_of_their_name(
    ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*WHERE, "--only", "perMINUTE") == 0
    assert ran[1:] == [SHORT]
    assert "1 of 1 passed, 0 failed" in capsys.readouterr().out


@pytest.mark.django_db
def test_a_row_that_fails_makes_it_end_with_1(
    ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*WHERE, "--only", "429 Per") == 1
    printed = capsys.readouterr().out
    assert "FAIL  429 PerDay" in printed
    assert "1 of 2 passed, 1 failed" in printed


@pytest.mark.django_db
def test_json_is_one_object_a_line_and_nothing_else(
    ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*WHERE, "--only", "429 Per", "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["passed"] for line in lines] == [True, False]


@pytest.mark.django_db
def test_long_bounds_are_pointed_out(
    ran: list[Any], capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    ended(*WHERE, "--only", SHORT)
    assert "GEMPROXY_UPSTREAM_TOTAL_SECONDS=4" in capsys.readouterr().err
    for name, value in faultlab.BOUNDS.items():
        setattr(settings, name, value)
    ended(*WHERE, "--only", SHORT)
    assert capsys.readouterr().err == ""


@pytest.mark.django_db
def test_it_does_not_begin_while_others_would_answer(ran: list[Any]) -> None:
    Account.add(kind="gemini_api", secret=sandbox_key(), label="mine")
    with pytest.raises(CommandError, match="1 other usable account"):
        call_command("faultlab", *WHERE)
    assert ran == []
    assert states() == {"mine": "new"}


@pytest.mark.django_db
def test_others_are_paused_and_come_back_as_they_were(ran: list[Any]) -> None:
    used = Account.add(kind="gemini_api", secret=sandbox_key(), label="used")
    assert used is not None
    used.move("active", cause="answered")
    Account.add(kind="gemini_api", secret=sandbox_key(n=2), label="new")
    bad = Account.add(kind="gemini_api", secret=sandbox_key(n=3), label="bad")
    assert bad is not None
    bad.move("needs_attention", cause="leaked")
    before = states()
    assert ended(*WHERE, "--pause-others", "--only", SHORT) == 0
    assert ran[0] == {"used": "disabled", "new": "disabled", "bad": "needs_attention"}
    assert states() == before
    used.refresh_from_db()
    assert used.state_cause == "answered"
    assert {event.by for event in used.events.all()} == {"", LABEL}


@pytest.mark.django_db
def test_others_come_back_when_the_lab_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Account.add(kind="gemini_api", secret=sandbox_key(), label="mine")

    def run(stand: object, rows: list[Row]) -> Iterator[Result]:
        raise StandBroken("no gateway")

    monkeypatch.setattr(faultlab, "run", run)
    with pytest.raises(CommandError, match="no gateway"):
        call_command("faultlab", *WHERE, "--pause-others")
    assert states() == {"mine": "new"}


def test_alone_it_starts_a_pair_of_its_own_and_leaves_nothing() -> None:
    before = left_behind()
    done = subprocess.run(
        [sys.executable, "manage.py", "faultlab", "--only", SHORT, "--json"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "gemproxy.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["form"] for line in lines] == [f.name for f in ROWS[SHORT].forms]
    assert all(line["passed"] for line in lines)
    assert left_behind() <= before


def test_a_wrong_expectation_is_told_on_the_sheet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = told(503, "overloaded", "UNAVAILABLE")
    seen = Seen("openai", status=500, errors=[{"code": "upstream_error"}])
    [text] = answer.complaints(seen, "")
    assert text == "status 500 upstream_error, expected 503 overloaded / UNAVAILABLE"


def left_behind() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("gemproxy-faultlab-*"))
