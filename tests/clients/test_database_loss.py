"""The database goes away under the gateway; requests do not notice."""

import threading
import time

import pytest
from django.db import connection

from accounts.models import Token
from tests.clients.conftest import Gateway, eventually

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def kill_backends() -> int:
    with connection.cursor() as cursor:
        cursor.execute(KILL)
        return len(cursor.fetchall())


@pytest.mark.postgres
def test_killed_backends_fail_no_request(gateway: Gateway) -> None:
    gateway.chat("warm up")
    assert kill_backends() > 0
    assert gateway.chat("after").status_code == 200
    eventually(lambda: len(gateway.rows()) == 2, "a usage row was lost")


@pytest.mark.postgres
def test_killed_backends_fail_no_request_under_load(gateway: Gateway) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            statuses.append(gateway.chat("hello").status_code)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        time.sleep(0.2)
        kill_backends()
    stop.set()
    for thread in threads:
        thread.join()
    assert len(statuses) > 10
    assert set(statuses) == {200}
    eventually(lambda: len(gateway.rows()) == len(statuses), "a usage row was lost")


@pytest.mark.postgres
def test_a_token_unknown_to_the_cache_is_found_after_a_loss(gateway: Gateway) -> None:
    gateway.chat("warm up")
    _, text = Token.issue(user=gateway.user, name="fresh")
    kill_backends()
    answer = gateway.get("/v1/models", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 200
