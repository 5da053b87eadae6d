"""Many web and CLI accounts under load for minutes: does the server give all back?

``python -m tests.bench.leaks --seconds 300`` starts a sandbox and one server process
(uvicorn) with a folder of its own, keeps callers asking, renews cookies and access
tokens meanwhile, prints what the process held, and exits 1 if something grows.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.leak_load import Crowd
from tests.bench.leak_stage import CLI, WEB, Stage, stage
from tests.bench.leak_verdict import (
    Bounds,
    Sample,
    complaints,
    in_flight,
    slope,
    table,
    tail,
)

CALLERS = 200
#: So long after the last answer everything must be back.
IDLE_SECONDS = 20.0


def main(arguments: list[str] | None = None) -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.bench.leaks")
    parser.add_argument("--seconds", type=float, default=300.0, help="of load")
    parser.add_argument("--accounts", type=int, default=30, help="of each kind")
    parser.add_argument("--callers", type=int, default=CALLERS)
    parser.add_argument("--every", type=float, default=5.0, help="seconds a sample")
    parser.add_argument(
        "--growth", type=float, default=Bounds.growth, help="allowed, in MB a minute"
    )
    parser.add_argument("--trace", action="store_true", help="trace memory; slower")
    parser.add_argument("--keep", type=Path, help="a folder to keep everything in")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gemproxy-leaks-") as made:
        folder = options.keep or Path(made)
        folder.mkdir(exist_ok=True)
        with stage(
            folder, accounts=options.accounts, every=options.every, trace=options.trace
        ) as made_stage:
            return asyncio.run(_run(made_stage, options))


async def _run(stage: Stage, options: argparse.Namespace) -> int:
    crowd = Crowd(stage.url, stage.token, (WEB, CLI))
    # Whatever is made once and kept is there after this.
    await crowd.press(options.callers, max(5.0, options.seconds / 10))
    await asyncio.sleep(IDLE_SECONDS)
    start = time.time()
    before = stage.read(0.0)[-1]
    crowd.results.clear()
    await crowd.press(options.callers, options.seconds)
    ended = time.time()
    await asyncio.sleep(IDLE_SECONDS)
    stage.keeper.check_alive()
    samples = stage.read(start)
    loaded = [each for each in samples if each.at <= ended - start]
    return _tell(loaded, before, samples, crowd, options)


def _tell(
    loaded: list[Sample],
    before: Sample,
    samples: list[Sample],
    crowd: Crowd,
    options: argparse.Namespace,
) -> int:
    bounds = Bounds(
        sessions=options.accounts,
        requests=options.callers // 2,
        growth=options.growth,
    )
    found = list(complaints(loaded, before, samples[-1], bounds))
    print(table(samples, every=options.seconds / 30))
    print(f"\nanswers: {dict(sorted(crowd.results.items()))}")
    answered = sum(n for key, n in crowd.results.items() if key.endswith(" 200"))
    print(f"in flight: {in_flight(loaded)} in half of the samples or more")
    print(f"memory: {slope(tail(loaded)):+.2f} MB a minute at the end of the load")
    print(f"idle: {_held(before)} before, {_held(samples[-1])} after")
    if not answered:
        found.append("nobody was answered")
    print("verdict: " + ("; ".join(found) or "nothing leaks"))
    return 1 if found else 0


def _held(sample: Sample) -> str:
    return (
        f"{sample.tasks} tasks, {sample.fds} fds, {sample.threads} threads,"
        f" {sample.sessions} web sessions"
    )


if __name__ == "__main__":
    sys.exit(main())
