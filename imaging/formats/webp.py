"""WebP files: a RIFF with chunks (Google's "WebP Container Specification")."""

from collections.abc import Iterator

from imaging.bounds import Limits, broken, truncated
from imaging.formats.outline import Outline, Segment

#: libwebp's longest side.
LONGEST_SIDE = 16_383

_FILE_HEAD = 12
_CHUNK_HEAD = 8
_HAS_XMP, _HAS_ALPHA = 0x04, 0x10
_PIXELS = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_MANIFEST = b"C2PA"


def outline(data: bytes, limits: Limits) -> Outline:
    """Cut a WebP into chunks; raises PictureRefused when it is cut off, broken or over
    a limit."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise truncated()
    segments: list[Segment] = []
    for chunk in _chunks(data, end):
        segments.append(chunk)
        limits.check_segments(len(segments))
    if not segments:
        raise broken("it is empty")
    width, height, _ = _canvas(data, segments[0])
    metadata = sum(chunk.size for chunk in segments if chunk.kind not in _PIXELS)
    limits.check_metadata(metadata)
    return Outline(
        width=width,
        height=height,
        frames=max(1, sum(chunk.kind == b"ANMF" for chunk in segments)),
        end=end,
        segments=tuple(segments),
    )


def _chunks(data: bytes, end: int) -> Iterator[Segment]:
    at = _FILE_HEAD
    while at < end:
        if at + _CHUNK_HEAD > end:
            raise broken("a chunk is cut off")
        stop = at + _CHUNK_HEAD + int.from_bytes(data[at + 4 : at + 8], "little")
        if stop > end:
            raise broken("a chunk is longer than the file")
        # Some writers leave out the padding of the last chunk.
        after = min(stop + stop % 2, end)
        yield Segment(data[at : at + 4], at, at + _CHUNK_HEAD, stop, after)
        at = after


def _canvas(data: bytes, first: Segment) -> tuple[int, int, bool]:
    """Return width, height and whether there is transparency."""
    at = first.body
    if first.kind == b"VP8X" and first.stop - at >= 10:
        wide = int.from_bytes(data[at + 4 : at + 7], "little")
        high = int.from_bytes(data[at + 7 : at + 10], "little")
        return wide + 1, high + 1, bool(data[at] & _HAS_ALPHA)
    if first.kind == b"VP8L" and data[at : at + 1] == b"\x2f":
        bits = int.from_bytes(data[at + 1 : at + 5], "little")
        wide, high = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return wide, high, bool(bits >> 28 & 1)
    if first.kind == b"VP8 " and data[at + 3 : at + 6] == b"\x9d\x01\x2a":
        wide = int.from_bytes(data[at + 6 : at + 8], "little") & 0x3FFF
        high = int.from_bytes(data[at + 8 : at + 10], "little") & 0x3FFF
        return wide, high, False
    raise broken("it does not begin with a header")


def pixels_only(data: bytes, found: Outline) -> bytes:
    """Return the file without metadata."""
    chunks = [
        data[chunk.start : chunk.end]
        for chunk in found.segments
        if chunk.kind in _PIXELS
    ]
    return _file(chunks)


def trimmed(data: bytes, found: Outline) -> bytes:
    """Return the file without what follows it."""
    return data[: found.end]


def icc(data: bytes, found: Outline, limits: Limits) -> bytes:
    """Return the colour profile, or nothing."""
    return _first(b"ICCP", data, found)[: limits.metadata]


def exif(data: bytes, found: Outline) -> bytes:
    """Return the EXIF block without a prefix, which some writers put there."""
    return _first(b"EXIF", data, found).removeprefix(b"Exif\0\0")


def xmp(data: bytes, found: Outline, limits: Limits) -> bytes:
    """Return the XMP packet, or nothing."""
    return _first(b"XMP ", data, found)[: limits.metadata]


def _first(kind: bytes, data: bytes, found: Outline) -> bytes:
    blocks = [c.content(data) for c in found.segments if c.kind == kind]
    return blocks[0] if blocks else b""


def has_manifest(data: bytes, found: Outline) -> bool:
    """Does the file hold a C2PA manifest?"""
    return any(chunk.kind == _MANIFEST for chunk in found.segments)


def with_xmp(data: bytes, found: Outline, packet: bytes) -> bytes:
    """Return the file with this XMP packet instead of any other, at its end.

    A simple file becomes an extended one. A C2PA manifest goes: its hash is that of
    the file as it was.
    """
    kept = [chunk for chunk in found.segments if chunk.kind not in (b"XMP ", _MANIFEST)]
    head = _extended(data, found, kept[0])
    rest = kept[1:] if kept[0].kind == b"VP8X" else kept
    bodies = [chunk_of(chunk.kind, chunk.content(data)) for chunk in rest]
    return _file([chunk_of(b"VP8X", head), *bodies, chunk_of(b"XMP ", packet)])


def _extended(data: bytes, found: Outline, first: Segment) -> bytes:
    """Return the content of a VP8X chunk that tells of XMP."""
    if first.kind == b"VP8X":
        content = first.content(data)
        return bytes((content[0] | _HAS_XMP,)) + content[1:]
    alpha = _HAS_ALPHA if _canvas(data, first)[2] else 0
    wide = (found.width - 1).to_bytes(3, "little")
    high = (found.height - 1).to_bytes(3, "little")
    return bytes((_HAS_XMP | alpha, 0, 0, 0)) + wide + high


def chunk_of(kind: bytes, content: bytes) -> bytes:
    """Return a whole chunk."""
    padding = b"\0" * (len(content) % 2)
    return kind + len(content).to_bytes(4, "little") + content + padding


def _file(chunks: list[bytes]) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content
