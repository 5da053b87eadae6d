"""The upstream accounts that may be used now: who takes a request, and what it taught.

A lease is taken from what this process holds in memory or, where processes share
their counters, by one question to Redis. Its end teaches health, rests and limits;
what must last is written in the background.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from django.db import Error as DatabaseTrouble

from gemproxy.lib import clock, db
from proxy.catalog import RoutePlan, TargetPlan
from proxy.errors import BadRequest, Fault, NoAccount, Verdict
from proxy.scheduling.adapter_options import make_adapter
from proxy.scheduling.health import Rest
from proxy.scheduling.history import UNCOUNTED
from proxy.scheduling.keeping import Keeper, Notes, Store
from proxy.scheduling.leases import CANARY, SAME, Asked, Counter, Lease, Offer
from proxy.scheduling.leasing import Leasing, Offers
from proxy.scheduling.lessons import Ending, Lessons
from proxy.scheduling.loading import Loader
from proxy.scheduling.outlook import Outlook, Standing
from proxy.scheduling.roster import Roster
from proxy.scheduling.shared import SharedAway
from proxy.scheduling.sharing import SharedWindows
from proxy.scheduling.stickiness import Stickiness
from proxy.tasks import Tasks
from proxy.upstreams.base import Adapter, KeepsChats
from proxy.upstreams.http import Clients
from proxy.wire.image_models import lacks_of
from proxy.wire.verdicts import judge

logger = logging.getLogger(__name__)

__all__ = ["Lease", "Pool", "make_adapter"]

LAST_WRITES_SECONDS = 2.0
#: Whoever waits although it seems to be his turn does not look again all the time.
SHORTEST_ALARM = 0.05
NOBODY: frozenset[int] = frozenset()
EXPLAINED_AT_ONCE = 50


class Pool:
    """The accounts with all that is known of them, for one event loop."""

    def __init__(
        self,
        clients: Clients,
        *,
        shared: SharedWindows | None = None,
        store: Store | None = None,
        strategy: str = "adaptive",
    ) -> None:
        """Make a pool. Without ``store`` nothing outlives this process, without
        ``shared`` it counts alone. ``on_free`` is called in the loop when somebody
        who waits for an account should look again."""
        self._clients = clients
        self._adapters: dict[str, Adapter] = {}
        self._shared = shared
        self.tasks = Tasks()
        self.on_free: Callable[[], None] = lambda: None
        # Database threads change what the loop reads.
        self._lock = threading.Lock()
        self._roster = Roster()
        self._loader = Loader(self._roster, self._lock, store)
        self._stickiness = Stickiness()
        self._counter = Counter(self._roster, self._stickiness, strategy)
        self._leasing = Leasing(self._counter, self._lock, shared, self.adapter)
        self._outlook = Outlook(self._roster)
        self._keeper = Keeper(self.tasks)
        notes = Notes(store, self._keeper, self._note_kept)
        self._lessons = Lessons(self._roster, notes)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._seeding: asyncio.Task[None] | None = None
        if shared is not None:
            shared.on_lost = self._seed_soon

    def load(self, key: str = "") -> None:
        """Read the accounts, or the one of that id (sync; any thread).

        Without a key rests and learned limits are read as well.
        """
        self._loader.load(key)
        self._free_soon()

    def load_rests(self, key: str = "") -> None:
        """Read the rests that others began or ended, of all accounts or of one."""
        self._loader.load_rests(key)
        self._free_soon()

    def load_limits(self, key: str = "") -> None:
        """Read what was learned of quotas, of all accounts or of one."""
        self._loader.load_limits(key)
        self._free_soon()

    def restore(self) -> None:
        """Take counters and averages from the ledger: once, after ``load`` (sync)."""
        self._loader.restore()

    async def seed_shared(self) -> None:
        """Have the shared counters hold at least what the ledger knows."""
        if self._shared is not None:
            found = await db.run(self._loader.seeds)
            with contextlib.suppress(SharedAway):
                await self._shared.seed(found)

    def size(self) -> int:
        """Return how many accounts may be used, resting ones included."""
        with self._lock:
            return sum(member.usable for member in self._roster.members.values())

    def kinds(self) -> set[str]:
        """Return the kinds of which there is an account, usable or not."""
        with self._lock:
            return {member.kind for member in self._roster.members.values()}

    async def recall(
        self, route: RoutePlan, body: Mapping[str, Any], sticky: str
    ) -> None:
        """Have a conversation stick to the account that can go on with it.

        Adapters that keep chats know that better than this process, which may have
        answered none of it.
        """
        for target in route.targets:
            adapter = self.adapter(target.kind)
            if not isinstance(adapter, KeepsChats):
                continue
            holder = await adapter.holder(target.upstream_model, body)
            if holder is not None:
                with self._lock:
                    self._stickiness.keep(sticky, holder, _now())
                return

    async def lease(
        self,
        route: RoutePlan,
        needs: frozenset[str],
        tried: Set[int],
        *,
        tokens: int = 0,
        sticky: str = "",
    ) -> Lease | None:
        """Return an account not yet tried that has room; None if none has now.

        ``tokens`` is what the request will cost, ``sticky`` names its conversation.
        Raises NoAccount if the route has no usable account at all, BadRequest if none
        of its kinds can do what the request needs.
        """
        able = self._able(route, needs)
        if not able:
            lacks = (needs - self.able_to(target) for target in route.targets)
            names = ", ".join(sorted(min(lacks, key=len)))
            raise BadRequest(f"No account for {route.name} can do this: {names}.")
        with self._lock:
            usable = any(self._roster.usable(target.kind) for target in able)
        if not usable:
            raise NoAccount(f"No upstream account is ready to serve {route.name}.")
        asked = Asked(route.name, able, tried, tokens, sticky)

        def offers(now: float, at_once: int) -> Iterator[Offer]:
            return self._counter.offers(asked, now, at_once)

        lease = await self._hand_out(asked, offers)
        if lease is None:
            wait = self.earliest(route, needs, tried=tried, tokens=tokens)
            self._set_alarm(wait)
        return lease

    async def lease_again(self, lease: Lease, *, tokens: int = 0) -> Lease | None:
        """Return the same account for another attempt, if it has room and no rest."""
        held = lease.held
        if held is None:
            return None
        offer = lease.target, held.slot, SAME

        def offers(now: float, at_once: int) -> Iterator[Offer]:
            held.slot.ready_set.wake(now)
            return iter([offer] if held.slot.place >= 0 else [])

        asked = Asked(lease.route, [lease.target], NOBODY, tokens, lease.sticky)
        return await self._hand_out(asked, offers)

    async def lease_canary(self, account_id: int, model: str) -> Lease | None:
        """Return an account that rests for its failures, to test it; else None."""

        def offers(now: float, at_once: int) -> Iterator[Offer]:
            slot = self._counter.testable(account_id, model, now)
            if slot is not None:
                target = TargetPlan(kind=slot.member.kind, upstream_model=model)
                yield target, slot, CANARY

        return await self._hand_out(Asked("", ()), offers)

    def finish(
        self,
        lease: Lease,
        fault: Fault | None,
        *,
        latency_ms: float = 0,
        tokens: int | None = None,
        sent: bool = True,
        sheltered: bool = False,
    ) -> Verdict | None:
        """End a lease, once: give back what it holds and learn from its outcome.

        ``tokens`` is what it cost, if known; without ``sent`` it cost nothing and
        teaches nothing. ``sheltered``: nothing is held against the account or to its
        credit, as when its caller left.
        """
        held = lease.held
        if lease.done or held is None:
            return None
        lease.done = True
        moment = clock.now()
        now = moment.timestamp()
        verdict = judge(fault, now=moment) if fault is not None else None
        counted = sent and (fault is None or fault.code not in UNCOUNTED)
        with self._lock:
            if counted:
                held.reservation.settle(now, tokens)
            else:
                held.reservation.cancel()
                # There may be room again for what was refused since.
                held.slot.refused = None
            if sent and not sheltered:
                ending = Ending(held.slot, lease.began, now, lease.canary)
                self._learn(ending, fault, verdict, latency_ms)
                if fault is None:
                    self._stickiness.keep(lease.sticky, lease.account.id, now)
            freed = self._counter.vacate(held.slot, now, canary=lease.canary)
            freed = freed or held.slot.place >= 0
        if held.taken is not None:
            self.tasks.spawn(self._leasing.settle(held, tokens, sent=counted))
        if freed:
            self.on_free()
        return verdict

    def forgive(self, pairs: Iterable[tuple[int, str]]) -> None:
        """Take back what the last seconds held against these (account, model), as it
        was a trouble they share."""
        with self._lock:
            self._lessons.forgive(pairs, _now())
        self.on_free()

    def resting(self) -> list[tuple[int, str, float, bool]]:
        """Return (account, model, until, canary) of all rests; ``canary`` ones last
        beyond their time until a call has succeeded."""
        now = _now()
        with self._lock:
            return [
                (member.id, rest.model, rest.until, rest.canary)
                for member in self._roster.members.values()
                for rest in member.rests()
                if rest.canary or rest.until > now
            ]

    def earliest(
        self,
        route: RoutePlan,
        needs: frozenset[str],
        *,
        place: int = 1,
        tried: Set[int] = NOBODY,
        tokens: int = 0,
    ) -> float | None:
        """Return the seconds until the ``place``-th request from now has an account.

        None if nobody can tell, or if time alone will not bring one.
        """
        with self._lock:
            able = self._able(route, needs)
            return self._outlook.earliest(able, tried, place, tokens, _now())

    def seats_taken(
        self, route: RoutePlan, needs: frozenset[str], tried: Set[int] = NOBODY
    ) -> bool:
        """Return whether some account, not yet tried, waits only for a free seat."""
        with self._lock:
            return self._outlook.seats_taken(self._able(route, needs), tried, _now())

    def seats(self, route: RoutePlan, needs: frozenset[str]) -> int | None:
        """Return how many requests the accounts take at once; None for any number."""
        with self._lock:
            return self._outlook.seats(self._able(route, needs))

    def explain(self, route: RoutePlan, needs: frozenset[str]) -> list[Standing]:
        """Return how each account of the route's kinds stands to it now.

        Looks at all accounts, a few at a time: requests do not wait for the whole.
        """
        with self._lock:
            slots = self._outlook.slots(self._able(route, needs), _now())
        found: list[Standing] = []
        for start in range(0, len(slots), EXPLAINED_AT_ONCE):
            with self._lock:
                some = slots[start : start + EXPLAINED_AT_ONCE]
                found += self._outlook.standings(some, _now())
        return found

    def counts(
        self, route: RoutePlan, needs: frozenset[str], tried: Set[int] = NOBODY
    ) -> dict[str, dict[str, Any]]:
        """Return for each reason the ``count`` of accounts and 20 ``accounts``."""
        with self._lock:
            return self._outlook.counts(self._able(route, needs), tried, _now())

    def able_to(self, target: TargetPlan) -> frozenset[str]:
        """Return the capabilities of a target, imitated ones included."""
        able = self.adapter(target.kind).capabilities
        return able - lacks_of(target.upstream_model) | target.emulates

    def adapter(self, kind: str) -> Adapter:
        """Return the adapter of a kind, made on first use."""
        found = self._adapters.get(kind)
        if found is None:
            found = make_adapter(kind, self._clients)
            self._adapters[kind] = found
        return found

    async def aclose(self) -> None:
        """Write what is left to write, within a bound, and close connections."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self.tasks.finish(LAST_WRITES_SECONDS)
        await self._keeper.aclose()
        if self._shared is not None:
            await self._shared.aclose()
        for adapter in self._adapters.values():
            await adapter.aclose()
        await self._clients.aclose()

    async def _hand_out(self, asked: Asked, offers: Offers) -> Lease | None:
        self._loop = asyncio.get_running_loop()
        return await self._leasing.lease(asked, offers)

    def _able(self, route: RoutePlan, needs: frozenset[str]) -> Sequence[TargetPlan]:
        """Return the targets that can do what a request needs, or imitate it."""
        return [target for target in route.targets if needs <= self.able_to(target)]

    def _learn(
        self,
        ending: Ending,
        fault: Fault | None,
        verdict: Verdict | None,
        latency_ms: float,
    ) -> None:
        if fault is not None and verdict is not None:
            self._lessons.failed(ending, fault, verdict)
        else:
            self._lessons.passed(ending, latency_ms)

    def _note_kept(self, account_id: int, rest: Rest) -> None:
        """Remember that the database holds a rest (on a database thread)."""
        with self._lock:
            self._roster.note_kept(account_id, rest, _now())

    def _free_soon(self) -> None:
        """Call ``on_free`` in the loop, from whichever thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._free)

    def _free(self) -> None:
        self.on_free()

    def _set_alarm(self, seconds: float | None) -> None:
        """Call ``on_free`` when time alone brings an account back."""
        loop = asyncio.get_running_loop()
        if seconds is None:
            return
        seconds = max(seconds, SHORTEST_ALARM)
        if self._alarm is not None and self._alarm.when() > loop.time():
            if self._alarm.when() <= loop.time() + seconds:
                return
            self._alarm.cancel()
        self._alarm = loop.call_later(seconds, self._free)

    def _seed_soon(self) -> None:
        if self._seeding is None or self._seeding.done():
            self._seeding = self.tasks.spawn(self._seed())

    async def _seed(self) -> None:
        try:
            await self.seed_shared()
        except DatabaseTrouble as error:
            # The next request finds the counters missing and asks again.
            logger.warning("Shared counters could not be rebuilt: %s", error)


def _now() -> float:
    return clock.now().timestamp()
