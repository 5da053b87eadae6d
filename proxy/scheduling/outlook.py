"""What the pool can say of a route: when, how many at once, and who cannot and why.

Times are epoch seconds.
"""

from collections.abc import Container, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from proxy.catalog import TargetPlan
from proxy.scheduling.forecast import Supply, nth
from proxy.scheduling.quota import Limits, Usage
from proxy.scheduling.ready import ReadySet
from proxy.scheduling.roster import Roster
from proxy.scheduling.slots import SEATS, Slot, obstacle

READY = "ready"
TRIED = "tried"
EXAMPLES = 20
#: Of those that are ready at least so many are asked when they have room.
LEAST_LOOKED_AT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Why an account would or would not take a request for a model now.

    ``reason`` is ``ready``, a cause of ``wire.causes``, an account state, or one of
    the words of ``scheduling.slots``; ``until`` is when time alone ends it.
    """

    account_id: int
    label: str
    kind: str
    model: str
    state: str
    reason: str
    detail: str
    until: float | None
    headroom: float
    limits: Limits
    usage: Usage
    success: float
    latency_ms: float | None
    strikes: int
    failed_at: float
    in_flight: int
    canary: bool
    priority: int
    weight: int


class Outlook:
    """Answers questions about the slots of a roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def earliest(
        self,
        targets: Sequence[TargetPlan],
        tried: Container[int],
        place: int,
        tokens: int,
        now: float,
    ) -> float | None:
        """Return the seconds until the ``place``-th request, each costing so many
        tokens, can be sent.

        None if nobody can tell: accounts wait for seats or for people.
        """
        supplies: dict[object, Supply] = {}
        unsure = False
        for ready_set in self._sets(targets, now):
            ready_set.wake(now)
            unsure = unsure or any(key not in tried for key in ready_set.out_for(SEATS))
            most = max(place, LEAST_LOOKED_AT)
            for slot in self._next_slots(ready_set, tried, most):
                supply = _supply(slot, tokens, now)
                unsure = unsure or supply.seats is not None
                supplies.setdefault(slot.window, supply)
        at = nth(supplies.values(), place, now)
        if at is None or (unsure and at > now):
            return None
        return at - now

    def seats_taken(
        self, targets: Sequence[TargetPlan], tried: Container[int], now: float
    ) -> bool:
        """Return whether an account that was not tried waits only for a seat."""
        sets = self._sets(targets, now)
        return any(key not in tried for each in sets for key in each.out_for(SEATS))

    def seats(self, targets: Sequence[TargetPlan]) -> int | None:
        """Return how many requests the accounts take at once; None for any number."""
        each = [self._roster.seats(kind) for kind in {t.kind for t in targets}]
        known = [count for count in each if count is not None]
        return sum(known) if len(known) == len(each) else None

    def counts(
        self, targets: Sequence[TargetPlan], tried: Set[int], now: float
    ) -> dict[str, dict[str, Any]]:
        """Return for each reason how many accounts it holds for, and some of them.

        Accounts that were tried are counted as such, and not for what holds of them.
        """
        found: dict[str, dict[str, Any]] = {}
        for ready_set in self._sets(targets, now):
            ready_set.wake(now)
            mine = [ready_set.slots[key] for key in tried if key in ready_set.slots]
            if mine:
                _tally(found, TRIED, mine, len(mine), frozenset())
            rest = ready_set.resting(now)
            idle = READY if rest is None else rest.cause
            for reason, slots, count in _by_reason(ready_set):
                left = count - sum(slot.reason == reason for slot in mine)
                if left:
                    _tally(found, reason or idle, slots, left, tried)
        return found

    def slots(self, targets: Sequence[TargetPlan], now: float) -> list[Slot]:
        """Return the slots of all accounts for these targets."""
        sets = self._sets(targets, now)
        return [slot for each in sets for slot in each.slots.values()]

    def standings(self, slots: Iterable[Slot], now: float) -> list[Standing]:
        """Return how each slot stands to a request now."""
        return [_standing(slot, now) for slot in slots]

    def _sets(self, targets: Sequence[TargetPlan], now: float) -> Iterator[ReadySet]:
        for target in targets:
            yield self._roster.ready_set(target.kind, target.upstream_model, now)

    def _next_slots(
        self, ready_set: ReadySet, tried: Container[int], most: int
    ) -> Iterator[Slot]:
        """Yield the slots that the next ``most`` requests could be sent on."""
        ready = (
            slot
            for tier in ready_set.tiers
            for slot in tier.slots
            if slot.account_id not in tried
        )
        yield from islice(ready, most)
        yield from ready_set.coming(most, tried)


def _supply(slot: Slot, tokens: int, now: float) -> Supply:
    rest = slot.ready_set.resting(now)
    opens = max(now, slot.until or now, rest.until if rest else now)
    if tokens:
        opens = max(opens, now + slot.window.wait(now, tokens, slot.limits))
    limits, member = slot.limits, slot.member
    return Supply(
        opens=opens,
        ends=slot.ends(now) if limits.rpm is not None else (),
        rpm=limits.rpm,
        left_today=slot.window.left_today(now, limits),
        rpd=limits.together if limits.rpd is None else limits.rpd,
        seats=member.concurrency - member.in_flight if member.concurrency else None,
    )


def _by_reason(ready_set: ReadySet) -> Iterator[tuple[str, Iterable[Slot], int]]:
    """Yield each reason with its slots and their number; "" is that of ready ones."""
    ready = chain.from_iterable(tier.slots for tier in ready_set.tiers)
    yield "", ready, ready_set.ready()
    for reason, slots in ready_set.out():
        yield reason, slots.values(), len(slots)


def _tally(
    found: dict[str, dict[str, Any]],
    reason: str,
    slots: Iterable[Slot],
    count: int,
    tried: Set[int],
) -> None:
    entry = found.setdefault(reason, {"count": 0, "accounts": []})
    entry["count"] += count
    fresh = (slot.account_id for slot in slots if slot.account_id not in tried)
    entry["accounts"] += islice(fresh, EXAMPLES - len(entry["accounts"]))


def _standing(slot: Slot, now: float) -> Standing:
    member, record = slot.member, slot.health.record
    blocked = obstacle(slot, now)
    rest = slot.ready_set.resting(now)
    if blocked is None and rest is not None:
        blocked = rest.cause, rest.until
    reason, until = blocked or (READY, None)
    limits, usage = _shown(slot, now)
    return Standing(
        account_id=member.id,
        label=member.label,
        kind=member.kind,
        model=slot.model,
        state=member.state,
        reason=reason,
        detail=_detail(slot, reason),
        until=until,
        headroom=slot.window.headroom(now, slot.limits),
        limits=limits,
        usage=usage,
        success=record.success,
        latency_ms=record.latency,
        strikes=record.strikes,
        failed_at=record.failed_at,
        in_flight=slot.in_flight,
        canary=slot.half_open,
        priority=member.priority,
        weight=member.weight,
    )


def _shown(slot: Slot, now: float) -> tuple[Limits, Usage]:
    """Return limits and usage; the day is the one whose limit counts."""
    limits, usage, day = slot.limits, slot.window.usage(now), slot.window.together
    if limits.together is None or day is None:
        return limits, usage
    counted = replace(usage, day_requests=day.requests(now))
    return replace(limits, rpd=limits.together), counted


def _detail(slot: Slot, reason: str) -> str:
    """Say more of a reason: the evidence of a rest, or what took the account out."""
    for rest in (slot.rest, slot.member.rest, slot.ready_set.rest):
        if rest is not None and rest.cause == reason:
            return rest.evidence or (f"by {rest.by}" if rest.by else "")
    return slot.member.state_cause if reason == slot.member.state else ""
