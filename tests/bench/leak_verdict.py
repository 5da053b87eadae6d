"""What the samples of a long run say: does the process grow, is all given back?"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MEGABYTE = 1024 * 1024
#: Slopes are taken over the last seconds of the load: what is warm stays.
TAIL_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a server process held at a moment; ``at`` counts seconds of the run."""

    at: float
    rss: int
    fds: int
    threads: int
    tasks: int
    requests: int
    sessions: int

    @classmethod
    def read(cls, line: dict[str, Any], begin: float) -> "Sample":
        counted = {name: line[name] for name in cls.__slots__ if name != "at"}
        return cls(at=line["at"] - begin, **counted)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is still no leak: growth in MB a minute, and what idling may add."""

    growth: float = 1.0
    #: In flight at least, in the middle of all samples: else nothing was proved.
    requests: int = 0
    fds: int = 10
    threads: int = 2
    tasks: int = 5
    sessions: int = 30


def slope(samples: Sequence[Sample]) -> float:
    """Return the growth of memory in MB a minute, by least squares."""
    if len(samples) < 2:
        return 0.0
    times = [sample.at for sample in samples]
    sizes = [sample.rss / MEGABYTE for sample in samples]
    middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    spread = sum((at - middle) ** 2 for at in times)
    if not spread:
        return 0.0
    rise = sum(
        (at - middle) * (size - mean) for at, size in zip(times, sizes, strict=True)
    )
    return rise / spread * 60.0


def tail(samples: Sequence[Sample], seconds: float = TAIL_SECONDS) -> list[Sample]:
    """Return the samples of the last seconds."""
    return [each for each in samples if each.at >= samples[-1].at - seconds]


def in_flight(samples: Sequence[Sample]) -> int:
    """Return how many requests were in flight in half of the samples, or more."""
    return statistics.median_low(each.requests for each in samples) if samples else 0


def complaints(
    loaded: Sequence[Sample], before: Sample, after: Sample, bounds: Bounds
) -> Iterator[str]:
    """Yield what leaks.

    ``loaded`` was sampled under load; ``before`` and ``after`` it while nothing ran,
    both with everything warm.
    """
    flying = in_flight(loaded)
    if flying < bounds.requests:
        yield f"only {flying} requests were in flight"
    growth = slope(tail(loaded))
    if growth > bounds.growth:
        yield f"memory grows by {growth:.2f} MB a minute"
    for name in ("fds", "threads", "tasks"):
        then, now = getattr(before, name), getattr(after, name)
        if now > then + getattr(bounds, name):
            yield f"{now} {name} when idle, {then} before the load"
    if after.sessions > bounds.sessions:
        yield f"{after.sessions} web sessions for {bounds.sessions} accounts"


def table(samples: Sequence[Sample], every: float = 0.0) -> str:
    """Return the samples as lines, at most one in so many seconds."""
    lines = ["     s   RSS MB    fds  threads  tasks  requests  sessions"]
    shown = -every
    for each in samples:
        if each.at - shown < every:
            continue
        shown = each.at
        lines.append(
            f"{each.at:6.0f} {each.rss / MEGABYTE:8.1f} {each.fds:6} {each.threads:8}"
            f" {each.tasks:6} {each.requests:9} {each.sessions:9}"
        )
    return "\n".join(lines)
