"""Taking slots for requests and giving them back, in this process's memory.

Nothing here waits; times are epoch seconds unless said otherwise.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from proxy.catalog import TargetPlan
from proxy.scheduling import selection
from proxy.scheduling.quota import Reservation
from proxy.scheduling.ready import ReadySet
from proxy.scheduling.roster import Roster
from proxy.scheduling.shared import Candidate, Taken
from proxy.scheduling.slots import SEATS, Slot
from proxy.scheduling.stickiness import Stickiness
from proxy.upstreams.base import AccountConfig, Adapter

#: More ready slots are not tried for one request; all of them were short of tokens.
MOST_TRIED = 256
STICKY = "the conversation's account"
SAME = "the same account again"
CANARY = "canary"

Offer = tuple[TargetPlan, Slot, str]


@dataclass(frozen=True, slots=True)
class Held:
    """What a lease holds: a seat of a slot, and its share of the quotas.

    ``taken`` is what the processes share, where they share it.
    """

    slot: Slot
    reservation: Reservation
    taken: tuple[Taken, Candidate] | None = None


@dataclass(slots=True)
class Lease:
    """The right to send one request on one account now.

    ``started`` is on the monotonic clock, ``began`` in epoch seconds; ``reason`` says
    why this account was chosen.
    """

    account: AccountConfig
    target: TargetPlan
    adapter: Adapter
    started: float
    route: str = ""
    began: float = 0.0
    canary: bool = False
    reason: str = ""
    sticky: str = ""
    held: Held | None = field(default=None, repr=False)
    done: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants of the pool: one of these targets, but no tried account."""

    route: str
    targets: Sequence[TargetPlan]
    tried: Container[int] = frozenset()
    tokens: int = 0
    sticky: str = ""


class Counter:
    """Hands out the slots of a roster by a strategy."""

    def __init__(self, roster: Roster, stickiness: Stickiness, strategy: str) -> None:
        self._roster = roster
        self._stickiness = stickiness
        self.strategy = strategy

    def offers(self, asked: Asked, now: float, at_once: int) -> Iterator[Offer]:
        """Yield ready slots, the one to take first, each with the reason.

        Earlier targets come first; ``at_once`` slots are compared with each other.
        """
        for target in asked.targets:
            model = target.upstream_model
            ready_set = self._roster.ready_set(target.kind, model, now)
            ready_set.wake(now)
            if ready_set.resting(now) is not None:
                continue
            bound = self._bound(ready_set, asked, now)
            if bound is not None:
                yield target, bound, STICKY
            for slot, reason in self._by_tier(ready_set, asked.tried, now, at_once):
                if slot is not bound:
                    yield target, slot, reason

    def _bound(self, ready_set: ReadySet, asked: Asked, now: float) -> Slot | None:
        """Return the slot that the conversation sticks to, if it is ready."""
        if not asked.sticky:
            return None
        account_id = self._stickiness.get(asked.sticky, now)
        if account_id is None or account_id in asked.tried:
            return None
        slot = ready_set.slots.get(account_id)
        return slot if slot is not None and slot.place >= 0 else None

    def take(self, slot: Slot, tokens: int, now: float) -> Reservation | None:
        """Take a seat and room in the quotas; None if there is no room."""
        reservation = slot.window.reserve(now, tokens, slot.limits)
        if isinstance(reservation, float):
            slot.ready_set.place(slot, now)
            return None
        self.occupy(slot, now)
        return reservation

    def occupy(self, slot: Slot, now: float) -> None:
        """Take a seat of a slot, as its canary if it is half open."""
        member = slot.member
        slot.canary_out = slot.half_open
        member.in_flight += 1
        slot.in_flight += 1
        selection.take_turn(slot)
        if member.concurrency:
            member.place(now)
        else:
            slot.ready_set.place(slot, now)

    def vacate(self, slot: Slot, now: float, *, canary: bool) -> bool:
        """Give a seat back; return whether a slot became ready by that."""
        slot.member.in_flight -= 1
        slot.in_flight -= 1
        if canary:
            slot.canary_out = False
        if slot.refused is not None and slot.refused[0] == SEATS:
            slot.refused = None
        if slot.member.concurrency:
            return slot.member.place(now)
        return slot.ready_set.place(slot, now)

    def testable(self, account_id: int, model: str, now: float) -> Slot | None:
        """Return a slot that rests for failures and may be tested now."""
        member = self._roster.members.get(account_id)
        slot = member.slots.get(model) if member else None
        if member is None or slot is None or not slot.half_open or slot.canary_out:
            return None
        resting = member.rest is not None and member.rest.until > now
        if resting or not member.usable or member.full:
            return None
        return slot

    def _by_tier(
        self, ready_set: ReadySet, tried: Container[int], now: float, at_once: int
    ) -> Iterator[tuple[Slot, str]]:
        for tier in list(ready_set.tiers):
            passed = Both(tried)
            while len(passed.more) < MOST_TRIED:
                found = tier.next(at_once, passed)
                if not found:
                    break
                of = len(tier.slots)
                for slot in selection.ranked(found, self.strategy, now):
                    passed.more.add(slot.account_id)
                    if slot.place >= 0:
                        yield slot, selection.reason(slot, self.strategy, now, of)


class Both:
    """Accounts to pass over: those given, and more."""

    __slots__ = ("_given", "more")

    def __init__(self, given: Container[int]) -> None:
        self._given = given
        self.more: set[int] = set()

    def __contains__(self, account_id: object) -> bool:
        return account_id in self.more or account_id in self._given
