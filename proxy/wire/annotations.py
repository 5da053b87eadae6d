"""Where a Gemini answer cites its sources, as OpenAI url_citation annotations.

Google counts the UTF-8 bytes of the text it wrote; OpenAI counts the characters of
the content that the caller sees, which may also hold pictures and code blocks that
the gateway put between the texts.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.wire.gemini_answer import Json, dicts, indices_of, mapping

_SOURCES = ("web", "maps", "retrievedContext", "image")


class _Ruler:
    """Turns byte offsets of a text into character offsets."""

    def __init__(self, text: str) -> None:
        self._data = text.encode()
        self._ascii = len(self._data) == len(text)
        self._known = [(0, 0)]

    def char(self, offset: int) -> int:
        """Return the character that holds this byte; outside is clamped."""
        data = self._data
        offset = min(max(offset, 0), len(data))
        if self._ascii:
            return offset
        while offset < len(data) and data[offset] & 0xC0 == 0x80:
            offset -= 1
        at = bisect_right(self._known, (offset, len(data))) - 1
        byte, char = self._known[at]
        if byte != offset:
            char += len(data[byte:offset].decode())
            insort(self._known, (offset, char))
        return char


class Transcript:
    """The visible content of one choice while it grows.

    ``say`` takes text that the model wrote, ``insert`` text that the gateway put in.
    """

    __slots__ = ("_marks", "pieces", "say")

    def __init__(self) -> None:
        self.pieces: list[str | tuple[str]] = []
        #: bound once: it is called for every streamed text
        self.say = self.pieces.append
        self._marks: dict[int, int] = {}

    def insert(self, text: str) -> None:
        """Add text that Google's offsets do not count."""
        self.pieces.append((text,))

    def mark(self, part_index: int) -> None:
        """Remember that the part with this index starts here (whole answers only)."""
        self._marks[part_index] = len(self.pieces)

    def annotations(
        self, grounding: Mapping[str, Any] | None, citations: Mapping[str, Any] | None
    ) -> list[Json]:
        """Return the url_citation annotations of this choice.

        One per pair of grounding support and source, (0, 0) for a source that no
        support names, then those of citationMetadata. The API reference defines both
        kinds of offsets as bytes, grounding's as counted within its part.
        """
        if not grounding and not citations:
            return []
        places = _Places(self.pieces, self._marks)
        found = list(_grounded(mapping(grounding), places))
        found += _cited(mapping(citations), places)
        return found


class _Places:
    """Finds Google's segments in the visible content."""

    def __init__(self, pieces: list[str | tuple[str]], marks: dict[int, int]) -> None:
        self._starts: list[int] = []
        self._shifts: list[int] = []
        bytes_before: list[int] = []
        chars = inserted = size = 0
        for piece in pieces:
            bytes_before.append(size)
            if isinstance(piece, tuple):
                inserted += len(piece[0])
                continue
            self._starts.append(chars)
            self._shifts.append(inserted)
            chars += len(piece)
            size += len(piece.encode())
        bytes_before.append(size)
        self._bases = {part: bytes_before[at] for part, at in marks.items()}
        self._text = "".join(piece for piece in pieces if isinstance(piece, str))
        self._ruler = _Ruler(self._text)

    def span(self, segment: Json) -> tuple[int, int]:
        """Return (start, end) of a segment in the visible content.

        Its ``text``, where given, tells which of the two ways to count was meant,
        and is searched for when neither fits.
        """
        start, end = _int(segment.get("startIndex")), _int(segment.get("endIndex"))
        quote = str(segment.get("text") or "")
        spans = []
        for base in (self._bases.get(_int(segment.get("partIndex")), 0), 0):
            span = self._ruler.char(base + start), self._ruler.char(base + end)
            if not quote or self._text[span[0] : span[1]] == quote:
                return self._visible(*span)
            spans.append(span)
        near = self._nearest(quote, spans[0][0])
        if near is None:
            return self._visible(*spans[0])
        return self._visible(near, near + len(quote))

    def _nearest(self, quote: str, start: int) -> int | None:
        after = self._text.find(quote, start)
        before = self._text.rfind(quote, 0, start + len(quote))
        found = [at for at in (before, after) if at >= 0]
        return min(found, key=lambda at: abs(at - start)) if found else None

    def _visible(self, start: int, end: int) -> tuple[int, int]:
        if end <= start:
            return self._shown(start), self._shown(start)
        return self._shown(start), self._shown(end - 1) + 1

    def _shown(self, char: int) -> int:
        at = bisect_right(self._starts, char) - 1
        return char + self._shifts[at] if at >= 0 else char


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _annotation(span: tuple[int, int], url: str, title: str) -> Json:
    place = {"start_index": span[0], "end_index": span[1], "url": url, "title": title}
    return {"type": "url_citation", "url_citation": place}


def _source(chunk: Json) -> tuple[str, str] | None:
    for name in _SOURCES:
        source = mapping(chunk.get(name))
        url = source.get("uri") or source.get("sourceUri")
        if url:
            return str(url), str(source.get("title") or url)
    return None


def _grounded(grounding: Json, places: _Places) -> Iterator[Json]:
    sources = [_source(chunk) for chunk in dicts(grounding.get("groundingChunks"))]
    supported: set[int] = set()
    for support in dicts(grounding.get("groundingSupports")):
        span = places.span(mapping(support.get("segment")))
        for index in indices_of(support):
            source = sources[index] if 0 <= index < len(sources) else None
            supported.add(index)
            if source:
                yield _annotation(span, *source)
    for index, source in enumerate(sources):
        if source and index not in supported:
            yield _annotation((0, 0), *source)


def _cited(citations: Json, places: _Places) -> Iterator[Json]:
    listed = citations.get("citationSources") or citations.get("citations")
    for source in dicts(listed):
        url = source.get("uri")
        if url:
            title = str(source.get("title") or url)
            yield _annotation(places.span({**source, "text": ""}), str(url), title)
