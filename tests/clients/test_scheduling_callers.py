"""Callers who wait: their deadlines, their leaving, their turns, their conversations."""

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from accounts.models import Account, AccountEvent, CoolDown, Token, User
from gemproxy.lib import clock
from proxy.runtime import runtime
from proxy.sandbox.keys import sandbox_key
from proxy.scheduling.outlook import Standing
from tests.clients.conftest import Gateway, eventually
from tests.clients.volley import CHAT, FLASH, Answer, Caller, Shot, chat, volley

KEY = sandbox_key("ok", 1)
WORD = 20.0


def standings() -> list[Standing]:
    """Return how each account stands to the model that is asked for."""
    gateway = runtime.gateway
    return gateway.pool.explain(gateway.catalog.resolve(FLASH), frozenset())


def line() -> tuple[int, int, int]:
    """Return how many run, wait for a place, and stand for the model."""
    return runtime.gateway.dispatch.queue.counts().get(FLASH, (0, 0, 0))


def give_seats(count: int) -> None:
    """Let each account take so many requests at once, and wait until that holds."""
    for account in Account.objects.all():
        account.concurrency = count
        account.save()
    gateway = runtime.gateway
    total = count * Account.objects.count()
    eventually(
        lambda: (
            gateway.pool.seats(gateway.catalog.resolve(FLASH), frozenset()) == total
        ),
        "the seats did not reach the gateway",
    )


class TestDeadlines:
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_a_short_one_is_told_as_such_and_is_no_fault_of_the_account(
        self, gateway: Gateway, stream: bool
    ) -> None:
        gateway.sandbox.behave(KEY, "slow", seconds=30)
        hurried = chat(stream=stream)
        shot = Shot(hurried.path, hurried.body, headers=(("X-Server-Timeout", "0.3"),))
        answers = volley(gateway, [shot] * 4)
        assert [(a.status, a.code) for a in answers] == [(504, "timeout")] * 4
        (standing,) = standings()
        assert (standing.reason, standing.strikes) == ("ready", 0)
        assert standing.success == 1.0
        assert not CoolDown.objects.exists()
        assert not AccountEvent.objects.exists()
        assert {row.blame for row in gateway.rows()} == {"caller"}

    def test_whoever_has_no_time_to_wait_is_told_when_to_come_back(
        self, gateway: Gateway
    ) -> None:
        gateway.sandbox.behave(KEY, "perminute", retry_delay="12s")
        shot = Shot(CHAT, chat().body, headers=(("X-Server-Timeout", "3"),))
        (answer,) = volley(gateway, [shot])
        assert (answer.status, answer.retry_after) == (429, 12)
        assert answer.seconds < WORD


@pytest.fixture
def room_for_one(settings: Any) -> None:
    settings.QUEUE_MAX_WAITING = 1


@pytest.mark.usefixtures("room_for_one")
def test_a_waiting_caller_who_leaves_frees_his_place(gateway: Gateway) -> None:
    give_seats(1)
    gateway.sandbox.behave(KEY, "slow", seconds=2, times=1)
    runs, leaves, refused, waits = asyncio.run(one_leaves(gateway))
    assert (runs.status, waits.status) == (200, 200)
    assert leaves
    assert (refused.status, refused.code) == (429, "queue_full")
    assert refused.retry_after >= 1
    outcomes = sorted(row.cause or row.outcome for row in gateway.rows())
    assert outcomes == ["client_closed", "ok", "ok", "queue_full"]
    assert line() == (0, 0, 0)


async def one_leaves(gateway: Gateway) -> tuple[Answer, bool, Answer, Answer]:
    """One runs, the second waits and leaves, the third finds no room, a last one does.

    Return the answers, and whether the second had none when he left.
    """
    async with Caller(gateway) as caller:
        runs = asyncio.ensure_future(caller.send(chat("first")))
        await until(lambda: line() == (1, 0, 0))
        leaves = asyncio.ensure_future(caller.send(chat("second")))
        await until(lambda: line() == (1, 1, 0))
        refused = await caller.send(chat("third"))
        left = leaves.cancel()
        await until(lambda: line() == (1, 0, 0))
        waits = await caller.send(chat("fourth"))
        return await runs, left, refused, waits


async def until(condition: Any) -> None:
    await asyncio.to_thread(eventually, condition, "it never came to that", WORD)


def test_one_token_with_many_requests_does_not_starve_another(
    gateway: Gateway,
) -> None:
    give_seats(1)
    gateway.sandbox.behave(KEY, "slow", seconds=0.1)
    _, other = Token.issue(user=User.objects.create_user("dora"), name="test")
    busy, modest = asyncio.run(crowd(gateway, other))
    assert {answer.status for answer in busy} == {200}
    assert modest.status == 200
    before = sum(answer.at < modest.at for answer in busy)
    # One runs when it comes, and one more may have been called already.
    assert before <= 4


async def crowd(gateway: Gateway, other: str) -> tuple[Sequence[Answer], Answer]:
    """Let 20 requests of one token wait, then send a single one of another."""
    async with Caller(gateway) as caller:
        many = [asyncio.ensure_future(caller.send(chat())) for _ in range(21)]
        await until(lambda: line()[0] == 1 and sum(line()) >= 20)
        modest = await caller.send(Shot(CHAT, chat().body, token=other))
        return await asyncio.gather(*many), modest


def turn(number: int) -> Shot:
    """Return the n-th turn of a conversation, with all before it."""
    messages = [{"role": "user", "content": "My name is Ada."}]
    for before in range(1, number):
        messages.append({"role": "assistant", "content": f"Answer {before}."})
        messages.append({"role": "user", "content": f"count to {before + 2}"})
    return Shot(CHAT, {"model": FLASH, "messages": messages})


def answered_by(gateway: Gateway, shot: Shot) -> int:
    """Send one request; return the account that answered."""
    known = {row.pk for row in gateway.rows()}
    (answer,) = volley(gateway, [shot])
    assert answer.status == 200
    (row,) = [row for row in gateway.rows() if row.pk not in known]
    assert row.account_id is not None
    return row.account_id


class TestConversations:
    pytestmark = pytest.mark.parametrize("accounts", [["ok"] * 5], ids=["five"])

    def test_they_stay_with_the_account_that_knows_them(self, gateway: Gateway) -> None:
        home = answered_by(gateway, turn(2))
        others = set()
        for number in range(3, 10):
            others.add(answered_by(gateway, chat("something else")))
            assert answered_by(gateway, turn(number)) == home
        assert len(others) > 1

    def test_they_move_on_when_it_rests_and_stay_there(self, gateway: Gateway) -> None:
        home = answered_by(gateway, turn(2))
        assert answered_by(gateway, turn(3)) == home
        until_then = clock.now() + datetime.timedelta(hours=1)
        Account.objects.get(pk=home).cool(until_then, "olga")
        eventually(
            lambda: [s for s in standings() if s.reason == "operator"],
            "the rest did not reach the gateway",
        )
        moved = answered_by(gateway, turn(4))
        assert moved != home
        found = {answered_by(gateway, turn(number)) for number in range(5, 10)}
        assert found == {moved}

    def test_a_failing_account_hands_its_conversation_over(
        self, gateway: Gateway
    ) -> None:
        home = answered_by(gateway, turn(2))
        number = int(Account.objects.get(pk=home).label.rpartition("-")[2])
        gateway.sandbox.behave(sandbox_key("ok", number), "perminute")
        moved = answered_by(gateway, turn(3))
        assert moved != home
        assert answered_by(gateway, turn(4)) == moved
