"""Counters and averages of a process that has just started, from the ledger."""

from collections.abc import Iterable, Mapping

from proxy.scheduling.history import Outcome, Pair, Used
from proxy.scheduling.roster import Roster
from proxy.wire.causes import cause_of

#: Whose troubles say nothing about an account.
INNOCENT = frozenset({"caller", "egress", "gateway"})


def restore(
    roster: Roster,
    recent: Iterable[Used],
    today: Mapping[Pair, tuple[int, int]],
    ended: Iterable[Outcome],
    now: float,
) -> None:
    """Fill windows and health; accounts that are gone are passed over."""
    for use in recent:
        slot = roster.slot(use.account_id, use.model, now)
        if slot is not None:
            slot.window.seed(now, [(use.at, use.tokens)])
    for (account_id, model), (requests, tokens) in today.items():
        slot = roster.slot(account_id, model, now)
        if slot is not None:
            slot.window.seed_day(now, requests, tokens)
    for outcome in ended:
        slot = roster.slot(outcome.account_id, outcome.model, now)
        if slot is None:
            continue
        if outcome.code == "ok":
            slot.health.passed(outcome.ms)
        elif outcome.blame not in INNOCENT and cause_of(outcome.code).strike:
            slot.health.failed(outcome.at)
    for member in roster.members.values():
        member.place(now)
