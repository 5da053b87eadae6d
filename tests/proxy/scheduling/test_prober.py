"""Resting accounts are tested in the background, by one process, through leases."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gemproxy.lib.live import MemoryLive, RedisLive, live
from proxy.calls import Event
from proxy.catalog import TargetPlan
from proxy.errors import (
    AccountRefused,
    ConnectFailed,
    Fault,
    RateLimited,
    UpstreamFault,
)
from proxy.scheduling import prober as module
from proxy.scheduling.evidence import shared_of
from proxy.scheduling.guard import Guard
from proxy.scheduling.prober import Pair, Prober
from proxy.upstreams.base import AccountConfig, Order

PATIENCE = 20.0
MODEL = "flash"
# One token is too few for a model that thinks: it stops before it has said anything.
STOPPED = {"candidates": [{"finishReason": "MAX_TOKENS"}]}
ANSWER = {**STOPPED, "usageMetadata": {"totalTokenCount": 3}}


@dataclass
class Lease:
    account: AccountConfig
    target: TargetPlan
    adapter: Any


@dataclass
class Finished:
    """How the pool was told that a lease ended."""

    pair: Pair
    fault: Fault | None
    options: dict[str, Any]


class Adapter:
    """Answers with the next line of its script: an answer, a fault, an event."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.orders: list[Order] = []
        self.open = 0
        self.most_open = 0

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        self.orders.append(order)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            line = self.script.pop(0) if self.script else ANSWER
            if isinstance(line, asyncio.Event):
                await line.wait()
                line = ANSWER
            if isinstance(line, BaseException):
                raise line
            return Event(b"{}", line)
        finally:
            self.open -= 1


@dataclass
class Pool:
    """A pool whose rests end with a success."""

    rests: dict[Pair, bool] = field(default_factory=dict)
    adapter: Adapter = field(default_factory=Adapter)
    finished: list[Finished] = field(default_factory=list)
    forgiven: list[Pair] = field(default_factory=list)
    leased: list[Pair] = field(default_factory=list)
    refuses: bool = False
    trouble: BaseException | None = None
    proxy_url: str = ""

    def resting(self) -> list[tuple[int, str, float, bool]]:
        if self.trouble is not None:
            error, self.trouble = self.trouble, None
            raise error
        return [(*pair, 0.0, canary) for pair, canary in self.rests.items()]

    async def lease_canary(self, account_id: int, model: str) -> Lease | None:
        self.leased.append((account_id, model))
        if self.refuses:
            return None
        account = AccountConfig(
            id=account_id, kind="gemini_api", secret="k", proxy_url=self.proxy_url
        )
        target = TargetPlan(kind="gemini_api", upstream_model=model)
        return Lease(account, target, self.adapter)

    def finish(self, lease: Lease, fault: Fault | None, **options: Any) -> None:
        pair = (lease.account.id, lease.target.upstream_model)
        self.finished.append(Finished(pair, fault, options))
        if fault is None:
            self.rests.pop(pair, None)

    def forgive(self, pairs: Iterable[Pair]) -> None:
        self.forgiven.extend(pairs)


@pytest.fixture(autouse=True)
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = ""
    settings.PROBE_AFTER_FAILURE = True
    settings.PROBE_DELAY_SECONDS = 0
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.005)


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest.fixture
async def prober(pool: Pool, guard: Guard) -> AsyncIterator[Prober]:
    found = Prober(pool, guard)
    yield found
    await found.stop()


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.001)


async def a_while() -> None:
    """Let the prober look some times."""
    await asyncio.sleep(0.05)


# What is tested, and how


async def test_an_account_that_rests_after_failures_is_tested_and_comes_back(
    pool: Pool, prober: Prober
) -> None:
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: not pool.rests)
    (done,) = pool.finished
    assert done.pair == (7, MODEL)
    assert done.fault is None
    assert done.options["tokens"] == 3
    assert done.options["latency_ms"] >= 0
    assert not done.options["sheltered"]


async def test_rests_that_no_canary_ends_are_left_alone(
    pool: Pool, prober: Prober
) -> None:
    pool.rests[7, MODEL] = False
    prober.start()
    await a_while()
    assert pool.leased == []


@pytest.mark.parametrize(
    ("model", "method", "body"),
    [
        (
            "gemini-3-flash-preview",
            "generateContent",
            {
                "contents": [{"role": "user", "parts": [{"text": "ping"}]}],
                "generationConfig": {"maxOutputTokens": 1},
            },
        ),
        (
            "gemini-embedding-001",
            "embedContent",
            {"content": {"parts": [{"text": "ping"}]}},
        ),
    ],
)
async def test_the_test_is_the_smallest_real_request(
    pool: Pool, prober: Prober, model: str, method: str, body: dict[str, Any]
) -> None:
    pool.rests[7, model] = True
    prober.start()
    await until(lambda: pool.finished)
    (order,) = pool.adapter.orders
    assert (order.method, order.model, order.body) == (method, model, body)
    assert order.timeouts.total <= 60


@pytest.mark.parametrize(
    "usage",
    [{}, {"usageMetadata": None}, {"usageMetadata": {"totalTokenCount": "x"}}],
)
async def test_an_answer_without_usage_counts_no_tokens(
    pool: Pool, prober: Prober, usage: dict[str, Any]
) -> None:
    pool.adapter.script = [{**STOPPED, **usage}]
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: pool.finished)
    assert pool.finished[0].fault is None
    assert pool.finished[0].options["tokens"] is None


@pytest.mark.parametrize(
    "answer", [{}, {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}]
)
async def test_an_answer_without_content_proves_nothing(
    pool: Pool, prober: Prober, answer: dict[str, Any]
) -> None:
    pool.adapter.script = [answer]
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: not pool.rests)
    first, last = pool.finished
    assert first.fault is not None
    assert first.fault.code == "upstream_empty"
    assert last.fault is None


async def test_a_failing_account_is_tested_again_until_it_works(
    pool: Pool, prober: Prober
) -> None:
    faults = [UpstreamFault("bad"), RateLimited("slow"), AccountRefused("no")]
    pool.adapter.script = list(faults)
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: not pool.rests)
    assert [done.fault for done in pool.finished] == [*faults, None]


async def test_each_account_and_model_is_tested_a_few_at_a_time(
    pool: Pool, prober: Prober
) -> None:
    gate = asyncio.Event()
    pool.adapter.script = [gate] * 20
    pool.rests = {(n, model): True for n in range(5) for model in ("a", "b")}
    prober.start()
    await until(lambda: pool.adapter.open == module.MOST_AT_ONCE)
    await a_while()
    assert pool.adapter.open == module.MOST_AT_ONCE
    gate.set()
    await until(lambda: not pool.rests)
    assert len(pool.finished) == 10
    assert pool.adapter.most_open == module.MOST_AT_ONCE


# When


async def test_a_test_waits_for_the_delay(
    pool: Pool, prober: Prober, settings: Any
) -> None:
    settings.PROBE_DELAY_SECONDS = 600
    pool.rests[7, MODEL] = True
    prober.start()
    await a_while()
    assert pool.leased == []
    assert len(prober._due) == 1


async def test_what_rests_no_more_is_not_tested(
    pool: Pool, prober: Prober, settings: Any
) -> None:
    settings.PROBE_DELAY_SECONDS = 600
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: prober._due)
    pool.rests.clear()
    await until(lambda: not prober._due)
    assert pool.leased == []


async def test_the_setting_turns_it_off(
    pool: Pool, prober: Prober, settings: Any
) -> None:
    settings.PROBE_AFTER_FAILURE = False
    pool.rests[7, MODEL] = True
    prober.start()
    await a_while()
    assert pool.leased == []


async def test_one_asked_for_goes_at_once_also_where_the_setting_is_off(
    pool: Pool, prober: Prober, settings: Any
) -> None:
    settings.PROBE_AFTER_FAILURE = False
    settings.PROBE_DELAY_SECONDS = 600
    pool.rests[7, MODEL] = True
    prober.start()
    prober.ask(7, MODEL)
    await until(lambda: not pool.rests)
    assert pool.leased == [(7, MODEL)]


async def test_an_account_that_gives_no_lease_is_tried_later(
    pool: Pool, prober: Prober
) -> None:
    pool.refuses = True
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: len(pool.leased) > 2)
    assert pool.finished == []
    pool.refuses = False
    await until(lambda: not pool.rests)


# One owner


async def test_of_several_processes_one_tests_at_a_time(
    pool: Pool, prober: Prober
) -> None:
    gate = asyncio.Event()
    pool.adapter.script = [gate]
    pool.rests[7, MODEL] = True
    other = Prober(pool)
    prober.start()
    other.start()
    await until(lambda: pool.adapter.open)
    await a_while()
    assert len(pool.adapter.orders) == 1
    gate.set()
    await until(lambda: not pool.rests)
    await other.stop()
    assert len(pool.finished) == 1


async def test_what_another_process_tested_just_now_is_left_for_the_delay(
    pool: Pool, prober: Prober
) -> None:
    await live().set_many({f"probed:7:{MODEL}": "other process"}, 60)
    pool.rests[7, MODEL] = True
    prober.start()
    await a_while()
    assert pool.leased == []
    prober.ask(7, MODEL)
    await until(lambda: not pool.rests)


async def test_a_test_is_noted_for_other_processes(
    pool: Pool, prober: Prober, settings: Any
) -> None:
    settings.PROBE_DELAY_SECONDS = 30
    pool.rests[7, MODEL] = True
    prober.start()
    prober.ask(7, MODEL)
    await until(lambda: pool.finished and not prober._probes)
    assert await live().get_many([f"probed:7:{MODEL}"]) == [prober._name]


async def test_the_place_is_left_whatever_comes(pool: Pool, prober: Prober) -> None:
    pool.adapter.script = [UpstreamFault("bad"), ValueError("a bug")]
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: not pool.rests)
    await prober.stop()
    state = live()
    assert isinstance(state, MemoryLive)
    assert state._places == {}


@pytest.mark.redis
async def test_processes_that_share_a_redis_agree(
    pool: Pool, prober: Prober, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = RedisLive(redis_url), RedisLive(redis_url)
    await here._redis.flushdb()
    assert await there.take_place(f"probe:7:{MODEL}", 1, "other process")
    monkeypatch.setattr(module, "live", lambda: here)
    pool.rests[7, MODEL] = True
    prober.start()
    await a_while()
    assert pool.leased == []
    await there.leave_place(f"probe:7:{MODEL}", "other process")
    await until(lambda: not pool.rests)
    await prober.stop()
    assert await here._redis.zcard(f"gemproxy:probe:7:{MODEL}") == 0
    for state in (here, there):
        await state.aclose()


# The guard's say


def egress_fails(guard: Guard, *, times: int) -> None:
    shared = shared_of(kind="gemini_api", model=MODEL, proxy_url="", base_url="")
    now = module.clock.now()
    for account in range(100, 100 + 9):
        guard.passed(
            shared,
            account_id=account,
            started=now.timestamp() - 60,
            now=now.timestamp() - 60,
        )
    for account in range(100, 100 + times):
        fault = ConnectFailed()
        guard.note(
            shared,
            module.judge(fault, now=now),
            account_id=account,
            model=MODEL,
            started=now.timestamp(),
            fault=fault,
            now=now.timestamp(),
        )


async def test_no_test_goes_over_a_way_that_is_known_not_to_work(
    pool: Pool, prober: Prober, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    egress_fails(guard, times=3)
    (breaker,) = guard._open.values()
    breaker.next_try += 600
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: pool.finished)
    assert pool.adapter.orders == []
    assert pool.finished[0].options["sent"] is False
    assert pool.rests


async def test_a_test_that_fails_like_others_is_not_held_against_the_account(
    pool: Pool, prober: Prober, guard: Guard
) -> None:
    egress_fails(guard, times=2)
    gate = asyncio.Event()
    pool.adapter.script = [ConnectFailed(), gate]
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: pool.finished)
    assert pool.finished[0].options["sheltered"] is True
    assert {(100, MODEL), (101, MODEL)} <= set(pool.forgiven)
    gate.set()


async def test_a_test_that_passes_reopens_the_way(
    pool: Pool, prober: Prober, guard: Guard
) -> None:
    egress_fails(guard, times=3)
    (breaker,) = guard._open.values()
    breaker.next_try -= 600
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: not pool.rests)
    assert guard.troubles() == []


# Coming and going


async def test_stopping_ends_a_test_under_way_and_gives_its_lease_back(
    pool: Pool, prober: Prober
) -> None:
    pool.adapter.script = [asyncio.Event()]
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: pool.adapter.open)
    await prober.stop()
    (done,) = pool.finished
    assert done.fault is not None
    assert (done.fault.blame, done.fault.code) == ("caller", "client_closed")
    assert pool.adapter.open == 0
    assert prober._probes == {}


async def test_starting_and_stopping_twice_does_no_harm(
    pool: Pool, prober: Prober
) -> None:
    prober.start()
    prober.start()
    await prober.stop()
    await prober.stop()
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert len(names) == 1
    pool.rests[7, MODEL] = True
    prober.start()
    await until(lambda: not pool.rests)


async def test_a_prober_that_never_started_is_stopped(prober: Prober) -> None:
    await prober.stop()
    assert prober._supervisor is None


async def test_errors_of_the_pool_are_logged_and_survived(
    pool: Pool, prober: Prober, caplog: pytest.LogCaptureFixture
) -> None:
    pool.trouble = RuntimeError("the pool is confused")
    pool.rests[7, MODEL] = True
    with caplog.at_level(logging.ERROR, module.logger.name):
        prober.start()
        await until(lambda: not pool.rests)
    assert "the pool is confused" in caplog.text


async def test_a_bug_in_a_test_is_logged_and_its_lease_given_back(
    pool: Pool, prober: Prober, caplog: pytest.LogCaptureFixture
) -> None:
    pool.adapter.script = [ValueError("a bug")]
    pool.rests[7, MODEL] = True
    with caplog.at_level(logging.ERROR, module.logger.name):
        prober.start()
        await until(lambda: not pool.rests)
    assert "a bug" in caplog.text
    assert len(pool.finished) == 2
