"""The ways to an operator: a webhook and e-mail."""

import contextlib
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from gemproxy.lib import errands
from proxy.models import Alert

#: Discord takes 2000 characters.
LONGEST_WEBHOOK = 1900
LONGEST_SUBJECT = 90
#: Slack reads <…> as links and mentions; in a message of ours nothing is either.
_PLAIN = str.maketrans("<>", "()")


class NotTold(Exception):
    """A channel could not tell; the message says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Line:
    """One alert, as a message shows it."""

    what: str
    text: str
    at: str
    about: dict[str, Any] = field(default_factory=dict)


class Channel(Protocol):
    """Tells several things in one message; raises NotTold."""

    def __call__(self, lines: Sequence[Line]) -> None: ...


def by_webhook(lines: Sequence[Line]) -> None:
    """Post JSON that chat services show and programs can read."""
    text = _cut(_head(lines), [f"• {line.text}" for line in lines])
    body = {
        # Slack and Mattermost show `text`, Discord `content`; each ignores the rest.
        "text": text,
        "content": text,
        "allowed_mentions": {"parse": []},
        "source": "gemproxy",
        "gateway": settings.PUBLIC_URL,
        "alerts": [
            {"what": line.what, "text": line.text, "at": line.at, **line.about}
            for line in lines
        ],
    }
    try:
        answer = errands.post_json(settings.ALERT_WEBHOOK_URL, body)
    except errands.ErrandFailed as error:
        raise NotTold(str(error)) from None
    if not answer.is_good:
        raise NotTold(f"answered {answer.status}")


def by_email(lines: Sequence[Line]) -> None:
    """Send one mail to all of ALERT_EMAILS."""
    first = lines[0].text if len(lines) == 1 else _head(lines)
    admin = f"\n\n{settings.PUBLIC_URL}/admin/" if settings.PUBLIC_URL else ""
    body = "\n\n".join(f"{line.at}\n{line.text}" for line in lines)
    # Closed by hand: Django leaves the connection open when STARTTLS is refused.
    connection = get_connection()
    mail = EmailMessage(
        f"[gemproxy] {first}"[:LONGEST_SUBJECT],
        body + admin,
        from_email=settings.ALERT_FROM,
        to=settings.ALERT_EMAILS,
        connection=connection,
    )
    try:
        with contextlib.closing(connection):
            mail.send()
    except smtplib.SMTPResponseException as error:
        raise NotTold(f"mail server answered {error.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotTold("mail server refused all of ALERT_EMAILS") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotTold(f"mail not sent ({type(error).__name__})") from None


CHANNELS: dict[str, Channel] = {
    Alert.Channel.WEBHOOK: by_webhook,
    Alert.Channel.EMAIL: by_email,
}


def in_use() -> dict[str, Channel]:
    """Return the channels that are set up."""
    wanted = {
        Alert.Channel.WEBHOOK: settings.ALERT_WEBHOOK_URL,
        Alert.Channel.EMAIL: settings.ALERT_EMAILS,
    }
    return {name: CHANNELS[name] for name, value in wanted.items() if value}


def _head(lines: Sequence[Line]) -> str:
    host = urlsplit(settings.PUBLIC_URL).hostname
    where = f"gemproxy {host}" if host else "gemproxy"
    return f"{where}: {len(lines)} {'alert' if len(lines) == 1 else 'alerts'}"


def _cut(head: str, rows: Sequence[str]) -> str:
    """Join the rows that fit below the head, and say how many do not."""
    text = head
    for number, row in enumerate(rows):
        longer = f"{text}\n{row.translate(_PLAIN)}"
        if len(longer) > LONGEST_WEBHOOK:
            return f"{text}\n… and {len(rows) - number} more"
        text = longer
    return text
