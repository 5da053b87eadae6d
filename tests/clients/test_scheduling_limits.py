"""Quotas of the minute: bursts spread over the accounts, and who is too many is told.

The minute is a few seconds long here, at the sandbox and in the gateway.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from accounts.models import Account, LearnedLimit
from proxy.runtime import runtime
from proxy.sandbox import limiter
from proxy.sandbox.keys import sandbox_key
from proxy.scheduling import forecast, quota
from proxy.scheduling.quota import Limits
from tests.clients.conftest import Gateway, eventually
from tests.clients.volley import FLASH, Answer, Caller, Shot, chat, statuses, volley

MINUTE = 5.0
SENDING = 2.0
RPM = 15


@pytest.fixture(autouse=True)
def short_minute(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.REDIS_URL = ""  # Redis counts minutes of its own.
    settings.QUEUE_MAX_WAIT_MS = 0
    monkeypatch.setattr(limiter, "_MINUTE", MINUTE)
    monkeypatch.setattr(quota, "KEPT", MINUTE + 0.25)
    monkeypatch.setattr(quota, "LONGEST_SENDING", SENDING)
    monkeypatch.setattr(forecast, "ROUND", 1.0 + SENDING + MINUTE + 0.25)


def let_a_minute_pass() -> None:
    threading.Event().wait(MINUTE + 0.5)


def set_limits(rpm: int | None = None, tpm: int | None = None) -> None:
    """Let the pool know the accounts' limits, and wait until it does."""
    gateway = runtime.gateway
    wanted = Limits(rpm=rpm, tpm=tpm)
    for account in Account.objects.all():
        account.rpm, account.tpm = rpm, tpm
        account.save()

    def known() -> bool:
        route = gateway.catalog.resolve(FLASH)
        found = gateway.pool.explain(route, frozenset())
        return all(standing.limits == wanted for standing in found)

    eventually(known, "the limits did not reach the gateway")


def upstream(gateway: Gateway) -> Counter[str]:
    """Return how many answers of each status the sandbox gave so far."""
    return Counter(gateway.sandbox.stats()["by_status"])


@pytest.mark.parametrize("accounts", [["limited"] * 20], ids=["twenty"])
def test_with_limits_known_a_burst_meets_no_limit_of_the_providers(
    gateway: Gateway,
) -> None:
    set_limits(rpm=RPM)
    answers = volley(gateway, [chat()] * 250)
    assert statuses(answers) == {200: 250}
    assert upstream(gateway) == {"200": 250}


@pytest.mark.parametrize("accounts", [["ok"] * 20], ids=["twenty"])
def test_limits_that_were_only_learned_are_kept_to(gateway: Gateway) -> None:
    keys = [sandbox_key("ok", number) for number in range(1, 21)]
    for key in keys:
        once = {"limit": RPM, "retry_delay": "1s", "times": 1}
        gateway.sandbox.behave(key, "perminute", **once)
    learned = LearnedLimit.objects.filter(rpm=RPM)
    eventually(
        lambda: volley(gateway, [chat()] * 20) and learned.count() == 20,
        "not every account's limit was learned",
        40,
    )
    for key in keys:
        gateway.sandbox.behave(key, "limited", rpm=RPM)
    let_a_minute_pass()
    before = upstream(gateway)
    answers = volley(gateway, [chat()] * 250)
    assert statuses(answers) == {200: 250}
    assert upstream(gateway) - before == {"200": 250}


@pytest.mark.parametrize("accounts", [["limited"] * 5], ids=["five"])
def test_callers_who_come_back_when_told_are_answered(gateway: Gateway) -> None:
    set_limits(rpm=RPM)
    used = volley(gateway, [chat()] * 75)
    assert statuses(used) == {200: 75}
    pairs = asyncio.run(come_back(gateway, [chat()] * 200))
    refused = [(first, second) for first, second in pairs if first.status == 429]
    assert len(refused) > 100
    assert {first.code for first, _ in refused} == {"rate_limit_exceeded"}
    assert {first.headers["x-should-retry"] for first, _ in refused} == {"true"}
    told = Counter(first.retry_after for first, _ in refused)
    assert len(told) > 1
    answered = sum(second.status == 200 for _, second in refused)
    assert answered >= 0.99 * len(refused)
    assert upstream(gateway)["429"] == 0


@pytest.mark.parametrize("accounts", [["limited"] * 5], ids=["five"])
def test_callers_who_can_wait_are_answered_as_quotas_allow(
    settings: Any, gateway: Gateway
) -> None:
    set_limits(rpm=RPM)
    settings.QUEUE_MAX_WAIT_MS = 30_000
    answers = volley(gateway, [chat()] * 180)
    assert statuses(answers) == {200: 180}
    assert upstream(gateway) == {"200": 180}


async def come_back(
    gateway: Gateway, shots: Sequence[Shot]
) -> list[tuple[Answer, Answer]]:
    """Send all at once, and each that is refused again after the time it is told.

    Return for each the first answer and the last.
    """
    async with Caller(gateway) as caller:

        async def obey(shot: Shot) -> tuple[Answer, Answer]:
            first = await caller.send(shot)
            if first.status == 200:
                return first, first
            await asyncio.sleep(first.retry_after)
            return first, await caller.send(shot)

        return list(await asyncio.gather(*map(obey, shots)))


@pytest.mark.parametrize("accounts", [["ok"]], ids=["one"])
def test_a_request_too_large_for_the_rest_of_the_minute_is_told_when_to_come(
    gateway: Gateway,
) -> None:
    set_limits(tpm=1000)
    long, short = chat("word " * 600), chat("hello")
    first, second, third = (volley(gateway, [shot])[0] for shot in (long, long, short))
    assert (first.status, third.status) == (200, 200)
    assert (second.status, second.code) == (429, "rate_limit_exceeded")
    assert 1 <= second.retry_after <= MINUTE + SENDING + 1
