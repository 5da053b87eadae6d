"""What the corner mark's removal costs: `python -m tests.bench.watermark`.

Times are the medians of some rounds, in milliseconds, for the marked PNG of a drawn
scene. ``look`` is detection alone, ``off`` detection, removal and the test of the result
together: what `removal.clean` does beside decoding and encoding.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from imaging.decoding import DEFAULT_LIMITS, opened
from imaging.watermark import detection, removal, rewriting
from tests.imaging.watermark import pictures

SIDES = (1024, 2048, 4096)
HEADS = ("side", "decode", "look", "off", "encode", "clean", "off/clean")
#: Beyond decoding and encoding, at 2048 x 2048.
TARGET = 3.0


def timed(run: Callable[[], object], rounds: int) -> float:
    """Return the median time of a call in milliseconds, after one that warms up."""
    run()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def measured(side: int, rounds: int) -> dict[str, float]:
    """Measure one square picture."""
    drawn = pictures.background(np.random.default_rng(side), (side, side), 5)
    target = io.BytesIO()
    pictures.marked(drawn, "v1-96").save(target, "PNG", compress_level=1)
    data = target.getvalue()
    picture = opened(data)
    figures = {
        "side": side,
        "decode": timed(lambda: opened(data), rounds),
        "look": timed(lambda: detection.inspect(picture.image), rounds * 5),
        "off": timed(lambda: removal.taken_off(picture), rounds * 5),
        "encode": timed(
            lambda: rewriting.rewritten(picture, picture.image, DEFAULT_LIMITS), rounds
        ),
        "clean": timed(lambda: removal.clean(data), rounds),
    }
    return figures | {"off/clean": figures["off"] / figures["clean"]}


def table(rows: Sequence[dict[str, float]]) -> str:
    """Return the figures as lines of text."""
    lines = ["".join(head.rjust(10) for head in HEADS)]
    for row in rows:
        cells = [f"{row['side']:.0f}"]
        cells += [f"{row[head]:.2f}" for head in HEADS[1:-1]]
        cells.append(f"{row['off/clean']:.1%}")
        lines.append("".join(cell.rjust(10) for cell in cells))
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.watermark")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    given = parser.parse_args(words)
    if given.rounds < 1 or min(given.sides) < 256:
        parser.error("at least one round, and sides of at least 256 pixels")
    rows = [measured(side, given.rounds) for side in given.sides]
    print(table(rows))
    for row in rows:
        if row["side"] == 2048:
            verdict = "met" if row["off"] <= TARGET else "missed"
            print(f"target at 2048: {row['off']:.2f} of {TARGET} ms, {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
