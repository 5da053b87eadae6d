"""Taking slots that several server processes share, through Redis.

Who comes into question is worked out here from what this process knows; one script in
Redis then decides. What it refuses is remembered for a while.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from proxy.scheduling.history import Pair, Used
from proxy.scheduling.leases import Offer
from proxy.scheduling.quota import day_end
from proxy.scheduling.roster import Roster
from proxy.scheduling.shared import Candidate, Seed, Taken, Usage
from proxy.scheduling.slots import (
    DAY_LIMIT,
    MINUTE,
    MINUTE_LIMIT,
    SEATS,
    Slot,
    obstacle,
)

#: So many slots are offered at once, and so often may all of them be refused.
MOST_OFFERED = 32
ROUNDS = 3
#: So often a slot may go out for this process while it is being taken.
MOST_LOST = 20
#: How soon to ask again for a seat that another process holds, in seconds.
SEAT_PAUSE = 0.25
#: What Redis alone decides: it has already.
SHARED_REASONS = frozenset({SEATS, MINUTE_LIMIT, DAY_LIMIT})
HALF_A_DAY = timedelta(hours=12)


class SharedWindows(Protocol):
    """What the pool asks of the state that processes share."""

    on_lost: Callable[[], None]

    async def reserve(
        self, candidates: Sequence[Candidate], *, now: float
    ) -> Taken: ...

    async def settle(
        self, taken: Taken, candidate: Candidate, *, tokens: int | None, sent: bool
    ) -> None: ...

    async def usage(
        self, windows: Sequence[str], *, day: str
    ) -> Mapping[str, Usage]: ...

    async def seed(self, seeds: Sequence[Seed]) -> int: ...

    async def aclose(self) -> None: ...


def candidate(slot: Slot, tokens: int, now: float) -> Candidate:
    """Return what Redis must know of a slot."""
    member, limits = slot.member, slot.limits
    return Candidate(
        account_id=member.id,
        window=window_name(slot),
        seat=str(member.id),
        concurrency=member.concurrency,
        rpm=limits.rpm,
        tpm=limits.tpm,
        rpd=limits.rpd,
        tokens=tokens,
        day=pacific_day(now),
        joint=joint_name(slot),
        together=limits.together,
    )


def window_name(slot: Slot) -> str:
    """Return what processes call the window that a slot counts in."""
    return f"{slot.member.bucket or slot.member.id}:{slot.counted_as}"


def joint_name(slot: Slot) -> str:
    """Return what they call the day that it shares with other models; empty for none."""
    day = slot.window.together
    return f"{slot.member.bucket or slot.member.id}:{day.name}" if day else ""


def pacific_day(now: float) -> str:
    """Return the date at the provider's, where the day ends at ``day_end``."""
    end = datetime.fromtimestamp(day_end(now), UTC)
    return (end - HALF_A_DAY).date().isoformat()


def heed(offers: Sequence[Offer], taken: Taken, now: float) -> None:
    """Keep the slots out that Redis refused, for as long as it says."""
    for (_, slot, _), wait in zip(offers, taken.waits, strict=False):
        if math.isinf(wait):
            slot.refused = SEATS, now + SEAT_PAUSE
        elif wait > 0:
            reason = DAY_LIMIT if wait > MINUTE else MINUTE_LIMIT
            slot.refused = reason, now + wait
        slot.ready_set.place(slot, now)


def note_usage(slots: Iterable[Slot], found: Mapping[str, Usage], now: float) -> None:
    """Remember when the requests of all processes stop to count."""
    for slot in slots:
        usage = found.get(window_name(slot))
        if usage is not None:
            slot.shared_ends = [now + left for left, _ in usage.ends]


def still_wanted(slot: Slot, now: float) -> bool:
    """Return whether a slot may be used that was offered a moment ago."""
    blocked = obstacle(slot, now)
    return blocked is None or blocked[0] in SHARED_REASONS


def seeds(
    roster: Roster,
    recent: Iterable[Used],
    today: dict[Pair, tuple[int, int]],
    now: float,
) -> list[Seed]:
    """Return what the shared windows should hold at least, by the ledger."""
    minutes: dict[str, list[tuple[float, int]]] = {}
    days: dict[str, tuple[int, int]] = {}
    for use in recent:
        slot = roster.slot(use.account_id, use.model, now)
        if slot is not None:
            entry = (max(now - use.at, 0.0), use.tokens)
            minutes.setdefault(window_name(slot), []).append(entry)
    for (account_id, model), (requests, tokens) in today.items():
        slot = roster.slot(account_id, model, now)
        names = (window_name(slot), joint_name(slot)) if slot is not None else ()
        for name in filter(None, names):
            before = days.get(name, (0, 0))
            days[name] = before[0] + requests, before[1] + tokens
    day = pacific_day(now)
    return [
        Seed(
            window=name,
            day=day,
            requests_today=days.get(name, (0, 0))[0],
            tokens_today=days.get(name, (0, 0))[1],
            minute=tuple(minutes.get(name, ())),
        )
        for name in minutes.keys() | days.keys()
    ]
