"""The real limiter: minutes that roll, days that end, tokens that count."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from proxy.sandbox.app import Sandbox
from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.limiter import Limiter, duration
from proxy.sandbox.refusals import Refusal
from proxy.sandbox.state import State
from tests.proxy.sandbox.calling import NEW, OLD, asking, call

NOON = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("America/Los_Angeles")).timestamp()


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(clock):
    return Sandbox(State(0.0, (), clock))


@pytest.fixture
def limiter(clock):
    return Limiter(clock)


def refused(limiter, tokens=1, key="k", model="m", **limits):
    with pytest.raises(Refusal) as caught:
        limiter.admit(key, model, tokens, limits)
    failure, _, retry = caught.value.details
    (violation,) = failure["violations"]
    return violation["quotaId"], violation["quotaValue"], retry["retryDelay"]


def test_fifteen_calls_a_minute_are_the_default(limiter):
    for _ in range(15):
        limiter.admit("k", "m", 1, {})
    quota, value, _ = refused(limiter)
    assert "PerMinute" in quota
    assert value == "15"


def test_the_delay_lasts_until_the_oldest_call_is_a_minute_old(limiter, clock):
    limiter.admit("k", "m", 1, {"rpm": 2})
    clock.now += 10.25
    limiter.admit("k", "m", 1, {"rpm": 2})
    clock.now += 5
    assert refused(limiter, rpm=2)[2] == "44.75s"
    clock.now += 44.75
    limiter.admit("k", "m", 1, {"rpm": 2})
    assert refused(limiter, rpm=2)[2] == "10.25s"


def test_refused_calls_do_not_count(limiter, clock):
    limiter.admit("k", "m", 1, {"rpm": 1})
    for _ in range(5):
        clock.now += 10
        refused(limiter, rpm=1)
    clock.now += 10
    limiter.admit("k", "m", 1, {"rpm": 1})


def test_keys_and_models_are_counted_apart(limiter):
    for key in "ab":
        for model in "xy":
            limiter.admit(key, model, 1, {"rpm": 1})
    refused(limiter, key="a", model="x", rpm=1)


def test_a_limit_of_zero_admits_nothing(limiter):
    assert refused(limiter, rpm=0)[1:] == ("0", "60s")


def test_tokens_are_limited_by_the_minute(limiter, clock):
    limiter.admit("k", "m", 60, {"tpm": 100})
    clock.now += 20
    limiter.admit("k", "m", 30, {"tpm": 100})
    quota, value, delay = refused(limiter, tokens=50, tpm=100)
    assert quota == "GenerateContentInputTokensPerModelPerMinute-FreeTier"
    assert (value, delay) == ("100", "40s")
    clock.now += 40
    limiter.admit("k", "m", 50, {"tpm": 100})


def test_a_prompt_larger_than_the_limit_never_fits(limiter):
    assert refused(limiter, tokens=101, tpm=100)[2] == "60s"


def test_the_day_ends_at_midnight_pacific_time(limiter, clock):
    limiter.admit("k", "m", 1, {"rpd": 1})
    quota, value, delay = refused(limiter, rpd=1)
    assert quota == "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    assert (value, delay) == ("1", "43200s")
    clock.now += 43_200
    limiter.admit("k", "m", 1, {"rpd": 1})


def test_a_daily_limit_alone_leaves_the_minute_free(limiter):
    for _ in range(30):
        limiter.admit("k", "m", 1, {"rpd": 30})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "60s"), (0.5, "0.5s"), (-1, "0s"), (38.601, "38.601s"), (100, "100s")],
)
def test_durations_have_no_needless_digits(seconds, text):
    assert duration(seconds) == text


async def test_a_limited_key_is_refused_over_its_limit(client, clock):
    key = sandbox_key("limited")
    await client.post(
        "/sandbox/keys", json={"key": key, "behaviour": "limited", "rpm": 2}
    )
    codes = [(await call(client, asking("hi"), key=key)).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert (await call(client, asking("hi"), key=key, to=OLD)).status_code == 200
    clock.now += 60
    assert (await call(client, asking("hi"), key=key, to=NEW)).status_code == 200


async def test_prompts_count_for_the_token_limit(client):
    key = sandbox_key("limited")
    await client.post(
        "/sandbox/keys", json={"key": key, "behaviour": "limited", "tpm": 10}
    )
    assert (await call(client, asking("x" * 40), key=key)).status_code == 200
    response = await call(client, asking("x"), key=key)
    assert (
        "free_tier_input_token_count, limit: 10" in response.json()["error"]["message"]
    )


async def test_invalid_requests_do_not_use_up_the_limit(client):
    key = sandbox_key("limited")
    await client.post(
        "/sandbox/keys", json={"key": key, "behaviour": "limited", "rpm": 1}
    )
    assert (await call(client, {}, key=key)).status_code == 400
    assert (await call(client, asking("x"), key=key)).status_code == 200
