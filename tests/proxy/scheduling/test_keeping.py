"""What must last is written in the background, again if need be."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from django.db import OperationalError

from proxy.scheduling import keeping
from proxy.scheduling.health import Rest
from proxy.scheduling.keeping import Keeper, Notes
from proxy.scheduling.quota import Limits
from proxy.scheduling.store import StoredLimit, StoredRest
from proxy.tasks import Tasks
from tests.proxy.scheduling.pools import verdict


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    async def run(work: Any) -> None:
        await asyncio.to_thread(work)

    monkeypatch.setattr(keeping.db, "run", run)
    monkeypatch.setattr(keeping, "PAUSES", (0.0, 0.0))
    return Keeper(Tasks())


async def settled(keeper: Keeper) -> None:
    assert await keeper._tasks.finish(20) == 0


async def test_writes_are_done_one_after_another(keeper: Keeper) -> None:
    done: list[int] = []
    for number in range(3):
        keeper.write(number, lambda number=number: done.append(number))
    await settled(keeper)
    keeper.write("later", lambda: done.append(9))
    await settled(keeper)
    assert done == [0, 1, 2, 9]


async def test_of_two_writes_for_one_thing_only_the_later_is_done(
    keeper: Keeper,
) -> None:
    done: list[str] = []
    for what in ("old", "new"):
        keeper.write("thing", lambda what=what: done.append(what))
    await settled(keeper)
    assert done == ["new"]


async def test_a_write_that_fails_is_done_again(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("away")

    with caplog.at_level(logging.WARNING):
        keeper.write("thing", work)
        await settled(keeper)
    assert len(tries) == 3
    assert caplog.text.count("cannot be written") == 1


async def test_what_came_meanwhile_is_newer_than_what_failed(keeper: Keeper) -> None:
    begun, done, go = threading.Event(), [], threading.Event()

    def old() -> None:
        begun.set()
        go.wait(20)
        raise OperationalError("away")

    keeper.write("thing", old)
    assert await asyncio.to_thread(begun.wait, 20)
    keeper.write("thing", lambda: done.append("new"))
    go.set()
    await settled(keeper)
    assert done == ["new"]


async def test_it_gives_up_in_the_end(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise OperationalError("away")

    with caplog.at_level(logging.WARNING):
        keeper.write("thing", work)
        await settled(keeper)
    assert len(tries) == 3
    assert "Not kept, the database is away: thing" in caplog.text


async def test_closing_does_not_wait_for_a_database_that_is_away(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PAUSES", (3600.0,))
    failed = threading.Event()

    def work() -> None:
        failed.set()
        raise OperationalError("away")

    await keeper.aclose()
    keeper.write("thing", work)
    assert await asyncio.to_thread(failed.wait, 20)
    await keeper.aclose()
    await settled(keeper)


class Store:
    """Remembers what it was asked to keep."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def rests(self, account_id: int | None = None) -> list[StoredRest]:
        return []

    def limits(self, account_id: int | None = None) -> list[StoredLimit]:
        return []

    def keep_rest(self, rest: StoredRest) -> None:
        self.kept.append(rest)

    def end_rest(self, account_id: int, model: str) -> None:
        self.kept.append((account_id, model))

    def keep_limit(self, limit: StoredLimit) -> None:
        self.kept.append(limit)

    def set_aside(self, account_id: int, cause: str, advice: str, link: str) -> None:
        self.kept.append((account_id, cause, advice, link))


def rest(seconds: float) -> Rest:
    return Rest(model="m", cause="c", since=0.0, until=seconds, evidence="e", strikes=2)


async def test_notes_become_rows(keeper: Keeper) -> None:
    store, told = Store(), []
    notes = Notes(store, keeper, lambda account_id, rest: told.append(account_id))
    notes.begin_rest(1, rest(60))
    notes.end_rest(2, "m")
    notes.keep_limits(3, "m", Limits(1, 2, 3), "b")
    notes.set_aside(4, verdict(cause="leaked", advice="a", link="l"))
    await settled(keeper)
    assert store.kept == [
        StoredRest(
            account_id=1,
            model="m",
            cause="c",
            since=0.0,
            until=60,
            strikes=2,
            evidence="e",
        ),
        (2, "m"),
        StoredLimit(account_id=3, model="m", rpm=1, tpm=2, rpd=3, bucket="b"),
        (4, "leaked", "a", "l"),
    ]
    assert told == [1]


async def test_a_short_rest_is_not_worth_a_row(keeper: Keeper) -> None:
    store = Store()
    Notes(store, keeper, lambda account_id, rest: None).begin_rest(1, rest(2))
    await settled(keeper)
    assert store.kept == []


async def test_without_a_store_nothing_is_kept(keeper: Keeper) -> None:
    notes = Notes(None, keeper, lambda account_id, rest: None)
    notes.begin_rest(1, rest(60))
    notes.end_rest(2, "m")
    notes.keep_limits(3, "m", Limits(), "")
    notes.set_aside(4, verdict())
    assert keeper._running is None
