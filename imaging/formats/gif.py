"""GIF files: blocks of sub-blocks (GIF89a specification)."""

from imaging.bounds import Limits, broken, truncated
from imaging.formats.outline import Outline, Segment

_SCREEN = 13
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_DESCRIPTOR = 10
#: Sub-blocks have up to 255 bytes, so a large file has many.
_MOST_SUB_BLOCKS = 1_000_000


def outline(data: bytes, limits: Limits) -> Outline:
    """Cut a GIF into blocks; raises PictureRefused when it is cut off, broken or over
    a limit. The canvas is what all frames together cover."""
    reader = _Reader(data)
    segments: list[Segment] = []
    width, height = _pair(data, 6)
    while reader.peek() != _TRAILER:
        segment = reader.block()
        segments.append(segment)
        limits.check_segments(len(segments))
        if segment.kind[0] == _IMAGE:
            left, top = _pair(data, segment.start + 1)
            wide, high = _pair(data, segment.start + 5)
            width, height = max(width, left + wide), max(height, top + high)
    frames = [s for s in segments if s.kind[0] == _IMAGE]
    if not frames:
        raise broken("it has no pixels")
    extras = (s.size for s in segments if s.kind[0] == _EXTENSION)
    limits.check_metadata(sum(extras))
    return Outline(
        width=width,
        height=height,
        frames=len(frames),
        end=reader.at + 1,
        segments=tuple(segments),
    )


def pixels_only(data: bytes, found: Outline) -> bytes:
    """Return the file with its first frame alone."""
    first = next(s for s in found.segments if s.kind[0] == _IMAGE)
    return data[: first.end] + bytes((_TRAILER,))


def trimmed(data: bytes, found: Outline) -> bytes:
    """Return the file without what follows it."""
    return data[: found.end]


def _pair(data: bytes, at: int) -> tuple[int, int]:
    if at + 4 > len(data):
        raise truncated()
    first = int.from_bytes(data[at : at + 2], "little")
    return first, int.from_bytes(data[at + 2 : at + 4], "little")


class _Reader:
    """Walks over the blocks of a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._sub_blocks = 0
        self.at = 0
        self.at = _SCREEN + self._table(10)

    def peek(self) -> int:
        return self._byte(self.at)

    def block(self) -> Segment:
        """Return the block here and go on to the next."""
        start, kind = self.at, self.peek()
        if kind == _EXTENSION:
            self.at += 2
        elif kind == _IMAGE:
            self.at += _DESCRIPTOR + self._table(start + 9) + 1
        else:
            raise broken("a block has no type")
        body = self.at
        self._skip_sub_blocks()
        return Segment(bytes((kind,)), start, body, self.at, self.at)

    def _byte(self, at: int) -> int:
        if at >= len(self._data):
            raise truncated()
        return self._data[at]

    def _table(self, at: int) -> int:
        """Return the size of the colour table that the flags at ``at`` tell of."""
        flags = self._byte(at)
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    def _skip_sub_blocks(self) -> None:
        while size := self._byte(self.at):
            self.at += size + 1
            self._sub_blocks += 1
            if self._sub_blocks > _MOST_SUB_BLOCKS:
                raise broken("it has too many blocks")
        self.at += 1
