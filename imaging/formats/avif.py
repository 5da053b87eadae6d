"""AVIF files: boxes of size, type and content (ISO 14496-12, section 4.2)."""

from imaging.bounds import Limits, broken, truncated
from imaging.formats.outline import Outline, Segment

BRANDS = (b"avif", b"avis")
_EXTENTS = b"ispe"


def outline(data: bytes, limits: Limits) -> Outline:
    """Cut an AVIF into its outer boxes; raises PictureRefused when it is cut off,
    broken or over a limit.

    The canvas is the largest that any item claims; how many frames there are only the
    decoder can tell.
    """
    segments: list[Segment] = []
    at = 0
    while at < len(data):
        segments.append(_box(data, at))
        limits.check_segments(len(segments))
        at = segments[-1].end
    about = next((s for s in segments if s.kind == b"meta"), None)
    if about is None:
        raise broken("it does not say what it holds")
    limits.check_metadata(about.size)
    width, height = _extents(about.content(data))
    return Outline(
        width=width, height=height, frames=1, end=at, segments=tuple(segments)
    )


def _box(data: bytes, at: int) -> Segment:
    size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
    body = at + 8
    if size == 1:
        size, body = int.from_bytes(data[body : body + 8], "big"), at + 16
    if at + size > len(data):
        raise truncated()
    if size < body - at or not kind.isascii():
        raise broken("a box has no size")
    return Segment(kind, at, body, at + size, at + size)


def _extents(about: bytes) -> tuple[int, int]:
    sides = []
    at = about.find(_EXTENTS)
    while at >= 0:
        wide = int.from_bytes(about[at + 8 : at + 12], "big")
        high = int.from_bytes(about[at + 12 : at + 16], "big")
        sides.append((wide, high))
        at = about.find(_EXTENTS, at + 4)
    if not sides:
        raise broken("it has no size")
    return max(wide for wide, _ in sides), max(high for _, high in sides)


def pixels_only(data: bytes, _found: Outline) -> bytes:
    """Return the file: its decoder reads boxes by place, so none can go."""
    return data


def trimmed(data: bytes, _found: Outline) -> bytes:
    """Return the file: it has no end of its own, what follows must be boxes."""
    return data
