"""The watch over logs finds what it should, says little of it, and fails the test."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts import tokens
from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.logins import CLIENT_SECRET, Logins, refresh_token
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.sandbox.xai_faults import xai_key
from tests import running, settings
from tests.log_watch import SECRETS, Watch, secrets_in, watch

pytest_plugins = ["pytester"]
LOGINS = Logins(lambda: 0.0)
ISSUED = {
    "session cookie": sandbox_psid("ok", 7),
    "rotating cookie": sandbox_psidts(sandbox_psid()),
    "API key": sandbox_key("ok", 7),
    "xAI key": xai_key("ok", 7),
    "refresh token": refresh_token("ok", 7),
    "access token": LOGINS.grant(refresh_token()),
    "sign-in code": LOGINS.make_code("c", "r"),
    "client secret": CLIENT_SECRET,
    "gateway token": tokens.make(),
    "key of the tests": settings.SECRET_KEY,
    "password": "correct horse",
    "third cookie": "AKEysandbox12",
    "page token": f"AJ{'0a' * 16}:1700000000000",
}


@pytest.fixture
def own() -> Watch:
    """A watch that nobody else hears of."""
    return Watch()


def record(message: str, name: str = "proxy.test", **fields: Any) -> logging.LogRecord:
    return logging.LogRecord(
        name, logging.DEBUG, __file__, 1, message, (), None, **fields
    )


def test_every_kind_of_secret_has_an_example() -> None:
    assert ISSUED.keys() == SECRETS.keys()


@pytest.mark.parametrize("kind", ISSUED)
@pytest.mark.parametrize("around", ["{}", '{{"x": "{}"}}', "a={};", "/path/{}?q=1"])
def test_what_is_issued_is_found_by_its_kind(kind: str, around: str) -> None:
    [hit] = secrets_in(around.format(ISSUED[kind]), "here")
    assert (hit.kind, hit.where) == (kind, "here")


@pytest.mark.parametrize("kind", ISSUED)
def test_a_hit_does_not_tell_the_secret(kind: str) -> None:
    [hit] = secrets_in(ISSUED[kind], "here")
    assert ISSUED[kind][:7] not in str(hit)


def test_what_is_safe_to_show_is_no_hit() -> None:
    shown = "Sandbox-ok-000007 AIza…xxxx g.a0…xxxx gp-… [secret] sidts xai- fault-lab-0"
    assert list(secrets_in(shown, "here")) == []


def test_a_record_of_ours_is_read_before_redaction(own: Watch) -> None:
    own.see(record(f"key {ISSUED['API key']}"))
    assert [hit.kind for hit in own.take()] == ["API key"]
    assert own.take() == []


@pytest.mark.parametrize("name", ["httpx", "proxy.sandbox.app"])
def test_a_record_of_others_is_read_as_it_would_be_written(
    own: Watch, name: str
) -> None:
    own.see(record(f"key {ISSUED['API key']}", name))
    assert own.hits == []
    own.see(record(f"secret {CLIENT_SECRET}", name))
    assert [hit.kind for hit in own.hits] == ["client secret"]


def test_arguments_and_tracebacks_are_read_too(own: Watch) -> None:
    try:
        raise ValueError(ISSUED["refresh token"])
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    own.see(failed)
    given = record("account %s")
    given.args = (ISSUED["session cookie"],)
    own.see(given)
    assert [hit.kind for hit in own.hits] == ["refresh token", "session cookie"]


def test_a_level_that_is_not_enabled_is_read_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = watch.records
    quiet = logging.getLogger("proxy.test_log_watch")
    with caplog.at_level(logging.WARNING, quiet.name):
        quiet.debug("nothing to see")
    assert watch.records > before
    assert "nothing to see" not in caplog.text


def test_loguru_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import loguru

    before = watch.records
    loguru.logger.trace("a cookie went by")
    assert watch.records == before + 1


def test_the_log_of_a_process_is_read_when_it_has_ended(tmp_path: Path) -> None:
    code = f"print({ISSUED['access token']!r})"
    with running.started(["-c", code], tmp_path / "output") as process:
        process.wait()
    [hit] = watch.take()
    assert hit.kind == "access token"


def test_what_a_command_prints_for_people_is_no_log(own: Watch) -> None:
    token, day = ISSUED["gateway token"], "2026-01-01 00:00:00,000"
    text = f"  API token\nTry {token}\n{day} INFO proxy {token}"
    own.read(text, "a demo", ["manage.py", "demo"])
    assert len(own.take()) == 1
    own.read(f"Try {token}", "a server", ["manage.py", "serve"])
    assert len(own.take()) == 1


@pytest.mark.logs_secrets
def test_a_test_may_log_a_secret_if_it_says_so() -> None:
    logging.getLogger("proxy.test").error("%s", ISSUED["API key"])
    assert watch.hits == []


INNER = """
import logging
import pytest
from tests.log_watch import watch

@pytest.fixture(scope="module")
def late():
    yield
    logging.getLogger("proxy.late").info("%s", "{late}")

def test_innocent(late):
    logging.getLogger("proxy.x").info("all is well")

def test_guilty(late):
    logging.getLogger("proxy.x").debug("the key is %s", "{key}")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "parallel"])
def test_a_leak_fails_its_test_and_the_run(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    workers: tuple[str, ...],
) -> None:
    """The whole of it, in a run of its own with our conftest."""
    monkeypatch.setenv("PYTHONPATH", str(running.ROOT))
    pytester.makeini("[pytest]\nmarkers =\n  logs_secrets\n")
    pytester.makeconftest("from tests.conftest import *\n")
    inner = INNER.format(key=ISSUED["API key"], late=ISSUED["refresh token"])
    pytester.makepyfile(inner)
    ran = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "no:randomly", "--ds=tests.settings", *workers
    )
    ran.assert_outcomes(passed=2, errors=1)
    ran.stdout.fnmatch_lines(["*secrets in logs: API key (AIzaSy*) in a record of*"])
    ran.stderr.fnmatch_lines(["*after the last test: refresh token (1//0gS*"])
    assert ran.ret == 1
    assert ISSUED["API key"] not in "".join(
        line for line in ran.outlines if "secrets in logs" in line
    )
