"""Forms (multipart/form-data) of callers, read whole from their bytes."""

from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MOST_PARTS: Final = 200
MOST_HEADERS: Final = 8
LONGEST_HEADER: Final = 2048
_FORM: Final = b"multipart/form-data"


class BadForm(ValueError):
    """The body is no form, or not a whole one; the text says why."""


@dataclass(slots=True)
class Part:
    """A part of a form; ``filename`` is None where none was said."""

    name: str
    filename: str | None = None
    content_type: str = ""
    content: bytes = field(default=b"", repr=False)


def is_form(content_type: str) -> bool:
    """Tell whether a Content-Type says that the body is such a form."""
    return content_type.partition(";")[0].strip().lower().encode() == _FORM


def read_parts(content: bytes, content_type: str) -> list[Part]:
    """Return the parts of a form in their order. Raises BadForm.

    Sync; a large form belongs in a thread.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadForm("Content-Type names no boundary")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            reader.callbacks(),
            max_header_count=MOST_HEADERS,
            max_header_size=LONGEST_HEADER,
        )
        parser.write(content)
    except FormParserError:
        raise BadForm("it is not made as its boundary says") from None
    if not reader.ended:
        raise BadForm("it ends too early")
    return reader.parts


class _Reader:
    """Gathers what the parser tells: headers and data in pieces."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._headers: dict[bytes, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._pieces: list[bytes] = []

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headed,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MOST_PARTS:
            raise BadForm(f"it has more than {MOST_PARTS} parts")
        self._headers, self._pieces = {}, []

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _headed(self) -> None:
        said = self._headers.get(b"content-disposition", b"").decode("latin-1")
        kind, options = parse_options_header(said)
        name = options.get(b"name")
        if kind != b"form-data" or not name:
            raise BadForm("one of its parts has no name")
        filename = options.get(b"filename")
        media_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self.parts.append(
            Part(
                name.decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                media_type,
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _part_end(self) -> None:
        self.parts[-1].content = b"".join(self._pieces)
        self._pieces = []

    def _end(self) -> None:
        self.ended = True
