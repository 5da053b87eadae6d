"""How the imitated site streams an answer, step by step, and how that breaks."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

from proxy.sandbox.answers import split
from proxy.sandbox.marks import marked
from proxy.sandbox.sending import EVER
from proxy.sandbox.web_accounts import ERROR_CODES, People, Person
from proxy.sandbox.web_frames import (
    PREFIX,
    answer_row,
    error_row,
    queue_row,
    stream_tail,
)
from proxy.sandbox.web_http import Abort
from proxy.sandbox.web_prompts import (
    MODELS,
    Prompt,
    known_model,
    other_model,
    picture_in,
    reply_to,
    text_in,
    turns_of,
)

_SLOTS, _CANDIDATE_SLOTS = 28, 59
PICTURES = "https://lh3.googleusercontent.com/gg-dl/"
_CITED = "https://example.com/a-known-text"
_REFUSAL = "I can't create that picture."
_FIND_PICTURES = re.compile(r"\bfind\b.{0,40}\b(?:pictures|images|photos)\b", re.I)
_FOUND = (
    ("https://example.com/cats/one.jpg", "A cat [sleeping]"),
    ("https://example.com/cats/two (large).jpg", "A cat\nawake"),
    ("https://example.com/cats/one.jpg", "The first cat again"),
)
_LARGER = re.compile(r"\b[24]K\b", re.I)
_SLOW_SECONDS = 30.0


class Steps:
    """The rows of one answer. Each repeats all that was said so far."""

    def __init__(self, prompt: Prompt, who: Person, people: People) -> None:
        reply = reply_to(prompt, who)
        self._thought = reply.thought
        self._text = text_in(reply)
        self._picture = picture_in(reply)
        if self._picture is not None and who.does("refusal"):
            self._picture, self._text = None, _REFUSAL
        if self._picture is not None:
            self._picture = _as_shown(self._picture, prompt.text, who)
        mark = uuid.uuid5(uuid.NAMESPACE_URL, f"{who.psid} {who.answers}").hex
        self.cid = prompt.conversation or f"c_{mark[:16]}"
        self._rid, self._rcid = f"r_{mark[:16]}", f"rc_{mark[16:]}"
        self._image = self._store(people, mark)
        self._context = f"context-{mark}"
        self._finds = _FIND_PICTURES.search(prompt.text) is not None
        self._served = _served(prompt, who)
        if not prompt.temporary:
            said = {"role": "model", "parts": [{"text": self._text}]}
            head = [self.cid, self._rid, self._rcid, self._context]
            who.talks.add(self.cid, prompt.model, [*turns_of(prompt), said], head)

    def _store(self, people: People, mark: str) -> str:
        if self._picture is None:
            return ""
        people.media[mark] = self._picture
        return PICTURES + mark

    def rows(self) -> Iterator[str]:
        """Yield the frames of a whole answer, the last of which completes it."""
        yield answer_row(self._inner(None))
        if self._thought:
            half = len(self._thought) // 2
            yield self._step("", self._thought[:half])
            yield self._step("", self._thought)
        said = ""
        for piece in split(self._text):
            said += piece
            yield self._step(said, self._thought)
        yield self._step(self._final(), self._thought, done=True)

    def _final(self) -> str:
        artifact = "\nhttp://googleusercontent.com/image_generation_content/0"
        return self._text + (artifact if self._image else "")

    def _step(self, text: str, thought: str, *, done: bool = False) -> str:
        candidate: list[Any] = [None] * _CANDIDATE_SLOTS
        candidate[0] = self._rcid
        candidate[1] = [_escaped(text)]
        candidate[8] = [2 if done else 1]
        if thought:
            candidate[37] = [[thought]]
        # Which model it was is reported there; in what form is invented.
        candidate[39], candidate[42] = [self._served[0]], self._served[2]
        if done:
            candidate[12] = self._rich()
        return answer_row(self._inner(candidate, done=done))

    def _inner(self, candidate: list[Any] | None, *, done: bool = False) -> list[Any]:
        inner: list[Any] = [None] * _SLOTS
        inner[1] = [self.cid, self._rid]
        if candidate is not None:
            inner[4] = [candidate]
        if done:
            inner[25] = self._context
        return inner

    def _rich(self) -> list[Any] | None:
        """Pictures at their place, sources in the sparse bundle at the end."""
        if self._image:
            shown = [None, None, "a picture", f"{self._image}"]
            item = [[None, None, None, shown], [f"image-{self._image[-12:]}"]]
            return [*[None] * 7, [[item]]]
        if self._finds:
            found = [[[[url], None, None, None, alt]] for url, alt in _FOUND]
            return [None, found]
        if "[cite: 1]" in self._text:
            entry = [None, None, None, [["", _CITED, "A known text"]]]
            return [None, {"44": [[[" [cite: 1]"], [entry]]]}]
        return None


def _as_shown(picture: bytes, words: str, who: Person) -> bytes:
    """Return a picture as the app hands it out: marked, and enlarged if that is asked.

    What an account's plan allows is less than what may be asked: twice the size.
    """
    if who.does("nomark"):
        return picture
    scale = 2 if _LARGER.search(words) else 1
    return marked(picture, old=who.does("oldmark"), scale=scale)


async def stream(
    prompt: Prompt, who: Person, people: People, pace: float
) -> AsyncIterator[bytes]:
    """Yield the bytes of the answer, or of what comes instead of it."""
    name = who.spend()
    people.open_streams += 1
    try:
        async for piece in _stream(prompt, who, people, name, pace):
            yield piece
    except (asyncio.CancelledError, GeneratorExit):
        people.cancelled += 1
        raise
    finally:
        people.open_streams -= 1


async def _stream(
    prompt: Prompt, who: Person, people: People, name: str, pace: float
) -> AsyncIterator[bytes]:
    if name == "slow":
        await asyncio.sleep(_SLOW_SECONDS)
    if name == "stall":
        await asyncio.sleep(EVER)
    instead = _instead(name, prompt, who)
    if instead is not None:
        yield instead.encode()
        return
    rows = list(Steps(prompt, who, people).rows())
    if name in ("stallmid", "cut", "truncated"):
        rows = rows[: max(3, len(rows) // 2)]
    yield PREFIX.encode()
    for row in rows:
        await asyncio.sleep(pace)
        for piece in _torn(row):
            yield piece
    if name == "stallmid":
        await asyncio.sleep(EVER)
    if name == "cut":
        raise Abort
    yield stream_tail().encode()


def _instead(name: str, prompt: Prompt, who: Person) -> str | None:
    """Return what comes in the place of an answer, if something does."""
    code = ERROR_CODES.get(name) if known_model(prompt) else ERROR_CODES["nomodel"]
    if code is None and other_model(prompt, who):
        code = ERROR_CODES["mixed"]
    if code is not None:
        return PREFIX + error_row(code) + stream_tail()
    if name == "garbage":
        return "<html>Something went wrong</html>"
    if name == "emptybody":
        return ""
    if name == "queue":
        return PREFIX + queue_row() + stream_tail()
    return None


def _served(prompt: Prompt, who: Person) -> tuple[str, str, str, str, int]:
    """Return the model that answers, which is not always the one asked for."""
    asked = (row for row in MODELS if row[0] == prompt.model)
    return MODELS[0] if who.does("silentflash") else next(asked, MODELS[0])


def _torn(row: str) -> Iterator[bytes]:
    """Cut a frame in two, between the bytes of a letter where it has such."""
    data = row.encode()
    middle = len(data) // 2
    yield data[:middle]
    yield data[middle:]


def _escaped(text: str) -> str:
    """The site escapes what could be mark-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
