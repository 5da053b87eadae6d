"""From slots that come into question to a lease: in memory, or as Redis decides."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from gemproxy.lib import clock
from proxy.scheduling import sharing
from proxy.scheduling.leases import CANARY, Asked, Counter, Held, Lease, Offer
from proxy.scheduling.selection import LOOKED_AT
from proxy.scheduling.shared import SharedAway
from proxy.scheduling.sharing import SharedWindows
from proxy.scheduling.slots import Slot
from proxy.upstreams.base import Adapter

#: Given the time and how many slots to compare, yields slots, the best first.
Offers = Callable[[float, int], Iterator[Offer]]


class Leasing:
    """Takes one of the offers for a request."""

    def __init__(
        self,
        counter: Counter,
        lock: threading.Lock,
        shared: SharedWindows | None,
        adapter: Callable[[str], Adapter],
    ) -> None:
        self._counter = counter
        self._lock = lock
        self._shared = shared
        self._adapter = adapter

    async def lease(self, asked: Asked, offers: Offers) -> Lease | None:
        """Return a lease of the first offer that has room; None if none has."""
        if self._shared is not None:
            # While Redis is away each process counts alone.
            with contextlib.suppress(SharedAway):
                return await self._lease_shared(self._shared, asked, offers)
        now = clock.now().timestamp()
        with self._lock:
            for offer in offers(now, LOOKED_AT):
                reservation = self._counter.take(offer[1], asked.tokens, now)
                if reservation is not None:
                    return self._made(asked, offer, Held(offer[1], reservation), now)
        return None

    async def settle(self, held: Held, tokens: int | None, *, sent: bool) -> None:
        """Tell the other processes what a lease came to."""
        if self._shared is None or held.taken is None:
            return
        taken, candidate = held.taken
        with contextlib.suppress(SharedAway):
            await self._shared.settle(taken, candidate, tokens=tokens, sent=sent)

    async def _lease_shared(
        self, shared: SharedWindows, asked: Asked, offers: Offers
    ) -> Lease | None:
        refused: list[Slot] = []
        rounds = lost = 0
        while rounds < sharing.ROUNDS and lost < sharing.MOST_LOST:
            now = clock.now().timestamp()
            most = sharing.MOST_OFFERED
            with self._lock:
                found = list(islice(offers(now, most), most))
            if not found:
                break
            wanted = [sharing.candidate(o[1], asked.tokens, now) for o in found]
            with _asking(found[0][1]):
                taken = await shared.reserve(wanted, now=now)
            now = clock.now().timestamp()
            with self._lock:
                sharing.heed(found, taken, now)
                if taken.index < 0:
                    refused += [slot for _, slot, _ in found]
                    rounds += 1
                    continue
                offer, chosen = found[taken.index], wanted[taken.index]
                if offer[2] == CANARY or sharing.still_wanted(offer[1], now):
                    # Counted here as well, for when Redis is away.
                    reservation = offer[1].window.count(now, asked.tokens)
                    self._counter.occupy(offer[1], now)
                    held = Held(offer[1], reservation, (taken, chosen))
                    return self._made(asked, offer, held, now)
            lost += 1
            await shared.settle(taken, chosen, tokens=None, sent=False)
        if refused:
            await self._look(shared, refused)
        return None

    async def _look(self, shared: SharedWindows, refused: Sequence[Slot]) -> None:
        """Learn when the slots will have room, for those who wait for that."""
        now = clock.now().timestamp()
        names = list({sharing.window_name(slot) for slot in refused})
        found = await shared.usage(names, day=sharing.pacific_day(now))
        with self._lock:
            sharing.note_usage(refused, found, now)

    def _made(self, asked: Asked, offer: Offer, held: Held, now: float) -> Lease:
        target, slot, reason = offer
        config = slot.member.config
        assert config is not None  # noqa: S101 - only usable accounts are offered
        return Lease(
            account=config,
            target=target,
            adapter=self._adapter(target.kind),
            started=clock.monotonic(),
            route=asked.route,
            began=now,
            canary=slot.canary_out,
            reason=reason,
            sticky=asked.sticky,
            held=held,
        )


@contextlib.contextmanager
def _asking(slot: Slot) -> Iterator[None]:
    """Let others see meanwhile that a request is about to come to this slot.

    Those who choose while Redis is asked would all choose the same one.
    """
    slot.asked_for += 1
    try:
        yield
    finally:
        slot.asked_for -= 1
