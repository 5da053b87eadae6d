"""The one door: which credential counts, what it opens, and for how long."""

import asyncio
import datetime
import threading
from typing import Any

import pytest

from accounts import authentication, tokens
from accounts.authentication import Door, credentials, find_caller, person
from accounts.models import Plan, Token, User
from gemproxy.lib import clock, db


@pytest.mark.parametrize(
    ("headers", "query", "found"),
    [
        ({"authorization": "Bearer a"}, "", "a"),
        ({"authorization": "bearer  a "}, "", "a"),
        ({"x-goog-api-key": "g"}, "", "g"),
        ({"x-api-key": "x"}, "", "x"),
        ({}, "key=q", "q"),
        ({}, "alt=sse&key=q", "q"),
        ({}, "key=a%2Bb", "a+b"),
        ({"x-goog-api-key": "g", "authorization": "Bearer a"}, "", "g"),
        ({"x-goog-api-key": " ", "authorization": "Bearer a"}, "", "a"),
        ({"authorization": "Bearer a", "x-api-key": "x"}, "key=q", "a"),
        ({"authorization": "Basic abc", "x-api-key": "x"}, "", "x"),
        ({"authorization": "Bearer", "x-api-key": "x"}, "", "x"),
        ({"x-api-key": "x"}, "key=q", "x"),
        ({}, "monkey=q", ""),
        ({}, "key=", ""),
        ({}, "", ""),
    ],
)
def test_the_first_credential_in_order_counts(
    headers: dict[str, str], query: str, found: str
) -> None:
    assert credentials(headers, query) == found


def issue(user: User, **fields: Any) -> str:
    return Token.issue(user=user, name="t", **fields)[1]


def test_a_token_stands_for_its_owner(alice: User) -> None:
    token, text = Token.issue(user=alice, name="laptop")
    caller = find_caller(text).caller
    assert caller is not None
    assert (caller.user_id, caller.username) == (alice.pk, "alice")
    assert (caller.token_id, caller.token_name, caller.scope) == (
        token.pk,
        "laptop",
        "api",
    )


def test_a_token_that_is_not_there_opens_nothing_for_a_while(db: None) -> None:
    entry = find_caller(tokens.make())
    assert entry.caller is None
    left = entry.until - clock.now().timestamp()
    assert 0 < left <= authentication.KEPT_SECONDS


def test_an_entry_ends_with_its_token(alice: User) -> None:
    soon = clock.now() + datetime.timedelta(seconds=2)
    assert find_caller(issue(alice, expires_at=soon)).until == soon.timestamp()


@pytest.mark.parametrize("state", ["expired", "revoked", "inactive"])
def test_a_token_that_ended_opens_nothing(alice: User, state: str) -> None:
    token, text = Token.issue(user=alice, name="t")
    if state == "expired":
        Token.objects.update(expires_at=clock.now())
    elif state == "revoked":
        token.revoke()
    else:
        alice.is_active = False
        alice.save()
    assert find_caller(text).caller is None


def test_an_operator_token_is_worth_nothing_without_staff_status(
    operator: User,
) -> None:
    text = issue(operator, scope="operator")
    caller = find_caller(text).caller
    assert caller is not None
    assert caller.scope == "operator"
    operator.is_staff = False
    operator.save()
    assert find_caller(text).caller is None


def test_a_token_opens_while_its_secret_key_is_a_fallback(
    settings: Any, alice: User
) -> None:
    text = issue(alice)
    old = settings.SECRET_KEY
    settings.SECRET_KEY = "another-key-" + "x" * 40
    assert find_caller(text).caller is None
    settings.SECRET_KEY_FALLBACKS = [old]
    assert find_caller(text).caller is not None


def plan(name: str, rpm: int, **fields: Any) -> Plan:
    return Plan.objects.create(name=name, requests_per_minute=rpm, **fields)


def test_the_tokens_plan_counts_then_the_owners_then_the_default(alice: User) -> None:
    token, text = Token.issue(user=alice, name="t")
    assert find_caller(text).caller.limits.requests_per_minute is None  # type: ignore[union-attr]
    plan("common", 3, is_default=True)
    assert find_caller(text).caller.plan == "common"  # type: ignore[union-attr]
    alice.plan = plan("alices", 2)
    alice.save()
    assert find_caller(text).caller.plan == "alices"  # type: ignore[union-attr]
    token.plan = plan("tokens", 1)
    token.save()
    caller = find_caller(text).caller
    assert caller is not None
    assert (caller.plan, caller.limits.requests_per_minute) == ("tokens", 1)


def test_a_person_is_a_caller_without_a_token(alice: User) -> None:
    caller = person(alice)
    assert (caller.token_id, caller.scope, caller.key) == (None, "api", f"u{alice.pk}")


class Database:
    """Stands for the look-up; counts, and may be held up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.began = threading.Event()
        self.result: Any = None
        self.seconds = 60.0
        monkeypatch.setattr(authentication, "find_caller", self)
        monkeypatch.setattr(db, "fresh", lambda work: work)

    def __call__(self, _text: str) -> authentication.Entry:
        self.asked += 1
        result = self.result
        self.began.set()
        self.go_on.wait(2)
        if isinstance(result, Exception):
            raise result
        until = clock.now().timestamp() + self.seconds
        return authentication.Entry(result, until)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


async def test_a_look_up_is_remembered(database: Database) -> None:
    door, text = Door(), tokens.make()
    database.result = "caller"
    assert [await door.open(text) for _ in range(3)] == ["caller"] * 3
    assert database.asked == 1


async def test_a_refusal_is_remembered_too(database: Database) -> None:
    door, text = Door(), tokens.make()
    assert [await door.open(text) for _ in range(3)] == [None] * 3
    assert database.asked == 1


async def test_what_is_remembered_ends(database: Database) -> None:
    door, text = Door(), tokens.make()
    database.seconds = -1
    await door.open(text)
    await door.open(text)
    assert database.asked == 2


async def test_forgetting_asks_again(database: Database) -> None:
    door, text = Door(), tokens.make()
    await door.open(text)
    door.forget("17")
    await door.open(text)
    assert database.asked == 2


async def test_those_who_ask_at_once_share_one_look_up(database: Database) -> None:
    door, text = Door(), tokens.make()
    database.result = "caller"
    assert await asyncio.gather(*(door.open(text) for _ in range(50))) == (
        ["caller"] * 50
    )
    assert database.asked == 1


async def test_an_answer_from_before_a_change_is_not_kept(database: Database) -> None:
    door, text = Door(), tokens.make()
    database.result = "stale"
    database.go_on.clear()
    asking = asyncio.ensure_future(door.open(text))
    await asyncio.to_thread(database.began.wait, 1)
    door.forget()
    database.result = "fresh"
    database.go_on.set()
    await asking
    assert await door.open(text) == "fresh"


async def test_one_who_leaves_does_not_spoil_it_for_the_others(
    database: Database,
) -> None:
    door, text = Door(), tokens.make()
    database.result = "caller"
    database.go_on.clear()
    one, two = [asyncio.ensure_future(door.open(text)) for _ in range(2)]
    await asyncio.to_thread(database.began.wait, 1)
    one.cancel()
    database.go_on.set()
    assert await two == "caller"
    assert one.cancelled() or one.done()


async def test_a_failed_look_up_is_not_remembered(database: Database) -> None:
    door, text = Door(), tokens.make()
    database.result = OSError("database away")
    with pytest.raises(OSError, match="away"):
        await door.open(text)
    database.result = "caller"
    assert await door.open(text) == "caller"


@pytest.mark.parametrize("text", ["", "gp-wrong", "x" * 5000, "AIzaSyFoo", "ключ"])
async def test_what_cannot_be_a_token_asks_no_database(
    database: Database, text: str
) -> None:
    assert await Door().open(text) is None
    assert database.asked == 0


async def test_the_operators_own_token_is_looked_up(
    settings: Any, database: Database
) -> None:
    settings.ADMIN_AUTH_TOKEN = "4f0c2a9e7b1d8365" * 2
    await Door().open(settings.ADMIN_AUTH_TOKEN)
    await Door().open("ключ")
    assert database.asked == 1


async def test_memory_of_the_door_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "KEPT_ENTRIES", 10)
    door = Door()
    for _ in range(25):
        await door.open(tokens.make())
    assert len(door._entries) <= 10
    assert door._looking == {}


async def test_a_guest_has_the_default_plan_and_is_counted_by_address(
    transactional_db: None,
) -> None:
    await db.run(
        lambda: Plan.objects.create(name="all", is_default=True, models=["grok-*"])
    )
    door = Door()
    caller = await door.guest("192.0.2.7")
    assert (caller.user_id, caller.token_id, caller.scope) == (None, None, "api")
    assert (caller.plan, caller.limits.models) == ("all", ("grok-*",))
    assert caller.key == "g192.0.2.7"
    assert await door.guest("192.0.2.7") is caller
    assert (await door.guest("192.0.2.8")).key != caller.key


async def test_a_guests_plan_changes_when_something_changed(
    transactional_db: None,
) -> None:
    door = Door()
    assert (await door.guest("192.0.2.7")).plan == ""
    await db.run(lambda: Plan.objects.create(name="new", is_default=True))
    assert (await door.guest("192.0.2.7")).plan == ""
    door.forget()
    assert (await door.guest("192.0.2.7")).plan == "new"
