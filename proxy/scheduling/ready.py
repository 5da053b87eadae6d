"""The slots that can take a request now, kept so that nobody needs to look for them.

There is a ready set for each kind and upstream model. A slot leaves it when it rests
or is full, and comes back when that ends or when its time is up; a request looks at a
few ready slots only, however many accounts there are.

Times are epoch seconds.
"""

import heapq
from bisect import insort
from collections.abc import Container, Iterator
from itertools import count

from proxy.scheduling.health import Rest
from proxy.scheduling.slots import Slot, obstacle

Coming = tuple[float, int, Slot]
#: How many entries of the heap may be out of date beside as many as there are slots.
SPARE = 64


class Tier:
    """The ready slots of one priority, in no particular order."""

    __slots__ = ("_cursor", "priority", "slots")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.slots: list[Slot] = []
        self._cursor = 0

    def __lt__(self, other: "Tier") -> bool:
        return self.priority < other.priority

    def add(self, slot: Slot) -> None:
        slot.place = len(self.slots)
        self.slots.append(slot)

    def remove(self, slot: Slot) -> None:
        last = self.slots.pop()
        if last is not slot:
            self.slots[slot.place] = last
            last.place = slot.place
        slot.place = -1

    def next(self, most: int, passed_over: Container[int]) -> list[Slot]:
        """Return up to ``most`` slots, others each time if there are more.

        Slots of the accounts in ``passed_over`` are left out.
        """
        slots = self.slots
        if len(slots) <= most:
            return [slot for slot in slots if slot.member.id not in passed_over]
        found: list[Slot] = []
        start = self._cursor % len(slots)
        for step in range(len(slots)):
            slot = slots[start + step - len(slots)]
            if slot.member.id not in passed_over:
                found.append(slot)
                if len(found) == most:
                    break
        self._cursor = start + step + 1
        return found


class ReadySet:
    """All slots for one upstream model of one kind, and which of them are ready."""

    def __init__(self, kind: str, model: str) -> None:
        self.kind = kind
        self.model = model
        self.slots: dict[int, Slot] = {}
        #: The whole model rests, for all accounts.
        self.rest: Rest | None = None
        #: When each account last called the model overloaded; since the last success.
        self.overloads: dict[int, float] = {}
        self.passed_at = 0.0
        #: The turn of whoever was served last.
        self.turn = 0.0
        self.tiers: list[Tier] = []
        self._out: dict[str, dict[int, Slot]] = {}
        # A heap; a slot that came back or waits for something else leaves it later.
        self._coming: list[Coming] = []
        self._order = count()

    def add(self, slot: Slot, now: float) -> None:
        self.slots[slot.account_id] = slot
        slot.turn = self.turn
        self.place(slot, now)

    def remove(self, slot: Slot) -> None:
        """Take a slot out for good."""
        if self.slots.get(slot.account_id) is slot:
            del self.slots[slot.account_id]
            self.withdraw(slot)
            self._leave_out(slot)

    def place(self, slot: Slot, now: float) -> bool:
        """Put a slot where it belongs now; return whether it has become ready."""
        if self.slots.get(slot.account_id) is not slot:
            return False
        blocked = obstacle(slot, now)
        if blocked is None:
            if slot.place >= 0:
                return False
            self._leave_out(slot)
            self._tier(slot.member.priority).add(slot)
            return True
        reason, until = blocked
        if slot.place < 0 and slot.reason == reason and slot.until == until:
            return False
        self.withdraw(slot)
        self._put_out(slot, reason, until)
        return False

    def withdraw(self, slot: Slot) -> None:
        """Take a slot from among the ready ones, for instance to change its priority."""
        if slot.place >= 0:
            self._tier(slot.member.priority).remove(slot)

    def wake(self, now: float) -> bool:
        """Bring back the slots whose time is up; return whether there were any."""
        coming, came = self._coming, False
        while coming and coming[0][0] <= now:
            entry = heapq.heappop(coming)
            if self._is_due(entry):
                came = self.place(entry[2], now) or came
        return came

    def resting(self, now: float) -> Rest | None:
        """Return the rest of the whole model, if it has one."""
        if self.rest is not None and self.rest.until <= now:
            self.rest = None
        return self.rest

    def ready(self) -> int:
        return sum(len(tier.slots) for tier in self.tiers)

    def coming(self, most: int, passed_over: Container[int]) -> list[Slot]:
        """Return the slots that time alone brings back, the soonest first."""
        heap, found = self._coming, dict[int, Slot]()
        # The heap is walked from its top, so that its size does not matter.
        edge = [(*heap[0][:2], 0)] if heap else []
        while edge and len(found) < most:
            index = heapq.heappop(edge)[2]
            slot = heap[index][2]
            if self._is_due(heap[index]) and slot.account_id not in passed_over:
                found[slot.account_id] = slot
            for child in range(2 * index + 1, min(2 * index + 3, len(heap))):
                heapq.heappush(edge, (*heap[child][:2], child))
        return list(found.values())

    def out(self) -> Iterator[tuple[str, dict[int, Slot]]]:
        """Yield each reason for which slots are not ready, with these by account."""
        yield from self._out.items()

    def out_for(self, reason: str) -> dict[int, Slot]:
        return self._out.get(reason, {})

    def _tier(self, priority: int) -> Tier:
        for tier in self.tiers:
            if tier.priority == priority:
                return tier
        made = Tier(priority)
        insort(self.tiers, made)
        return made

    def _put_out(self, slot: Slot, reason: str, until: float | None) -> None:
        self._leave_out(slot)
        slot.reason, slot.until = reason, until
        self._out.setdefault(reason, {})[slot.account_id] = slot
        if until is not None:
            heapq.heappush(self._coming, (until, next(self._order), slot))
            if len(self._coming) > 2 * len(self.slots) + SPARE:
                self._coming[:] = [e for e in self._coming if self._is_due(e)]
                heapq.heapify(self._coming)

    def _is_due(self, entry: Coming) -> bool:
        """Return whether a slot still waits for what the heap says."""
        until, _, slot = entry
        return slot.place < 0 and slot.until == until

    def _leave_out(self, slot: Slot) -> None:
        held = self._out.get(slot.reason)
        if held is not None:
            held.pop(slot.account_id, None)
            if not held:
                del self._out[slot.reason]
        slot.reason, slot.until = "", None
