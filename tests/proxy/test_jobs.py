"""The job that keeps a sleeping host awake."""

from typing import Any

import pytest

from proxy import runner
from proxy.models import JobRun
from tests.receivers import webhook
from tests.running import free_port

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def switched_on(settings: Any) -> None:
    settings.KEEP_ALIVE_INTERVAL = 10


def result() -> str:
    return JobRun.objects.get(job="keep awake").result


def test_the_public_address_is_asked_to_wake(settings: Any) -> None:
    with webhook() as host:
        settings.PUBLIC_URL = host.url.partition("/hooks")[0]
        said = runner.run_job("keep awake")
    assert host.paths == ["/wake"]
    assert said.startswith("PUBLIC_URL/wake answered 200 in ")
    assert result() == said


def test_an_address_that_answers_badly_is_a_failure(settings: Any) -> None:
    with webhook() as host:
        settings.PUBLIC_URL = host.url.partition("/hooks")[0]
        host.statuses.append(503)
        with pytest.raises(runner.JobFailed):
            runner.run_job("keep awake")
    assert result().startswith("PUBLIC_URL/wake answered 503 in ")


def test_an_address_that_is_away_is_a_failure(settings: Any) -> None:
    settings.PUBLIC_URL = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(runner.JobFailed):
        runner.run_job("keep awake")
    assert result() == "PUBLIC_URL/wake: not reachable (ConnectError)"


@pytest.mark.parametrize(("minutes", "url"), [(0, "http://127.0.0.1:1"), (10, "")])
def test_without_its_settings_nobody_is_asked(
    settings: Any, minutes: int, url: str
) -> None:
    settings.KEEP_ALIVE_INTERVAL, settings.PUBLIC_URL = minutes, url
    assert runner.run_job("keep awake").startswith("switched off (")
