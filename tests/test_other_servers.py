"""The runs on other servers find their servers, or say why they are skipped."""

import socket

import pytest

from tests import other_servers
from tests.other_servers import address, listens, missing, runs


@pytest.fixture(autouse=True)
def urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_POSTGRES_URL", "postgres://u:p@127.0.0.1:1/x")
    monkeypatch.setenv("TEST_MARIADB_URL", "mysql://u@127.0.0.1:1/x")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgres://u:p@db.example:6543/x", ("db.example", 6543)),
        ("postgres://u:p@db.example/x", ("db.example", 5432)),
        ("postgresql:///x", ("127.0.0.1", 5432)),
        ("mysql://u@db.example/x", ("db.example", 3306)),
        ("redis://cache.example/0", ("cache.example", 6379)),
    ],
)
def test_an_address_has_the_default_port_of_its_kind(
    url: str, where: tuple[str, int]
) -> None:
    assert address(url) == where


def test_a_listening_server_is_found() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        assert listens(*sock.getsockname())
    assert not listens("127.0.0.1", 1)


def test_every_server_of_a_run_must_be_there() -> None:
    maria, postgres = runs()
    assert len(missing(maria)) == 1
    assert len(missing(postgres)) == 2


def test_absent_servers_are_skipped_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert other_servers.main() == 0
    assert "nothing listens on 127.0.0.1:1" in capsys.readouterr().out


def test_in_ci_an_absent_server_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert other_servers.main() == 1


def test_only_the_run_that_names_redis_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Done:
        returncode = 0

    def run(command: list[str], *, env: dict[str, str], **_: object) -> Done:
        seen.append(env["TEST_REDIS_URL"])
        return Done()

    monkeypatch.setattr(other_servers, "listens", lambda *_: True)
    monkeypatch.setattr(other_servers.subprocess, "run", run)
    assert other_servers.main() == 0
    assert seen == ["", "redis://127.0.0.1:1/0"]


@pytest.mark.parametrize(("code", "result"), [(0, 0), (1, 1), (5, 0)])
def test_a_failing_run_ends_it_and_an_empty_one_does_not(
    monkeypatch: pytest.MonkeyPatch, code: int, result: int
) -> None:
    class Done:
        returncode = code

    monkeypatch.setattr(other_servers, "listens", lambda *_: True)
    monkeypatch.setattr(other_servers.subprocess, "run", lambda *_, **__: Done())
    assert other_servers.main() == result
