"""A bar that shows how far a command has come."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
_WIDTH = 30


class Terminal(Protocol):
    """Where the bar is drawn: standard error, as Django wraps it."""

    def write(self, text: str, *, ending: str) -> object: ...

    def flush(self) -> object: ...

    def isatty(self) -> bool: ...


def counted(items: Sequence[T], terminal: Terminal, label: str) -> Iterator[T]:
    """Yield the items and show beneath how many are done; in a file show nothing."""
    shown = terminal.isatty()
    for done, item in enumerate(items):
        if shown:
            _draw(terminal, done, len(items), label)
        yield item
    if shown and items:
        _draw(terminal, len(items), len(items), label)
        terminal.write("", ending="\n")


def _draw(terminal: Terminal, done: int, whole: int, label: str) -> None:
    filled = _WIDTH * done // whole
    bar = "#" * filled + "-" * (_WIDTH - filled)
    terminal.write(f"\r{label} [{bar}] {done}/{whole}", ending="")
    terminal.flush()
