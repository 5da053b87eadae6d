"""What operators should hear of, found in the rows that tell it (sync)."""

import datetime
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from accounts.models import Account, AccountEvent
from accounts.models.upstream import WEB_FACTS
from gemproxy.lib import clock
from gemproxy.lib.redaction import redact
from proxy.models import Alert, Incident, JobRun
from proxy.wire.causes import cause_of

JOB = "send alerts"
#: Who acts for the system; a name of an operator stands in the other events.
SYSTEM = ("", "clean-up")
#: A row may be committed so long after the time that it bears.
LATE = datetime.timedelta(minutes=10)
#: What is older is no news.
OLDEST = datetime.timedelta(days=1)
#: Rotations without a new value after which a session is expected to end.
BOUND_AFTER = 3
MOST = 500
LONGEST_TEXT = 600
What = Alert.What
State = Account.State


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing to tell; the same thing always has the same key."""

    key: str
    what: str
    text: str
    at: datetime.datetime
    about: dict[str, Any] = field(default_factory=dict)


def gather(channels: Collection[str]) -> None:
    """Keep what is new as an alert for each channel."""
    row, _ = JobRun.objects.get_or_create(job=JOB)
    now = clock.now()
    began = _moment(row.memory.get("began")) or now
    looked = _moment(row.memory.get("looked")) or now
    since = max(began, looked - LATE, now - OLDEST)
    out = _kinds_out()
    found = [
        *_from_accounts(since),
        *_from_incidents(since),
        *_from_cookies(now),
        *_from_kinds(set(row.memory.get("out", ())), out, now),
    ]
    memory = {
        "began": began.isoformat(),
        "looked": now.isoformat(),
        "out": sorted(kind for kind, is_out in out.items() if is_out),
    }
    with transaction.atomic():
        Alert.objects.bulk_create(
            [_alert(channel, news) for channel in channels for news in found],
            ignore_conflicts=True,
        )
        JobRun.objects.filter(job=JOB).update(memory=memory)


def name_of(account: Account) -> str:
    """Return how an account is called in messages."""
    return f"{account} ({account.get_kind_display()})"


def _from_accounts(since: datetime.datetime) -> Iterator[News]:
    by_system = Q(state=State.DISABLED, by__in=SYSTEM)
    events = AccountEvent.objects.filter(
        Q(state=State.NEEDS_ATTENTION) | by_system, at__gte=since
    )
    for event in events.select_related("account").order_by("at")[:MOST]:
        yield _account_news(event)


def _account_news(event: AccountEvent) -> News:
    cause = cause_of(event.cause, of_account=True)
    if event.state == State.NEEDS_ATTENTION:
        what, verb = What.ATTENTION, "needs attention"
        advice = event.advice or cause.action
    else:
        what, verb, advice = What.DISABLED, "was disabled", event.advice
    return News(
        key=f"event:{event.pk}",
        what=what,
        text=f"{name_of(event.account)} {verb}: {cause.meaning}. {advice}",
        at=event.at,
        about={
            "account": event.account_id,
            "kind": event.account.kind,
            "cause": event.cause,
        },
    )


def _from_incidents(since: datetime.datetime) -> Iterator[News]:
    recent = Incident.objects.filter(Q(since__gte=since) | Q(until__gte=since))
    for incident in recent.order_by("since")[:MOST]:
        yield _incident_news(incident)


def _incident_news(incident: Incident) -> News:
    why = cause_of(incident.cause).meaning
    about = {"incident": incident.pk, "cause": incident.cause}
    if incident.until is None:
        text = (
            f"{incident} has trouble that {incident.account_count} accounts share: "
            f"{why}. {incident.why}"
        )
        key, what, at = f"incident:{incident.pk}:open", What.OPENED, incident.since
    else:
        seconds = round((incident.until - incident.since).total_seconds())
        text = f"{incident} works again after {seconds} s of trouble: {why}."
        key, what, at = f"incident:{incident.pk}:end", What.ENDED, incident.until
    return News(key=key, what=what, text=text, at=at, about=about)


def _from_cookies(now: datetime.datetime) -> Iterator[News]:
    rows = Account.objects.filter(
        kind=Account.Kind.GEMINI_WEB, state__in=Account.USABLE
    )
    for account in rows.defer("secret", "proxy_url")[:MOST]:
        facts = account.facts.get(WEB_FACTS) or {}
        if int(facts.get("failures") or 0) < BOUND_AFTER:
            continue
        yield News(
            # Once for each set of cookies that somebody pasted.
            key=f"cookies:{account.pk}:{facts.get('pasted_at') or 0}",
            what=What.COOKIES,
            text=f"The cookies of {name_of(account)} may end soon: Google has given "
            f"no new value {facts['failures']} times in a row. Paste fresh ones.",
            at=now,
            about={"account": account.pk, "kind": account.kind},
        )


def _kinds_out() -> dict[str, bool]:
    """Return for each kind that has accounts whether none of them can be used."""
    rows = Account.objects.order_by().values_list("kind")
    counted = rows.annotate(usable=Count("id", filter=Q(state__in=Account.USABLE)))
    return {kind: not usable for kind, usable in counted}


def _from_kinds(
    before: set[str], out: dict[str, bool], now: datetime.datetime
) -> Iterator[News]:
    for kind, is_out in out.items():
        if is_out == (kind in before):
            continue
        label = Account.Kind(kind).label
        yield News(
            key=f"kind:{kind}:{'out' if is_out else 'back'}:{now:%Y%m%d%H%M%S}",
            what=What.OUT if is_out else What.BACK,
            text=f"No account of the kind {label} is usable any more. Look at them "
            "and enable or replace one."
            if is_out
            else f"There is a usable account of the kind {label} again.",
            at=now,
            about={"kind": kind},
        )


def _alert(channel: str, news: News) -> Alert:
    return Alert(
        channel=channel,
        key=news.key,
        what=news.what,
        # Parts of it come from labels and from providers.
        text=redact(" ".join(news.text.split()))[:LONGEST_TEXT],
        at=news.at,
        about=news.about,
    )


def _moment(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None
