"""The rows of the benchmark: what is asked of a target, and what is read."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.bodies import WHOLE_MARK, chat_body
from tests.bench.errors import BenchError
from tests.bench.native import Mock, Task, run_load
from tests.bench.processes import cpu_spent, cpu_times, pss_bytes, tree
from tests.bench.targets import Door

# A prime, so that held streams do not tick in step with each other.
HOLD_SPREAD_MS = 2003
SETTLE_SECONDS = 1.0
GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One load. ``chunks`` of 0 asks for whole answers."""

    name: str
    title: str
    mode: str
    connections: int
    seconds: float = 0
    chunks: int = 0
    interval_us: int = 0
    spread_ms: float = 0


def rows(*, quick: bool) -> list[Row]:
    """Return the rows in the order they run; memory is read before heavy load."""
    return [
        Row(
            name="hold",
            title="500 held streams, a chunk each 200 ms",
            mode="hold",
            connections=500,
            chunks=25 if quick else 50,
            interval_us=200_000,
            spread_ms=HOLD_SPREAD_MS,
        ),
        Row(
            name="json16",
            title="JSON, 16 connections",
            mode="json",
            connections=16,
            seconds=1.5 if quick else 4,
        ),
        Row(
            name="json1",
            title="JSON, 1 connection",
            mode="json",
            connections=1,
            seconds=1 if quick else 2,
        ),
        Row(
            name="stream",
            title="streams of 50 chunks, one each 20 ms, 10 connections",
            mode="stream",
            connections=10,
            seconds=1.5 if quick else 4,
            chunks=50,
            interval_us=20_000,
            spread_ms=20,
        ),
        Row(
            name="burst",
            title="streams of 50 chunks at once, 4 connections",
            mode="stream",
            connections=4,
            seconds=1 if quick else 2,
            chunks=50,
        ),
    ]


class Bench:
    """Runs rows against doors with the programs and bodies it was given."""

    def __init__(
        self, load: Path, mock: Mock, directory: Path, *, core: int | None
    ) -> None:
        self._load = load
        self._mock = mock
        self._core = core
        self._whole = directory / "whole.json"
        self._stream = directory / "stream.json"
        self._whole.write_bytes(chat_body(stream=False))
        self._stream.write_bytes(chat_body(stream=True))

    def warm_up(self, door: Door) -> None:
        """Fill caches and pools, so that the first row is like the others.

        Raises BenchError if the door answers nothing at all.
        """
        self._mock.pace(chunks=5, interval_us=1000)
        whole = Row(name="", title="", mode="json", connections=4)
        stream = Row(name="", title="", mode="stream", connections=4, chunks=5)
        for row, requests in ((whole, 200), (stream, 40)):
            figures = run_load(
                self._load, self._task(row, door, requests), core=self._core
            )
            if not figures["requests"]:
                raise BenchError(f"{door.whole_url}: {figures['first_failure']}")
        time.sleep(SETTLE_SECONDS)

    def idle(self, door: Door) -> dict[str, Any]:
        """Return the memory of a target that has just been warmed up."""
        pids = tree(door.processes)
        if not pids:
            return {}
        return {"pss_mb": pss_bytes(pids) / 1e6, "processes": len(pids)}

    def measure(self, row: Row, door: Door) -> dict[str, Any]:
        """Run one row; return its figures. Failed requests are among them."""
        if row.chunks:
            self._mock.pace(chunks=row.chunks, interval_us=row.interval_us)
        pids = tree(door.processes)
        peak = Peak(pids)
        before = cpu_times(door.processes)
        task = self._task(row, door)
        holds = row.mode == "hold"
        sample = peak.sample if holds else None
        figures = run_load(self._load, task, core=self._core, sample=sample)
        cpu = cpu_spent(before, cpu_times(door.processes)) if pids else None
        found = read_figures(row, figures, cpu)
        if holds and pids and door.fresh:
            found["pss_kb_per_stream"] = peak.growth / row.connections / 1e3
        return found

    def _task(self, row: Row, door: Door, requests: int = 0) -> Task:
        paced = row.chunks * row.interval_us / 1e6
        return Task(
            mode=row.mode,
            url=door.stream_url if row.chunks else door.whole_url,
            body=self._stream if row.chunks else self._whole,
            headers=door.headers,
            connections=row.connections,
            seconds=row.seconds,
            requests=requests,
            grace=GRACE_SECONDS + paced,
            spread_ms=row.spread_ms,
            expect=WHOLE_MARK,
            chunks=row.chunks,
            final=door.final,
        )


class Peak:
    """The most memory that a set of processes had above its first reading."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._first = self._most = pss_bytes(pids)

    def sample(self) -> None:
        self._most = max(self._most, pss_bytes(self._pids))

    @property
    def growth(self) -> int:
        return self._most - self._first


def read_figures(
    row: Row, figures: Mapping[str, Any], cpu: float | None
) -> dict[str, Any]:
    """Turn the generator's figures and CPU seconds into the figures of a row."""
    count = figures["requests"]
    found: dict[str, Any] = {
        "requests": count,
        "failures": figures["failures"],
        "first_failure": figures["first_failure"],
        "rps": figures["rps"],
    }
    _add_times(found, "", figures["latency_us"])
    if cpu is not None and count:
        found["cpu_ms"] = cpu * 1e3 / count
    if row.chunks:
        found["peak_open"] = figures["peak_open"]
        _add_times(found, "ttft_", figures["ttft_us"])
        _add_times(found, "lag_", figures["lag_us"])
        if cpu is not None and figures["chunks"]:
            found["cpu_us_per_chunk"] = cpu * 1e6 / figures["chunks"]
    return found


def _add_times(found: dict[str, Any], prefix: str, times: Mapping[str, float]) -> None:
    for point in ("p50", "p99", "max"):
        if point in times:
            found[f"{prefix}{point}_ms"] = times[point] / 1e3
