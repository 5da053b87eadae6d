"""The accounts of the pool in memory, with their slots, windows, rests and limits.

What is read from the database is put in here; what requests learned stays with the
accounts that stay. Nothing here waits or reads a clock: times are epoch seconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from proxy.scheduling.health import Rest
from proxy.scheduling.quota import (
    UNKNOWN,
    Day,
    Limits,
    Window,
    day_limit,
    tier_limits,
)
from proxy.scheduling.ready import ReadySet
from proxy.scheduling.slots import ATTENTION, Member, Slot

Pair = tuple[int, str]
#: Times of the database are rounded.
ROUNDING = 0.001


class Roster:
    """All accounts by their ids; who uses it sees to it that nobody else does."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        #: The rests that the database holds, by model, and since when we know.
        self.kept: dict[int, dict[str, float]] = {}
        self._kinds: dict[str, dict[int, Member]] = {}
        self._sets: dict[tuple[str, str], ReadySet] = {}
        self._windows: dict[tuple[str, str], Window] = {}
        self._days: dict[tuple[str, str], Day] = {}
        self._learned: dict[int, dict[str, Limits]] = {}
        self._of_bucket: dict[tuple[str, str], Limits] = {}
        # Of each kind how many accounts are usable, and their seats.
        self._sums: dict[str, tuple[int, int | None]] = {}

    def kind(self, kind: str) -> Mapping[int, Member]:
        return self._kinds.get(kind, {})

    def usable(self, kind: str) -> int:
        """Return how many accounts of a kind may be used, resting ones included."""
        return self._sum(kind)[0]

    def seats(self, kind: str) -> int | None:
        """Return how many requests its accounts take at once; None for any number."""
        return self._sum(kind)[1]

    def put(self, fresh: Member, now: float) -> None:
        """Add an account as read from the database, or change it to that."""
        member = self.members.get(fresh.id)
        if member is not None and member.kind != fresh.kind:
            self.drop(fresh.id)
            member = None
        self._sums.pop(fresh.kind, None)
        if member is None:
            self.members[fresh.id] = fresh
            self._kinds.setdefault(fresh.kind, {})[fresh.id] = fresh
            for ready_set in self._sets.values():
                if ready_set.kind == fresh.kind:
                    self._add_slot(fresh, ready_set, now)
            return
        member.withdraw()
        if fresh.cleared > member.cleared:
            self.clear(member)
        _copy(fresh, member)
        for slot in member.slots.values():
            slot.allow(self._limits(member, slot.model))
        member.place(now)

    def replace(self, found: Iterable[Member], only: int | None, now: float) -> None:
        """Make this the accounts there are, or change the one asked for to that."""
        gone = set(self.members) if only is None else {only}
        for member in found:
            self.put(member, now)
            gone.discard(member.id)
        for account_id in gone:
            self.drop(account_id)

    def drop(self, account_id: int) -> None:
        """Remove an account; leases of it that are out may still be finished."""
        member = self.members.pop(account_id, None)
        if member is None:
            return
        del self._kinds[member.kind][account_id]
        self._sums.pop(member.kind, None)
        self.kept.pop(account_id, None)
        self._learned.pop(account_id, None)
        for slot in member.slots.values():
            slot.ready_set.remove(slot)
            self._forget_own(slot)

    def clear(self, member: Member) -> None:
        """Forget all that is held against an account (place it afterwards)."""
        member.rest = member.shelved = None
        for slot in member.slots.values():
            slot.rest = None
            slot.health.forget()
        self.kept.pop(member.id, None)

    def shelve(self, member: Member, cause: str, now: float) -> None:
        """Take an account out until a human acts."""
        member.state, member.state_cause, member.shelved = ATTENTION, cause, now
        self._sums.pop(member.kind, None)
        member.place(now)

    def ready_set(self, kind: str, model: str, now: float) -> ReadySet:
        """Return the slots for a model; they are made when it is first asked for."""
        found = self._sets.get((kind, model))
        if found is None:
            found = self._sets[kind, model] = ReadySet(kind, model)
            for member in self.kind(kind).values():
                self._add_slot(member, found, now)
        return found

    def slot(self, account_id: int, model: str, now: float) -> Slot | None:
        """Return an account's slot; None if there is no such account."""
        member = self.members.get(account_id)
        if member is None:
            return None
        return self.ready_set(member.kind, model, now).slots[account_id]

    def mates(self, slot: Slot) -> Iterator[Slot]:
        """Yield the slots that draw on the same quotas, the given one first."""
        yield slot
        for other in slot.ready_set.slots.values() if slot.member.bucket else ():
            if other.window is slot.window and other is not slot:
                yield other

    def rest(self, account_id: int, rest: Rest, now: float) -> bool:
        """Let an account or one model of it rest; return False if it does so longer.

        A rest that came from failures stays marked as such whatever comes on top.
        """
        member = self.members.get(account_id)
        if member is None:
            return False
        holder: Member | Slot | None = member
        if rest.model:
            holder = self.slot(account_id, rest.model, now)
        if holder is None:
            return False
        held = holder.rest
        if held is not None and held.until >= rest.until:
            return False
        if held is not None and held.canary:
            rest = replace(rest, canary=True, strikes=max(held.strikes, rest.strikes))
        holder.rest = rest
        member.place(now)
        return True

    def end_rest(self, account_id: int, model: str, now: float) -> bool:
        """End a rest before its time; return whether a slot became ready."""
        self.kept.get(account_id, {}).pop(model, None)
        member = self.members.get(account_id)
        if member is None:
            return False
        if not model:
            member.rest = None
        elif model in member.slots:
            slot = member.slots[model]
            if slot.half_open:
                slot.health.record.strikes = 0
            slot.rest = None
        return member.place(now)

    def note_kept(self, account_id: int, rest: Rest, now: float) -> None:
        """Note that the database holds a rest, if it is still the one that holds."""
        if self._rest_of(account_id, rest.model) is rest:
            self.kept.setdefault(account_id, {})[rest.model] = now

    def take_rests(
        self,
        found: Mapping[Pair, Rest],
        account_id: int | None,
        read: float,
        now: float,
    ) -> None:
        """Take in the rests that the database held at ``read``, of all or of one.

        A rest that was in the database before and is not there now was ended by
        somebody else; one that it does not know yet is left alone.
        """
        for (key, model), rest in found.items():
            mine = self._rest_of(key, model)
            unwritten = model not in self.kept.get(key, {})
            if mine and unwritten and mine.until > rest.until + ROUNDING:
                continue
            self._replace(key, rest, now)
            self.kept.setdefault(key, {})[model] = read
        for key in [account_id] if account_id is not None else list(self.kept):
            for model, known in list(self.kept.get(key, {}).items()):
                if known < read and (key, model) not in found:
                    self._end_unless_over(key, model, now)

    def learn(self, pair: Pair, limits: Limits, bucket: str, now: float) -> None:
        """Note what is known of an account's quotas for a model ("" for all)."""
        member = self.members.get(pair[0])
        if member is None:
            return
        self._learned.setdefault(pair[0], {})[pair[1]] = limits
        if bucket:
            if bucket != member.bucket:
                self._join(member, bucket, now)
            known = self._of_bucket.get((bucket, pair[1]), UNKNOWN)
            self._of_bucket[bucket, pair[1]] = limits.over(known)
        for slot in member.slots.values():
            slot.allow(self._limits(member, slot.model))
        member.place(now)

    def unlearn(self, account_id: int | None) -> None:
        """Forget what was learned of one account or of all, to learn it anew."""
        if account_id is None:
            self._learned.clear()
            self._of_bucket.clear()
        else:
            self._learned.pop(account_id, None)

    def learned(self, pair: Pair) -> Limits:
        return self._learned.get(pair[0], {}).get(pair[1], UNKNOWN)

    def refresh_limits(self, account_id: int | None, now: float) -> None:
        """Work out the limits of one account or of all again."""
        for member in self.members.values():
            if account_id in (None, member.id):
                for slot in member.slots.values():
                    slot.allow(self._limits(member, slot.model))
                member.place(now)

    def _sum(self, kind: str) -> tuple[int, int | None]:
        found = self._sums.get(kind)
        if found is None:
            each = [m.concurrency for m in self.kind(kind).values() if m.usable]
            found = self._sums[kind] = len(each), sum(each) if all(each) else None
        return found

    def _add_slot(self, member: Member, ready_set: ReadySet, now: float) -> None:
        model = ready_set.model
        window = self._window(member, model)
        slot = Slot(member, model, ready_set, window, self._limits(member, model))
        member.slots[model] = slot
        ready_set.add(slot, now)

    def _window(self, member: Member, model: str) -> Window:
        owner, model = member.bucket or _own(member.id), member.counted_as(model)
        found = self._windows.get((owner, model))
        if found is None:
            usual, day = day_limit(member.usual, model), None
            if usual is not None and usual.joint:
                key = owner, usual.pattern
                day = self._days.setdefault(key, Day(usual.pattern))
            found = self._windows[owner, model] = Window(day)
        return found

    def _forget_own(self, slot: Slot) -> None:
        """Forget what an account alone has counted."""
        owner = _own(slot.account_id)
        self._windows.pop((owner, slot.counted_as), None)
        if slot.window.together is not None:
            self._days.pop((owner, slot.window.together.name), None)

    def _limits(self, member: Member, model: str) -> Limits:
        model = member.counted_as(model)
        limits = member.limits.over(self.learned((member.id, model)))
        limits = limits.over(self.learned((member.id, "")))
        for of in (model, "") if member.bucket else ():
            limits = limits.over(self._of_bucket.get((member.bucket, of), UNKNOWN))
        if member.tier:
            return limits.over(tier_limits(member.tier, model))
        usual = day_limit(member.usual, model)
        return limits.over(usual.limits) if usual is not None else limits

    def _join(self, member: Member, bucket: str, now: float) -> None:
        """Let an account draw on the quotas of a bucket."""
        own = not member.bucket
        member.bucket = bucket
        moved: set[int] = set()
        for slot in member.slots.values():
            shared, before = self._window(member, slot.model), slot.window
            # Two names of one model share a window, and several windows a day.
            if own and id(before) not in moved:
                shared.absorb(before, now)
                days = shared.together, before.together
                if days[0] and days[1] and id(days[1]) not in moved:
                    days[0].add(now, days[1].requests(now))
                moved |= {id(before), id(days[1])}
                self._forget_own(slot)
            slot.window = shared

    def _rest_of(self, account_id: int, model: str) -> Rest | None:
        member = self.members.get(account_id)
        if member is None or not model:
            return member.rest if member else None
        slot = member.slots.get(model)
        return slot.rest if slot else None

    def _end_unless_over(self, account_id: int, model: str, now: float) -> None:
        """End a rest that is no longer in the database, unless its time is up anyway.

        Half open is not ended: there a row has only run out.
        """
        rest = self._rest_of(account_id, model)
        if rest is not None and rest.until > now:
            self.end_rest(account_id, model, now)
        else:
            del self.kept[account_id][model]

    def _replace(self, account_id: int, rest: Rest, now: float) -> None:
        member = self.members.get(account_id)
        if member is None:
            return
        slot = self.slot(account_id, rest.model, now) if rest.model else None
        if slot is not None:
            slot.rest = rest
            slot.health.record.strikes = max(slot.health.record.strikes, rest.strikes)
        else:
            member.rest = rest
        member.place(now)


def _own(account_id: int) -> str:
    return f"#{account_id}"


def _copy(fresh: Member, member: Member) -> None:
    """Change an account to what the database says; what was learned stays."""
    if _outdated(fresh, member):
        fresh.state, fresh.state_cause = member.state, member.state_cause
    else:
        member.shelved = None
    for name in (
        "label",
        "config",
        "state",
        "state_cause",
        "since",
        "cleared",
        "priority",
        "weight",
        "concurrency",
        "limits",
        "tier",
        "usual",
    ):
        setattr(member, name, getattr(fresh, name))


def _outdated(fresh: Member, member: Member) -> bool:
    """Whether a row was read before it said that the account was taken out."""
    if member.shelved is None or not fresh.usable or member.config is None:
        return False
    same = fresh.config is not None and fresh.config.secret == member.config.secret
    return same and fresh.since <= member.shelved
