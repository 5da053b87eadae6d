"""A setting that cannot be used stops the start with one clear line."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT


def manage(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the system checks as the operator's own process would."""
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "gemproxy.settings",
            "VAR_DIR": str(tmp_path / "var"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "nonsense://u:hidden-word@h/x"),
        ("PORT", "abc"),
        ("PORT", "99999"),
        ("LOG_LEVEL", "loud"),
        ("TIME_ZONE", "Nowhere/Town"),
        ("SECRET_KEY_FILE", "/does/not/exist"),
        ("VAR_DIR", "/proc/nowhere"),
        ("SHUTDOWN_GRACE_SECONDS", "nan"),
        ("MAX_BODY_BYTES", "1"),
        ("ENCRYPTION_KEYS", "hidden-word"),
        ("SECRET_KEY", "hidden-word"),
        ("GEMINI_BASE_URL", "not-a-url"),
        ("REDIS_URL", "http://:hidden-word@h"),
        ("WORKERS", "2"),
    ],
)
def test_a_bad_setting_is_named_without_a_traceback(
    tmp_path: Path, name: str, value: str
) -> None:
    clean = {"DATABASE_URL": "", "REDIS_URL": "", "SECRET_KEY": ""}
    ended = manage(tmp_path, **{**clean, name: value})
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert (
        name.removesuffix("_FILE").replace("VAR_DIR", "/proc/nowhere") in ended.stderr
    )
    assert "hidden-word" not in ended.stderr


def test_folders_are_made_for_nobody_else_to_read(tmp_path: Path) -> None:
    assert manage(tmp_path, DATABASE_URL="").returncode == 0
    made = tmp_path / "var"
    folders = [made, *(path for path in made.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert len(folders) > 1


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o750)
    assert manage(tmp_path, DATABASE_URL="").returncode == 0
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o750
