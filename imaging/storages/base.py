"""What every storage of pictures can do, and how it says that it could not."""

import mimetypes
import re
from collections.abc import Iterator
from io import BytesIO
from typing import ClassVar

from django.core.files.base import File
from django.core.files.storage import Storage

CHUNK = 256 * 1024
#: What makes a storage answer: long enough for a picture of 20 MiB on a slow line.
CONNECT_SECONDS = 5
ANSWER_SECONDS = 30
THUMBNAILS = "th"
#: The only names there are: no caller's text is ever a part of one.
NAME = re.compile(r"(?:[0-9a-f]{2}|th)/[0-9a-f]{40}\.(?:png|jpg|webp|gif|avif)")


class StorageTrouble(Exception):
    """A storage could not do what it was asked. The text holds no secret."""

    def __init__(self, kind: str, doing: str, why: str) -> None:
        super().__init__(f"{kind}: {doing} failed: {why}"[:300])


class PictureMissing(StorageTrouble):
    """The storage answers, and does not have it."""


class BadName(StorageTrouble):
    """A name that we never made."""


class PictureStorage(Storage):
    """A Django storage that also reads ranges and knows the type of what it keeps.

    All methods raise StorageTrouble, or PictureMissing where nothing has the name.
    """

    kind: ClassVar[str]
    #: Whether what it has taken stays there until it is deleted.
    lasts: ClassVar[bool] = True

    def put(self, name: str, data: bytes, media_type: str) -> None:
        """Keep bytes under a name; the same name again replaces them."""
        raise NotImplementedError

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to, but without, ``stop``."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Delete; nothing happens if it is not there."""
        raise NotImplementedError

    def public_url(self, name: str) -> str:
        """Return the address that anybody can open, or nothing if there is none."""
        return ""

    def timed_url(self, name: str, seconds: int) -> str:
        """Return an address of the storage's own that ends, or nothing."""
        return ""

    def close(self) -> None:
        """Let go of open connections."""

    # Django's own names for the same.
    def _save(self, name: str, content: File) -> str:
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.put(name, content.read(), guessed)
        return name

    def _open(self, name: str, mode: str = "rb") -> File:
        if mode != "rb":
            raise ValueError("Pictures are only read through open().")
        return File(BytesIO(b"".join(self.chunks(name))), name=name)

    def delete(self, name: str) -> None:
        self.remove(name)

    def exists(self, name: str) -> bool:
        try:
            next(self.chunks(name, 0, 1), b"")
        except PictureMissing:
            return False
        return True

    def url(self, name: str | None) -> str:
        return self.public_url(name or "")

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        # Names are random: one that is taken is ours, and is replaced.
        return name

    def checked(self, name: str) -> str:
        """Return the name if it is one of ours. Raises BadName."""
        if not NAME.fullmatch(name):
            raise BadName(self.kind, "using a name", "it is none of ours")
        return name

    def trouble(self, doing: str, why: object) -> StorageTrouble:
        return StorageTrouble(self.kind, doing, str(why))

    def missing(self) -> PictureMissing:
        return PictureMissing(self.kind, "reading", "there is nothing of that name")


def http_range(start: int, stop: int | None) -> str:
    """Return the Range header for the bytes from ``start`` to ``stop``."""
    return f"bytes={start}-{'' if stop is None else stop - 1}"
