"""How an account does with a model: what came of its calls, and when it must rest.

A rest that failures brought on ends half open: one call, the canary, is let through,
and only its success ends the rest. Rate limits and callers' faults are not noted here.

Times are epoch seconds; latencies are milliseconds.
"""

from dataclasses import dataclass

#: How much the latest call counts in the averages.
SHARE = 0.2
STRIKES_TO_REST = 3
FIRST_REST = 10.0
LONGEST_REST = 600.0
#: How far back a fault may lie that turns out to be nobody's in particular.
FORGIVABLE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """An account, or one model of it, is not used until a time.

    ``model`` is empty for the whole account. ``canary`` says that the rest came from
    failures and needs a success to end; ``shareable`` that the cause may turn out to
    lie in something that many accounts share.
    """

    model: str
    cause: str
    since: float
    until: float
    evidence: str = ""
    canary: bool = False
    shareable: bool = False
    strikes: int = 0
    by: str = ""


@dataclass(slots=True)
class Record:
    """What is remembered of an account's calls with one model."""

    success: float = 1.0
    latency: float | None = None
    failed_at: float = 0.0
    strikes: int = 0


class Health:
    """Follows the calls of one account with one model."""

    __slots__ = ("_before", "_marked_at", "record")

    def __init__(self) -> None:
        self.record = Record()
        # What was known before the failures that may yet be forgiven.
        self._before: Record | None = None
        self._marked_at = 0.0

    def passed(self, latency: float) -> None:
        """Note a success; ``latency`` is 0 if it is unknown."""
        record = self.record
        record.success += SHARE * (1 - record.success)
        if latency > 0:
            old = latency if record.latency is None else record.latency
            record.latency = old + SHARE * (latency - old)
        record.strikes = 0
        self._before = None

    def failed(self, now: float, *, strike: bool = True) -> float:
        """Note a failure; return how many seconds of rest it brings on, mostly 0.

        Without ``strike`` it counts in the average only: such are failures of calls
        that were under way when the rest began.
        """
        record = self.record
        if self._before is None or now - self._marked_at > FORGIVABLE:
            self._before = Record(
                record.success, record.latency, record.failed_at, record.strikes
            )
            self._marked_at = now
        record.success -= SHARE * record.success
        record.failed_at = now
        if not strike:
            return 0.0
        record.strikes += 1
        return rest_after(record.strikes)

    def forgive(self, now: float) -> bool:
        """Undo the failures of the last seconds; return whether there were any."""
        if self._before is None or now - self.record.failed_at > FORGIVABLE:
            return False
        self.record, self._before = self._before, None
        return True

    def forget(self) -> None:
        """Start anew, as an operator asked."""
        self.record, self._before = Record(), None


def rest_after(strikes: int) -> float:
    """Return the seconds of rest that so many failures in a row bring on."""
    if strikes < STRIKES_TO_REST:
        return 0.0
    doubled = min(strikes - STRIKES_TO_REST, 16)
    return float(min(FIRST_REST * 2**doubled, LONGEST_REST))
