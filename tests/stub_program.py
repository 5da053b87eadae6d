"""Programs that behave badly in one way each, for tests of the supervisor."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path


def note(path: str, word: str) -> None:
    """Append a line with this process's id and the time."""
    with Path(path).open("a") as file:
        file.write(f"{word} {os.getpid()} {time.monotonic()}\n")


def sleep_for_ever(path: str, word: str) -> None:
    note(path, word)
    while True:
        time.sleep(60)


def stubborn(path: str, word: str) -> None:
    """Ignore polite requests to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep_for_ever(path, word)


def middle(path: str) -> None:
    """Fork once more and stay."""
    fork = multiprocessing.get_context("fork")
    fork.Process(target=stubborn, args=(path, "grandchild")).start()
    stubborn(path, "child")


def family(path: str) -> None:
    """Be the head of three generations that ignore SIGTERM."""
    fork = multiprocessing.get_context("fork")
    fork.Process(target=middle, args=(path,)).start()
    stubborn(path, "head")


def crash(path: str) -> None:
    note(path, "crash")
    sys.exit(3)


def main(mode: str, path: str) -> None:
    if mode == "sleep":
        sleep_for_ever(path, "sleep")
    if mode == "stubborn":
        stubborn(path, "stubborn")
    {"family": family, "crash": crash}[mode](path)


if __name__ == "__main__":
    main(*sys.argv[1:])
