"""JPEG files: marker segments and entropy-coded scans (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator

from imaging.bounds import Limits, PictureRefused, broken, truncated
from imaging.formats.outline import Outline, Segment, joined

SIGNATURE = b"\xff\xd8\xff"
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
#: What one segment can hold (its length counts itself, in 16 bits).
MOST_CONTENT = 0xFFFF - 2

_ICC = b"ICC_PROFILE\0"
_MORE_PICTURES = b"MPF\0"
_EOI, _SOS = 0xD9, 0xDA
_APPS = range(0xE0, 0xF0)
_APP0, _APP1, _APP2, _APP11, _APP14, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE, 0xFE
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
#: A marker inside a scan: neither a stuffed byte, nor a restart, nor filling.
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_MOST_SCANS = 100
#: Decoding costs one pass over all pixels for every scan; common files have ten.
_COMMON_SCANS = 16


def outline(data: bytes, limits: Limits) -> Outline:
    """Cut a JPEG into segments; raises PictureRefused when it is cut off, broken or
    over a limit, with more scans than anybody needs among them."""
    segments: list[Segment] = []
    for segment in _segments(data):
        segments.append(segment)
        limits.check_segments(len(segments))
    headers = [s for s in segments if _code(s) in _FRAME_HEADERS]
    scans = sum(_code(s) == _SOS for s in segments)
    if len(headers) != 1 or not scans or headers[0].stop - headers[0].body < 6:
        raise broken("it needs one header and a scan")
    at = headers[0].body
    found = Outline(
        height=int.from_bytes(data[at + 1 : at + 3], "big"),
        width=int.from_bytes(data[at + 3 : at + 5], "big"),
        frames=1,
        end=segments[-1].end,
        segments=tuple(segments),
    )
    limits.check_canvas(found.width, found.height)
    _check_scans(scans, found, limits)
    limits.check_metadata(sum(s.size for s in segments if _is_metadata(s)))
    return found


def _check_scans(scans: int, found: Outline, limits: Limits) -> None:
    work = scans * found.width * found.height
    if scans > _MOST_SCANS or work > _COMMON_SCANS * limits.pixels:
        raise PictureRefused("broken", "The picture has too many scans for its size.")


def _segments(data: bytes) -> Iterator[Segment]:
    at, code = 2, 0
    while code != _EOI:
        start = at
        if data[at : at + 1] != b"\xff":
            raise truncated() if at >= len(data) else broken("a marker is missing")
        while data[at : at + 1] == b"\xff":
            at += 1
        if at >= len(data):
            raise truncated()
        code, at = data[at], at + 1
        body, stop = at, at
        if code != _EOI and code not in _BARE:
            body, stop = at + 2, at + int.from_bytes(data[at : at + 2], "big")
            if stop < body:
                raise broken("a segment has no length")
            if stop > len(data):
                raise truncated()
            at = stop
        if code == _SOS:
            at = _end_of_scan(data, at)
        yield Segment(bytes((code,)), start, body, stop, at)


def _end_of_scan(data: bytes, at: int) -> int:
    marker = _MARKER.search(data, at)
    if marker is None:
        raise truncated()
    return marker.start()


def _code(segment: Segment) -> int:
    return segment.kind[0]


def _is_metadata(segment: Segment) -> bool:
    code = _code(segment)
    return code == _COMMENT or (code in _APPS and code not in (_APP0, _APP14))


def pixels_only(data: bytes, found: Outline) -> bytes:
    """Return the file without comments and application data; what tells how its
    colours are coded stays."""
    return data[:2] + joined(
        data, tuple(s for s in found.segments if not _is_metadata(s))
    )


def trimmed(data: bytes, found: Outline) -> bytes:
    """Return the file without what follows it, and without the index of further
    pictures that were there (CIPA DC-007)."""
    if found.end == len(data):
        return data
    kept = tuple(s for s in found.segments if not _is(s, data, _APP2, _MORE_PICTURES))
    return data[:2] + joined(data, kept)


def _is(segment: Segment, data: bytes, code: int, prefix: bytes) -> bool:
    return _code(segment) == code and data.startswith(prefix, segment.body)


def icc(data: bytes, found: Outline, limits: Limits) -> bytes:
    """Return the colour profile, or nothing; it may stand in many segments, each with
    its number (ICC.1, annex B.4)."""
    pieces = {
        data[s.body + len(_ICC)]: data[s.body + len(_ICC) + 2 : s.stop]
        for s in found.segments
        if _is(s, data, _APP2, _ICC) and s.stop > s.body + len(_ICC) + 2
    }
    return b"".join(pieces[number] for number in sorted(pieces))[: limits.metadata]


def exif(data: bytes, found: Outline) -> bytes:
    """Return the EXIF block without its prefix, or nothing."""
    return _after(EXIF, data, found)


def xmp(data: bytes, found: Outline, limits: Limits) -> bytes:
    """Return the XMP packet, or nothing; extended XMP is not looked into."""
    return _after(XMP, data, found)[: limits.metadata]


def _after(prefix: bytes, data: bytes, found: Outline) -> bytes:
    for segment in found.segments:
        if _is(segment, data, _APP1, prefix):
            return data[segment.body + len(prefix) : segment.stop]
    return b""


def has_manifest(data: bytes, found: Outline) -> bool:
    """Does the file hold a C2PA manifest?"""
    return bool(_manifests(data, found))


def _manifests(data: bytes, found: Outline) -> set[bytes]:
    """Return the instance numbers of the JUMBF boxes that are C2PA manifests: a box
    goes on in further segments of the same number (ISO 19566-5, D.2)."""
    return {
        data[s.body + 2 : s.body + 4]
        for s in found.segments
        if _is(s, data, _APP11, b"JP") and b"c2pa" in s.content(data)
    }


def with_xmp(data: bytes, found: Outline, packet: bytes) -> bytes:
    """Return the file with this XMP packet instead of any other, after EXIF.

    A C2PA manifest goes: its hash is that of the file as it was. Raises
    PictureRefused for a packet that one segment cannot hold.
    """
    content = XMP + packet
    if len(content) > MOST_CONTENT:
        raise PictureRefused("metadata_full", "A JPEG cannot hold so much XMP.")
    manifests = _manifests(data, found)
    kept = tuple(
        s
        for s in found.segments
        if not _is(s, data, _APP1, XMP)
        and not (
            _is(s, data, _APP11, b"JP") and data[s.body + 2 : s.body + 4] in manifests
        )
    )
    first = next(
        i
        for i, s in enumerate(kept)
        if _code(s) != _APP0 and not _is(s, data, _APP1, EXIF)
    )
    text = b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    return data[:2] + joined(data, kept[:first]) + text + joined(data, kept[first:])
