"""PNG files: chunks of length, type, content and checksum (W3C PNG, section 5)."""

import zlib
from collections.abc import Iterator

from imaging.bounds import Limits, broken, truncated
from imaging.formats.outline import Outline, Segment, joined

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp"
#: The chunk of a C2PA manifest (C2PA specification, "Embedding manifests into PNG").
MANIFEST = b"caBX"

_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_FRAMES = frozenset({b"fcTL", b"fdAT"})
_EMPTY_CHUNK = 12


def outline(data: bytes, limits: Limits) -> Outline:
    """Cut a PNG into chunks; raises PictureRefused when it is cut off, broken or
    over a limit, compressed texts and profiles included."""
    segments: list[Segment] = []
    for chunk in _chunks(data):
        segments.append(chunk)
        limits.check_segments(len(segments))
    head = segments[0]
    if head.kind != b"IHDR" or head.stop - head.body != 13:
        raise broken("it does not begin with a header")
    if not any(chunk.kind == b"IDAT" for chunk in segments):
        raise broken("it has no pixels")
    found = Outline(
        width=int.from_bytes(data[head.body : head.body + 4], "big"),
        height=int.from_bytes(data[head.body + 4 : head.body + 8], "big"),
        frames=max(1, sum(chunk.kind == b"fcTL" for chunk in segments)),
        end=segments[-1].end,
        segments=tuple(segments),
    )
    _check_metadata(data, found, limits)
    return found


def _chunks(data: bytes) -> Iterator[Segment]:
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if at + _EMPTY_CHUNK > len(data):
            raise truncated()
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if not kind.isalpha():
            raise broken("a chunk has no name")
        end = at + _EMPTY_CHUNK + length
        if end > len(data):
            raise truncated()
        yield Segment(kind, at, at + 8, end - 4, end)
        at = end


def _check_metadata(data: bytes, found: Outline, limits: Limits) -> None:
    total = 0
    for chunk in found.segments:
        if chunk.kind in _PIXELS or chunk.kind in _FRAMES:
            continue
        total += chunk.size
        packed = _packed(chunk, data)
        if packed:
            total += len(_unpacked(packed, limits.metadata - total + 1))
        limits.check_metadata(total)


def _packed(chunk: Segment, data: bytes) -> bytes:
    """Return the compressed part of a chunk that has one."""
    if chunk.kind not in (b"zTXt", b"iCCP", b"iTXt"):
        return b""
    _, _, rest = chunk.content(data).partition(b"\0")
    if chunk.kind != b"iTXt":
        return rest[1:]
    return rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b""


def _unpacked(packed: bytes, most: int) -> bytes:
    """Return at most ``most`` bytes of what was compressed, nothing if it is broken."""
    try:
        return zlib.decompressobj().decompress(packed, max(most, 1))
    except zlib.error:
        return b""


def pixels_only(data: bytes, found: Outline) -> bytes:
    """Return the file with nothing but its first picture."""
    return SIGNATURE + joined(
        data, tuple(chunk for chunk in found.segments if chunk.kind in _PIXELS)
    )


def trimmed(data: bytes, found: Outline) -> bytes:
    """Return the file without what follows it."""
    return data[: found.end]


def icc(data: bytes, found: Outline, limits: Limits) -> bytes:
    """Return the colour profile, or nothing."""
    for chunk in found.segments:
        if chunk.kind == b"iCCP":
            return _unpacked(_packed(chunk, data), limits.metadata)
    return b""


def exif(data: bytes, found: Outline) -> bytes:
    """Return the EXIF block without a prefix, or nothing."""
    blocks = [c.content(data) for c in found.segments if c.kind == b"eXIf"]
    return blocks[0] if blocks else b""


def xmp(data: bytes, found: Outline, limits: Limits) -> bytes:
    """Return the XMP packet, or nothing."""
    for chunk in found.segments:
        if not _is_xmp(chunk, data):
            continue
        packed = _packed(chunk, data)
        if packed:
            return _unpacked(packed, limits.metadata)
        return chunk.content(data)[len(XMP) + 3 :].split(b"\0", 2)[-1]
    return b""


def _is_xmp(chunk: Segment, data: bytes) -> bool:
    return chunk.kind == b"iTXt" and data.startswith(XMP + b"\0", chunk.body)


def has_manifest(data: bytes, found: Outline) -> bool:
    """Does the file hold a C2PA manifest?"""
    return any(chunk.kind == MANIFEST for chunk in found.segments)


def with_xmp(data: bytes, found: Outline, packet: bytes) -> bytes:
    """Return the file with this XMP packet instead of any other, before the pixels.

    A C2PA manifest goes: its hash is that of the file as it was.
    """
    kept = tuple(
        chunk
        for chunk in found.segments
        if chunk.kind != MANIFEST and not _is_xmp(chunk, data)
    )
    first = next(i for i, chunk in enumerate(kept) if chunk.kind == b"IDAT")
    before, after = joined(data, kept[:first]), joined(data, kept[first:])
    text = chunk_of(b"iTXt", XMP + b"\0\0\0\0\0" + packet)
    return SIGNATURE + before + text + after


def chunk_of(kind: bytes, content: bytes) -> bytes:
    """Return a whole chunk."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    length = len(content).to_bytes(4, "big")
    return length + kind + content + checksum.to_bytes(4, "big")
