"""What tools answered: the content of tool messages as functionResponse."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.wire.openai_fields import nests_deeper, record, text, wrong
from proxy.wire.openai_media import MediaReader

#: The response for a call whose result the client did not send.
NO_RESULT = {"error": "The result of this call is not known."}

#: Media that Gemini 3 takes inside a functionResponse.
_INSIDE = frozenset(
    {"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"}
)


@dataclass(slots=True)
class Result:
    """A tool's answer: the response object, the media that go inside the
    functionResponse, and the media that have to stand after it."""

    response: dict[str, Any]
    inner: list[dict[str, Any]] = field(default_factory=list)
    outer: list[dict[str, Any]] = field(default_factory=list)


def read_result(content: object, param: str, media: MediaReader) -> Result:
    """Translate the content of a tool message.

    A JSON object is the response; anything else goes under ``result``, because
    Gemini takes objects only. Media go inside on Gemini 3 where it allows their type,
    and after the response otherwise. Raises BadRequest for malformed content.
    """
    if content is None or isinstance(content, str):
        return Result(_response(content or ""))
    if not isinstance(content, list):
        raise wrong(param, "must be a string or an array of content parts")
    result = Result({})
    words: list[str] = []
    for index, value in enumerate(content):
        where = f"{param}[{index}]"
        part = record(value, where)
        kind = text(part.get("type"), f"{where}.type")
        if kind == "text":
            words.append(text(part.get("text"), f"{where}.text"))
        elif media.reads(kind):
            _add_media(result, media.read(part, where), media.gemini3)
        else:
            raise wrong(f"{where}.type", f"{kind!r} is not taken here")
    result.response = _response("\n".join(words))
    return result


def as_user_text(result: Result, tool: str) -> list[dict[str, Any]]:
    """Return a result that no call asked for as parts of a user turn."""
    shown = orjson.dumps(result.response).decode()
    label = f"Result of the tool {tool}" if tool else "Result of a tool"
    return [{"text": f"{label}: {shown}"}, *result.inner, *result.outer]


def _add_media(result: Result, part: dict[str, Any], gemini3: bool) -> None:
    inline = part.get("inlineData")
    if gemini3 and (inline is None or inline["mimeType"] in _INSIDE):
        part.pop("mediaResolution", None)
        result.inner.append(part)
    else:
        result.outer.append(part)


def _response(words: str) -> dict[str, Any]:
    try:
        value = orjson.loads(words)
    except orjson.JSONDecodeError:
        return {"result": words}
    if nests_deeper(value) or _loses_digits(value, words):
        return {"result": words}
    return value if isinstance(value, dict) else {"result": value}


def _loses_digits(value: object, words: str) -> bool:
    """Did a long whole number, an id perhaps, become a rounded float?"""
    return isinstance(value, float) and words.strip().lstrip("-").isdigit()
