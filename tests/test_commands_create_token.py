"""`create_token` prints a working token as its last line."""

import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import tokens
from accounts.authentication import find_caller
from accounts.models import Plan, Token, User
from proxy.management.commands.create_token import parsed_expiry

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
pytestmark = pytest.mark.django_db


def create(*arguments: str, **options: Any) -> list[str]:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out, **options)
    return out.getvalue().splitlines()


def test_the_last_line_is_a_token_that_opens_the_door(alice: User) -> None:
    text = create("alice", "--name", "laptop")[-1]
    assert tokens.is_well_formed(text)
    caller = find_caller(text).caller
    assert (caller.username, caller.token_name, caller.scope) == (
        "alice",
        "laptop",
        "api",
    )


def test_only_a_hash_of_it_is_stored(alice: User) -> None:
    text = create("alice")[-1]
    row = Token.objects.values().get()
    assert text not in map(str, row.values())


def test_an_unknown_user_is_refused_with_the_option_that_helps() -> None:
    with pytest.raises(CommandError, match="--create-user"):
        create("nobody")
    assert not User.objects.exists()


def test_a_user_is_made_when_asked_for_and_cannot_sign_in_by_password() -> None:
    text = create("robot", "--create-user")[-1]
    user = User.objects.get(username="robot")
    assert not user.has_usable_password()
    assert not user.is_staff
    assert find_caller(text).caller.username == "robot"


def test_an_existing_user_is_not_made_again(alice: User) -> None:
    create("alice", "--create-user")
    assert User.objects.count() == 1


def test_a_name_that_no_user_can_have_is_refused() -> None:
    with pytest.raises(CommandError, match="valid username"):
        create("two words", "--create-user")


def test_a_deactivated_user_gets_no_token(alice: User) -> None:
    alice.is_active = False
    alice.save()
    with pytest.raises(CommandError, match="deactivated"):
        create("alice")
    assert not Token.objects.exists()


def test_the_plan_is_taken_by_name(alice: User) -> None:
    plan = Plan.objects.create(name="team")
    create("alice", "--plan", "team")
    assert Token.objects.get().plan == plan


def test_an_unknown_plan_is_refused_with_those_there_are(alice: User) -> None:
    Plan.objects.create(name="team")
    with pytest.raises(CommandError, match=r"'gold'.*team"):
        create("alice", "--plan", "gold")


def test_an_operator_token_needs_a_staff_user(alice: User, operator: User) -> None:
    with pytest.raises(CommandError, match="staff"):
        create("alice", "--operator")
    text = create("olga", "--operator")[-1]
    assert find_caller(text).caller.scope == "operator"
    assert Token.objects.count() == 1


def test_the_expiry_is_stored(alice: User) -> None:
    create("alice", "--expires", "30d")
    left = Token.objects.get().expires_at - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=29, hours=23) < left <= datetime.timedelta(days=30)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", "2026-12-20T12:00:00+00:00"),
        ("12h", "2026-11-21T00:00:00+00:00"),
        ("90m", "2026-11-20T13:30:00+00:00"),
        ("2w", "2026-12-04T12:00:00+00:00"),
        ("2026-12-31", "2026-12-31T23:59:59.999999+00:00"),
        ("2026-12-31T08:00", "2026-12-31T08:00:00+00:00"),
        ("2026-12-31T08:00:00+02:00", "2026-12-31T06:00:00+00:00"),
    ],
)
def test_an_expiry_may_be_a_span_a_date_or_a_moment(text: str, moment: str) -> None:
    assert parsed_expiry(text, NOW) == datetime.datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "text", ["soon", "30", "30y", "2026-13-01", "2026-11-19", "0d", "999999999999d"]
)
def test_an_expiry_that_means_nothing_or_the_past_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parsed_expiry(text, NOW)


def test_a_refused_expiry_is_named_and_no_token_made(alice: User) -> None:
    with pytest.raises(CommandError, match=r"--expires 'soon'"):
        create("alice", "--expires", "soon")
    assert not Token.objects.exists()
