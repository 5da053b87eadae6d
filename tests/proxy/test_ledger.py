"""The usage log's writer with a database that does its work."""

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import UsageRecord
from gemproxy.lib import db
from proxy import entries
from proxy.entries import Entry
from proxy.ledger import Ledger
from tests.usage import NOON, entry, stored_ids

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "spool", wait=10)
    ledger.start()
    yield ledger
    ledger.stop(5)


class Gate:
    """Holds the ledger's transactions back and counts their rows."""

    def __init__(self, store: Any) -> None:
        self.sizes: list[int] = []
        self.arrived = threading.Event()
        self.open = threading.Event()
        self._store = store

    def __call__(self, rows: list[Any]) -> list[Any]:
        if rows:
            self.sizes.append(len(rows))
            self.arrived.set()
            self.open.wait(20)
        return self._store(rows)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(entries.store)
    monkeypatch.setattr(entries, "store", gate)
    yield gate
    gate.open.set()


def test_an_entry_has_the_columns_of_the_usage_table() -> None:
    columns = {f.attname for f in UsageRecord._meta.concrete_fields} - {"id"}
    assert {f.name for f in dataclasses.fields(Entry)} == columns


FULL = {
    "request_id": "req-full",
    "started_at": NOON.replace(microsecond=123000),
    "surface": "gemini",
    "method": "embedContent",
    "model_asked": "m-asked",
    "status": 429,
    "outcome": "fault",
    "duration_ms": 1234,
    "first_token_ms": 56,
    "streamed": True,
    "model_served": "m-served",
    "kind": "gemini_api",
    "account_id": 7,
    "token_id": 8,
    "user_id": 9,
    "cause": "rate_limited",
    "blame": "account",
    "finish": "STOP",
    "attempts": [{"account": 7, "start_ms": 1, "ms": 2, "code": "ok"}],
    "prompt_tokens": 1,
    "cached_tokens": 2,
    "output_tokens": 3,
    "thoughts_tokens": 4,
    "tool_use_tokens": 5,
    "total_tokens": 13,
    "images": 6,
    "usage_metadata": {"promptTokenCount": 1, "näme": "wört"},
    "client_ip": "2001:db8::1",
    "user_agent": "openai-python/9 🐍",
}


async def test_every_column_is_stored_when_record_returns(ledger: Ledger) -> None:
    await ledger.record(Entry(**FULL))
    row = await db.run(UsageRecord.objects.get)
    assert {name: getattr(row, name) for name in FULL} == FULL


async def test_an_unsaved_model_instance_is_recorded_as_well(ledger: Ledger) -> None:
    await ledger.record(UsageRecord(**FULL))
    row = await db.run(UsageRecord.objects.get)
    assert {name: getattr(row, name) for name in FULL} == FULL


async def test_the_same_request_is_counted_once(ledger: Ledger) -> None:
    await ledger.record(entry(request_id="twice", status=200))
    await ledger.record(entry(request_id="twice", status=500))
    row = await db.run(UsageRecord.objects.get)
    assert row.status == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param({"user_agent": "x" * 999}, {"user_agent": "x" * 200}, id="long"),
        pytest.param({"model_asked": "a\0b"}, {"model_asked": "ab"}, id="nul"),
        pytest.param({"cause": "\ud800!"}, {"cause": "?!"}, id="lone surrogate"),
        pytest.param({"images": 99_999}, {"images": 32_767}, id="above smallint"),
        pytest.param({"total_tokens": 10**12}, {"total_tokens": 2**31 - 1}, id="big"),
        pytest.param({"duration_ms": -5}, {"duration_ms": 0}, id="negative"),
        pytest.param(
            {"outcome": UsageRecord.Outcome.OK}, {"outcome": "ok"}, id="choice"
        ),
    ],
)
async def test_values_are_made_to_fit(
    ledger: Ledger, given: dict[str, Any], kept: dict[str, Any]
) -> None:
    await ledger.record(entry(**given))
    row = await db.run(UsageRecord.objects.get)
    assert {name: getattr(row, name) for name in kept} == kept


async def test_a_row_that_no_database_takes_spares_its_neighbours(
    ledger: Ledger, gate: Gate, tmp_path: Path
) -> None:
    rows = [entry(), entry(attempts=None, request_id="unfit"), entry()]
    first = asyncio.create_task(ledger.record(entry()))
    await asyncio.to_thread(gate.arrived.wait, 5)
    tasks = [asyncio.create_task(ledger.record(row)) for row in rows]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(first, *tasks)
    stored = await db.run(stored_ids)
    assert {rows[0].request_id, rows[2].request_id} < stored
    assert "unfit" not in stored
    assert "unfit" in (tmp_path / "spool/refused.log").read_text()


async def test_what_gathers_during_a_commit_is_committed_together(
    ledger: Ledger, gate: Gate
) -> None:
    first = asyncio.create_task(ledger.record(entry()))
    await asyncio.to_thread(gate.arrived.wait, 5)
    others = [asyncio.create_task(ledger.record(entry())) for _ in range(50)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(first, *others)
    assert gate.sizes == [1, 50]


async def test_a_batch_wakes_a_loop_once(
    ledger: Ledger, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asyncio.create_task(ledger.record(entry()))
    await asyncio.to_thread(gate.arrived.wait, 5)
    others = [asyncio.create_task(ledger.record(entry())) for _ in range(30)]
    await asyncio.sleep(0)
    calls = []
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe
    monkeypatch.setattr(
        loop, "call_soon_threadsafe", lambda *a, **k: calls.append(a) or wake(*a, **k)
    )
    gate.open.set()
    await asyncio.gather(first, *others)
    assert len(calls) == 2


async def test_record_does_not_return_before_the_commit(
    ledger: Ledger, gate: Gate
) -> None:
    task = asyncio.create_task(ledger.record(entry()))
    await asyncio.to_thread(gate.arrived.wait, 5)
    await asyncio.sleep(0.05)
    assert not task.done()
    gate.open.set()
    await task


async def test_several_event_loops_share_a_ledger(ledger: Ledger, gate: Gate) -> None:
    def elsewhere() -> None:
        asyncio.run(ledger.record(entry(request_id="elsewhere")))

    thread = asyncio.create_task(asyncio.to_thread(elsewhere))
    here = asyncio.create_task(ledger.record(entry(request_id="here")))
    await asyncio.to_thread(gate.arrived.wait, 5)
    gate.open.set()
    await asyncio.gather(thread, here)
    assert await db.run(stored_ids) == {"here", "elsewhere"}


async def test_a_row_whose_waiter_went_away_is_stored(
    ledger: Ledger, gate: Gate
) -> None:
    task = asyncio.create_task(ledger.record(entry(request_id="left")))
    await asyncio.to_thread(gate.arrived.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    await ledger.record(entry(request_id="next"))
    assert await db.run(stored_ids) == {"left", "next"}


def test_a_row_whose_loop_is_closed_is_stored(ledger: Ledger, gate: Gate) -> None:
    async def leave() -> None:
        task = asyncio.create_task(ledger.record(entry(request_id="left")))
        await asyncio.to_thread(gate.arrived.wait, 5)
        task.cancel()

    asyncio.run(leave())
    gate.open.set()
    asyncio.run(ledger.record(entry(request_id="next")))
    assert stored_ids() == {"left", "next"}


async def test_stop_writes_what_waits(tmp_path: Path, gate: Gate) -> None:
    ledger = Ledger(tmp_path / "spool", wait=10)
    ledger.start()
    tasks = [asyncio.create_task(ledger.record(entry())) for _ in range(20)]
    await asyncio.to_thread(gate.arrived.wait, 5)
    gate.open.set()
    assert await asyncio.to_thread(ledger.stop, 5) == 0
    await asyncio.gather(*tasks)
    assert len(await db.run(stored_ids)) == 20


def test_stopping_a_ledger_that_never_started_is_nothing(tmp_path: Path) -> None:
    assert Ledger(tmp_path, wait=1).stop(1) == 0
