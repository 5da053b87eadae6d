"""The benchmark's command line: `python -m tests.bench`."""

import argparse
import datetime
import functools
import json
import os
import platform
import resource
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.errors import BenchError
from tests.bench.native import Mock, build
from tests.bench.processes import cores
from tests.bench.rows import Bench, Row, rows
from tests.bench.targets import (
    ROOT,
    Gateway,
    Opening,
    Place,
    direct,
    forwarder,
    running,
)

Targets = dict[str, Opening]
Figures = dict[str, dict[str, list[dict[str, Any]]]]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure the gateway beside a bare forwarder and a mock upstream.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one short round")
    add("--rounds", type=int, help="default 3, with --quick 1")
    add("--rows", help="comma list of rows: hold,json16,json1,stream,burst")
    add("--skip-gateway", action="store_true", help="only mock and forwarder")
    add("--gateway-url", help="a running gateway instead of one started here")
    add("--token", default="", help="the token for --gateway-url and --target")
    add("--mock-port", type=int, default=0, help="for servers started elsewhere")
    add(
        "--target",
        action="append",
        default=[],
        metavar="[NAME=]URL",
        help="another running OpenAI-compatible server whose upstream is the mock",
    )
    add("--output", type=Path, default=ROOT / "var" / "bench.json")
    given = parser.parse_args(words)
    known = [row.name for row in rows(quick=False)]
    given.rows = given.rows.split(",") if given.rows else known
    if unknown := set(given.rows) - set(known):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if given.rounds is None:
        given.rounds = 1 if given.quick else 3
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    if (given.gateway_url or given.target) and not given.mock_port:
        parser.error("give --mock-port: that server must already use it as upstream")
    return given


def _targets(given: argparse.Namespace, place: Place) -> Targets:
    targets: Targets = {
        report.DIRECT: functools.partial(direct, place),
        report.BASELINE: functools.partial(forwarder, place),
    }
    if given.gateway_url:
        targets[report.GATEWAY] = functools.partial(
            running, given.gateway_url, given.token
        )
    elif not given.skip_gateway:
        targets[report.GATEWAY] = Gateway(place).open
    for number, text in enumerate(given.target, 1):
        name, found, url = text.partition("=")
        named = found and "://" not in name
        targets[name if named else f"target {number}"] = functools.partial(
            running, url if named else text, given.token
        )
    return targets


def _round(
    bench: Bench, targets: Targets, chosen: Sequence[Row], kept: Figures
) -> None:
    for name, opening in targets.items():
        with opening() as door:
            bench.warm_up(door)
            by_row = kept.setdefault(name, {})
            by_row.setdefault("idle", []).append(bench.idle(door))
            for row in chosen:
                print(f"  {name}: {row.title}", file=sys.stderr, flush=True)
                by_row.setdefault(row.name, []).append(bench.measure(row, door))


def _about(given: argparse.Namespace, pinned: tuple[int | None, int | None]) -> str:
    where = "one core, nothing pinned"
    if pinned[0] is not None:
        where = f"target on core {pinned[0]}, mock and load on core {pinned[1]}"
    load = "/".join(f"{n:.1f}" for n in os.getloadavg())
    return (
        f"gemproxy bench, {given.rounds} round(s), {where}, Python "
        f"{platform.python_version()}, load average {load} at the start. CPU is user "
        "and system time of the target's processes, the least of the rounds; the "
        "rest are medians. Ratios are between figures of the same round. In the "
        "direct column CPU is the mock's own."
    )


def _allow_many_sockets() -> None:
    """500 held streams need 1,000 sockets in the target; children inherit this."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _empty_rows(kept: Figures) -> list[str]:
    return [
        f"{target}: {row}"
        for target, by_row in kept.items()
        for row, rounds in by_row.items()
        if any(figures.get("requests") == 0 for figures in rounds)
    ]


def run(given: argparse.Namespace, directory: Path) -> int:
    """Measure, print, write the JSON file; return the exit code.

    1 means that something did not run at all; missed targets are only told.
    """
    pinned = cores()
    about = _about(given, pinned)
    programs = build()
    if pinned[1] is not None:
        os.sched_setaffinity(0, {pinned[1]})
    chosen = [row for row in rows(quick=given.quick) if row.name in given.rows]
    kept: Figures = {}
    log = directory / "mock.log"
    with Mock(programs["mock"], log, core=pinned[1], port=given.mock_port) as mock:
        place = Place(pinned[0], mock, directory)
        bench = Bench(programs["load"], mock, directory, core=pinned[1])
        targets = _targets(given, place)
        for number in range(1, given.rounds + 1):
            print(f"round {number} of {given.rounds}", file=sys.stderr, flush=True)
            _round(bench, targets, chosen, kept)
    _tell(kept, chosen, about, given.output)
    empty = _empty_rows(kept)
    for text in empty:
        print(f"nothing succeeded: {text}", file=sys.stderr)
    return 1 if empty else 0


def _tell(kept: Figures, chosen: Sequence[Row], about: str, output: Path) -> None:
    print(about, report.table(kept, chosen), sep="\n\n")
    found = report.as_json(
        kept,
        chosen,
        {"text": about, "at": datetime.datetime.now(datetime.UTC).isoformat()},
    )
    for text in (*found["failures"], *found["verdicts"]):
        print(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run the benchmark; return the exit code."""
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _allow_many_sockets()
    try:
        with tempfile.TemporaryDirectory(prefix="gemproxy-bench-") as directory:
            return run(given, Path(directory))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
