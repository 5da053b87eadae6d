"""`make demo`: everything with data of its own, and a line that works when pasted."""

import contextlib
import json
import re
import signal
import socket
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Account, Token, User
from proxy.demonstration import seed
from tests.running import (
    Started,
    alive,
    descendants,
    eventually,
    free_port,
    get,
    started,
)

Demo = Callable[..., contextlib.AbstractContextManager[Started]]
END = "Ctrl-C stops everything."


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    @contextlib.contextmanager
    def start(port: int, **settings: str) -> Iterator[Started]:
        environment = {
            "VAR_DIR": str(tmp_path / "var"),
            "PORT": str(port),
            "HOST": "127.0.0.1",
            # What an operator may have set for the real thing; none of it counts.
            "DATABASE_URL": "postgres://127.0.0.1:1/none",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "PUBLIC_URL": "https://gw.example.org",
            "GEMINI_API_KEYS": "AIzaSy" + "r" * 33,
            "ADMIN_USER": "olga",
            "ADMIN_PASSWORD": "river-otter-42-lamp",
            **settings,
        }
        arguments = ["manage.py", "demo", "--sandbox-port", str(free_port())]
        with started(arguments, tmp_path / "output", environment) as running:
            yield running

    return start


def block(running: Started) -> str:
    eventually(lambda: END in running.text(), 60)
    return running.text()


def test_the_printed_lines_work_and_ctrl_c_ends_it_all(
    demo: Demo, tmp_path: Path
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with demo(port) as running:
        text = block(running)
        for words in (f"{base}/v1", f"{base}/admin/", "admin / ", "demo / ", "gp-"):
            assert words in text
        [curl] = re.findall(r"^curl .*$", text, re.MULTILINE)
        done = subprocess.run(
            ["sh", "-c", curl], capture_output=True, text=True, check=True, timeout=30
        )
        answer = json.loads(done.stdout)
        assert answer["choices"][0]["message"]["content"]
        assert answer["choices"][0]["finish_reason"] == "stop"
        below = descendants(running.pid)
        running.send(signal.SIGINT)
        assert running.wait(40) == 0
        assert not alive(below)
    kept = tmp_path / "var" / "demo" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with demo(port) as running:
        again = block(running)
        assert (
            again[again.index("gemproxy demo") :]
            == text[text.index("gemproxy demo") : text.index(END) + len(END)] + "\n"
        )
        assert get(f"{base}/health")[0] == 200
    assert not (tmp_path / "var" / "gemproxy.sqlite3").exists()


def test_a_busy_port_is_said_at_once(demo: Demo, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(port) as running:
            assert running.wait() == 1
            assert f"port {port}" in running.text()
            assert "PORT=" in running.text()
            assert "Traceback" not in running.text()
    assert not (tmp_path / "var" / "demo" / "credentials.json").exists()


@pytest.fixture
def own_folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.mark.django_db
def test_seeding_makes_an_admin_a_caller_and_accounts(own_folder: Path) -> None:
    made = seed()
    admin, caller = (
        User.objects.get(username="admin"),
        User.objects.get(username="demo"),
    )
    assert admin.is_superuser
    assert admin.check_password(made.admin_password)
    assert not caller.is_staff
    assert caller.check_password(made.demo_password)
    kinds = Counter(Account.objects.values_list("kind", flat=True))
    assert kinds == {"gemini_api": 3, "xai": 1, "code_assist": 1}
    assert (own_folder / "credentials.json").stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_two_installations_get_different_passwords(own_folder: Path) -> None:
    first = seed()
    (own_folder / "credentials.json").unlink()
    second = seed()
    assert first.admin_password != second.admin_password
    assert first.token != second.token


@pytest.mark.django_db
def test_a_second_seeding_changes_nothing(own_folder: Path) -> None:
    assert seed() == seed()
    assert (User.objects.count(), Token.objects.count()) == (2, 1)
    kinds = Counter(Account.objects.values_list("kind", flat=True))
    assert kinds == {"gemini_api": 3, "xai": 1, "code_assist": 1}


def _change_password() -> None:
    user = User.objects.get(username="admin")
    user.set_password("changed-by-hand-3")
    user.save()


def _revoke() -> None:
    Token.objects.get().revoke()


def _delete() -> None:
    User.objects.get(username="demo").delete()


@pytest.mark.django_db
@pytest.mark.parametrize("change", [_change_password, _revoke, _delete])
def test_what_is_printed_works_whatever_was_changed_meanwhile(
    own_folder: Path, change: Callable[[], None]
) -> None:
    first = seed()
    change()
    second = seed()
    assert second != first
    assert User.objects.get(username="admin").check_password(second.admin_password)
    assert seed() == second


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "gp-x"}'])
def test_a_damaged_file_of_credentials_is_made_anew(
    own_folder: Path, text: str
) -> None:
    (own_folder / "credentials.json").write_text(text)
    made = seed()
    assert User.objects.get(username="admin").check_password(made.admin_password)
    assert seed() == made
