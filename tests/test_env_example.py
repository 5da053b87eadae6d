"""`.env.example` names every setting once, with a meaning, and nothing else."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / ".env.example"
NAME = re.compile(r"^# ?([A-Z][A-Z0-9_]*)=(.*)$")
PRINT_NAMES = """
import json
from gemproxy import settings
values = {n: getattr(settings, n, None) for n in settings.ENV._known}
print(json.dumps(values, default=str))
"""


def read_settings(tmp_path: Path) -> dict[str, object]:
    """Return all names that the settings read, with their values."""
    own = dict.fromkeys(dotenv_values(ROOT / ".env"), "")
    environment = {**own, "PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_NAMES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def lines() -> list[str]:
    return EXAMPLE.read_text().splitlines()


def shown() -> dict[str, str]:
    return dict(match.groups() for line in lines() if (match := NAME.match(line)))


def test_it_names_every_setting_and_nothing_else(tmp_path: Path) -> None:
    assert shown().keys() == read_settings(tmp_path).keys()


def test_no_setting_is_named_twice() -> None:
    names = [match[1] for line in lines() if (match := NAME.match(line))]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_line_is_a_comment_so_that_a_copy_changes_nothing() -> None:
    assert all(line.startswith("#") for line in lines() if line)
    assert dotenv_values(EXAMPLE) == {}


def test_every_group_of_settings_has_its_meaning_above() -> None:
    for before, line in zip(lines(), lines()[1:], strict=False):
        if NAME.match(line):
            assert before.startswith("# ") or NAME.match(before), line


def test_the_values_shown_are_the_defaults(tmp_path: Path) -> None:
    values = read_settings(tmp_path)
    for name, text in shown().items():
        if text:
            assert str(values[name]).lower().removesuffix(".0") == text.lower(), name
