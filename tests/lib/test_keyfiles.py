"""Key files are private, made once, and never half written."""

import stat
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from gemproxy.lib.keyfiles import new_encryption_key, new_secret, stored_secret


def test_a_new_file_is_private_and_holds_what_is_returned(tmp_path: Path) -> None:
    path = tmp_path / "var" / "key"
    secret = stored_secret(path)
    assert path.read_text().strip() == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(secret) >= 64


def test_the_same_secret_is_returned_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert stored_secret(path) == stored_secret(path)


def test_a_given_file_is_read_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("mine\n")
    assert stored_secret(path, lambda: pytest.fail("made another")) == "mine"


def test_those_that_start_together_agree(tmp_path: Path) -> None:
    path = tmp_path / "key"
    together = threading.Barrier(8)
    found: list[str] = []

    def make() -> str:
        together.wait(timeout=20)
        return new_secret()

    def start() -> None:
        found.append(stored_secret(path, make))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2)
    assert len(found) == 8
    assert set(found) == {path.read_text().strip()}
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_failure_leaves_no_draft_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once: where links are not supported, the draft with a secret in it stays.
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("gemproxy.lib.keyfiles.os.link", refuse)
    with pytest.raises(OSError, match="no links"):
        stored_secret(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_fresh_secrets_differ_and_encryption_keys_fit() -> None:
    assert new_secret() != new_secret()
    assert Fernet(new_encryption_key())
