"""An account's place in the pool, and its slot for each model that it serves.

Times are epoch seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.scheduling.health import Health, Rest
from proxy.scheduling.quota import UNKNOWN, DayLimit, Limits, Window
from proxy.wire.code_assist import bare_model

if TYPE_CHECKING:
    from proxy.scheduling.ready import ReadySet
    from proxy.upstreams.base import AccountConfig

USABLE = frozenset({"new", "active"})
ATTENTION = "needs_attention"
#: The kind whose models have aliases that count as the model itself.
CODE_ASSIST = "code_assist"

#: Why a slot that is neither resting nor set aside takes no request.
SEATS = "all_seats_taken"
CANARY = "canary_under_way"
MINUTE_LIMIT = "minute_limit"
DAY_LIMIT = "day_limit"
#: Longer waits than this are for a new day.
MINUTE = 120.0


@dataclass(slots=True, eq=False, kw_only=True)
class Member:
    """An upstream account. ``config`` is None while it must not be used.

    ``since`` is when it came into its state and ``cleared`` when an operator had
    everything forgotten that was held against it. ``limits`` are the operator's own.
    ``shelved`` tells when an answer took the account out, until the database says so
    as well.
    """

    id: int
    kind: str
    label: str = ""
    config: "AccountConfig | None" = None
    state: str = "active"
    state_cause: str = ""
    since: float = 0.0
    cleared: float = 0.0
    priority: int = 0
    weight: int = 100
    concurrency: int = 0
    limits: Limits = UNKNOWN
    tier: str = ""
    #: What it is asked a day if neither its tier nor anybody else says more.
    usual: tuple[DayLimit, ...] = ()
    bucket: str = ""
    in_flight: int = 0
    rest: Rest | None = None
    shelved: float | None = None
    slots: "dict[str, Slot]" = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return self.config is not None and self.state in USABLE

    def counted_as(self, model: str) -> str:
        """Return the model whose quotas a request for this name uses up."""
        return bare_model(model) if self.kind == CODE_ASSIST else model

    @property
    def full(self) -> bool:
        return 0 < self.concurrency <= self.in_flight

    def rests(self) -> Iterator[Rest]:
        """Yield the rests of the account and of its models."""
        if self.rest is not None:
            yield self.rest
        for slot in self.slots.values():
            if slot.rest is not None:
                yield slot.rest

    def place(self, now: float) -> bool:
        """Put all slots where they belong now; return whether one became ready."""
        came = [slot.ready_set.place(slot, now) for slot in self.slots.values()]
        return any(came)

    def withdraw(self) -> None:
        """Take all slots from among the ready ones until they are placed again."""
        for slot in self.slots.values():
            slot.ready_set.withdraw(slot)


@dataclass(slots=True, eq=False)
class Slot:
    """One account's ability to serve one upstream model.

    ``turn`` orders those who wait for their turn. ``shared_ends`` are the times at
    which the requests of all processes stop to count, as far as this one has been
    told, and ``refused`` says for what, and until when, there was no room left by
    that count. The last fields belong to the ready set: ``place`` is the index among
    the ready ones or -1, ``reason`` and ``until`` say why it is not ready, and until
    when if time alone will change that.
    """

    member: Member
    model: str
    ready_set: "ReadySet"
    window: Window
    limits: Limits = UNKNOWN
    health: Health = field(default_factory=Health)
    rest: Rest | None = None
    canary_out: bool = False
    in_flight: int = 0
    #: Requests that Redis is being asked to take here first.
    asked_for: int = 0
    turn: float = 0.0
    shared_ends: Sequence[float] = ()
    refused: tuple[str, float] | None = None
    place: int = -1
    reason: str = ""
    until: float | None = None

    @property
    def account_id(self) -> int:
        return self.member.id

    @property
    def counted_as(self) -> str:
        return self.member.counted_as(self.model)

    def ends(self, now: float) -> Sequence[float]:
        """Return when each request that counts stops to count, soonest first."""
        own = self.window.ends(now)
        told = [at for at in self.shared_ends if at > now]
        # All processes' include this one's.
        return told if len(told) > len(own) else own

    def allow(self, limits: Limits) -> None:
        """Set its limits; with others the shared counters are asked anew."""
        if limits != self.limits:
            self.limits, self.refused = limits, None

    @property
    def half_open(self) -> bool:
        """Whether only a canary may pass, once the rest's time is up."""
        return self.rest is not None and self.rest.canary


def obstacle(slot: Slot, now: float) -> tuple[str, float | None] | None:
    """Return why a slot takes no request now, and until when if time will tell.

    Forgets rests that are over.
    """
    member = slot.member
    if not member.usable:
        usable = member.state in USABLE
        return (ATTENTION if usable else member.state), None
    resting = _resting(slot, now)
    if resting is not None:
        return resting.cause, resting.until
    if slot.canary_out and slot.half_open:
        return CANARY, None
    if member.full:
        return SEATS, None
    wait = slot.window.wait(now, 1, slot.limits)
    if wait > 0:
        return (DAY_LIMIT if wait > MINUTE else MINUTE_LIMIT), now + wait
    if slot.refused is not None and slot.refused[1] <= now:
        slot.refused = None
    return slot.refused


def _resting(slot: Slot, now: float) -> Rest | None:
    """Return the rest that holds a slot longest."""
    member, found = slot.member, None
    if member.rest is not None:
        if member.rest.until > now:
            found = member.rest
        else:
            member.rest = None
    if slot.rest is not None:
        if slot.rest.until > now:
            if found is None or slot.rest.until > found.until:
                found = slot.rest
        elif not slot.rest.canary:
            slot.rest = None
    return found
