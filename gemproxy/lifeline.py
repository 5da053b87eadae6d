"""The child's side of supervision: no process outlives its supervisor.

Run as ``python -m gemproxy.lifeline FD PARENT MODULE [ARGUMENT...]``: it ties this
process to the pipe end FD and the process PARENT, then runs MODULE as a program.

Two things hold a child, because either alone has a gap. The pipe works everywhere
and survives an exec; the kernel's parent-death signal (Linux) also reaches the
processes that a child forks, such as the job cluster's workers, and one whose
interpreter hangs.
"""

import ctypes
import functools
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LAST_SECONDS = 3


@functools.cache
def orphaned() -> threading.Event:
    """Return the event that is set once the supervisor is gone."""
    return threading.Event()


@functools.cache
def _prctl() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(number: int, parent: int) -> None:
    """Ask the kernel for the signal ``number`` when the process ``parent`` dies.

    Ends this process if the parent died before it could ask. The kernel watches
    the thread that forked, so fork from threads that live as long as the process.
    """
    prctl = _prctl()
    if prctl is None:
        return
    prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def hold_forks() -> None:
    """Make every process that this one forks die with the one that forked it."""
    # Resolved before any fork: loading a library in a forked child may deadlock.
    _prctl()
    forking = [os.getpid()]

    def before() -> None:
        forking[0] = os.getpid()

    def in_child() -> None:
        die_with_parent(signal.SIGKILL, forking[0])

    os.register_at_fork(before=before, after_in_child=in_child)


def watch(fd: int) -> None:
    """Wait for the end of the pipe ``fd``, then end this process and its group."""
    with suppress(OSError):
        while os.read(fd, 1):
            continue
    orphaned().set()
    # The alarm's default action needs no interpreter, should this one hang.
    signal.alarm(LAST_SECONDS + 1)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def hold(fd: int, parent: int) -> None:
    """Tie this process, leader of its own group, to its supervisor."""
    die_with_parent(signal.SIGTERM, parent)
    hold_forks()
    threading.Thread(target=watch, args=(fd,), name="lifeline", daemon=True).start()


def main(arguments: Sequence[str]) -> None:
    """Run the module that the arguments name, held by the supervisor."""
    fd, parent, module, *rest = arguments
    hold(int(fd), int(parent))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # The instance that others import, so that its state is theirs as well.
    from gemproxy.lifeline import main as held

    held(sys.argv[1:])
