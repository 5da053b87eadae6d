"""JSON from a model that knows no response format: asked for in the prompt, checked."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from proxy.errors import BadAnswer, BadRequest, UpstreamRefused
from proxy.wire.gemini_answer import Json
from proxy.wire.loose_json import Found, find_json
from proxy.wire.schema_fit import Misfit, fitted, readable
from proxy.wire.web_blocks import CAUSE

_SCHEMAS = ("responseJsonSchema", "_responseJsonSchema", "responseSchema")
_ENUM = "text/x.enum"
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^`\n]*\n\s*", re.MULTILINE)
_START = re.compile(r"\\?[\[{]")
#: So many places where JSON may begin are tried.
_MOST_TRIES = 50
_FENCED = re.compile(r"\A\s*`{3,}[^`\n]*\n(.*?)\n?[ \t]*`{3,}\s*\Z", re.DOTALL)
_QUOTES = " \t\r\n\"'`*."
_RULES = """\
Give your final answer as JSON only: one code block that says json, with no words before \
or after it."""
_CHOICE = "Give your final answer as exactly one of these words, and nothing else:"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSchema:
    """The form of the final answer: a ``schema`` ({} for any JSON), or with ``words``
    one of these as plain text. ``instructions`` tell the model."""

    schema: Json = field(repr=False)
    words: tuple[str, ...] = ()
    instructions: str = field(repr=False)

    def read(self, text: str) -> str:
        """Return the answer in this form, and nothing around it.

        Raises BadAnswer if it is not there, or does not fit.
        """
        if self.words:
            return self._word(text)
        misfit = None
        for value in _candidates(text):
            try:
                return orjson.dumps(fitted(value, self.schema)).decode()
            except Misfit as error:
                misfit = misfit or error
        if misfit is None:
            raise BadAnswer("The model's answer is no JSON.", cause=CAUSE)
        raise BadAnswer(
            f"The model's answer does not fit the schema: {misfit}.", cause=CAUSE
        )

    def _word(self, text: str) -> str:
        fenced = _FENCED.match(text)
        said = (fenced[1] if fenced else text).replace("\\", "").strip(_QUOTES)
        for word in self.words:
            if said == word.replace("\\", "").strip(_QUOTES):
                return word
        raise BadAnswer("The model's answer is none of the choices.", cause=CAUSE)


def read_schema(config: Json) -> WebSchema | None:
    """Return the form that a normalised generationConfig asks for; None for free text.

    Raises UpstreamRefused for a schema that nobody could follow.
    """
    mime = config.get("responseMimeType")
    given = next((config[n] for n in _SCHEMAS if config.get(n) is not None), None)
    if mime not in ("application/json", _ENUM) and given is None:
        return None
    try:
        schema = {} if given is None else readable(given, "The response schema")
    except BadRequest as error:
        raise UpstreamRefused(error.message) from error
    if mime == _ENUM:
        return _choice(schema)
    shown = orjson.dumps(schema).decode()
    more = f" It must be valid under this JSON Schema:\n{shown}" if schema else ""
    return WebSchema(schema=schema, instructions=_RULES + more)


def _choice(schema: Json) -> WebSchema:
    words = [word for word in schema.get("enum") or () if isinstance(word, str)]
    if not words:
        raise UpstreamRefused(f"{_ENUM} needs a schema of STRING type with an enum.")
    listed = "\n".join(words)
    return WebSchema(
        schema=schema, words=tuple(words), instructions=f"{_CHOICE}\n{listed}"
    )


def _candidates(text: str) -> Iterator[Any]:
    """Yield JSON values of a text: what fills it or a fence, then whatever begins like
    one, the longest first."""
    whole = _FENCED.match(text)
    with suppress(ValueError):
        yield orjson.loads(whole[1] if whole else text)
    for fence in islice(_FENCE.finditer(text), _MOST_TRIES):
        start = _START.match(text, fence.end())
        found = None if start is None else _json_at(text, start.start())
        if found is not None:
            yield found.value
    pieces, end = [], 0
    for start in islice(_START.finditer(text), _MOST_TRIES):
        found = None if start.start() < end else _json_at(text, start.start())
        if found is not None:
            end = found.end
            pieces.append((end - start.start(), found.value))
    for _, value in sorted(pieces, key=lambda piece: piece[0], reverse=True):
        yield value


def _json_at(text: str, place: int) -> Found | None:
    try:
        return find_json(text, place)
    except ValueError:
        return None
