"""The benchmark's figures as a text table and as JSON."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.rows import Row

# Results: target name → row name → the figures of each round, in order.
Results = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
Best = Callable[[Sequence[float]], float]

DIRECT = "direct"
BASELINE = "forwarder"
GATEWAY = "gateway"
EMPTY = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the table. ``added`` subtracts the direct row of the round.

    Host noise only ever adds CPU time, so its minimum is shown; of the rest the
    median.
    """

    key: str
    title: str
    digits: int = 3
    best: Best = statistics.median
    added: bool = False


WHOLE_LINES = (
    Line("cpu_ms", "CPU ms per request", 3, min),
    Line("rps", "requests per second", 0),
    Line("p50_ms", "p50 ms"),
    Line("p50_ms", "p50 ms, added to direct", added=True),
    Line("p99_ms", "p99 ms"),
)
STREAM_LINES = (
    Line("cpu_ms", "CPU ms per stream", 2, min),
    Line("cpu_us_per_chunk", "CPU us per chunk", 1, min),
    Line("ttft_p50_ms", "TTFT p50 ms", 2),
    Line("ttft_p50_ms", "TTFT p50 ms, added to direct", 2, added=True),
    Line("ttft_p99_ms", "TTFT p99 ms", 2),
    Line("lag_p50_ms", "chunk lag p50 ms", 2),
    Line("lag_p99_ms", "chunk lag p99 ms", 2),
    Line("lag_p99_ms", "chunk lag p99 ms, added to direct", 2, added=True),
)
HOLD_LINES = (
    *STREAM_LINES,
    Line("peak_open", "streams open at once", 0),
    Line("pss_kb_per_stream", "PSS growth, KB per stream", 1),
)
IDLE_LINES = (
    Line("pss_mb", "PSS MB of all its processes", 1),
    Line("processes", "processes", 0),
)
FAILED = Line("failures", "failed requests", 0, sum)


def lines_of(row: Row) -> tuple[Line, ...]:
    """Return the lines that a row shows."""
    shown = {"hold": HOLD_LINES, "stream": STREAM_LINES, "json": WHOLE_LINES}
    return (*shown[row.mode], FAILED)


def values(results: Results, target: str, row: str, line: Line) -> list[float | None]:
    """Return a figure of each round, None where there is none."""
    rounds = results.get(target, {}).get(row, [])
    found = [figures.get(line.key) for figures in rounds]
    if not line.added:
        return found
    if target == DIRECT:
        return [None] * len(found)
    base = [figures.get(line.key) for figures in results[DIRECT].get(row, [])]
    pairs = zip(found, base, strict=False)
    return [None if a is None or b is None else a - b for a, b in pairs]


def ratios(results: Results, target: str, row: str, line: Line) -> list[float]:
    """Return the figure over the baseline's of the same round, where both are."""
    pairs = zip(
        values(results, target, row, line),
        values(results, BASELINE, row, line),
        strict=False,
    )
    return [a / b for a, b in pairs if a is not None and b is not None and b > 0]


def _figure(line: Line, found: Sequence[float | None]) -> str:
    known = [value for value in found if value is not None]
    return f"{line.best(known):.{line.digits}f}" if known else EMPTY


def _ratio(found: Sequence[float]) -> str:
    if not found:
        return EMPTY
    middle = f"{statistics.median(found):.2f}x"
    if len(found) == 1:
        return middle
    return f"{middle} ({min(found):.2f}-{max(found):.2f})"


def _cells(results: Results, row: str, line: Line) -> list[str]:
    compared = [name for name in results if name not in (DIRECT, BASELINE)]
    cells = [_figure(line, values(results, name, row, line)) for name in results]
    if line is FAILED or line.key == "processes":
        return cells + [EMPTY] * len(compared)
    return cells + [_ratio(ratios(results, name, row, line)) for name in compared]


def table(results: Results, measured: Sequence[Row]) -> str:
    """Return all rows as text, one column per target and one per ratio."""
    compared = [name for name in results if name not in (DIRECT, BASELINE)]
    heads = [*results, *(f"{name}/{BASELINE}" for name in compared)]
    blocks = [("idle", "idle, after a warm-up", IDLE_LINES)]
    blocks += [(row.name, row.title, lines_of(row)) for row in measured]
    grid: list[tuple[str, list[str]]] = []
    for name, title, lines in blocks:
        grid.append((title, heads))
        grid += [(f"  {line.title}", _cells(results, name, line)) for line in lines]
        grid.append(("", []))
    return "\n".join(_aligned(grid))


def _aligned(grid: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    first = max(len(title) for title, _ in grid) + 2
    columns = max(len(cells) for _, cells in grid)
    widths = [
        max(len(cells[i]) for _, cells in grid if cells) + 2 for i in range(columns)
    ]
    for title, cells in grid:
        padded = (f"{c:>{w}}" for c, w in zip(cells, widths, strict=False))
        yield f"{title:<{first}}{''.join(padded)}".rstrip()


def failures(results: Results) -> list[str]:
    """Return a line for each measurement with failed requests."""
    found = []
    for target, by_row in results.items():
        for row, rounds in by_row.items():
            for number, figures in enumerate(rounds, 1):
                if figures.get("failures"):
                    found.append(
                        f"{target}, {row}, round {number}: {figures['failures']} of "
                        f"{figures['failures'] + figures['requests']} failed; first: "
                        f"{figures['first_failure'][:200]}"
                    )
    return found


def verdicts(results: Results, target: str = GATEWAY) -> list[str]:
    """Return one line per target that the gateway has to meet."""
    cpu = Line("cpu_ms", "")
    lag = Line("lag_p99_ms", "", added=True)
    failed = [n for n in values(results, target, "hold", FAILED) if n is not None]
    added = [n for n in values(results, target, "hold", lag) if n is not None]
    cost = "CPU over the forwarder's"
    whole = ratios(results, target, "json16", cpu)
    stream = ratios(results, target, "stream", cpu)
    count = sum(failed) if failed else None
    return [
        _verdict(f"JSON, 16 connections: {cost}", _median(whole), 4, "x", 2),
        _verdict(f"paced stream: {cost}", _median(stream), 3, "x", 2),
        _verdict("500 held streams: failures", count, 0, "", 0),
        _verdict(
            "500 held streams: lag p99 above direct", _median(added), 100, " ms", 1
        )
        + ("" if not added else f" (aim 50 ms: {_met(_median(added), 50)})"),
    ]


def _median(found: Sequence[float]) -> float | None:
    return statistics.median(found) if found else None


def _met(value: float | None, limit: float) -> str:
    return "met" if value is not None and value <= limit else "missed"


def _verdict(
    title: str, value: float | None, limit: float, unit: str, digits: int
) -> str:
    if value is None:
        return f"{title}: not measured (target <= {limit}{unit})"
    text = f"{title}: {value:.{digits}f}{unit} (target <= {limit}{unit}): "
    text += _met(value, limit)
    if value > limit:
        text += f" by {value - limit:.{digits}f}{unit}"
    return text


def as_json(
    results: Results, measured: Sequence[Row], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything: raw rounds, ratios in the same round, verdicts."""
    compared = [name for name in results if name not in (DIRECT, BASELINE)]
    return {
        "about": dict(about),
        "rounds": results,
        "ratios_to_forwarder": {
            name: {
                row.name: {
                    line.title: ratios(results, name, row.name, line)
                    for line in lines_of(row)
                    if line is not FAILED
                }
                for row in measured
            }
            for name in compared
        },
        "failures": failures(results),
        "verdicts": verdicts(results) if GATEWAY in results else [],
    }
