"""The runtime of a server under test that writes down what its process holds.

``python -m gemproxy.serving --runtime tests.bench.watched:runtime`` serves as always;
``WATCH_FILE`` gets a line of JSON each ``WATCH_SECONDS``.
"""

import asyncio
import gc
import json
import os
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

from proxy.runtime import runtime as real
from tests.bench.leak_stage import FILE, SECONDS, TRACE

#: Kinds of object that are told, those of which there are most first.
_KINDS = 25
_FRAMES = 12
_REQUEST = "RequestResponseCycle.run_asgi"


class Watched:
    """The real runtime, with somebody who counts beside it."""

    def __init__(self) -> None:
        self._counting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if os.environ.get(TRACE):
            tracemalloc.start(_FRAMES)
        await real.start()
        self._counting = asyncio.ensure_future(self._count())

    async def stop(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
        if os.environ.get(TRACE):
            write_trace(Path(os.environ[FILE]).with_suffix(".trace"))
        await real.stop()

    async def _count(self) -> None:
        path = Path(os.environ[FILE])
        pause = float(os.environ.get(SECONDS, "5"))
        while True:
            line = json.dumps(held())
            with path.open("a") as file:
                file.write(f"{line}\n")
            await asyncio.sleep(pause)


def held() -> dict[str, Any]:
    """Return what this process holds now; call it in the serving loop."""
    adapters = real.gateway.pool._adapters
    web: Any = adapters.get("gemini_web")
    tasks = asyncio.all_tasks()
    return {
        "at": time.time(),
        "rss": _rss(),
        "fds": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "tasks": len(tasks),
        "requests": sum(_coroutine(task) == _REQUEST for task in tasks),
        "sessions": web.open_sessions() if web else 0,
        "named": _named(tasks),
        "objects": _objects() if os.environ.get(TRACE) else {},
    }


def write_trace(path: Path) -> None:
    """Write where the memory that is still held was taken."""
    gc.collect()
    found = tracemalloc.take_snapshot().statistics("traceback")[:_KINDS]
    lines = []
    for each in found:
        lines.append(f"{each.size / 1024:.0f} KiB in {each.count} blocks")
        lines += [f"    {line}" for line in each.traceback.format()]
    path.write_text("\n".join(lines))


def _named(tasks: set[asyncio.Task[Any]]) -> dict[str, int]:
    names = Counter(_coroutine(task) for task in tasks)
    return dict(names.most_common(_KINDS))


def _coroutine(task: asyncio.Task[Any]) -> str:
    found = task.get_coro()
    return getattr(found, "__qualname__", type(found).__name__)


def _objects() -> dict[str, int]:
    counted = Counter(type(each).__qualname__ for each in gc.get_objects())
    return dict(counted.most_common(_KINDS))


def _rss() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


runtime = Watched()
