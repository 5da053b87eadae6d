"""System checks of the gateway's own settings."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import DatabaseError, router
from django_q.models import Schedule

from gemproxy.checks import check_addresses
from proxy import schedules
from proxy.checks import check_alerts, check_stored_schedules, check_upkeep, check_xai


def ids() -> list[str]:
    return [str(message.id) for message in check_xai()]


def test_nothing_is_wrong_by_default(settings: Any) -> None:
    assert settings.XAI_RESPONSE_FORMAT == "url"
    assert settings.XAI_CALLER_KEYS is False
    assert ids() == []


def test_pictures_of_xai_may_be_stored_here(settings: Any) -> None:
    settings.XAI_RESPONSE_FORMAT = "b64_json"
    assert ids() == []


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ([], ["gemproxy.E022"]),
        (["192.0.2.7"], []),
        (["192.0.2.0/24", "2001:db8::/32"], []),
        (["192.0.2.7", "nonsense"], ["gemproxy.E021"]),
    ],
)
def test_keys_in_place_of_tokens_need_good_addresses(
    settings: Any, addresses: list[str], found: list[str]
) -> None:
    settings.XAI_CALLER_KEYS = True
    settings.XAI_CALLER_IPS = addresses
    assert ids() == found


def test_an_address_of_xai_that_is_none_is_reported(settings: Any) -> None:
    settings.XAI_BASE_URL = "api.x.ai"
    assert [m.id for m in check_addresses()] == ["gemproxy.E008"]
    settings.XAI_BASE_URL = "https://api.x.ai"
    assert check_addresses() == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("", []),
        ("https://hooks.example.org/T/B/hidden-word", []),
        ("http://192.168.1.5:8065/hooks/x", []),
        ("hooks.example.org/hidden-word", ["gemproxy.E060"]),
        ("ftp://hooks.example.org/hidden-word", ["gemproxy.E060"]),
        ("https:///hidden-word", ["gemproxy.E060"]),
        ("https://[hidden-word", ["gemproxy.E060"]),
    ],
)
def test_a_webhook_must_be_a_web_address_and_is_not_shown(
    settings: Any, url: str, found: list[str]
) -> None:
    settings.ALERT_WEBHOOK_URL = url
    messages = check_alerts()
    assert [m.id for m in messages] == found
    assert all("hidden-word" not in m.msg for m in messages)


def test_mails_need_addresses_and_a_server(settings: Any) -> None:
    settings.ALERT_EMAILS = ["olga@example.org", "olga"]
    settings.EMAIL_URL = ""
    assert [m.id for m in check_alerts()] == ["gemproxy.E061", "gemproxy.E062"]
    settings.ALERT_EMAILS = ["olga@example.org"]
    settings.EMAIL_URL = "smtp://mail.example.org"
    assert check_alerts() == []


@pytest.mark.parametrize(
    ("days", "kept", "found"),
    [
        (7, 90, []),
        (0, 1, []),
        (7, 9, []),
        (7, 8, ["gemproxy.W060"]),
        (30, 14, ["gemproxy.W060"]),
    ],
)
def test_a_clean_up_that_could_find_nothing_is_reported(
    settings: Any, days: int, kept: int, found: list[str]
) -> None:
    settings.FAILING_ACCOUNT_DAYS, settings.USAGE_RETENTION_DAYS = days, kept
    assert [m.id for m in check_upkeep()] == found


async def _coroutine() -> None:
    """A schedule must not name one."""


def stored_ids() -> list[str]:
    alias = router.db_for_read(Schedule)
    return [str(m.id) for m in check_stored_schedules(databases=[alias])]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    ("name", "func", "found"),
    [
        ("mine", "os.getcwd", []),
        ("mine", "os.no_such_function", ["gemproxy.E011"]),
        ("mine", "no_such_module.job", ["gemproxy.E011"]),
        (None, "tests.proxy.test_checks._coroutine", ["gemproxy.E011"]),
        ("gemproxy: of old", "proxy.jobs.of_old", ["gemproxy.W011"]),
    ],
)
def test_stored_schedules_that_could_not_run_are_reported(
    name: str, func: str, found: list[str]
) -> None:
    Schedule.objects.create(name=name, func=func)
    assert stored_ids() == found
    Schedule.objects.update(repeats=0)
    assert stored_ids() == []


@pytest.mark.django_db(databases="__all__")
def test_schedules_as_declared_are_fine_and_only_asked_with_their_database() -> None:
    schedules.sync()
    assert stored_ids() == []
    Schedule.objects.create(name="mine", func="os.no_such_function")
    assert check_stored_schedules(databases=None) == []
    assert check_stored_schedules(databases=["another"]) == []
    assert "gemproxy.E011" not in {m.id for m in run_checks()}


def test_before_the_table_is_there_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(schedules, "broken_rows", missing)
    assert stored_ids() == []
