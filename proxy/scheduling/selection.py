"""Which of several ready slots takes a request.

A strategy gives every slot a cost; the lowest is chosen. Times are epoch seconds.
"""

from collections.abc import Callable, Iterable, Mapping

from proxy.scheduling.slots import Slot

Cost = tuple[float, float]

#: So many ready slots are looked at for one request.
LOOKED_AT = 8
#: A slot that no call has told a latency of: it is soon given the chance, in ms.
UNMEASURED = 0.0
#: What every call costs, in ms, so that quick accounts do not take them all.
BASE = 1000.0
#: A request of the last minute weighs as much as this part of one in flight.
RECENT = 0.05
#: Calls that failed make an account less wanted for so many seconds, at first so much.
REMEMBERED = 60.0
WARNED = 4.0
LEAST = 0.05


def adaptive(slot: Slot, now: float) -> Cost:
    """Prefer what succeeds, is quick, has not just failed, has room and is idle."""
    record = slot.health.record
    load = 1 + slot.in_flight + slot.asked_for + RECENT * slot.window.recent()
    latency = UNMEASURED if record.latency is None else record.latency
    headroom = slot.window.headroom(now, slot.limits)
    cost = load * (BASE + latency) / (slot.member.weight * max(headroom, LEAST))
    if record.failed_at:
        since = now - record.failed_at
        if since < REMEMBERED:
            cost *= 1 + WARNED * (1 - max(since, 0.0) / REMEMBERED)
        cost /= max(record.success, LEAST) ** 2
    return cost, slot.turn


def least_used(slot: Slot, now: float) -> Cost:
    """Prefer what has fewest requests under way, then fewest today."""
    usage = slot.window.usage(now)
    weight = slot.member.weight
    return (slot.in_flight + slot.asked_for) / weight, usage.day_requests / weight


def round_robin(slot: Slot, now: float) -> Cost:
    """Prefer whoever has waited longest for a turn; heavy ones have more turns."""
    return slot.turn + slot.asked_for * 100 / slot.member.weight, 0.0


STRATEGIES: Mapping[str, Callable[[Slot, float], Cost]] = {
    "adaptive": adaptive,
    "least_used": least_used,
    "round_robin": round_robin,
}


def ranked(slots: Iterable[Slot], strategy: str, now: float) -> list[Slot]:
    """Return slots, the one to take first."""
    cost = STRATEGIES[strategy]
    return sorted(slots, key=lambda slot: (cost(slot, now), slot.account_id))


def take_turn(slot: Slot) -> None:
    """Note that a slot was chosen; those of more weight come round more often."""
    ready_set = slot.ready_set
    began = max(slot.turn, ready_set.turn)
    ready_set.turn = began
    slot.turn = began + 100 / slot.member.weight


def reason(slot: Slot, strategy: str, now: float, of: int) -> str:
    """Say in a few words why a slot was chosen among ``of`` ready ones."""
    record = slot.health.record
    latency = "new" if record.latency is None else f"{record.latency:.0f} ms"
    return (
        f"{strategy}, 1 of {of}: {record.success:.2f} success, {latency}, "
        f"{slot.window.headroom(now, slot.limits):.2f} left, {slot.in_flight} under way"
    )
