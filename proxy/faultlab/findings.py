"""What the gateway holds against whom, read from its database."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from accounts.models import Account, CoolDown, UsageRecord
from gemproxy.lib import clock
from proxy.faultlab.expectations import Blame
from proxy.models import Incident

_GOOGLE_DAY = ZoneInfo("America/Los_Angeles")
_MINUTES = datetime.timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing held against somebody; ``until`` is None if it does not end by time."""

    whose: str
    cause: str
    model: str = ""
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None

    @property
    def brief(self) -> str:
        return f"{self.whose} {self.model} {self.cause}".replace("  ", " ")


def findings(account: Account, since: datetime.datetime) -> list[Finding]:
    """Return what is held against an account, and the incidents that lasted then."""
    fresh = Account.objects.get(pk=account.pk)
    found = []
    if fresh.state not in Account.USABLE:
        found.append(Finding("account", fresh.state_cause, since=fresh.state_since))
    for rest in CoolDown.objects.filter(account=fresh).running(clock.now()):
        whose = "account_model" if rest.model else "account_rest"
        found.append(Finding(whose, rest.cause, rest.model, rest.since, rest.until))
    found.extend(_incidents(fresh, since))
    return found


def _incidents(account: Account, since: datetime.datetime) -> Iterator[Finding]:
    """Yield incidents that lasted then and are about the account's way out, or new.

    Their rows name accounts with some delay, so the address tells whom they concern.
    """
    way = account.proxy_url.reveal() if account.proxy_url else account.base_url
    address = urlsplit(way).netloc.rpartition("@")[2]
    for row in Incident.objects.exclude(until__lt=since):
        ours = address in row.which if row.what == "egress" else row.since >= since
        if ours:
            yield Finding(row.what, row.cause, row.which, row.since)


def fits(blame: Blame, found: list[Finding]) -> bool:
    """Tell whether what is expected is there, whatever else is."""
    if blame.whose == "nobody":
        return not found
    return any(_is(blame, finding) for finding in found)


def complaints(blame: Blame, found: list[Finding], model: str) -> Iterator[str]:
    """Yield how the findings differ from what is expected of them."""
    wanted = [finding for finding in found if _is(blame, finding)]
    if blame.whose != "nobody" and not wanted:
        named = ", ".join(finding.brief for finding in found) or "nobody"
        yield f"blamed {named}, expected {blame.brief}"
    for finding in found:
        if finding not in wanted and (wanted or blame.whose == "nobody"):
            yield f"blamed {finding.brief} as well"
    for finding in wanted:
        yield from _of_time(blame, finding)
        if blame.whose == "account_model" and finding.model != model:
            yield f"the rest is of {finding.model}, not of {model}"


def usage_row(request_id: str) -> UsageRecord | None:
    """Return the usage row of a request, which may not be there yet."""
    return UsageRecord.objects.filter(request_id=request_id).first()


def last_row(account: Account) -> UsageRecord | None:
    """Return the last usage row of an account, if there is one yet."""
    return UsageRecord.objects.filter(account=account.pk).order_by("-id").first()


def _is(blame: Blame, finding: Finding) -> bool:
    return finding.whose == blame.whose and finding.cause in blame.causes


def _of_time(blame: Blame, finding: Finding) -> Iterator[str]:
    if blame.day:
        yield from _of_day(finding)
        return
    if not blame.most:
        return
    if finding.until is None or finding.since is None:
        yield f"{finding.cause} has no end"
        return
    seconds = (finding.until - finding.since).total_seconds()
    if not blame.least <= seconds <= blame.most:
        yield (
            f"{finding.cause} rests for {seconds:.1f} s, expected"
            f" {blame.least:.0f} to {blame.most:.0f}"
        )


def _of_day(finding: Finding) -> Iterator[str]:
    now = clock.now().astimezone(_GOOGLE_DAY)
    tomorrow = now.date() + datetime.timedelta(days=1)
    midnight = datetime.datetime.combine(tomorrow, datetime.time(), _GOOGLE_DAY)
    until = finding.until
    if until is None or not midnight <= until <= midnight + _MINUTES:
        yield f"{finding.cause} until {until}, expected midnight in Los Angeles"
