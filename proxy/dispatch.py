"""Who is asked next, and what each answer teaches: between the story and the pool.

For each attempt: wait for a turn in the model's line, lease an account, pass the guard.
After it: the guard tells shared trouble from the account's own, the pool learns, and
the trip goes on to another account, to the same one again, or ends with the fault that
tells its caller most.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson
from django.conf import settings

from gemproxy.lib import clock
from proxy.errors import (
    Busy,
    ConnectFailed,
    Fault,
    GatewayFault,
    ModelNotFound,
    NoAccount,
    Overloaded,
    RateLimited,
    UpstreamFault,
    UpstreamTimeout,
    Verdict,
)
from proxy.scheduling.evidence import Shared, fingerprint, shared_of
from proxy.scheduling.guard import Gate, Guard, Listener
from proxy.scheduling.outlook import READY, TRIED
from proxy.scheduling.pool import Lease, Pool
from proxy.scheduling.queue import Queue
from proxy.trips import Trip
from proxy.wire import causes
from proxy.wire.verdicts import judge

#: Distinct accounts that one request may be tried on.
MOST_ATTEMPTS = 20
#: How often accounts that failed without a lasting cause may be asked again.
MOST_REPEATS = 2
FIRST_PAUSE = 0.25
#: An answer without content may be the question's doing: it is not asked for ever.
MOST_EMPTY = 3
#: Above this wait a caller should not come back by himself.
HOPELESS_SECONDS = 300.0
#: Nothing tells when a seat will be free: look again after so long.
LOOK_AGAIN = 1.0
#: Somebody is free, and others were quicker: look again at once.
GLANCE = 0.05
#: Other ways out that are tried before an attempt waits for the one that is held.
MOST_WAYS = 4


class Dispatch:
    """Finds accounts for trips, and learns from how their attempts end."""

    def __init__(self, pool: Pool, listener: Listener | None = None) -> None:
        self.pool = pool
        self.guard = Guard(listener)
        self.queue = Queue(settings.QUEUE_MAX_CONCURRENCY, settings.QUEUE_MAX_WAITING)
        self.pool.on_free = self.queue.wake
        self.guard.on_close = self.queue.wake_all

    async def enter(self, trip: Trip) -> None:
        """Take a place in the model's line; raises Busy if it is too long."""
        route, needs = trip.plan, trip.call.needs
        began = clock.monotonic()
        trip.patience = settings.QUEUE_MAX_WAIT_MS / 1000
        trip.place = await self.queue.enter(
            route.name,
            trip.call.caller.key,
            most=self.pool.seats(route, needs),
            patience=trip.allowance(),
            estimate=self._estimate(trip),
        )
        trip.patience -= clock.monotonic() - began

    async def next(self, trip: Trip) -> Lease:
        """Return an account for the next attempt, or raise why there is none."""
        sticky = _conversation(trip)
        if sticky and not trip.attempts and trip.call.method == "generateContent":
            await self.pool.recall(trip.plan, trip.body, sticky)
        # Accounts whose way out is held, while another way may be found.
        ways: set[int] = set()
        looks = True
        while True:
            lease = await self._lease(trip, ways, sticky)
            if lease is None and ways:
                ways.clear()
                looks = False
                continue
            if lease is None:
                await self._nobody(trip)
                continue
            trip.shared = self._shared(trip, lease)
            gate = self.guard.gate(trip.shared, now=_now())
            if not gate.is_held:
                if trip.attempts:
                    trip.decision = self._counts(trip)
                trip.begin(lease)
                return lease
            self.pool.finish(lease, None, sent=False)
            if looks and len(ways) < MOST_WAYS and _is_way(gate):
                ways.add(lease.account.id)
                continue
            await self._hold(trip, gate)
            ways.clear()
            looks = True

    def shown(self, trip: Trip, lease: Lease) -> None:
        """First content came: what this attempt shares with others works."""
        self.guard.passed(
            trip.shared,
            account_id=lease.account.id,
            started=lease.began,
            now=_now(),
        )

    def answered(self, trip: Trip, lease: Lease) -> None:
        """The attempt succeeded."""
        trip.end(None)
        latency, tokens = trip.attempt_ms(), trip.counted_tokens()
        self.pool.finish(lease, None, latency_ms=latency, tokens=tokens)

    def left(self, trip: Trip) -> None:
        """The trip ended in the middle of an attempt: nobody is to blame."""
        lease = trip.lease
        if lease is not None and not lease.done:
            self.guard.abandoned(trip.shared, started=lease.began, now=_now())
            gone = GatewayFault(blame="caller", cause="client_closed")
            self.pool.finish(lease, gone, tokens=trip.counted_tokens())
        if trip.place is not None:
            trip.place.leave()

    def failed(self, trip: Trip, lease: Lease, fault: UpstreamFault) -> None:
        """Learn from a failed attempt; raise the fault if nobody else may be tried."""
        if isinstance(fault, UpstreamTimeout) and trip.remaining() == 0:
            # The caller gave the account too little time.
            fault = _too_late()
        verdict = judge(fault, now=clock.now())
        judgement = self.guard.note(
            trip.shared,
            verdict,
            account_id=lease.account.id,
            model=lease.target.upstream_model,
            started=lease.began,
            fault=fault,
            now=_now(),
        )
        trip.end(fault, cause=verdict.cause, shared=judgement.shared)
        self.pool.finish(
            lease,
            fault,
            latency_ms=trip.attempt_ms(),
            tokens=trip.counted_tokens(),
            sheltered=judgement.shared,
        )
        if judgement.forgive:
            self.pool.forgive(judgement.forgive)
        if trip.content_sent or judgement.what == "request":
            raise fault
        if judgement.shared:
            trip.tried.discard(lease.account.id)
            return
        self._go_on(trip, lease, fault, verdict)

    def _go_on(
        self, trip: Trip, lease: Lease, fault: UpstreamFault, verdict: Verdict
    ) -> None:
        """Raise the fault, or note how the trip goes on."""
        if trip.rewrite(fault):
            trip.tried.discard(lease.account.id)
            return
        if trip.remaining() == 0:
            raise _too_late() from fault
        if not verdict.elsewhere or trip.empty_answers() >= MOST_EMPTY:
            raise fault
        if verdict.again or trip.empty_answers() == 1:
            trip.again.add(lease.account.id)

    async def _lease(self, trip: Trip, ways: set[int], sticky: str) -> Lease | None:
        if trip.own_attempts() >= MOST_ATTEMPTS:
            raise trip.truest()
        try:
            return await self.pool.lease(
                trip.plan,
                trip.call.needs,
                trip.tried | ways if ways else trip.tried,
                tokens=trip.tokens(),
                sticky=sticky,
            )
        except NoAccount:
            # The last ones may just have been taken out: their fault tells more.
            if trip.faults:
                raise trip.truest() from None
            raise

    def _shared(self, trip: Trip, lease: Lease) -> Shared:
        """Return what an attempt shares; the request's hash once it has failed."""
        account, target = lease.account, lease.target
        prints = ""
        if trip.faults or self.guard.wants_fingerprints():
            body = orjson.dumps(trip.body)
            prints = fingerprint(trip.call.method, target.upstream_model, body)
        return shared_of(
            kind=account.kind,
            model=target.upstream_model,
            proxy_url=account.proxy_url,
            base_url=account.base_url,
            request=prints,
        )

    async def _nobody(self, trip: Trip) -> None:
        """Wait until an account may be free, or raise the fault that tells most."""
        if trip.again and trip.repeats < MOST_REPEATS:
            await self._pause(trip)
            return
        plan, needs = trip.plan, trip.call.needs
        counts = trip.decision = self._counts(trip)
        wait = self._estimate(trip)(trip.position())
        if not wait and READY in counts and trip.allowance() > GLANCE:
            await self._stand(trip, GLANCE)
            return
        busy = wait is None and self.pool.seats_taken(plan, needs, trip.tried)
        all_asked = wait == 0 and bool(trip.tried)
        if trip.is_spoilt() or all_asked or (wait is None and not busy):
            raise self._told(trip, wait or None, counts)
        pause = wait or LOOK_AGAIN
        if pause > trip.allowance():
            raise self._sent_away(trip, counts)
        await self._stand(trip, pause)
        # Time has passed: who was at a limit may be asked again.
        trip.tried.clear()

    async def _stand(self, trip: Trip, seconds: float, *, held: bool = False) -> None:
        assert trip.place is not None  # noqa: S101
        began = clock.monotonic()
        await trip.place.stand(seconds, held=held)
        trip.patience -= clock.monotonic() - began

    async def _pause(self, trip: Trip) -> None:
        """Let those who failed without a lasting cause recover; then ask them again."""
        # Not for secrets: it only keeps callers apart.
        pause = FIRST_PAUSE * 2**trip.repeats * random.uniform(0.5, 1.5)  # noqa: S311
        remaining = trip.remaining()
        if remaining is not None and pause >= remaining:
            raise trip.truest()
        await asyncio.sleep(pause)
        trip.repeats += 1
        trip.tried -= trip.again
        trip.again.clear()

    async def _hold(self, trip: Trip, gate: Gate) -> None:
        """Wait until the guard may let an attempt over what it holds."""
        fault = gate.fault or ConnectFailed()
        if not gate.worth_waiting or trip.allowance() <= 0:
            raise fault
        pause = min(max(gate.retry_at - _now(), 0.01), trip.allowance())
        await self._stand(trip, pause, held=True)

    def _counts(self, trip: Trip) -> dict[str, Any]:
        """Return how many accounts do not serve the trip now, by reason."""
        return self.pool.counts(trip.plan, trip.call.needs, trip.tried)

    def _estimate(self, trip: Trip) -> Callable[[int], float | None]:
        def estimate(place: int) -> float | None:
            return self.pool.earliest(
                trip.plan, trip.call.needs, place=place, tokens=trip.tokens()
            )

        return estimate

    def _sent_away(self, trip: Trip, counts: dict[str, Any]) -> Fault:
        """Return the fault for a caller who gets a turn later than he can wait.

        The queue promises each caller a turn of his own.
        """
        busy = self.queue.turn_away(trip.plan.name, self._estimate(trip))
        return self._told(trip, busy.retry_after, counts)

    def _told(self, trip: Trip, wait: float | None, counts: dict[str, Any]) -> Fault:
        """Return the truest fault, with the wait that makes sense to its caller."""
        fault = trip.truest() if trip.faults else _of_counts(trip.plan.name, counts)
        if wait is None:
            return fault
        fault.retry_after = wait
        if wait > HOPELESS_SECONDS:
            fault.should_retry = False
        elif not trip.faults or isinstance(fault, (RateLimited, Overloaded)):
            fault.should_retry = True
        return fault


def _of_counts(name: str, counts: dict[str, Any]) -> Fault:
    """Return why no account was even asked, by what most of them wait for."""
    waiting = {key: v["count"] for key, v in counts.items() if key != TRIED}
    if not waiting:
        return NoAccount(f"No upstream account is ready to serve {name}.")
    reason = max(waiting, key=lambda key: waiting[key])
    # Whoever is ready has no room for a request as large as this one.
    if reason == READY or causes.is_limit(reason):
        return RateLimited(f"All accounts that serve {name} are at their limits.")
    if reason == "all_seats_taken":
        return Busy(f"All accounts that serve {name} are busy.", status=429)
    if reason == "model_missing":
        return ModelNotFound(f"No upstream account offers the model behind {name}.")
    if causes.cause_of(reason).attention or reason == "disabled":
        return NoAccount(f"No upstream account is ready to serve {name}.")
    return Overloaded(f"All accounts that serve {name} are resting after failures.")


def _conversation(trip: Trip) -> str:
    """Return the key by which later turns of a conversation are known, or ""."""
    if trip.call.sticky:
        return trip.call.sticky
    contents = trip.body.get("contents")
    if trip.call.method != "generateContent" or not isinstance(contents, list):
        return ""
    if len(contents) < 2:
        # Equal first turns are common, and no reason to share one account.
        return ""
    digest = fingerprint("", "", orjson.dumps(contents[:2]))
    return f"{trip.call.caller.key}:{trip.plan.name}:{digest}"


def _is_way(gate: Gate) -> bool:
    return gate.trouble is not None and gate.trouble.what == "egress"


def _too_late() -> UpstreamTimeout:
    return UpstreamTimeout(
        "The request's deadline has passed.", cause="deadline", blame="caller"
    )


def _now() -> float:
    return clock.now().timestamp()
