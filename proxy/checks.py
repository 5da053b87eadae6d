"""System checks of the gateway, with ids and hints."""

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import DatabaseError, router
from django_q.models import Schedule

from proxy import schedules


@register()
def check_schedules(**_: Any) -> list[CheckMessage]:
    """Report scheduled jobs that could not run."""
    found: list[CheckMessage] = []
    for job in schedules.JOBS:
        try:
            job.function()
        except (ImportError, TypeError) as error:
            found.append(
                Error(
                    f"The scheduled job {job.name!r} cannot run: {error}.",
                    hint=f"Look at {job.path} and at proxy/schedules.py.",
                    id="gemproxy.E010",
                )
            )
    return found


@register(Tags.database)
def check_stored_schedules(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Report rows of the schedule table that could not run; before the table is there,
    nothing.

    Rows of ours are no errors: who renames a job must be able to migrate first.
    """
    if router.db_for_read(Schedule) not in (databases or ()):
        return []
    try:
        broken = list(schedules.broken_rows())
    except DatabaseError:
        return []
    return [_broken_row(row, reason) for row, reason in broken]


def _broken_row(row: Schedule, reason: str) -> CheckMessage:
    text = f"The schedule {row.name or row.pk!r} cannot run: {reason}."
    if (row.name or "").startswith(schedules.PREFIX):
        hint = "It is of another version: run manage.py sync_schedules."
        return Warning(text, hint=hint, id="gemproxy.W011")
    return Error(
        text,
        hint=f"{row.func} must name a sync function that can be imported; delete the "
        "schedule, or correct its function, where it was made.",
        id="gemproxy.E011",
    )


@register()
def check_upkeep(**_: Any) -> list[CheckMessage]:
    """Report a clean-up that could never find anything."""
    days = settings.FAILING_ACCOUNT_DAYS
    if not days or days + 1 < settings.USAGE_RETENTION_DAYS:
        return []
    return [
        Warning(
            f"FAILING_ACCOUNT_DAYS={days} looks further back than usage is kept.",
            hint="Set USAGE_RETENTION_DAYS at least two days higher. Until then only "
            "accounts that need attention are found.",
            id="gemproxy.W060",
        )
    ]


@register()
def check_alerts(**_: Any) -> list[CheckMessage]:
    """Report ways to operators that cannot work; the webhook's address is secret."""
    found: list[CheckMessage] = []
    if settings.ALERT_WEBHOOK_URL and not _is_web(settings.ALERT_WEBHOOK_URL):
        text = "ALERT_WEBHOOK_URL is no http:// or https:// address."
        found.append(Error(text, id="gemproxy.E060"))
    for address in settings.ALERT_EMAILS:
        if not _is_email(address):
            text = f"ALERT_EMAILS: {address!r} is no e-mail address."
            found.append(Error(text, id="gemproxy.E061"))
    if settings.ALERT_EMAILS and not settings.EMAIL_URL:
        found.append(
            Error(
                "ALERT_EMAILS is set, but there is no mail server.",
                hint="Set EMAIL_URL, such as smtp://user:password@host:587.",
                id="gemproxy.E062",
            )
        )
    return found


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _is_email(address: str) -> bool:
    try:
        validate_email(address)
    except ValidationError:
        return False
    return True


@register()
def check_xai(**_: Any) -> list[CheckMessage]:
    """Report settings of the xAI surface that cannot work or let everybody in."""
    found: list[CheckMessage] = []
    for network in settings.XAI_CALLER_IPS:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            text = f"XAI_CALLER_IPS: {network!r} is no address or network."
            found.append(Error(text, id="gemproxy.E021"))
    if settings.XAI_CALLER_KEYS and not settings.XAI_CALLER_IPS:
        found.append(
            Error(
                "XAI_CALLER_KEYS is on, but XAI_CALLER_IPS lists no address.",
                hint="List the addresses of the clients that know one key only.",
                id="gemproxy.E022",
            )
        )
    return found
