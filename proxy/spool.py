"""Files that hold usage rows while the database cannot take them."""

import fcntl
import itertools
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

SUFFIX = ".jsonl"
REFUSED = "refused.log"


def spool_folder() -> Path:
    """Return where the processes on this machine keep their files."""
    return Path(settings.VAR_DIR) / "spool"


class Spool:
    """A folder of append-only files, one for each process that had to use it.

    A file belongs to whoever holds its lock. The kernel lets go of the lock when a
    process ends in whatever way, so a file without a holder is free to be replayed,
    and one that was being replayed when its reader died is free again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._size = 0
        self._lines = 0

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines, each with its line end, to this process's file.

        They survive the process once this returns. Raises OSError, and then no part
        of them is in the file.
        """
        data = b"".join(lines)
        with self._lock:
            if self._descriptor is None:
                self._descriptor, self._size = self._create(), 0
            self._write(self._descriptor, data)
            self._size += len(data)
            self._lines += len(lines)

    def _write(self, descriptor: int, data: bytes) -> None:
        try:
            written = os.write(descriptor, data)
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        if written < len(data):
            # The disk is full: half a row would spoil the next one.
            os.ftruncate(descriptor, self._size)
            raise OSError(f"only {written} of {len(data)} bytes were written")

    def _create(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        new = self._folder / f"{name}.new"
        descriptor = os.open(
            new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600
        )
        try:
            # Locked before it can be found: else it might be replayed, empty, and
            # deleted before its first row.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            new.rename(self._folder / f"{name}{SUFFIX}")
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def release(self) -> int:
        """Leave this process's file to be replayed; return how many rows it holds."""
        with self._lock:
            lines, self._lines = self._lines, 0
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        return lines

    def batches(self, size: int) -> Iterator[list[bytes]]:
        """Yield the lines of the free files.

        A file is deleted when the batch after its last one is asked for, which tells
        that the last one is stored. Raises OSError.
        """
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            file = _take(path)
            if file is None:
                continue
            with file:
                while lines := list(itertools.islice(file, size)):
                    yield lines
                path.unlink(missing_ok=True)

    def refuse(self, lines: Sequence[bytes]) -> None:
        """Put aside lines that no database takes, for a person to look at."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / REFUSED).open("ab") as file:
            file.write(b"".join(lines))


def _take(path: Path) -> BinaryIO | None:
    """Open and lock a file; return None if it is in use or was replayed meanwhile."""
    try:
        file = path.open("rb+")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if os.fstat(file.fileno()).st_nlink:
        return file
    file.close()
    return None
