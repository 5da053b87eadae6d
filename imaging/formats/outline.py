"""A picture file cut into its segments."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a file: all of it is ``start:end``, its content ``body:stop``."""

    kind: bytes
    start: int
    body: int
    stop: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def content(self, data: bytes) -> bytes:
        return data[self.body : self.stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a file says about itself before any pixel is decoded.

    ``end`` is where the picture ends; what follows belongs to something else.
    """

    width: int
    height: int
    frames: int
    end: int
    segments: tuple[Segment, ...] = ()


def joined(data: bytes, segments: tuple[Segment, ...]) -> bytes:
    """Return the bytes of these segments, one after the other."""
    view = memoryview(data)
    return b"".join(view[segment.start : segment.end] for segment in segments)
