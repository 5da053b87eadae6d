"""Server-sent events: bytes from the network in, data payloads out."""

from typing import Final

_FIELDS: Final = (b"event", b"id", b"retry", b"data")
_STRAY_LIMIT: Final = 64 * 1024
#: A picture of 4K in base64 has some 30 MB; nothing that anybody sends has this.
LARGEST_EVENT: Final = 128 * 1024 * 1024


#: What even an empty line takes in memory, about.
_LINE_COST: Final = 48


class EventTooLarge(Exception):
    """One event is over the bound: its end may never come."""


class SSEDecoder:
    """Cuts a byte stream into the data payloads of its events.

    Lines end in LF, CR or CRLF, and the stream may be split anywhere. Several
    ``data`` lines of one event are joined with a line feed; comments and the fields
    ``event``, ``id`` and ``retry`` are dropped (WHATWG HTML, "server-sent events").
    ``stray`` collects lines that are no SSE at all, the first 64 KiB of them: some
    servers answer with a bare JSON error where a stream was asked for.

    ``feed`` raises EventTooLarge for an event of more than ``largest`` bytes.
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_data_size",
        "_largest",
        "_pieces",
        "_pieces_size",
        "stray",
    )

    def __init__(self, largest: int = LARGEST_EVENT) -> None:
        self._largest = largest
        self._data_size = 0
        self._pieces_size = 0
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._after_cr = False
        self.stray = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take what one read brought; return the payloads that it completed."""
        if not self._pieces and not self._data and _is_one_event(chunk):
            return [chunk[6:].rstrip(b"\r\n")]
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            # Joining only at line ends keeps a 20 MB line linear in its length.
            if chunk:
                self._pieces.append(chunk)
                self._pieces_size += len(chunk)
                self._check_size()
            return []
        self._after_cr = chunk.endswith(b"\r")
        return self._take(chunk)

    def flush(self) -> list[bytes]:
        """End the stream; return the last event if its blank line is missing."""
        lines = [b"".join(self._pieces), b""]
        self._pieces = []
        return self._read_lines(lines)

    def _take(self, chunk: bytes) -> list[bytes]:
        if self._pieces:
            chunk = b"".join((*self._pieces, chunk))
            self._pieces = []
        lines = chunk.splitlines()
        self._pieces_size = 0
        if not chunk.endswith((b"\n", b"\r")):
            self._pieces.append(lines.pop())
            self._pieces_size = len(self._pieces[0])
        payloads = self._read_lines(lines)
        self._check_size()
        return payloads

    def _check_size(self) -> None:
        if self._pieces_size + self._data_size > self._largest:
            raise EventTooLarge

    def _read_lines(self, lines: list[bytes]) -> list[bytes]:
        payloads = []
        for line in lines:
            if line:
                self._read_line(line)
            elif self._data:
                payloads.append(b"\n".join(self._data))
                self._data = []
                self._data_size = 0
        return payloads

    def _read_line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_size += len(value) + _LINE_COST
        elif name and name not in _FIELDS and len(self.stray) < _STRAY_LIMIT:
            self.stray += line[:_STRAY_LIMIT] + b"\n"


def _is_one_event(chunk: bytes) -> bool:
    """Is this read exactly one event of one ``data: `` line, as it nearly always is?"""
    if not chunk.startswith(b"data: "):
        return False
    if chunk.endswith(b"\r\n\r\n"):
        end = len(chunk) - 4
    elif chunk.endswith(b"\n\n"):
        end = len(chunk) - 2
    else:
        return False
    return chunk.find(b"\n", 0, end) < 0 and chunk.find(b"\r", 0, end) < 0
