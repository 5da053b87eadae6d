"""Incidents become rows, at once and without anybody waiting for the database."""

import asyncio
import datetime
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from accounts.pace import Pace
from gemproxy.lib import clock, db
from proxy.models import Incident
from proxy.scheduling import incident_log
from proxy.scheduling.breakers import Trouble
from proxy.scheduling.guard import Guard
from proxy.scheduling.incident_log import IncidentLog, prune_incidents
from proxy.tasks import Tasks
from tests.proxy.scheduling.attempts import UNREACHABLE, Scene

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "AIzaSyD-shown-key-000000000000000000001"
SINCE = 1_800_000_000.0


def trouble(**fields: Any) -> Trouble:
    return Trouble(
        **{
            "number": 1,
            "what": "egress",
            "which": "10.0.0.1:3128",
            "cause": "connection_failed",
            "why": "3 accounts failed alike within 0.2 s: connection_failed",
            "since": SINCE,
            "until": None,
            "accounts": (1, 2, 3),
            "account_count": 3,
            "count": 3,
            **fields,
        }
    )


class Desk:
    """A log whose background work can be waited for."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.log = IncidentLog(self.tasks.spawn)

    async def rows(self) -> list[Incident]:
        assert await self.tasks.finish(20) == 0
        return await db.run(lambda: list(Incident.objects.order_by("id")))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def incident(**fields: Any) -> Incident:
    values = {
        "what": "egress",
        "which": "direct",
        "cause": "connection_failed",
        "why": "because",
        "since": clock.now(),
        "updated_at": clock.now(),
        "owner": "elsewhere:1",
    }
    return Incident.objects.create(**{**values, **fields})


# Writing


async def test_an_opened_incident_is_a_row_with_all_that_is_known(desk: Desk) -> None:
    desk.log.opened(trouble())
    (row,) = await desk.rows()
    assert (row.what, row.which) == ("egress", "10.0.0.1:3128")
    assert row.cause == "connection_failed"
    assert row.why.startswith("3 accounts failed alike")
    assert row.since == moment(SINCE)
    assert row.until is None
    assert row.accounts == [1, 2, 3]
    assert (row.account_count, row.count) == (3, 3)
    assert row.owner.endswith(f":{os.getpid()}")
    assert str(row) == "Egress 10.0.0.1:3128"


async def test_its_end_is_written_into_the_same_row(desk: Desk) -> None:
    desk.log.opened(trouble())
    await desk.rows()
    desk.log.ended(trouble(until=SINCE + 10.5, count=9, account_count=7))
    (row,) = await desk.rows()
    assert row.until == moment(SINCE + 10.5)
    assert (row.account_count, row.count) == (7, 9)


async def test_what_happens_while_a_write_is_under_way_is_written_after_it(
    desk: Desk,
) -> None:
    desk.log.opened(trouble())
    desk.log.updated(trouble(count=4))
    desk.log.ended(trouble(count=5, until=SINCE + 1))
    (row,) = await desk.rows()
    assert row.count == 5
    assert row.until == moment(SINCE + 1)


async def test_each_trouble_has_a_row_of_its_own(desk: Desk) -> None:
    desk.log.opened(trouble())
    desk.log.opened(trouble(number=2, what="model", which="gemini_api:flash"))
    desk.log.ended(trouble(until=SINCE + 1))
    rows = await desk.rows()
    assert {row.what: row.until is None for row in rows} == {
        "egress": False,
        "model": True,
    }


async def test_counts_are_not_written_at_every_failure(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    store = incident_log._store

    def counted(one: Trouble, key: int | None) -> int:
        written.append(one.count)
        return store(one, key)

    monkeypatch.setattr(incident_log, "_store", counted)
    desk.log.opened(trouble())
    await desk.rows()
    for count in range(4, 100):
        desk.log.updated(trouble(count=count))
    await desk.rows()
    assert written == [3]
    monkeypatch.setattr(incident_log, "UPDATE_SECONDS", 0.0)
    desk.log.updated(trouble(count=100))
    (row,) = await desk.rows()
    assert written == [3, 100]
    assert row.count == 100


async def test_secrets_in_a_reason_are_not_stored_and_long_texts_are_cut(
    desk: Desk,
) -> None:
    desk.log.opened(
        trouble(why=f"failed with {KEY} " + "x" * 400, which="w" * 300, cause="c" * 90)
    )
    (row,) = await desk.rows()
    assert KEY not in row.why
    assert (len(row.why), len(row.which), len(row.cause)) == (300, 200, 60)


async def test_the_log_tells_of_beginning_and_end(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, incident_log.logger.name):
        desk.log.opened(trouble())
        desk.log.ended(trouble(until=SINCE + 10.5))
        await desk.rows()
    assert [record.getMessage() for record in caplog.records] == [
        f"shared trouble with egress 10.0.0.1:3128: {trouble().why}",
        "egress 10.0.0.1:3128 works again after 10.5 s",
    ]


async def test_a_database_that_is_away_costs_a_warning_and_the_next_write_heals(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = incident_log._store

    def away(one: Trouble, key: int | None) -> int:
        raise OperationalError("gone")

    monkeypatch.setattr(incident_log, "_store", away)
    desk.log.opened(trouble())
    assert await desk.rows() == []
    assert "an incident was not written: OperationalError" in caplog.text
    monkeypatch.setattr(incident_log, "_store", store)
    desk.log.ended(trouble(until=SINCE + 3))
    (row,) = await desk.rows()
    assert row.until == moment(SINCE + 3)


async def test_a_row_deleted_meanwhile_stays_deleted(desk: Desk) -> None:
    desk.log.opened(trouble())
    await desk.rows()
    await db.run(Incident.objects.all().delete)
    desk.log.ended(trouble(until=SINCE + 3))
    assert await desk.rows() == []


async def test_nothing_is_remembered_of_what_is_over(desk: Desk) -> None:
    for number in range(5):
        desk.log.opened(trouble(number=number))
        desk.log.ended(trouble(number=number, until=SINCE))
    await desk.rows()
    for store in (desk.log._latest, desk.log._keys, desk.log._writing):
        assert not store
    assert not desk.log._written


async def test_a_guard_writes_through_the_log(desk: Desk) -> None:
    scene = Scene(Guard(desk.log))
    scene.warm(9)
    for account in (1, 2, 3):
        scene.fails(account, UNREACHABLE, account / 10)
    (row,) = await desk.rows()
    assert (row.which, row.accounts, row.until) == ("direct", [1, 2, 3], None)
    scene.passes(4, 2.0)
    (row,) = await desk.rows()
    assert row.until is not None
    assert (row.until - row.since).total_seconds() == pytest.approx(1.7, abs=0.01)


async def test_nobody_waits_for_the_database(desk: Desk) -> None:
    """The calls return before anything is written."""
    gate = asyncio.Event()

    async def later(work: Any) -> None:
        await gate.wait()
        await work

    log = IncidentLog(lambda work: desk.tasks.spawn(later(work)))
    log.opened(trouble())
    log.ended(trouble(until=SINCE))
    assert await db.run(Incident.objects.count) == 0
    gate.set()
    (row,) = await desk.rows()
    assert row.until is not None


# What dead processes left


def dead_process() -> int:
    """Return the id of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize(
    ("owner", "minutes", "ended"),
    [
        (lambda: f"{incident_log._host()}:{os.getpid()}", 0, True),
        (lambda: f"{incident_log._host()}:{dead_process()}", 0, True),
        (lambda: f"{incident_log._host()}:{os.getppid()}", 0, False),
        (lambda: f"{incident_log._host()}:junk", 0, True),
        (lambda: "elsewhere:1", 14, False),
        (lambda: "elsewhere:1", 16, True),
        (lambda: "", 16, True),
    ],
    ids=["own id", "dead", "alive", "junk", "elsewhere", "silent", "nobody"],
)
def test_at_start_what_a_dead_process_left_open_ends(
    desk: Desk, owner: Callable[[], str], minutes: int, ended: bool
) -> None:
    row = incident(
        owner=owner(), updated_at=clock.now() - datetime.timedelta(minutes=minutes)
    )
    assert desk.log.end_all() == int(ended)
    row.refresh_from_db()
    assert (row.until is not None) is ended


def test_what_has_ended_keeps_its_end(desk: Desk) -> None:
    row = incident(owner="", until=moment(SINCE))
    assert desk.log.end_all() == 0
    row.refresh_from_db()
    assert row.until == moment(SINCE)


async def test_an_incident_ended_by_mistake_is_open_again_with_its_next_news(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_log, "UPDATE_SECONDS", 0.0)
    desk.log.opened(trouble())
    await desk.rows()
    assert await db.run(desk.log.end_all) == 1
    desk.log.updated(trouble(count=4))
    (row,) = await desk.rows()
    assert row.until is None


# Retention


def test_what_ended_long_ago_is_pruned_and_what_lasts_is_not() -> None:
    now = clock.now()
    for name, days in (("young", 89), ("old", 91)):
        incident(which=name, until=now - datetime.timedelta(days=days))
    incident(which="lasts", since=now - datetime.timedelta(days=200))
    pace = Pace(clock.monotonic() + 60)
    prune_incidents(pace)
    assert pace.done == 1
    left = Incident.objects.values_list("which", flat=True)
    assert set(left) == {"young", "lasts"}
