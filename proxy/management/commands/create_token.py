"""`manage.py create_token`: issue an API token from a shell."""

import datetime
import re
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Plan, Token, User
from gemproxy.lib import clock

SPAN = re.compile(r"(\d+)([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parsed_expiry(text: str, now: datetime.datetime) -> datetime.datetime:
    """Return the moment that ``30d``, ``2026-12-31`` or an ISO date-time means.

    A date means its last moment and a time without zone is UTC. Raises ValueError
    for other text and for the past.
    """
    span = SPAN.fullmatch(text)
    if span:
        number, unit = span.groups()
        try:
            moment = now + datetime.timedelta(**{UNITS[unit]: int(number)})
        except OverflowError as error:
            raise ValueError("that is too far away") from error
    else:
        moment = _from_iso(text)
    if moment <= now:
        raise ValueError("that is in the past")
    return moment


def _from_iso(text: str) -> datetime.datetime:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return datetime.datetime.combine(day, datetime.time.max, tzinfo=datetime.UTC)


class Command(BaseCommand):
    """Print a new token; the last line of the output is the token alone."""

    help = "Issue an API token for a user. It is printed once and never again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--plan", help="name of a plan; else the user's")
        parser.add_argument("--expires", help="30d, 12h, 2026-12-31 or a date-time")
        parser.add_argument(
            "--create-user", action="store_true", help="make the user if missing"
        )
        parser.add_argument(
            "--operator",
            action="store_true",
            help="a token that also opens operator endpoints (staff users only)",
        )

    def handle(self, **options: Any) -> None:
        expires_at = _expiry(options["expires"])
        plan = _plan(options["plan"])
        user = _user(options["user"], options["create_user"])
        scope = Token.Scope.OPERATOR if options["operator"] else Token.Scope.API
        try:
            token, text = Token.issue(
                user=user,
                name=options["name"][:80],
                plan=plan,
                expires_at=expires_at,
                scope=scope,
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        until = f"until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "no expiry"
        self.stdout.write(f"{scope.label} · {user} · {token.name} · {until}")
        self.stdout.write("Keep it; it is not shown again:")
        self.stdout.write(text)


def _expiry(text: str | None) -> datetime.datetime | None:
    if not text:
        return None
    try:
        return parsed_expiry(text, clock.now())
    except ValueError as error:
        raise CommandError(f"--expires {text!r}: {error}.") from error


def _plan(name: str | None) -> Plan | None:
    if not name:
        return None
    try:
        return Plan.objects.get(name=name)
    except Plan.DoesNotExist as error:
        names = ", ".join(Plan.objects.values_list("name", flat=True)) or "none yet"
        raise CommandError(
            f"No plan is called {name!r}; there are: {names}."
        ) from error


def _user(username: str, create: bool) -> User:
    user = User.objects.filter(username=username).first()
    if user is None and not create:
        raise CommandError(f"No user is called {username!r}; --create-user makes one.")
    if user is None:
        return _new_user(username)
    if not user.is_active:
        raise CommandError(f"{username!r} is deactivated; a token would open nothing.")
    return user


def _new_user(username: str) -> User:
    user = User(username=username)
    user.set_unusable_password()
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    user.save()
    return user
