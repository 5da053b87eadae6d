"""The Range header of HTTP: one range of bytes, as RFC 9110, section 14 has it."""

import re

ONE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)


class Unsatisfiable(ValueError):
    """A range that begins behind the end."""


def one_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and stop (exclusive) of the range that is asked for.

    None means the whole: without a range, with several of them, or with one that is
    no range, all of which a server may answer so. Raises Unsatisfiable.
    """
    match = ONE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, stop


def _suffix(length: int, size: int) -> tuple[int, int]:
    """Return the last so many bytes."""
    if length == 0 or size == 0:
        raise Unsatisfiable
    return max(0, size - length), size
