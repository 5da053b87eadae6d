"""What the pool learns from how a request ended: health, rests and limits.

Times are epoch seconds.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from proxy.errors import Fault, Quota, Verdict
from proxy.scheduling.health import FORGIVABLE, Rest
from proxy.scheduling.quota import Limits
from proxy.scheduling.ready import ReadySet
from proxy.scheduling.roster import Pair, Roster
from proxy.scheduling.slots import Slot
from proxy.wire.quotas import bucket_of, learned_limit

#: Accounts that call a model overloaded within so many seconds mean the same thing.
TOGETHER = 10.0
#: So many accounts must say it before the model rests for all.
SEVERAL = 2
#: What is known already is written again after a day, as a sign that it still holds.
FRESH = 86_400.0
LONGEST_EVIDENCE = 300
MINUTE_AND_DAY = ("rpm", "tpm", "rpd")


class Notebook(Protocol):
    """Where lessons are written down for other processes and the next start."""

    def begin_rest(self, account_id: int, rest: Rest) -> None: ...

    def end_rest(self, account_id: int, model: str) -> None: ...

    def keep_limits(
        self, account_id: int, model: str, limits: Limits, bucket: str
    ) -> None: ...

    def set_aside(self, account_id: int, verdict: Verdict) -> None: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request on a slot ended, and when it began."""

    slot: Slot
    began: float
    now: float
    canary: bool = False


class Lessons:
    """Applies outcomes to the roster, and has written down what must last."""

    def __init__(self, roster: Roster, notebook: Notebook) -> None:
        self._roster = roster
        self._notebook = notebook
        self._learned_at: dict[Pair, float] = {}

    def passed(self, ending: Ending, latency_ms: float) -> None:
        """Learn from a success."""
        slot = ending.slot
        slot.health.passed(latency_ms)
        ready_set = slot.ready_set
        ready_set.passed_at = ending.now
        # If one account gets answers, the model is not at fault.
        ready_set.overloads.clear()
        ready_set.rest = None
        rest = slot.rest
        proves = rest is not None and (ending.canary or ending.began > rest.since)
        if rest is not None and proves and not rest.by:
            self._end(slot, ending.now)

    def failed(self, ending: Ending, fault: Fault, verdict: Verdict) -> None:
        """Learn from a fault, as it was judged."""
        slot, now = ending.slot, ending.now
        if verdict.attention:
            self._roster.shelve(slot.member, verdict.cause, now)
            self._notebook.set_aside(slot.account_id, verdict)
            return
        if verdict.quota is not None:
            self._learn(slot, verdict.quota, bucket_of(fault), now)
        evidence = _evidence(fault)
        if verdict.strike:
            self._strike(ending, verdict, evidence)
        if verdict.until is None or verdict.until <= now:
            return
        rest = Rest(
            model="" if verdict.scope == "account" else slot.model,
            cause=verdict.cause,
            since=now,
            until=verdict.until,
            evidence=evidence,
            shareable=verdict.scope == "model" or verdict.strike,
        )
        if verdict.scope in ("account", "account_model", "model"):
            self._begin(slot, rest, now)
        if verdict.scope == "account_model" and verdict.quota is not None:
            for mate in self._roster.mates(slot):
                self._begin(mate, rest, now)
        if verdict.scope == "model":
            self._overloaded(slot, rest, now)

    def forgive(self, pairs: Iterable[Pair], now: float) -> None:
        """Take back what was held against accounts for a trouble they share."""
        for account_id, model in pairs:
            member = self._roster.members.get(account_id)
            slot = member.slots.get(model) if member else None
            if slot is None:
                continue
            slot.health.forgive(now)
            slot.ready_set.rest = None
            slot.ready_set.overloads.clear()
            rest = slot.rest
            if rest is not None and rest.shareable and now - rest.since <= FORGIVABLE:
                self._end(slot, now)

    def _strike(self, ending: Ending, verdict: Verdict, evidence: str) -> None:
        slot, now = ending.slot, ending.now
        held = slot.rest
        # Calls that were under way when the rest began tell nothing new.
        counts = held is None or not held.canary or ending.began >= held.since
        seconds = slot.health.failed(now, strike=counts or ending.canary)
        if seconds <= 0:
            return
        rest = Rest(
            model=slot.model,
            cause=verdict.cause,
            since=now,
            until=now + seconds,
            evidence=evidence,
            canary=True,
            shareable=True,
            strikes=slot.health.record.strikes,
        )
        self._begin(slot, rest, now)

    def _overloaded(self, slot: Slot, rest: Rest, now: float) -> None:
        """Let the model rest for all accounts if several say so and none denies it."""
        ready_set = slot.ready_set
        said = ready_set.overloads
        said[slot.account_id] = now
        for account_id in [key for key, at in said.items() if at < now - TOGETHER]:
            del said[account_id]
        if now - ready_set.passed_at < TOGETHER:
            return
        if len(said) < SEVERAL and _others(ready_set, said):
            return
        held = ready_set.resting(now)
        if held is None or held.until < rest.until:
            ready_set.rest = replace(rest, since=held.since if held else now)

    def _learn(self, slot: Slot, quota: Quota, bucket: str, now: float) -> None:
        found = learned_limit(quota)
        named = found is not None and found[0] in MINUTE_AND_DAY
        if not named and not bucket:
            return
        pair = slot.account_id, slot.counted_as if quota.per_model else ""
        before = self._roster.learned(pair)
        known = (
            Limits(**{found[0]: found[1]}).over(before) if found and named else before
        )
        same = known == before and bucket in ("", slot.member.bucket)
        if same and now - self._learned_at.get(pair, 0.0) < FRESH:
            return
        self._learned_at[pair] = now
        self._roster.learn(pair, known, bucket, now)
        self._notebook.keep_limits(*pair, known, bucket)

    def _begin(self, slot: Slot, rest: Rest, now: float) -> None:
        if self._roster.rest(slot.account_id, rest, now):
            self._notebook.begin_rest(slot.account_id, rest)

    def _end(self, slot: Slot, now: float) -> None:
        self._roster.end_rest(slot.account_id, slot.model, now)
        self._notebook.end_rest(slot.account_id, slot.model)


def _others(ready_set: ReadySet, said: Container[int]) -> bool:
    """Return whether there are accounts that have not called the model overloaded."""
    slots = ready_set.slots.values()
    return any(s.member.usable and s.account_id not in said for s in slots)


def _evidence(fault: Fault) -> str:
    """Say in a line what the provider answered."""
    quota = fault.quota
    named = f" ({quota.id}: {quota.value})" if quota is not None and quota.id else ""
    return f"{fault.status} {fault.code}{named}: {fault.message}"[:LONGEST_EVIDENCE]
