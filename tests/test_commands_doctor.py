"""`doctor` finds what is wrong, says what to do, and fails only for failures."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.utils import OperationalError
from django_q.models import Schedule, Task

from accounts.models import Account, User
from gemproxy.lib import clock
from proxy import diagnosis, schedules
from proxy.errors import AccountRefused
from proxy.models import Alert
from proxy.spool import Spool, spool_folder
from proxy.upstreams.base import AccountConfig

KEYS = [f"AIzaSy{letter * 33}" for letter in "abc"]
OTHER_KEY = "b3RoZXItZW5jcnlwdGlvbi1rZXktb2YtMzItYnl0ZSE="
pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    return tmp_path / "var"


@pytest.fixture
def healthy(operator: User) -> Account:
    """An installation of which nothing bad can be said."""
    schedules.sync()
    account = Account.add(kind="gemini_api", secret=KEYS[0])
    assert account is not None
    return account


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Run the command; return its lines, the exit in words last."""

    def run(*options: str) -> list[str]:
        try:
            call_command("doctor", *options)
            end = "well"
        except CommandError as error:
            end = str(error)
        return [*capsys.readouterr().out.splitlines(), end]

    return run


def line(lines: list[str], subject: str) -> str:
    [found] = [line for line in lines if f" {subject}" in line]
    return found


def test_a_healthy_installation_gets_one_ok_per_check(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    *lines, end = doctor()
    assert end == "well"
    assert {found.split()[0] for found in lines} == {"OK"}, lines
    for subject in (
        "configuration",
        "VAR_DIR",
        "Redis",
        "database default",
        "operator",
        "encryption",
        "schedules",
        "ledger",
    ):
        assert line(lines, subject)


def test_a_missing_operator_is_a_failure_with_three_ways_out(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    User.objects.update(is_active=False)
    *lines, end = doctor()
    found = line(lines, "operator")
    assert found.startswith("FAIL")
    assert "createsuperuser" in found
    assert end == "1 checks failed."


def test_a_secret_that_no_key_opens_is_named_by_its_account(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = [OTHER_KEY]
    found = line(doctor(), "encryption")
    assert found.startswith("FAIL")
    assert f"account {healthy.pk}" in found
    assert "ENCRYPTION_KEYS" in found


def test_a_former_key_further_down_the_list_still_opens(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = [OTHER_KEY, *settings.ENCRYPTION_KEYS]
    assert line(doctor(), "encryption").startswith("OK")


def test_an_empty_pool_is_a_warning_and_no_failure(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    Account.objects.update(state=Account.State.DISABLED)
    *lines, end = doctor()
    assert line(lines, "accounts").startswith("WARN")
    assert end == "well"


def test_missing_schedules_are_a_failure(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    Schedule.objects.filter(name=schedules.JOBS[0].title).delete()
    found = line(doctor(), "schedules")
    assert found.startswith("FAIL")
    assert schedules.JOBS[0].title in found
    assert "sync_schedules" in found


def test_an_overdue_schedule_means_that_no_job_worker_runs(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    past = clock.now() - datetime.timedelta(hours=1)
    Schedule.objects.filter(name=schedules.JOBS[0].title).update(next_run=past)
    found = line(doctor(), "schedules")
    assert found.startswith("WARN")
    assert "job worker" in found


@pytest.mark.parametrize(("success", "level"), [(True, "OK"), (False, "WARN")])
def test_the_last_run_of_a_schedule_counts(
    healthy: Account, doctor: Callable[..., list[str]], success: bool, level: str
) -> None:
    now = clock.now()
    Task.objects.create(
        id="t1", name="t1", func="x", started=now, stopped=now, success=success
    )
    Schedule.objects.filter(name=schedules.JOBS[0].title).update(task="t1")
    assert line(doctor(), "schedules").startswith(level)


def test_rows_in_the_spool_are_a_warning(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    spool = Spool(spool_folder())
    spool.append([b"{}\n"])
    spool.release()
    assert line(doctor(), "ledger").startswith("WARN")


def test_rows_that_the_database_refused_are_a_warning(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    Spool(spool_folder()).refuse([b"{}\n"])
    found = line(doctor(), "ledger")
    assert found.startswith("WARN")
    assert "refused.log" in found


def test_a_bad_setting_is_reported_among_the_others(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any
) -> None:
    settings.ADMIN_ALLOWED_IPS = ["all"]
    *lines, end = doctor()
    found = line(lines, "configuration")
    assert found.startswith("FAIL")
    assert "gemproxy.E006" in found
    assert line(lines, "operator").startswith("OK"), "it goes on"
    assert end == "1 checks failed."


def test_a_redis_that_is_away_is_a_failure_without_its_password(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any
) -> None:
    settings.REDIS_URL = "redis://:hunter2-password@127.0.0.1:1/0"
    found = line(doctor(), "Redis")
    assert found.startswith("FAIL")
    assert "hunter2" not in found


@pytest.mark.redis
def test_a_redis_that_answers_is_fine(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any, redis_url: str
) -> None:
    settings.REDIS_URL = redis_url
    assert line(doctor(), "Redis") == "OK   Redis: answers"


def test_a_folder_that_cannot_be_made_is_a_failure(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.VAR_DIR = tmp_path / "file" / "var"
    assert line(doctor(), "VAR_DIR").startswith("FAIL")


def test_a_database_that_is_behind_is_a_failure(
    healthy: Account, doctor: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        diagnosis.migrating, "pending", lambda alias: ["accounts.0002_more"]
    )
    found = line(doctor(), "database default")
    assert found.startswith("FAIL")
    assert "accounts.0002_more" in found
    assert "--migrate" in found


def test_without_a_database_the_checks_that_need_it_are_left_out(
    doctor: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("could not connect to postgres://u:secret-9@db/x")

    monkeypatch.setattr(type(connections["default"]), "cursor", broken)
    *lines, end = doctor("--live")
    found = line(lines, "database default")
    assert found.startswith("FAIL")
    assert "secret-9" not in found
    assert not any(" operator" in found for found in lines)
    assert "failed" in end


class Probing:
    """An adapter that knows one good key."""

    async def probe(self, account: AccountConfig, _: object) -> list[str]:
        if account.secret != KEYS[0]:
            raise AccountRefused("API key not valid.", code="api_key_invalid")
        return ["gemini-a", "gemini-b"]


@pytest.fixture
def probing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    asked: list[str] = []

    def make(kind: str, _: object) -> Probing:
        asked.append(kind)
        return Probing()

    monkeypatch.setattr(diagnosis, "make_adapter", make)
    return asked


def test_live_asks_once_for_every_account_that_is_not_disabled(
    healthy: Account, doctor: Callable[..., list[str]], probing: list[str]
) -> None:
    Account.add(kind="gemini_api", secret=KEYS[1], label="spare")
    Account.add(
        kind="gemini_api", secret=KEYS[2], state=Account.State.DISABLED, label="off"
    )
    *lines, end = doctor("--live")
    assert probing == ["gemini_api"] * 2
    assert line(lines, f"account {healthy.pk}").startswith("OK")
    assert "2 models in" in line(lines, f"account {healthy.pk}")
    spare = [found for found in lines if "(spare)" in found]
    assert spare[0].startswith("FAIL")
    assert "api_key_invalid" in spare[0]
    assert end == "1 checks failed."


def test_without_live_nobody_is_called(
    healthy: Account, doctor: Callable[..., list[str]], probing: list[str]
) -> None:
    doctor()
    assert probing == []


def test_a_switched_off_schedule_is_not_overdue(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    long_ago = clock.now() - datetime.timedelta(days=9)
    Schedule.objects.filter(repeats=0).update(next_run=long_ago)
    assert Schedule.objects.filter(next_run=long_ago).exists()
    assert line(doctor(), "schedules").startswith("OK")


def test_a_schedule_that_cannot_run_is_a_failure(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    Schedule.objects.create(
        name="mine",
        func="os.no_such_function",
        next_run=clock.now() + datetime.timedelta(hours=1),
    )
    found = line(doctor(), "schedules")
    assert found.startswith("FAIL")
    assert "mine: " in found


def test_doctor_says_who_is_told_of_trouble(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any
) -> None:
    assert line(doctor(), "alerts") == "OK   alerts: nobody is told of trouble"
    settings.ALERT_WEBHOOK_URL = "https://hooks.example.org/hidden-word"
    settings.ALERT_EMAILS = ["olga@example.org"]
    settings.EMAIL_URL = "smtp://mail.example.org"
    assert line(doctor(), "alerts") == "OK   alerts: sent by webhook and e-mail"


def test_an_alert_that_was_not_delivered_is_a_warning(
    healthy: Account, doctor: Callable[..., list[str]]
) -> None:
    Alert.objects.create(
        channel="webhook", key="a", text="", at=clock.now(), error="answered 404"
    )
    found = line(doctor(), "alerts")
    assert found.startswith("WARN")
    assert "answered 404" in found
    assert "send_test_alert" in found


def test_a_webhook_that_is_no_address_is_a_failure_without_the_address(
    healthy: Account, doctor: Callable[..., list[str]], settings: Any
) -> None:
    settings.ALERT_WEBHOOK_URL = "hooks.example.org/hidden-word"
    lines = doctor()
    assert "ALERT_WEBHOOK_URL is no http" in line(lines, "configuration")
    assert "hidden-word" not in "".join(lines)
