"""The supervisor: starts programs, restarts those that fall, leaves no orphan."""

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from gemproxy.lib import clock
from gemproxy.lib.env import child_environment
from gemproxy.lib.redaction import RedactingFormatter

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
LONGEST_PAUSE = 30.0
# A program that ran this long is not in a crash loop.
STEADY_SECONDS = 60.0
# What programs get beyond their own grace, to settle requests and flush the ledger.
EXTRA_SECONDS = 12.0
TICK_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A Python module to keep running, with the descriptors it inherits."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def pause_after(crashes: int) -> float:
    """Return the seconds to wait before the next start: 1, 2, 4 … 30."""
    return min(2.0 ** min(max(crashes, 1) - 1, 16), LONGEST_PAUSE)


class Child:
    """One program and the process that runs it now, if any."""

    def __init__(self, program: Program, now: Callable[[], float]) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.crashes = 0
        self.due = now()
        self._started = 0.0
        self._now = now

    def start(self, lifeline: int) -> None:
        """Start the process as leader of a session and group of its own."""
        program = self.program
        command = [sys.executable, "-m", "gemproxy.lifeline", str(lifeline)]
        self._started = self._now()
        # The command is the interpreter and module names of our own.
        self.process = subprocess.Popen(  # noqa: S603
            [*command, str(os.getpid()), program.module, *program.arguments],
            cwd=ROOT,
            env=child_environment(program.environment),
            pass_fds=(lifeline, *program.descriptors),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def fell(self) -> int | None:
        """Return the exit code if the process ended since the last question.

        What is left of its group is killed, and the next start becomes due.
        """
        if self.process is None or self.process.poll() is None:
            return None
        code = self.process.returncode
        self._kill_group(self.process.pid)
        self.process = None
        steady = self._now() - self._started >= STEADY_SECONDS
        self.crashes = 1 if steady else self.crashes + 1
        self.due = self._now() + pause_after(self.crashes)
        return code

    def terminate(self) -> None:
        """Ask the process to end; it passes the word on to its own children."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.terminate()

    def kill(self) -> None:
        """Kill the whole group and reap the process."""
        if self.process is not None:
            self._kill_group(self.process.pid)
            self.process.wait()

    @staticmethod
    def _kill_group(leader: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


class Supervisor:
    """Keeps programs running until it is told to stop.

    ``grace`` is how many seconds the programs themselves take at most to stop.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        grace: float,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._now = now
        self._children = [Child(program, now) for program in programs]
        self._grace = grace
        self._signals: list[int] = []

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code, 0 after a clean stop."""
        # Children hold the reading end. Nothing is ever written: the pipe ends when
        # this process does, however it dies.
        reading, writing = os.pipe()
        try:
            with self._listening() as woken:
                while not self._signals:
                    self._start_due(reading)
                    self._note_fallen()
                    self._wait(woken)
                return self._stop(woken)
        finally:
            for child in self._children:
                child.kill()
            os.close(reading)
            os.close(writing)

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """Collect stop signals; yield a socket that wakes up when one arrives."""
        woken, waker = socket.socketpair()
        for end in (woken, waker):
            end.setblocking(False)
        before = {number: signal.signal(number, self._take) for number in STOP_SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        earlier = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(earlier)
            for number, handler in before.items():
                signal.signal(number, handler)
            woken.close()
            waker.close()

    def _take(self, number: int, _: object) -> None:
        self._signals.append(number)

    @staticmethod
    def _wait(woken: socket.socket) -> None:
        select.select([woken], [], [], TICK_SECONDS)
        with suppress(BlockingIOError):
            while woken.recv(64):
                continue

    def _start_due(self, lifeline: int) -> None:
        for child in self._children:
            if child.process is None and child.due <= self._now():
                child.start(lifeline)

    def _note_fallen(self) -> None:
        for child in self._children:
            code = child.fell()
            if code is not None:
                logger.error(
                    "%s ended (%s); starting it again in %.0f s",
                    child.program.name,
                    how_it_ended(code),
                    child.due - self._now(),
                )

    def _stop(self, woken: socket.socket) -> int:
        """Ask all to end; kill what is left when the time, or patience, is over."""
        for child in self._children:
            child.terminate()
        deadline = self._now() + self._grace + EXTRA_SECONDS
        while self._now() < deadline and not self._impatient():
            for child in self._children:
                child.fell()
            if not any(child.process for child in self._children):
                return 0
            self._wait(woken)
        left = [c.program.name for c in self._children if c.process is not None]
        logger.error("Killing what did not stop in time: %s", ", ".join(left))
        return 1

    def _impatient(self) -> bool:
        """A Ctrl-C after the first signal means at once."""
        return signal.SIGINT in self._signals[1:]


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def become_supervisor(programs: Sequence[Program], *, grace: float) -> NoReturn:
    """Replace this process by a supervisor that has loaded nothing else.

    What has prepared the start needs some 80 MB for all of Django; a supervisor on
    its own needs a fifth of that, for as long as the gateway runs.
    """
    for program in programs:
        for descriptor in program.descriptors:
            os.set_inheritable(descriptor, True)
    plan = json.dumps([asdict(program) for program in programs])
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(ROOT)
    # The program is this interpreter with a module of our own.
    os.execv(  # noqa: S606
        sys.executable,
        [sys.executable, "-m", "gemproxy.supervision", str(grace), plan],
    )


def main(grace: str, plan: str) -> int:
    """Supervise the programs of a plan in JSON; return the exit code."""
    handler = logging.StreamHandler()
    line = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(RedactingFormatter(line))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    programs = [_program(fields) for fields in json.loads(plan)]
    return Supervisor(programs, grace=float(grace)).run()


def _program(fields: dict[str, Any]) -> Program:
    listed = ("arguments", "descriptors")
    return Program(**{k: tuple(v) if k in listed else v for k, v in fields.items()})


if __name__ == "__main__":
    # The instance that others import, so that its name is that in the log.
    from gemproxy.supervision import main as supervise

    sys.exit(supervise(*sys.argv[1:]))
