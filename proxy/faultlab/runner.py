"""Runs the rows of the fault matrix on a stand and notes what differs."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from accounts.models import Account
from gemproxy.lib import clock
from proxy.faultlab import callers, findings
from proxy.faultlab.answers import Seen
from proxy.faultlab.credentials import PROVIDERS
from proxy.faultlab.expectations import ANSWERED
from proxy.faultlab.findings import Finding
from proxy.faultlab.row import COUNT, COUNTED, OPENAI, Form, Row
from proxy.faultlab.stand import Stand, StandBroken, eventually

#: What the gateway writes in the background is there after that.
_WRITTEN_SECONDS = 3.0


@dataclass(slots=True)
class Result:
    """How one form of a row went: what was seen, and what should not have been."""

    row: Row
    form: Form
    pair: Seen | None = None
    alone: Seen | None = None
    blamed: list[Finding] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.complaints


def run(stand: Stand, rows: Iterable[Row]) -> Iterator[Result]:
    """Run rows one after another; yield the result of each of their forms."""
    for row in rows:
        for form in row.forms:
            yield run_form(stand, row, form)


def run_form(stand: Stand, row: Row, form: Form) -> Result:
    """Run one form of a row: with a good account beside the failing one, then without.

    The accounts are new each time, so that nothing of an earlier row counts.
    """
    result = Result(row, form)
    began = clock.monotonic()
    try:
        if row.act == "stay":
            _Pair(stand, result).run()
            _Alone(stand, result).run()
        else:
            _Leaving(stand, result).run()
    except StandBroken as error:
        result.complaints.append(str(error))
    finally:
        stand.remove_all()
    result.seconds = clock.monotonic() - began
    return result


class _Scene:
    """What the scenes share. Complaints begin with where they come from."""

    where = ""

    def __init__(self, stand: Stand, result: Result) -> None:
        self.stand = stand
        self.result = result
        self.row, self.form = result.row, result.form
        self.upstream_model = PROVIDERS[self.row.kind].models[0]
        self.since = clock.now()

    def ask(self) -> Seen:
        stand, prompt = self.stand, self.row.prompt
        return callers.ask(stand.gateway, self.form, stand.model, prompt)

    def complain(self, found: Iterable[str]) -> None:
        self.result.complaints += [f"{self.where}: {text}" for text in found]

    def expect_answer(self, what: str, model: str = "") -> None:
        """Ask simply; it must be answered as if nothing had happened."""
        stand = self.stand
        seen = callers.ask(stand.gateway, OPENAI, model or stand.model, COUNT)
        found = ANSWERED.complaints(seen, COUNTED)
        self.complain(f"{what}: {text}" for text in found)

    def misbehave(self, account: Account) -> None:
        """Let an account show the row's fault from now on, on this model only.

        Faults of the credential show everywhere.
        """
        row = self.row
        params = dict(row.params)
        if row.kind == "gemini_api" and row.blame.whose != "account":
            params["model"] = self.upstream_model
        self.stand.tell(account, row.behaviour, params)


class _Pair(_Scene):
    """The failing account is asked first, a good one stands beside it."""

    where = "with a second account"

    def run(self) -> None:
        stand, row = self.stand, self.row
        stand.remove_all()
        failing = stand.add(row.kind, place=row.place, priority=0)
        good = stand.add(row.kind, priority=1)
        stand.settle(row.kind)
        # Both behave yet: what earlier rows left behind is over with this answer.
        self.expect_answer("before the fault")
        self.misbehave(failing)
        if row.others != "ok":
            stand.tell(good, row.others, {"model": self.upstream_model})
        seen = self.result.pair = self.ask()
        self.complain(row.expected(self.form, alone=False).complaints(seen, row.text))
        self._check_tried(seen, failing)
        if row.blame.whose == "nobody":
            # It would go on: the account is, rightly, asked again.
            stand.tell(failing, "ok", {})
        if row.others == "ok":
            self.expect_answer("the next request")
            held = self._of_good(findings.findings(good, self.since))
            self.complain(f"the good account: {each.brief}" for each in held)

    def _of_good(self, held: list[Finding]) -> list[Finding]:
        """Leave out an incident that names the failing account's way out.

        Proxies of web accounts differ in their users only, which incidents hide.
        """
        row = self.row
        if row.kind != "gemini_web" or row.blame.whose != "egress":
            return held
        return [each for each in held if each.whose != "egress"]

    def _check_tried(self, seen: Seen, failing: Account) -> None:
        """The fault must have shown at all."""
        usage = eventually(lambda: findings.usage_row(seen.request_id), "a usage row")
        tried = [attempt["account"] for attempt in usage.attempts]
        if self.row.place == "sandbox" and failing.pk not in tried:
            self.complain(["the failing account was not asked"])


class _Alone(_Scene):
    """The failing account is all there is."""

    where = "alone"

    def run(self) -> None:
        stand, row = self.stand, self.row
        stand.remove_all()
        account = stand.add(row.kind, place=row.place)
        self.misbehave(account)
        stand.settle(row.kind)
        seen = self.result.alone = self.ask()
        self.complain(row.expected(self.form, alone=True).complaints(seen, row.text))
        self._check_usage(seen)
        self._check_blame(account)
        if row.blame.whose in ("nobody", "account_model") and row.place == "sandbox":
            self._check_other_model(account)
        if row.blame.whose == "nobody":
            again = self.ask()
            wanted = row.expected(self.form, alone=True)
            self.complain(f"again: {c}" for c in wanted.complaints(again, row.text))

    def _check_other_model(self, account: Account) -> None:
        """It goes on, whatever the one that failed rests for."""
        if self.row.kind == "gemini_api":
            self.expect_answer("the other model", self.stand.other_model)
            return
        # Elsewhere the sandbox fails for all models of an account alike.
        self.stand.tell(account, "ok", {})
        self.expect_answer("the other model", self.stand.other_model)
        self.misbehave(account)

    def _check_blame(self, account: Account) -> None:
        """Ask until the fault has been held against somebody, then look at whom."""
        blame = self.row.blame
        for _ in range(1, blame.requests):
            if findings.fits(blame, findings.findings(account, self.since)):
                break
            self.ask()

        def look() -> list[Finding]:
            found = findings.findings(account, self.since)
            return found if findings.fits(blame, found) else []

        if blame.whose != "nobody":
            with suppress(StandBroken):
                eventually(look, "somebody is blamed", _WRITTEN_SECONDS)
        held = self.result.blamed = findings.findings(account, self.since)
        self.complain(findings.complaints(blame, held, self.upstream_model))

    def _check_usage(self, seen: Seen) -> None:
        usage = eventually(lambda: findings.usage_row(seen.request_id), "a usage row")
        row = self.row
        wanted = "fault" if seen.errors else "ok"
        if usage.outcome != wanted:
            self.complain([f"the usage row says {usage.outcome}, not {wanted}"])
        if row.ledger and usage.cause != row.ledger:
            self.complain([f"the usage row says {usage.cause}, not {row.ledger}"])
        # These tell usage in the last chunk only: of a broken stream there is none.
        late = row.kind in ("gemini_web", "xai") and seen.errors
        told = row.behaviour != "nousage" and not late
        if seen.text and told and not usage.total_tokens:
            self.complain(["the usage of what came is not recorded"])


class _Leaving(_Scene):
    """The caller goes away; nobody else may notice, least of all the account."""

    where = "left"

    def run(self) -> None:
        stand, row = self.stand, self.row
        stand.remove_all()
        account = stand.add(row.kind)
        stand.settle(row.kind)
        stand.tell(account, row.behaviour, row.params)
        before = stand.stats()
        seen = self.result.alone = self._go()
        if "left" not in seen.broken:
            self.complain([f"there was {seen.brief} before the caller could go"])
            return
        eventually(lambda: self._over(before), "the upstream call ends")
        self._check_usage(account)
        held = self.result.blamed = findings.findings(account, self.since)
        self.complain(findings.complaints(row.blame, held, self.upstream_model))
        stand.tell(account, "ok", {})
        self.expect_answer("the next request")

    def _go(self) -> Seen:
        early = self.row.act == "leave early"
        leave = callers.leave_early if early else callers.leave_late
        return leave(self.stand.gateway, self.form, self.stand.model, self.row.prompt)

    def _over(self, before: dict[str, int]) -> bool:
        now = self.stand.stats()
        ended = now["cancelled"] > before["cancelled"]
        return ended and now["open_streams"] <= before["open_streams"]

    def _check_usage(self, account: Account) -> None:
        usage = eventually(lambda: findings.last_row(account), "a usage row")
        if (usage.outcome, usage.status) != ("cancelled", 499):
            self.complain([f"the usage row says {usage.outcome} {usage.status}"])
        if usage.cause != self.row.ledger:
            self.complain([f"the usage row says {usage.cause}, not {self.row.ledger}"])
        if self.row.act == "leave late" and not usage.total_tokens:
            self.complain(["the usage of what came is not recorded"])
