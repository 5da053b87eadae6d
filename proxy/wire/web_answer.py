"""From what gemini.google.com has said so far to Gemini's answers and chunks.

The site repeats the whole text with every step and may change its tail: links that a
picture replaces, escapes, the marks of sources. So the tail is held back until more
has come, and what was sent is never taken back.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from proxy.wire.remarks import remarks
from proxy.wire.token_estimates import estimated_tokens
from proxy.wire.web_prompt import WebPrompt

#: What one generated picture counts, by Google's price list for its image models.
PICTURE_TOKENS = 1290

_CITE = re.compile(r"[ \t]*\[cite: ?([\d, ]+)\]")
_VOLATILE = re.compile(
    r"(?:\s*\bh(?:t(?:t(?:ps?(?::\S*)?)?)?)?|[ \t]*\[(?:c(?:i(?:t(?:e[^\]\n]*)?)?)?)?|[\\`*_~&<|#>-]\S*|\s+)$"
)
#: What would end the words of a Markdown link, and what an address may hold.
_WORDS = re.compile(r"[\s\[\]\\<>]+")
_IN_ADDRESS = "/:?#@!$&'*+,;=%-._~[]"
#: Only so much of the end is looked at.
_TAIL = 400
#: Letters by which the place is found where a changed text goes on.
_ANCHORS = (24, 12, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the site has said so far.

    (number, address, title) are its sources, (address, words) pictures that it found
    on the web. ``served`` is the name of the model that answers, if it is another one
    than was asked for.
    """

    text: str = ""
    thoughts: str = ""
    sources: Sequence[tuple[int, str, str]] = ()
    links: Sequence[tuple[str, str]] = ()
    served: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture as it was downloaded."""

    mime_type: str
    data: bytes = field(repr=False)


class WebAnswer:
    """One answer while it comes. ``model`` is the name that the site gives it."""

    def __init__(
        self, prompt: WebPrompt, model: str, answer_id: str, prompt_tokens: int
    ) -> None:
        self._prompt = prompt
        self._model = model
        self._id = answer_id
        self._prompt_tokens = prompt_tokens
        self._text = self._thoughts = ""
        self._remarked = False
        self._served = ""
        self._calls: list[dict[str, Any]] = []
        self.stopped = False

    @property
    def text(self) -> str:
        """What the caller was given as text so far."""
        return self._text

    def step(self, said: Said) -> dict[str, Any] | None:
        """Return the chunk of what is new and safe to send; None if nothing is.

        ``stopped`` tells afterwards that the answer has met its end.
        """
        self._served = said.served
        if self._prompt.is_judged:
            return None
        parts = list(self._new_thoughts(said.thoughts))
        text = self._cut(self._words_so_far(said.text))
        if not self.stopped:
            text = self._settled(text)
        delta = remainder(self._text, text)
        if delta:
            self._text += delta
            parts.append({"text": delta})
        return self._chunk(parts) if parts else None

    def end(self, said: Said, pictures: Iterable[Picture] = ()) -> dict[str, Any]:
        """Return the last chunk: the rest of the text, calls, pictures, sources, usage.

        Raises BadAnswer for calls or JSON that cannot be used.
        """
        parts = list(self._new_thoughts(said.thoughts))
        delta = remainder(self._text, self._ended(said))
        if delta:
            self._text += delta
            parts.append({"text": delta})
        return self._last(parts, said, list(pictures))

    def whole(self, said: Said, pictures: Iterable[Picture] = ()) -> dict[str, Any]:
        """Return the answer in one piece, whatever was streamed before.

        Raises BadAnswer for calls or JSON that cannot be used.
        """
        self._text = self._ended(said)
        self._thoughts = said.thoughts if self._prompt.thoughts else ""
        thoughts = [{"text": self._thoughts, "thought": True}] if self._thoughts else []
        texts = [{"text": self._text}] if self._text else []
        return self._last([*thoughts, *texts], said, list(pictures))

    def _new_thoughts(self, thoughts: str) -> Iterator[dict[str, Any]]:
        if not self._prompt.thoughts:
            return
        delta = remainder(self._thoughts, thoughts) if thoughts else ""
        if delta:
            self._thoughts += delta
            yield {"text": delta, "thought": True}

    def _cut(self, text: str) -> str:
        places = [text.find(stop) for stop in self._prompt.stops if stop in text]
        if not places:
            return text
        self.stopped = True
        return text[: min(places)]

    def _ended(self, said: Said) -> str:
        """Return the text of a complete answer; links to found pictures end it."""
        self._served = said.served
        text = self._cut(self._read(said.text))
        if self.stopped:
            self._calls = []
        pure = self.stopped or self._prompt.schema is not None
        shown = "" if pure else linked(said.links)
        return f"{text.rstrip()}\n\n{shown}".lstrip("\n") if shown else text

    def _words_so_far(self, text: str) -> str:
        tools, plain = self._prompt.tools, _plain(text)
        return plain if tools is None else tools.words_so_far(plain)

    def _read(self, text: str) -> str:
        """Return the words of a complete answer, and keep its calls."""
        prompt = self._prompt
        if self.stopped:
            return self._words_so_far(text)
        plain = _plain(text)
        if prompt.tools is not None:
            plain, self._calls = prompt.tools.read(plain, self._id)
        if prompt.schema is not None and not self._calls:
            plain = prompt.schema.read(plain)
        return plain

    def _settled(self, text: str) -> str:
        """Return the text without the tail that may yet change."""
        text = text[:-_TAIL] + _VOLATILE.sub("", text[-_TAIL:])
        longest = max(map(len, self._prompt.stops), default=1)
        return text[: len(text) - longest + 1]

    def _last(
        self, parts: list[dict[str, Any]], said: Said, pictures: list[Picture]
    ) -> dict[str, Any]:
        parts += [{"functionCall": call} for call in self._calls]
        parts += [_inline(picture) for picture in pictures]
        candidate: dict[str, Any] = {
            "content": {"parts": parts or [{"text": ""}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
        }
        grounding = grounded(said.text, said.sources)
        if grounding and not self.stopped:
            candidate["groundingMetadata"] = grounding
        return {**self._frame([candidate]), "usageMetadata": self._usage(pictures)}

    def _chunk(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return self._frame([{"content": {"parts": parts, "role": "model"}, "index": 0}])

    def _frame(self, candidates: list[dict[str, Any]]) -> dict[str, Any]:
        first, self._remarked = not self._remarked, True
        prompt = self._prompt
        said = remarks(prompt.dropped, estimated=True, emulated=prompt.emulated)
        return {
            "candidates": candidates,
            "modelVersion": self._served or self._model,
            "responseId": self._id,
            **(said if first else {}),
        }

    def _usage(self, pictures: list[Picture]) -> dict[str, Any]:
        """Return counts that are guesses, and say so: the site tells none.

        They are what the usage log keeps, so another model than was asked for is
        named here too.
        """
        calls = orjson.dumps(self._calls).decode() if self._calls else ""
        output = _tokens(self._text + calls) + PICTURE_TOKENS * len(pictures)
        thoughts = _tokens(self._thoughts)
        usage = {
            "promptTokenCount": self._prompt_tokens,
            "candidatesTokenCount": output,
            "totalTokenCount": self._prompt_tokens + output + thoughts,
            "estimated": True,
        }
        usage |= {"thoughtsTokenCount": thoughts} if thoughts else {}
        return usage | ({"servedModel": self._served} if self._served else {})


def linked(links: Iterable[tuple[str, str]]) -> str:
    """Return pictures on the web as Markdown, each once; nothing is downloaded."""
    shown: dict[str, str] = {}
    for address, words in links:
        if address.startswith(("https://", "http://")):
            plain = _WORDS.sub(" ", words).strip() or "picture"
            shown.setdefault(quote(address, safe=_IN_ADDRESS), plain)
    return "\n".join(f"![{words}]({address})" for address, words in shown.items())


def remainder(sent: str, text: str) -> str:
    """Return what of a text is still to be sent after ``sent``.

    Where the text has changed behind what was sent, it goes on after the last words
    of that which still occur; if none do, after as many letters as were sent.
    """
    if text.startswith(sent):
        return text[len(sent) :]
    if sent.startswith(text):
        return ""
    near = max(0, len(sent) - 4 * _ANCHORS[0])
    for length in _ANCHORS:
        anchor = sent[-length:]
        place = text.rfind(anchor, near)
        if place >= 0:
            return text[place + len(anchor) :]
    return text[len(sent) :]


def grounded(
    text: str, sources: Sequence[tuple[int, str, str]]
) -> dict[str, Any] | None:
    """Return the groundingMetadata for the marks of sources in a text; None for none.

    Places are counted in bytes of the text without the marks, as Google does.
    """
    if not sources:
        return None
    order = {number: index for index, (number, _, _) in enumerate(sources)}
    supports, plain, end = [], "", 0
    for mark in _CITE.finditer(text):
        start = len(plain.encode())
        plain += text[end : mark.start()]
        end = mark.end()
        numbers = [int(word) for word in re.findall(r"\d+", mark[1])]
        supports.append(
            {
                "segment": {
                    "startIndex": start,
                    "endIndex": len(plain.encode()),
                    "text": plain.encode()[start:].decode(),
                },
                "groundingChunkIndices": [order[n] for n in numbers if n in order],
            }
        )
    chunks = [{"web": {"uri": uri, "title": title}} for _, uri, title in sources]
    return {"groundingChunks": chunks, "groundingSupports": supports}


def _plain(text: str) -> str:
    return _CITE.sub("", text)


def encoded(picture: Picture) -> str:
    """Return a picture in base64."""
    return base64.b64encode(picture.data).decode()


def _inline(picture: Picture) -> dict[str, Any]:
    return {"inlineData": {"mimeType": picture.mime_type, "data": encoded(picture)}}


def _tokens(text: str) -> int:
    if not text:
        return 0
    return estimated_tokens({"contents": [{"parts": [{"text": text}]}]})
