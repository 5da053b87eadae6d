"""Pictures as files in a folder of our own."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from imaging.storages.base import CHUNK, NAME, PictureStorage

DRAFT = ".part"


class LocalStorage(PictureStorage):
    """Files that only this user can read, complete or not there at all."""

    kind = "local"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes, media_type: str) -> None:
        path = self._path(name)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{DRAFT}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _write(draft, data)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except OSError as error:
            raise self.trouble("writing", error.strerror) from error

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        try:
            with self._path(name).open("rb") as file:
                file.seek(start)
                left = None if stop is None else stop - start
                while part := file.read(CHUNK if left is None else min(CHUNK, left)):
                    yield part
                    left = None if left is None else left - len(part)
        except FileNotFoundError:
            raise self.missing() from None
        except OSError as error:
            raise self.trouble("reading", error.strerror) from error

    def remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self.trouble("deleting", error.strerror) from error

    def names(self, before: float) -> Iterator[str]:
        """Yield the names of pictures written before a time of the clock."""
        for folder in _entries(self._folder):
            for file in _entries(folder):
                name = f"{folder.name}/{file.name}"
                if NAME.fullmatch(name) and _written(file) < before:
                    yield name

    def drop_drafts(self, before: float) -> int:
        """Delete what a process that died had begun to write; return how many."""
        count = 0
        for folder in _entries(self._folder):
            for file in folder.glob(f".*{DRAFT}"):
                if _written(file) < before:
                    file.unlink(missing_ok=True)
                    count += 1
        return count

    def _path(self, name: str) -> Path:
        return self._folder / self.checked(name)


def _write(draft: Path, data: bytes) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(folder.iterdir())
    return []


def _written(file: Path) -> float:
    """Return when a file was written; now, so to say, if it has just gone."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime
    return float("inf")
