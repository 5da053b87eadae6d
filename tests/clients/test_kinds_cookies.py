"""Cookies given to one process serve in all; the environment never overwrites newer."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from tests.clients.kinds import WEB, Filled, Google, filled, google
from tests.running import eventually

# Each look into the database is a process of its own.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
FIRST, SECOND = sandbox_psid("ok", 1), sandbox_psid("ok", 2)
LOOK = """
import json
from accounts import websessions
from accounts.models import Account
rows = Account.objects.filter(kind="gemini_web")
sessions = [websessions.session_of(row) for row in rows]
print(json.dumps([[s.cookies.psid, s.cookies.psidts, s.version] for s in sessions]))
"""
#: Renews whatever there is, as the job does when it is due.
ROTATE = """
import json
from accounts import websessions
from accounts.models import Account
from accounts.models.upstream import WEB_FACTS
from proxy.jobs import rotate_cookies
for row in Account.objects.filter(kind="gemini_web"):
    facts = dict(row.facts.get(WEB_FACTS, {}), pasted_at=0, rotated_at=0, tried_at=0)
    row.facts = {**row.facts, WEB_FACTS: facts}
    row.save(update_fields=["facts"])
print(json.dumps(rotate_cookies()))
"""
START = """
import json
from proxy.first_start import import_cookies
said = []
import_cookies(said.append)
print(json.dumps(said))
"""
DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module")
def imitated(tmp_path_factory: Any) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        client.flushdb()
    return redis_url


def given(psid: str) -> dict[str, Any]:
    return {"cookies": {"SECURE_1PSID": psid, "SECURE_1PSIDTS": sandbox_psidts(psid)}}


def asks_as(house: Filled, google: Google, url: str, psid: str) -> bool:
    """Ask a server once; tell whether the account of these cookies answered."""
    before = google.person(psid).answers
    return (
        house.chat(url, WEB).status_code == 200
        and google.person(psid).answers == before + 1
    )


@pytest.mark.redis
@pytest.mark.parametrize("database", DATABASES)
def test_cookies_given_to_one_server_serve_in_the_other(
    imitated: Google, tmp_path: Path, empty_redis: str, database: str
) -> None:
    imitated.people.reset()
    with contextlib.ExitStack() as stack:
        house = stack.enter_context(
            filled(
                tmp_path,
                imitated,
                database=database,
                redis_url=empty_redis,
                web=("ok",),
            )
        )
        urls = [stack.enter_context(house.at.server()).url for _ in range(2)]
        for url in urls:
            assert asks_as(house, imitated, url, FIRST)
        done = house.operate(urls[0], "POST", "/api/cookies", json=given(SECOND))
        assert done.json() == {
            "success": True,
            "message": f"The cookies of web ok (id {house.ids[0]}) were replaced.",
        }
        for url in reversed(urls):
            eventually(lambda url=url: asks_as(house, imitated, url, SECOND), 20)
        old = imitated.person(FIRST).answers
        assert all(asks_as(house, imitated, url, SECOND) for url in urls * 2)
        assert imitated.person(FIRST).answers == old


@pytest.mark.parametrize("database", DATABASES)
def test_cookies_renewed_by_a_job_serve_in_the_server(
    imitated: Google, tmp_path: Path, database: str
) -> None:
    imitated.people.reset()
    with (
        filled(tmp_path, imitated, database=database, web=("ok",)) as house,
        house.at.server() as server,
    ):
        assert asks_as(house, imitated, server.url, FIRST)
        assert house.at.shell(ROTATE) == "1 rotated"
        # The provider takes the newest value only: the old session would be a guest's.
        imitated.person(FIRST).only_newest = True
        eventually(lambda: asks_as(house, imitated, server.url, FIRST), 20)
        [[_, psidts, version]] = house.at.shell(LOOK)
        assert (psidts, version) == (sandbox_psidts(FIRST, 2), 2)


def test_cookies_of_the_environment_come_once_and_never_over_newer_ones(
    imitated: Google, tmp_path: Path
) -> None:
    imitated.people.reset()
    with filled(tmp_path, imitated) as house:
        at = house.at
        first = {"SECURE_1PSID": FIRST, "SECURE_1PSIDTS": sandbox_psidts(FIRST)}
        start = {"HTTPS_PROXY": imitated.site.sandbox.proxy_url}
        at.settings = {**at.settings, **start, **first}
        assert at.shell(START) == ["The web account of SECURE_1PSID was added"]
        assert at.shell(START) == []
        assert at.shell(ROTATE) == "1 rotated"
        newer = [[FIRST, sandbox_psidts(FIRST, 2), 2 + 1]]
        kept = at.shell(LOOK)
        assert kept[0][:2] == newer[0][:2]
        assert at.shell(START) == []
        assert at.shell(LOOK) == kept
        # Other cookies in the environment are a person's wish.
        second = {"SECURE_1PSID": SECOND, "SECURE_1PSIDTS": sandbox_psidts(SECOND)}
        at.settings = {**at.settings, **second}
        assert at.shell(START) == ["The web account of SECURE_1PSID was replaced"]
        assert [row[0] for row in at.shell(LOOK)] == [SECOND]
        assert at.shell(START) == []


def test_every_way_to_name_cookies_and_accounts(
    imitated: Google, tmp_path: Path
) -> None:
    imitated.people.reset()
    with (
        filled(tmp_path, imitated, web=("ok", "slow")) as house,
        house.at.server() as server,
    ):

        def post(cookies: Any, **more: Any) -> tuple[int, str]:
            body = {"cookies": cookies, **more}
            done = house.operate(server.url, "POST", "/api/cookies", json=body)
            return done.status_code, done.json()["message"]

        def fresh(number: int) -> tuple[str, str]:
            psid = sandbox_psid("ok", number)
            return psid, sandbox_psidts(psid)

        psid, psidts = fresh(11)
        assert post({"1PSID": psid})[0] == 409
        assert "say which" in post({"1PSID": psid})[1]
        assert post({"1PSIDTS": psidts})[0] == 400
        assert post({"1PSID": psid}, account="nobody")[0] == 404
        by_id, by_label = str(house.ids[0]), "web slow"
        ways = [
            {"SECURE_1PSID": psid, "SECURE_1PSIDTS": psidts},
            {"1PSID": psid, "1PSIDTS": psidts},
            {"__Secure-1PSID": psid, "__Secure-1PSIDTS": psidts},
            [{"name": "__Secure-1PSID", "value": psid, "domain": ".google.com"}],
            f"__Secure-1PSID={psid}; __Secure-1PSIDTS={psidts}",
        ]
        for cookies in ways:
            status, told = post(cookies, account=by_id)
            assert (status, "replaced" in told) == (200, True), told
        number = 12
        for cookies in ({"1PSID": fresh(number)[0]}, {"1PSID": fresh(13)[0]}):
            assert post(cookies, account=by_label)[0] == 200
        status = house.operate(server.url, "GET", "/api/cookies/status").json()
        assert status["valid"] is True
        assert status["message"] == "2 of 2 web accounts work."
