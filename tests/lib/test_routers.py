"""The job queue has its own database where there is one."""

from typing import Any

import pytest
from django_q.models import Schedule

from accounts.models import Token
from gemproxy.lib.routers import JobsRouter

ROUTER = JobsRouter()


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    both = {"default": {}, "jobs": {}}
    monkeypatch.setattr("gemproxy.lib.routers.settings.DATABASES", both)


@pytest.fixture
def single(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr("gemproxy.lib.routers.settings.DATABASES", {"default": {}})


def test_jobs_go_to_their_own_database(split: None) -> None:
    assert ROUTER.db_for_read(Schedule) == "jobs"
    assert ROUTER.db_for_write(Schedule) == "jobs"
    assert ROUTER.db_for_read(Token) is None
    assert ROUTER.db_for_write(Token) is None


def test_each_database_gets_only_its_own_tables(split: None) -> None:
    assert ROUTER.allow_migrate("jobs", "django_q") is True
    assert ROUTER.allow_migrate("jobs", "accounts") is False
    assert ROUTER.allow_migrate("default", "django_q") is False
    assert ROUTER.allow_migrate("default", "accounts") is True


def test_with_one_database_all_is_left_to_django(single: None) -> None:
    assert ROUTER.db_for_read(Schedule) is None
    assert ROUTER.db_for_write(Schedule) is None
    assert ROUTER.allow_migrate("default", "django_q") is None
    assert ROUTER.allow_relation() is None
