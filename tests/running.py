"""Programs under test as processes of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.log_watch import watch

ROOT = Path(__file__).resolve().parent.parent


class Started:
    """A running command whose output goes into a file."""

    def __init__(self, command: list[str], output: Path, **kwargs: object) -> None:
        self.output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, **kwargs
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        return self.output.read_text()

    def wait(self, seconds: float = 30) -> int:
        return self.process.wait(seconds)

    def send(self, number: int) -> None:
        self.process.send_signal(number)


@contextlib.contextmanager
def started(
    arguments: list[str],
    output: Path,
    environment: Mapping[str, str] | None = None,
    descriptors: tuple[int, ...] = (),
) -> Iterator[Started]:
    """Run python with the arguments; whatever is left of it is killed in the end."""
    running = Started(
        [sys.executable, *arguments],
        output,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "gemproxy.settings",
            **(environment or {}),
        },
        pass_fds=descriptors,
    )
    try:
        yield running
    finally:
        for pid in [running.pid, *descendants(running.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.process.wait()
        watch.read(running.text(), f"the log of {' '.join(arguments)}", arguments)


def eventually(ask: Callable[[], object], seconds: float = 40) -> object:
    """Return the first true answer; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {ask}")


def parents() -> dict[int, int]:
    """Return the parent of every living process; zombies do not live."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found[pid] = int(fields[1])
    return found


def descendants(pid: int) -> set[int]:
    """Return the processes below a process."""
    tree = parents()
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in tree.items() if parent in new} - found
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    """Return those of the processes that still live."""
    return pids & parents().keys()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def get(url: str, seconds: float = 20) -> tuple[int, str]:
    """Return status and body of a GET; status 0 while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
