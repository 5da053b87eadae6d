"""Processes under measurement: started on one core, read from /proc, stopped."""

import contextlib
import ctypes
import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.errors import BenchError

PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2
PROC = Path("/proc")
TCP_LISTEN = "0A"


def cores() -> tuple[int | None, int | None]:
    """Return a core for the measured process and one for mock and load.

    With a single core nothing is pinned.
    """
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else (None, None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _settle(core: int | None) -> None:
    """Pin the new process, and let it end when the benchmark dies."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start_settings(core: int | None) -> dict[str, Any]:
    """Return keywords for Popen: own process group, pinned, bound to our life."""
    _libc()  # loaded before the fork
    return {
        "start_new_session": True,
        "preexec_fn": functools.partial(_settle, core),
    }


class Child:
    """A started program whose output goes to a file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        core: int | None,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._log = log
        self._name = " ".join(Path(word).name for word in map(str, argv[:4]))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                **start_settings(core),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check_alive(self) -> None:
        """Raise BenchError with the end of the output if the program has ended."""
        code = self._process.poll()
        if code is not None:
            raise BenchError(f"{self._name} ended with {code}:\n{self.tail()}")

    def tail(self, size: int = 3000) -> str:
        return self._log.read_text(errors="replace")[-size:]

    def wait_for_text(self, text: str, *, seconds: float) -> str:
        """Return the output once it holds ``text``; raise BenchError after a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            output = self._log.read_text(errors="replace")
            if text in output and output.endswith("\n"):
                return output
            self.check_alive()
            time.sleep(0.02)
        raise BenchError(f"{self._name} did not say {text!r}:\n{self.tail()}")

    def wait_for_port(self, port: int, *, seconds: float) -> None:
        """Return once the port accepts connections; raise BenchError after a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_alive()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            time.sleep(0.05)
        raise BenchError(f"{self._name} does not listen on {port}:\n{self.tail()}")

    def stop(self, *, seconds: float = 10) -> None:
        """Ask its process group to end, then make it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def _processes() -> list[Path]:
    return [path for path in PROC.iterdir() if path.name.isdigit()]


def _parents() -> dict[int, int]:
    parents = {}
    for path in _processes():
        with contextlib.suppress(OSError):
            # The command name may hold spaces and brackets: read after the last one.
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            parents[int(path.name)] = int(fields[1])
    return parents


def tree(roots: Iterable[int]) -> list[int]:
    """Return the processes and all their descendants."""
    parents = _parents()
    found = {pid for pid in roots if pid in parents}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def cpu_times(roots: Iterable[int]) -> dict[int, int]:
    """Return nanoseconds of user and system time of each process of the tree.

    It is what /proc/PID/stat counts, without that file's steps of 10 ms, which are
    too coarse for a stream row: clock_getcpuclockid(3).
    """
    times = {}
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            times[pid] = time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    return times


def cpu_spent(before: Mapping[int, int], after: Mapping[int, int]) -> float:
    """Return seconds between two readings; processes started between them count.

    Raises BenchError if one has ended, because its time is lost.
    """
    gone = sorted(before.keys() - after.keys())
    if gone:
        raise BenchError(f"processes ended during the measurement: {gone}")
    return sum(time - before.get(pid, 0) for pid, time in after.items()) / 1e9


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the proportional set size of the processes that still live."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = (PROC / str(pid) / "smaps_rollup").read_text()
            total += sum(
                int(line.split()[1]) * 1024
                for line in text.splitlines()
                if line.startswith("Pss:")
            )
    return total


def owners_of_port(port: int) -> list[int]:
    """Return the processes that hold a listening TCP socket on the port.

    Processes of other users cannot be looked into and are not found.
    """
    sockets = set()
    for name in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / name).read_text().splitlines()[1:]:
                fields = line.split()
                listens = fields[3] == TCP_LISTEN
                if listens and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    return sorted(int(p.name) for p in _processes() if _holds(p, sockets))


def _holds(process: Path, sockets: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for handle in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(handle.readlink()) in sockets:
                    return True
    return False
