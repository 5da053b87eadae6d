"""Retention of very many rows beside traffic."""

import asyncio
import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from accounts.models import UsageHour, UsageRecord
from gemproxy.lib import clock, db
from gemproxy.lib.env import child_environment
from proxy import entries
from proxy.ledger import Ledger
from tests.usage import database_url, entry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
ROOT = Path(__file__).resolve().parents[2]
ROWS = 200_000
# The worst wait is reported, not judged: other tests share the processors. These
# bounds only tell a ledger that flows from one that stands still.
USUAL_WAIT = 0.1
STANDSTILL = 1.0
PRUNE = (
    "import django; django.setup();"
    "from accounts.jobs import prune_usage; print(prune_usage())"
)


def fill() -> None:
    """Store old rows, spread over days, tokens and accounts."""
    start = clock.now() - datetime.timedelta(days=120)
    for first in range(0, ROWS, 2000):
        entries.store(
            [
                entry(
                    started_at=start + datetime.timedelta(seconds=number * 8),
                    token_id=1 + number % 40,
                    account_id=1 + number % 25,
                    user_agent="openai-python/9.9.9",
                    attempts=[{"account": number % 25, "start_ms": 1, "code": "ok"}],
                    usage_metadata={"promptTokenCount": 12, "totalTokenCount": 99},
                )
                for number in range(first, first + 2000)
            ]
        )

    # What filling left to the disk is not what is measured.
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.sync()


async def record_until(done: asyncio.Event, ledger: Ledger) -> list[float]:
    """Record rows, one after another, and return how long each took."""
    waits: list[float] = []
    while not done.is_set():
        began = clock.monotonic()
        await ledger.record(entry(started_at=clock.now(), token_id=1))
        waits.append(clock.monotonic() - began)
        await asyncio.sleep(0.002)
    return waits


async def test_pruning_200000_rows_lets_answers_flow_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await db.run(fill)
    ledger = Ledger(tmp_path / "spool", wait=5)
    ledger.start()
    done = asyncio.Event()
    traffic = [asyncio.create_task(record_until(done, ledger)) for _ in range(4)]
    job = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PRUNE,
        cwd=ROOT,
        env=child_environment(
            {
                "DJANGO_SETTINGS_MODULE": "gemproxy.settings",
                "DATABASE_URL": database_url(),
                "VAR_DIR": str(tmp_path),
                "USAGE_RETENTION_DAYS": "30",
            }
        ),
        stdout=subprocess.PIPE,
    )
    output, _ = await job.communicate()
    done.set()
    waits = sorted(wait for waits in await asyncio.gather(*traffic) for wait in waits)
    await asyncio.to_thread(ledger.stop, 5)
    with capsys.disabled():
        print(
            f"\n{output.decode().strip()}; {len(waits)} answers beside it waited"
            f" {waits[len(waits) // 2] * 1000:.1f} ms (median),"
            f" {waits[-len(waits) // 1000] * 1000:.1f} ms (p99.9),"
            f" {waits[-1] * 1000:.1f} ms (worst)"
        )
    assert output.startswith(b"deleted 200000 usage rows")
    assert waits[-len(waits) // 100] < USUAL_WAIT
    assert waits[-1] < STANDSTILL
    assert await db.run(UsageRecord.objects.count) == len(waits)
    assert await db.run(_requests_in_sums) >= ROWS


def _requests_in_sums() -> int:
    return sum(UsageHour.objects.values_list("requests", flat=True))
