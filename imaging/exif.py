"""The one thing that matters in EXIF here: which way up the picture is."""

from typing import Literal

_ORIENTATION = 0x0112
_SHORT = 3
_ENTRY = 12
#: A camera writes a few dozen entries.
_MOST_ENTRIES = 1000


def orientation(block: bytes) -> int:
    """Return the orientation (1 to 8) that an EXIF block tells; 1 if it tells none
    (EXIF 2.3, section 4.6.4)."""
    at = _place(block)
    if at is None:
        return 1
    value = int.from_bytes(block[at : at + 2], _order(block))
    return value if 1 <= value <= 8 else 1


def upright(block: bytes) -> bytes:
    """Return the block with orientation 1, for pixels that have been turned."""
    at = _place(block)
    if at is None:
        return block
    return block[:at] + (1).to_bytes(2, _order(block)) + block[at + 2 :]


def _order(block: bytes) -> Literal["little", "big"]:
    return "little" if block[:2] == b"II" else "big"


def _place(block: bytes) -> int | None:
    """Return where the orientation's value stands in the first directory."""
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order = _order(block)
    start = int.from_bytes(block[4:8], order)
    count = int.from_bytes(block[start : start + 2], order)
    for index in range(min(count, _MOST_ENTRIES)):
        at = start + 2 + index * _ENTRY
        tag, kind = block[at : at + 2], block[at + 2 : at + 4]
        if at + _ENTRY > len(block):
            return None
        if int.from_bytes(tag, order) == _ORIENTATION:
            return at + 8 if int.from_bytes(kind, order) == _SHORT else None
    return None
