"""kill -9 in the middle of a renewal loses no credential that the provider still takes."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from proxy.sandbox.logins import refresh_token
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from tests.clients.installations import Installation, kill
from tests.clients.kinds import CLI, WEB, Filled, Google, filled, google
from tests.running import eventually

# Each look into the database is a process of its own.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
HELD, BURNT = sandbox_psid("rotatehold"), sandbox_psid("rotateburn")
ENQUEUE = """
import json
from django_q.tasks import async_task
print(json.dumps(async_task("proxy.jobs.rotate_cookies")))
"""
#: What is stored of each account, and which are due now and once claims have ended.
LOOK = """
import json
from accounts import websessions
from accounts.credentials import cli_json
from accounts.models import Account
from gemproxy.lib import clock
found = {}
for row in Account.objects.all():
    one = {"state": row.state, "cause": row.state_cause, "advice": row.state_advice}
    if row.kind == "gemini_web":
        session = websessions.session_of(row)
        one |= {"psidts": session.cookies.psidts, "version": session.version,
                "result": session.result, "failures": session.failures}
    else:
        login = cli_json.loaded(row.secret.reveal())
        claim = row.facts.get("_claim") or {}
        one |= {"login": login.refresh_token, "token": bool(login.access_token),
                "claimed": bool(claim), "until": claim.get("until", 0)}
    found[row.pk] = one
now = clock.now().timestamp()
print(json.dumps({"accounts": found, "now": now, "due": websessions.due(now),
                  "later": websessions.due(now + 121)}))
"""
#: Let so much time have passed since an account was last tried or claimed.
AGE = """
import json
from accounts.models import Account
for row in Account.objects.filter(pk__in=ids):
    facts = dict(row.facts)
    if "_claim" in facts:
        until = facts["_claim"]["until"] - seconds
        facts["_claim"] = {**facts["_claim"], "until": until}
    if "web" in facts:
        facts["web"] = {**facts["web"], "tried_at": facts["web"]["tried_at"] - seconds}
    Account.objects.filter(pk=row.pk).update(facts=facts)
print(json.dumps(len(ids)))
"""
DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module")
def imitated(tmp_path_factory: Any) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shared(database: str, request: pytest.FixtureRequest) -> str:
    """Redis beside PostgreSQL, nothing beside SQLite."""
    if database == "sqlite":
        return ""
    url = str(request.getfixturevalue("redis_url"))
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
    return url


def look(at: Installation, what: int) -> dict[str, Any]:
    found: dict[str, Any] = at.shell(LOOK)["accounts"][str(what)]
    return found


def rotate(at: Installation, until: Any) -> None:
    """Let a worker renew what is due until something has happened, then kill it."""
    at.shell(ENQUEUE)
    with at.worker() as worker:
        eventually(until, 60)
        kill(worker)


def test_a_worker_killed_in_a_rotation_loses_no_cookies(
    imitated: Google, tmp_path: Path, database: str, shared: str
) -> None:
    imitated.people.reset()
    names = ("rotatehold", "rotateburn", "ok")
    with filled(
        tmp_path, imitated, database=database, redis_url=shared, web=names
    ) as house:
        at, (held, burnt, good) = house.at, house.ids

        def issued() -> bool:
            given = [imitated.person(psid).revision for psid in (HELD, BURNT)]
            return given == [2, 2] and look(at, good)["version"] == 2

        rotate(at, issued)
        after_kill(at, held, burnt)
        for psid in (HELD, BURNT):
            imitated.person(psid).behaviour = "ok"
        with at.server() as server:
            assert house.chat(server.url, WEB).status_code == 200
        # The one is taken up where it was, the other is lost at the provider.
        at.shell(AGE, ids=[held, burnt], seconds=121)
        rotate(at, lambda: look(at, burnt)["failures"] == 1)
        assert look(at, held)["psidts"] == sandbox_psidts(HELD, 3)
        assert look(at, held)["version"] == 2
        at.shell(AGE, ids=[burnt], seconds=61)
        rotate(at, lambda: look(at, burnt)["state"] == "needs_attention")
        lost = look(at, burnt)
        assert lost["cause"] == "cookies_expired"
        assert "Paste new cookies" in lost["advice"]
        assert look(at, good)["state"] in ("new", "active")


def after_kill(at: Installation, held: int, burnt: int) -> None:
    """Nothing is half written, and the claims end by the clock."""
    told = at.shell(LOOK)
    for pk, psid in ((held, HELD), (burnt, BURNT)):
        one = told["accounts"][str(pk)]
        assert one["psidts"] == sandbox_psidts(psid, 1)
        assert (one["version"], one["result"]) == (1, "claimed")
        assert one["state"] == "new"
    assert told["due"] == []
    assert sorted(told["later"]) == sorted([held, burnt])


@pytest.mark.parametrize("burns", [False, True], ids=["kept", "burnt"])
def test_a_server_killed_in_a_refresh_loses_no_login(
    imitated: Google, tmp_path: Path, database: str, shared: str, burns: bool
) -> None:
    name = "rotatingstall" if burns else "grantstall"
    login = refresh_token(name)
    imitated.box.state.reset()
    with filled(
        tmp_path, imitated, database=database, redis_url=shared, cli=(name, "ok")
    ) as house:
        at, (held, good) = house.at, house.ids
        refreshes = imitated.box.state.logins.refreshes
        with at.server() as server:
            asking = threading.Thread(target=ask_in_vain, args=(house, server.url))
            asking.start()
            eventually(lambda: refreshes[login] or any_refresh(refreshes, burns), 60)
            kill(server.running)
            asking.join(30)
        told = at.shell(LOOK)
        one = told["accounts"][str(held)]
        assert (one["login"], one["token"], one["claimed"]) == (login, False, True)
        assert 0 < one["until"] <= told["now"] + 30
        if not burns:
            wish = {"login": login, "behaviour": "ok"}
            imitated.box.state.logins.tell(wish, frozenset({"ok"}))
        # Nobody waits for a claim whose owner is dead longer than it lasts.
        at.shell(AGE, ids=[held], seconds=60)
        with at.server() as server:
            assert house.chat(server.url, CLI).status_code == 200
            if burns:
                eventually(lambda: look(at, held)["state"] == "needs_attention")
                lost = look(at, held)
                assert lost["cause"] == "login_expired"
                assert "Sign the account in again" in lost["advice"]
                assert look(at, good)["token"]
            else:
                eventually(lambda: look(at, held)["token"])
                assert look(at, held)["state"] in ("new", "active")


def any_refresh(refreshes: Any, burns: bool) -> bool:
    """A refresh token that took the place of another is counted by its own name."""
    return burns and sum(refreshes.values()) > 0


def ask_in_vain(house: Filled, url: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        house.chat(url, CLI)
