"""Tells what is due, together, and later again what could not be told (sync)."""

import datetime
import logging
import secrets
from collections.abc import Sequence

from accounts.pace import Pace
from accounts.retention import delete_slowly
from gemproxy.lib import clock
from proxy.alerts import news
from proxy.alerts.channels import Channel, Line, NotTold, in_use
from proxy.models import Alert

logger = logging.getLogger(__name__)

#: Alerts in one message.
MOST_AT_ONCE = 100
#: A sender that died leaves what it had taken to the next one after so long.
CLAIM = datetime.timedelta(minutes=5)
FIRST_PAUSE = datetime.timedelta(minutes=1)
LONGEST_PAUSE = datetime.timedelta(hours=1)
GIVEN_UP_AFTER = datetime.timedelta(days=1)
KEPT = datetime.timedelta(days=30)


class Undelivered(Exception):
    """Something could not be told; the message says what and by which channel."""


def send_news() -> str:
    """Find what is new and tell what is due; return what was told in words.

    Raises Undelivered if a channel failed, after all were tried.
    """
    channels = in_use()
    news.gather(channels)
    told, troubles = [], []
    for name, channel in channels.items():
        rows = _claimed(name)
        if not rows:
            continue
        label = Alert.Channel(name).label
        trouble = _tell(channel, rows)
        if trouble:
            troubles.append(f"{label}: {trouble}")
            logger.warning("alerts not delivered by %s: %s", name, trouble)
        else:
            told.append(f"{len(rows)} by {label.lower()}")
    words = f"told {', '.join(told)}" if told else "nothing told"
    if troubles:
        raise Undelivered(f"{'; '.join(troubles)}. {words.capitalize()}.")
    return words if told else "nothing to tell"


def prune(pace: Pace) -> None:
    """Delete alerts of long ago."""
    old = Alert.objects.filter(created_at__lt=clock.now() - KEPT)
    delete_slowly(old.order_by("created_at"), pace)


def _claimed(channel: str) -> list[Alert]:
    """Take what is due for a channel, so that nobody else tells it meanwhile."""
    now, mine = clock.now(), secrets.token_hex(8)
    due = Alert.objects.filter(channel=channel, next_try_at__lte=now)
    keys = list(due.order_by("at", "id").values_list("pk", flat=True)[:MOST_AT_ONCE])
    due.filter(pk__in=keys).update(claim=mine, next_try_at=now + CLAIM)
    return list(Alert.objects.filter(channel=channel, claim=mine).order_by("at", "id"))


def _tell(channel: Channel, rows: Sequence[Alert]) -> str:
    """Tell them in one message; return what went wrong, or nothing."""
    lines = [
        Line(row.what, row.text, f"{row.at:%Y-%m-%d %H:%M:%S} UTC", row.about)
        for row in rows
    ]
    try:
        channel(lines)
    except NotTold as trouble:
        return _put_off(rows, str(trouble))
    Alert.objects.filter(pk__in=[row.pk for row in rows]).update(
        sent_at=clock.now(), next_try_at=None, claim="", error=""
    )
    return ""


def _put_off(rows: Sequence[Alert], trouble: str) -> str:
    """Note when each is tried again, those of a day ago never; return it in words."""
    now = clock.now()
    given_up = 0
    for row in rows:
        row.attempts += 1
        row.error, row.claim = trouble[:200], ""
        over = now - row.created_at >= GIVEN_UP_AFTER
        row.next_try_at = None if over else now + pause_after(row.attempts)
        given_up += over
        row.save(update_fields=["attempts", "error", "claim", "next_try_at"])
    waiting = len(rows) - given_up
    words = [f"{waiting} wait for another try"] if waiting else []
    words += [f"{given_up} given up after a day"] if given_up else []
    return f"{trouble}; {', '.join(words)}"


def pause_after(attempts: int) -> datetime.timedelta:
    """Return how long to wait after so many failures: twice as long each time."""
    doublings = min(attempts - 1, 10)
    return min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
