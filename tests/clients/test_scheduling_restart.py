"""What was learned outlives the gateway."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from accounts.models import Account, CoolDown, LearnedLimit, Token, User
from gemproxy.lib import clock
from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import (
    Gateway,
    Sandbox,
    Served,
    add_account,
    eventually,
    ship_routes,
)
from tests.clients.volley import chat, statuses, volley

RPM = 5
LITE = "gemini-2.5-flash-lite"


class House:
    """A gateway that can be stopped and started again on the same database."""

    def __init__(self, sandbox: Sandbox, user: User, token: str) -> None:
        self._sandbox, self._user, self._token = sandbox, user, token
        self._served: Served | None = None

    def start(self) -> Gateway:
        from gemproxy.asgi import build

        assert self._served is None
        self._served = Served(build(), lifespan="on").__enter__()
        where = self._served.url
        return Gateway(where, self._token, self._user, self._sandbox, self._served)

    def stop(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            served.__exit__()

    def restart(self) -> Gateway:
        self.stop()
        return self.start()


@pytest.fixture(autouse=True)
def no_counters(settings: Any) -> None:
    """Where Redis counts, forget what it counted for the accounts of other tests."""
    if settings.REDIS_URL:
        with contextlib.closing(redis.Redis.from_url(settings.REDIS_URL)) as client:
            client.flushdb()


@pytest.fixture
def house(transactional_db: None, settings: Any, sandbox: Sandbox) -> Iterator[House]:
    settings.GEMINI_BASE_URL = sandbox.url
    settings.QUEUE_MAX_WAIT_MS = 0
    ship_routes()
    user = User.objects.create_user("carla")
    _, token = Token.issue(user=user, name="test")
    made = House(sandbox, user, token)
    try:
        yield made
    finally:
        made.stop()


def calls(sandbox: Sandbox) -> int:
    return int(sandbox.stats()["requests"])


def test_the_requests_of_this_minute_still_count_after_a_restart(
    house: House, sandbox: Sandbox
) -> None:
    Account.objects.filter(pk=add_account("limited").pk).update(rpm=RPM)
    first = house.start()
    assert statuses(volley(first, [chat()] * 3)) == {200: 3}
    again = house.restart()
    answers = volley(again, [chat()] * 6)
    assert statuses(answers) == {200: RPM - 3, 429: 6 - (RPM - 3)}
    assert calls(sandbox) == RPM
    refused = [answer for answer in answers if answer.status == 429]
    assert all(30 < answer.retry_after < 130 for answer in refused)


def test_a_spent_day_is_not_forgotten(house: House, sandbox: Sandbox) -> None:
    Account.objects.filter(pk=add_account("ok").pk).update(rpd=2)
    assert statuses(volley(house.start(), [chat()] * 2)) == {200: 2}
    answer = volley(house.restart(), [chat()])[0]
    assert (answer.status, answer.headers["x-should-retry"]) == (429, "false")
    assert calls(sandbox) == 2


def test_rests_go_on_after_a_restart(house: House, sandbox: Sandbox) -> None:
    add_account("perminute")
    before = volley(house.start(), [chat()])[0]
    eventually(CoolDown.objects.exists, "the rest was not written")
    after = volley(house.restart(), [chat()])[0]
    assert (before.status, after.status) == (429, 429)
    assert 25 <= after.retry_after <= before.retry_after <= 39
    assert calls(sandbox) == 1
    # The other model was never in trouble.
    sandbox.behave(sandbox_key("perminute"), "ok")
    assert statuses(volley(house.restart(), [chat(model=LITE)])) == {200: 1}


def test_an_account_that_waits_for_its_canary_does_so_after_a_restart(
    house: House, sandbox: Sandbox, settings: Any
) -> None:
    settings.PROBE_AFTER_FAILURE = False
    add_account("internal")
    volley(house.start(), [chat()] * 4, at_once=1)
    eventually(CoolDown.objects.filter(strikes__gte=3).exists, "it does not rest")
    seen = calls(sandbox)
    answer = volley(house.restart(), [chat()])[0]
    assert answer.status == 503
    assert calls(sandbox) == seen


def test_learned_limits_hold_after_a_restart(house: House, sandbox: Sandbox) -> None:
    key = sandbox_key("ok", 1)
    add_account("ok", 1)
    sandbox.behave(key, "perminute", limit=RPM, retry_delay="1s", times=1)
    gateway = house.start()
    assert statuses(volley(gateway, [chat()])) == {429: 1}
    eventually(LearnedLimit.objects.filter(rpm=RPM).exists, "nothing was learned")
    eventually(
        lambda: not CoolDown.objects.running(clock.now()).exists(), "it still rests"
    )
    answers = volley(house.restart(), [chat()] * 12)
    assert statuses(answers) == {200: RPM, 429: 12 - RPM}
    assert calls(sandbox) == 1 + RPM
