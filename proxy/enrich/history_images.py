"""Pictures that a chat's earlier answers show, put back for a model that draws.

A client sends back what it was shown: Markdown with a link or a data URL, or a list of
``images``. Such a message gets the pictures themselves as content parts, at the place
where they stood. What is not sent becomes words, so that no data URL is read as text.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

Json = dict[str, Any]
Submit = Literal["last", "all"]
#: From an address to a data URL; None for what is not ours or not this caller's.
Load = Callable[[str], Awaitable[str | None]]
#: More pictures than these are not looked for; the latest count.
MOST_PICTURES = 16
#: What stands for a picture that is not sent.
WORDS = "[image]"
#: No address of ours holds brackets, so that text is read once, however odd it is.
_LINK = re.compile(
    r"!\[[^\]\[\n]{0,300}\]\([ \t]*<?([^\s()<>\[\]]++)>?(?:[ \t]+\"[^\"\n]{0,300}\")?"
    r"[ \t]*\)"
)
_ASSISTANTS = ("assistant", "model")


async def with_pictures(body: Json, submit: Submit, load: Load) -> Json:
    """Return a chat request whose assistant turns hold the pictures they show.

    ``last`` sends those of the newest turn that shows one of ours, ``all`` those of
    every turn. Links to elsewhere stay as they are; malformed messages too, as
    translating them tells what is wrong.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    found: dict[int, dict[str, str]] = {}
    asked: Counter[str] = Counter()
    for index in reversed(range(len(messages))):
        shown = await _loaded(messages[index], load, asked)
        if shown:
            found[index] = shown
    if not found:
        return body
    newest = max(found)
    made = list(messages)
    for index, pictures in found.items():
        sent = submit == "all" or index == newest
        made[index] = _rewritten(messages[index], pictures, sent=sent)
    return {**body, "messages": made}


async def _loaded(message: object, load: Load, asked: Counter[str]) -> dict[str, str]:
    """Return the pictures of ours in a message: data URL by address."""
    found: dict[str, str] = {}
    for address in _addresses(message):
        if _is_picture(address):
            found[address] = address
            continue
        if address in found or asked.total() >= MOST_PICTURES:
            continue
        asked[address] += 1
        data = await load(address)
        if data is not None:
            found[address] = data
    return found


def _addresses(message: object) -> Iterator[str]:
    if not isinstance(message, dict) or message.get("role") not in _ASSISTANTS:
        return
    for words in _texts(message.get("content")):
        yield from _LINK.findall(words)
    yield from filter(None, map(_address, _list(message.get("images"))))
    yield from filter(None, map(_address, _list(message.get("content"))))


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in _list(content):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _address(part: object) -> str:
    """Return the address in an ``image_url`` part, "" for any other."""
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return ""
    held = part.get("image_url")
    url = held.get("url") if isinstance(held, dict) else held
    return url.strip() if isinstance(url, str) else ""


def _is_picture(address: str) -> bool:
    return address[:11].lower() == "data:image/"


def _rewritten(message: Json, pictures: Mapping[str, str], *, sent: bool) -> Json:
    """Return a message with its pictures as content parts, each once, or as words."""
    content = message.get("content")
    given = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts: list[Any] = []
    shown: set[str] = set()
    for part in [*_list(given), *_list(message.get("images"))]:
        for piece in _pieces(part, pictures):
            picture = pictures.get(_address(piece))
            if picture is None:
                parts.append(piece)
            elif picture not in shown:
                shown.add(picture)
                parts.append(_picture(picture) if sent else _said(WORDS))
    rest = {key: value for key, value in message.items() if key != "images"}
    return {**rest, "content": parts}


def _pieces(part: object, pictures: Mapping[str, str]) -> Iterable[Any]:
    """Yield a part as it is, or a text cut where it shows pictures of ours."""
    if not isinstance(part, dict) or part.get("type") != "text":
        yield part
        return
    words, start = part.get("text"), 0
    if not isinstance(words, str):
        yield part
        return
    for link in _LINK.finditer(words):
        if link[1] in pictures:
            if before := words[start : link.start()].strip():
                yield _said(before)
            yield _picture(link[1])
            start = link.end()
    if rest := words[start:].strip() if start else words:
        yield _said(rest)


def _said(words: str) -> Json:
    return {"type": "text", "text": words}


def _picture(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}
