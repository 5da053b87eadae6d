"""What a conversation consists of, so that a kept chat of the site is found again.

Two requests continue the same chat if their system texts and all turns up to the last
answer are the same. Clients hand answers back in their own ways, so of an answer only
its letters count: thoughts and signatures are left out, several parts or contents are
one text, and white space counts as little as in HTML. In what people and tools said
white space may mean something, as in code: there only the ends of lines are forgiven.
Pictures and files count by their bytes, in answers too: a picture that was changed on
its way to the caller is another one, and the conversation is then told anew.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping

_URL_SAFE = str.maketrans("-_", "+/")
#: What is answered in a form of its own is asked for in one prompt, never in pieces.
_FORMS = ("responseSchema", "responseJsonSchema", "_responseJsonSchema")
_PLAIN = (None, "", "text/plain")
#: What stands in a turn beside its text; everything else of a part is no content.
_CONTENT = (
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "fileData",
)

_Turn = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHistory:
    """A conversation before its next answer.

    ``key`` stands for everything up to the last answer, and is empty if there was
    none. ``fresh`` are the contents since then, as they were given.
    """

    key: str
    fresh: Sequence[Json] = field(repr=False)
    _system: list[Any] = field(repr=False)
    _turns: list[_Turn] = field(repr=False)

    def after(self, text: str, pictures: Iterable[tuple[str, str]] = ()) -> str:
        """Return the key under which a request comes that goes on after an answer.

        ``text`` is what the caller was given, ``pictures`` are (type, base64) each.
        """
        parts: list[Json] = [{"text": text}] if text else []
        for kind, data in pictures:
            parts.append({"inlineData": {"mimeType": kind, "data": data}})
        return _digest(self._system, [*self._turns, ("model", _answered(parts))])


def read_history(body: Mapping[str, Any]) -> WebHistory | None:
    """Return the conversation of a generateContent body (any casing).

    None for one that no chat can be kept for: tools and forms of an answer are
    explained in one prompt, and who begins the answer himself continues nothing.
    """
    view = normalise(dict(body))
    config = mapping(view.get("generationConfig"))
    formed = config.get("responseMimeType") not in _PLAIN
    formed = formed or any(config.get(name) is not None for name in _FORMS)
    contents = list(dicts(view.get("contents")))
    if formed or view.get("tools") or view.get("cachedContent") or not contents:
        return None
    places = [index for index, each in enumerate(contents) if _is_answer(each)]
    behind = places[-1] + 1 if places else 0
    fresh = list(_turns(contents[behind:]))
    if not any(said for _, said in fresh):
        return None
    system = _asked(dicts(mapping(view.get("systemInstruction")).get("parts")))
    answered = list(_turns(contents[:behind]))
    return WebHistory(
        key=_digest(system, answered) if answered else "",
        fresh=contents[behind:],
        _system=system,
        _turns=[*answered, *fresh],
    )


def _digest(system: list[Any], turns: list[_Turn]) -> str:
    return hashlib.sha256(orjson.dumps([system, turns])).hexdigest()


def _is_answer(content: Json) -> bool:
    return content.get("role") == "model"


def _turns(contents: list[Json]) -> Iterator[_Turn]:
    """Yield what was said in turn; contents of one answer are one."""
    answer: list[Json] = []
    for content in contents:
        parts = list(dicts(content.get("parts")))
        if _is_answer(content):
            answer += parts
            continue
        if answer:
            yield "model", _answered(answer)
            answer = []
        yield str(content.get("role") or "user"), _asked(parts)
    if answer:
        yield "model", _answered(answer)


def _answered(parts: Iterable[Json]) -> list[Any]:
    """Return the letters of an answer, then what else it holds."""
    text, others = "", []
    for part in parts:
        if part.get("thought"):
            continue
        if isinstance(part.get("text"), str):
            text += part["text"]
        elif content := _content(part):
            others.append(content)
    return [" ".join(text.split()), *others]


def _asked(parts: Iterable[Json]) -> list[Any]:
    """Return what a person or a tool said, in its order."""
    found: list[Any] = []
    for part in parts:
        if part.get("thought"):
            continue
        if isinstance(part.get("text"), str):
            words = _even(part["text"])
            if found and isinstance(found[-1], str):
                found[-1] = f"{found[-1]}\n{words}"
            elif words:
                found.append(words)
        elif content := _content(part):
            found.append(content)
    return found


def _even(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\r\n").splitlines())


def _content(part: Json) -> list[Any]:
    if inline := mapping(part.get("inlineData")):
        kind = str(inline.get("mimeType") or "").partition(";")[0].strip().lower()
        data = str(inline.get("data") or "").translate(_URL_SAFE).rstrip("=")
        return [kind, hashlib.sha256(data.encode()).hexdigest()]
    for name in _CONTENT:
        if part.get(name) is not None:
            return [name, orjson.dumps(part[name], option=orjson.OPT_SORT_KEYS).hex()]
    return []
