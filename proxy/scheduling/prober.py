"""Tests accounts that rest after failures, so that no caller's request has to.

Some time after a failure a request of a few tokens goes out through the lease that a
canary gets. Of several processes one tests an account and model at a time.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

from django.conf import settings

from gemproxy.lib import clock
from gemproxy.lib.live import live
from proxy.calls import Event
from proxy.catalog import TargetPlan
from proxy.errors import BadAnswer, CallerFault, Fault
from proxy.scheduling.evidence import Shared, shared_of
from proxy.scheduling.guard import Guard
from proxy.tasks import stop_all
from proxy.upstreams.base import AccountConfig, Adapter, Order, Timeouts
from proxy.wire.gemini import Progress
from proxy.wire.verdicts import judge

logger = logging.getLogger(__name__)

Pair = tuple[int, str]

LOOK_SECONDS: Final = 1.0
RESTART_SECONDS: Final = 5.0
MOST_AT_ONCE: Final = 4
TIMEOUTS: Final = Timeouts(connect=10.0, first_byte=60.0, idle=30.0, total=60.0)
GIVEN_UP: Final = "client_closed"


class ProbeLease(Protocol):
    """What the prober reads of a lease."""

    account: AccountConfig
    target: TargetPlan
    adapter: Adapter


class ProbePool(Protocol):
    """What the prober asks of the pool. ``finish`` ends a lease, once."""

    def resting(self) -> Iterable[tuple[int, str, float, bool]]:
        """Return (account, model, until, whether a canary must succeed) of rests."""
        ...

    async def lease_canary(self, account_id: int, model: str) -> Any: ...

    def finish(
        self,
        lease: Any,
        fault: Fault | None,
        *,
        latency_ms: float = 0,
        tokens: int | None = None,
        sent: bool = True,
        sheltered: bool = False,
    ) -> Any: ...

    def forgive(self, pairs: Iterable[Pair]) -> None: ...


class Prober:
    """A background task of a server process. ``guard`` judges as for requests."""

    def __init__(self, pool: ProbePool, guard: Guard | None = None) -> None:
        self._pool = pool
        self._guard = guard or Guard()
        self._due: dict[Pair, float] = {}
        self._asked: set[Pair] = set()
        self._probes: dict[Pair, asyncio.Task[None]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()
        self._name = secrets.token_hex(8)

    def start(self) -> None:
        """Begin, in the running loop; idempotent."""
        if self._supervisor is None:
            self._supervisor = asyncio.ensure_future(self._supervise())

    async def stop(self) -> None:
        """End, probes under way included; idempotent."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await stop_all([supervisor])
            await stop_all(list(self._probes.values()))

    def ask(self, account_id: int, model: str) -> None:
        """Have a resting account tested now, also where the setting is off."""
        self._asked.add((account_id, model))
        self._bell.set()

    async def _supervise(self) -> None:
        """Keep the work going, whatever befalls it."""
        while True:
            work = asyncio.ensure_future(self._work())
            try:
                await asyncio.wait({work})
            finally:
                await stop_all([work])
            _log_failure(work)
            await asyncio.sleep(RESTART_SECONDS)

    async def _work(self) -> None:
        while True:
            self._bell.clear()
            self._plan()
            self._begin_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._bell.wait()

    def _plan(self) -> None:
        """Note when each account that came to rest is to be tested."""
        at = clock.monotonic() + settings.PROBE_DELAY_SECONDS
        wanted: set[Pair] = set()
        if settings.PROBE_AFTER_FAILURE:
            resting = self._pool.resting()
            wanted = {
                (account, model) for account, model, _, canary in resting if canary
            }
        for pair in self._due.keys() - wanted:
            del self._due[pair]
        for pair in wanted - self._probes.keys():
            self._due.setdefault(pair, at)

    def _begin_due(self) -> None:
        now = clock.monotonic()
        due = [pair for pair, at in self._due.items() if at <= now]
        for pair in dict.fromkeys([*self._asked, *due]):
            if len(self._probes) >= MOST_AT_ONCE:
                return
            if pair in self._probes:
                continue
            asked = pair in self._asked
            self._asked.discard(pair)
            self._due.pop(pair, None)
            probe = asyncio.ensure_future(self._probe(pair, asked))
            self._probes[pair] = probe
            probe.add_done_callback(self._ender(pair))

    def _ender(self, pair: Pair) -> Callable[[asyncio.Task[None]], None]:
        def end(probe: asyncio.Task[None]) -> None:
            del self._probes[pair]
            _log_failure(probe)
            self._bell.set()

        return end

    async def _probe(self, pair: Pair, asked: bool) -> None:
        """Test one account and model, unless another process does or just did."""
        state = live()
        place = f"probe:{pair[0]}:{pair[1]}"
        done = f"probed:{pair[0]}:{pair[1]}"
        if not await state.take_place(place, 1, self._name):
            return
        try:
            (last,) = await state.get_many([done])
            if last not in (None, self._name) and not asked:
                return
            if await self._try(pair):
                seconds = max(1, int(settings.PROBE_DELAY_SECONDS))
                await state.set_many({done: self._name}, seconds)
        finally:
            await state.leave_place(place, self._name)

    async def _try(self, pair: Pair) -> bool:
        """Send the test; return whether it went out."""
        lease: ProbeLease | None = await self._pool.lease_canary(*pair)
        if lease is None:
            return False
        shared = _shared(lease)
        if self._guard.gate(shared, now=clock.now().timestamp()).is_held:
            # It would only tell what is known: the way or the model does not work.
            self._pool.finish(lease, _given_up(), sent=False)
            return False
        started = clock.now().timestamp()
        fault: Fault | None = _given_up()
        tokens = None
        try:
            order = _order(lease.target)
            event = await lease.adapter.answer(lease.account, order)
            fault, tokens = _emptiness(order, event), _tokens(event)
        except Fault as error:
            fault = error
        finally:
            self._end(lease, shared, fault, started, tokens)
        return True

    def _end(
        self,
        lease: ProbeLease,
        shared: Shared,
        fault: Fault | None,
        started: float,
        tokens: int | None,
    ) -> None:
        moment = clock.now()
        now = moment.timestamp()
        account, model = lease.account.id, lease.target.upstream_model
        sheltered = False
        if fault is None:
            self._guard.passed(shared, account_id=account, started=started, now=now)
        elif fault.code == GIVEN_UP:
            self._guard.abandoned(shared, started=started, now=now)
        else:
            judgement = self._guard.note(
                shared,
                judge(fault, now=moment),
                account_id=account,
                model=model,
                started=started,
                fault=fault,
                now=now,
            )
            sheltered = judgement.shared
            self._pool.forgive(judgement.forgive)
        spent = (now - started) * 1000
        self._pool.finish(
            lease, fault, latency_ms=spent, tokens=tokens, sheltered=sheltered
        )
        told = fault.code if fault else "passed"
        logger.info("probe of account %d, %s: %s", account, model, told)


def _order(target: TargetPlan) -> Order:
    """Return the smallest request that the model answers."""
    content = {"parts": [{"text": "ping"}]}
    if "embed" in target.upstream_model:
        return Order(
            method="embedContent",
            model=target.upstream_model,
            body={"content": content},
            timeouts=TIMEOUTS,
            test=True,
        )
    return Order(
        method="generateContent",
        model=target.upstream_model,
        body={
            "contents": [{"role": "user", **content}],
            "generationConfig": {"maxOutputTokens": 1},
        },
        timeouts=TIMEOUTS,
        test=True,
    )


def _shared(lease: ProbeLease) -> Shared:
    return shared_of(
        kind=lease.account.kind,
        model=lease.target.upstream_model,
        proxy_url=lease.account.proxy_url,
        base_url=lease.account.base_url,
    )


def _emptiness(order: Order, event: Event) -> Fault | None:
    """Return the fault of an answer with nothing in it; such a one proves nothing."""
    if order.method != "generateContent":
        return None
    progress = Progress()
    progress.see(event.data)
    if progress.verdict(ended=True) in ("content", "blocked"):
        return None
    return BadAnswer("The provider's answer was empty.", code="upstream_empty")


def _tokens(event: Event) -> int | None:
    usage = event.data.get("usageMetadata")
    total = usage.get("totalTokenCount") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else None


def _given_up() -> CallerFault:
    return CallerFault("The test was given up.", status=499, code=GIVEN_UP)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("The prober failed; it goes on", exc_info=error)
