"""JSON as models write it: in the midst of a text, and almost JSON."""

import json
import re
from typing import Any, NamedTuple

import orjson

from proxy.wire.openai_fields import nests_deeper

_TOKENS = re.compile(r'["{}\[\],\x00-\x1f]|\\.?|[^"\\{}\[\],\x00-\x1f]+', re.DOTALL)
_ESCAPES = frozenset('"\\/bfnrtu')
_CLOSERS = {"{": "}", "[": "]"}


class Found(NamedTuple):
    """A JSON value, and the place behind it."""

    value: Any
    end: int


def find_json(text: str, start: int) -> Found | None:
    """Return the object or array that begins at ``start``; None if it has no end yet.

    What models and Markdown do to JSON is mended: backslashes before characters that
    need none (``get\\_weather``), commas before a closing bracket, line breaks inside
    strings. Valid JSON is read as it is. Raises ValueError for what is no JSON even
    then, or nests too deeply.
    """
    mender = _Mender()
    for token in _TOKENS.finditer(text, start):
        mender.take(token[0])
        if not mender.open:
            value = orjson.loads("".join(mender.out))
            if nests_deeper(value):
                raise ValueError("nested too deeply")
            return Found(value, token.end())
    return None


class _Mender:
    """Copies one JSON value piece by piece, without what makes it invalid."""

    def __init__(self) -> None:
        self.out: list[str] = []
        #: The closing brackets that are still to come.
        self.open: list[str] = []
        self._quoted = False

    def take(self, piece: str) -> None:
        if piece[0] == "\\" and not (self._quoted and piece[1:] in _ESCAPES):
            piece = piece[1:]
        if self._quoted:
            self._take_letters(piece)
        else:
            self._take_mark(piece)

    def _take_letters(self, piece: str) -> None:
        if piece == '"':
            self._quoted = False
        elif piece < " ":
            piece = json.dumps(piece)[1:-1]
        self.out.append(piece)

    def _take_mark(self, piece: str) -> None:
        if piece == '"':
            self._quoted = True
        elif piece in _CLOSERS:
            self.open.append(_CLOSERS[piece])
        elif piece in ("}", "]"):
            if not self.open or self.open.pop() != piece:
                raise ValueError("brackets that do not match")
            self._drop_comma()
        self.out.append(piece)

    def _drop_comma(self) -> None:
        place = len(self.out) - 1
        while place > 0 and not self.out[place].strip():
            place -= 1
        if self.out[place] == ",":
            del self.out[place]
