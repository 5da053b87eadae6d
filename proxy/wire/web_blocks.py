"""Where in a model's text tool calls stand, and what of the text is words.

A call is JSON in a fenced code block that says ``toolcall``. The site reworks what
looks like XML or HTML and escapes Markdown outside of code; what stands in a fence
survives. Models also write ``json`` fences or bare objects; these count only if what
they hold can be nothing but a call.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.errors import BadAnswer
from proxy.wire.loose_json import Found, find_json

CALL, RESULT = "toolcall", "toolresult"
CAUSE = "imitation_failed"

_CALLS = frozenset({CALL, "tool_call", "tool-call"})
_MAYBE = frozenset({"", "json"})
#: A line that begins or ends a code block, and our own words wherever they stand.
_FENCE = re.compile(
    r"(?:^[ \t]*(?:`{3,}|~{3,})[ \t]*(?P<word>[^`\n]*)"
    r"|`{3,}[ \t]*(?P<own>tool(?:\\?[_-])?(?:call|result))[ \t]*)(?P<end>\n|\Z)",
    re.MULTILINE,
)
_CLOSING = re.compile(r"\s*(?:`{3,}|~{3,})[ \t]*")
#: The end of a text that may yet become a fence.
_BEGUN = re.compile(r"(?:^[ \t]*~{1,2}|`+[ \t]*[\w\\-]{0,12}[ \t]*)\Z", re.MULTILINE)
_BARE = re.compile(r"\s*(?P<json>\\?\{|\\?\[\s*(?:\\?\{|\Z))")
_BETWEEN = re.compile(r"[\s,;]*")
_JSON = re.compile(r"\\?[\[{]")

IsCall = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the text that is not words: the JSON values in it, if it is calls.

    ``whole`` is false while more of it must come before it can be judged.
    """

    start: int
    end: int
    values: tuple[Any, ...] = ()
    calls: bool = True
    whole: bool = True


@dataclass(slots=True)
class Told:
    """A text taken apart: its words without the calls, and the calls' JSON values."""

    words: str = ""
    values: list[Any] = field(default_factory=list)


def told(text: str, is_call: IsCall, *, done: bool) -> Told:
    """Take a text apart; ``is_call`` judges JSON values outside of ``toolcall``.

    Until it is ``done``, words end where a block may begin. Words of a part of a text
    are the beginning of the words of the whole. Raises BadAnswer if a call that is
    done cannot be read.
    """
    found, place = Told(), 0
    for block in _blocks(text, is_call, done):
        _say(found, text[place : block.start], after=place > 0)
        place = block.end
        found.values += block.values
        if not block.whole:
            return found
        if done and block.calls and not block.values:
            raise BadAnswer("The model wrote a tool call without content.", cause=CAUSE)
    if place:
        _say(found, text[place:], after=True)
    else:
        found.words = text if done else text.rstrip()
    return found


def _say(found: Told, words: str, *, after: bool) -> None:
    """Add words; ``after`` a block, which leaves an empty line between words."""
    if not after:
        found.words = words.rstrip()
    elif words.strip():
        found.words += ("\n\n" if found.words else "") + words.strip()


def _blocks(text: str, is_call: IsCall, done: bool) -> Iterator[Block]:
    place = 0
    while (block := _next(text, place, is_call, done)) is not None:
        yield block
        place = block.end


def _next(text: str, place: int, is_call: IsCall, done: bool) -> Block | None:
    """Return the first block after ``place``, which is the start or another's end."""
    bare = _BARE.match(text, place)
    if bare is not None:
        block = _maybe(text, bare.start("json"), bare.start("json"), is_call, done)
        if block is not None:
            return block
    in_code = False
    for fence in _FENCE.finditer(text, place):
        word = (fence["word"] or fence["own"] or "").strip().replace("\\", "").lower()
        if not done and not fence["end"]:
            return _unfinished(text, fence.start())
        if word in _CALLS or word == RESULT:
            return (_of_calls if word in _CALLS else _of_results)(text, fence, done)
        if in_code:
            in_code = bool(word)
            continue
        if word in _MAYBE:
            block = _fenced(text, fence, is_call, done)
            if block is not None:
                return block
        in_code = True
    begun = None if done else _BEGUN.search(text, place)
    return None if begun is None else _unfinished(text, begun.start())


def _of_calls(text: str, fence: re.Match[str], done: bool) -> Block:
    values: list[Any] = []
    place = fence.end()
    while True:
        place = _after(_BETWEEN, text, place)
        closing = _CLOSING.match(text, place)
        if closing is not None:
            return Block(fence.start(), closing.end(), tuple(values))
        if place == len(text) and done:
            return Block(fence.start(), place, tuple(values))
        found = _found(text, place)
        if found is None:
            break
        values.append(found.value)
        place = found.end
    if done:
        raise BadAnswer("The model wrote a tool call that is no JSON.", cause=CAUSE)
    return _unfinished(text, fence.start())


def _of_results(text: str, fence: re.Match[str], done: bool) -> Block:
    """Only we write results: those that a model makes up are passed over."""
    for closing in _FENCE.finditer(text, fence.end()):
        bare = not closing["own"] and not closing["word"].strip()
        if bare and (done or closing["end"]):
            return Block(fence.start(), closing.end(), calls=False)
    if done:
        return Block(fence.start(), len(text), calls=False)
    return _unfinished(text, fence.start())


def _fenced(
    text: str, fence: re.Match[str], is_call: IsCall, done: bool
) -> Block | None:
    """Return the block of a fence that may hold calls; None if it holds others."""
    place = _after(_BETWEEN, text, fence.end())
    if place == len(text) and not done:
        return _unfinished(text, fence.start())
    if _JSON.match(text, place) is None:
        return None
    block = _maybe(text, fence.start(), place, is_call, done)
    if block is None or not block.whole:
        return block
    closing = _CLOSING.match(text, block.end)
    if closing is not None:
        return Block(block.start, closing.end(), block.values)
    rest = text[block.end :].strip()
    if not done and rest in ("", "`", "``", "~", "~~"):
        return _unfinished(text, fence.start())
    return None if rest else block


def _maybe(
    text: str, start: int, place: int, is_call: IsCall, done: bool
) -> Block | None:
    """Return the block of JSON at ``place``, if it is a call or calls."""
    try:
        found = find_json(text, place)
    except ValueError:
        return None
    if found is None:
        return None if done else _unfinished(text, start)
    value = found.value
    values = value if isinstance(value, list) else [value]
    if not values or not all(map(is_call, values)):
        return None
    return Block(start, found.end, tuple(values))


def _found(text: str, place: int) -> Found | None:
    if _JSON.match(text, place) is None:
        return None
    try:
        return find_json(text, place)
    except ValueError:
        return None


def _after(blanks: re.Pattern[str], text: str, place: int) -> int:
    found = blanks.match(text, place)
    return place if found is None else found.end()


def _unfinished(text: str, start: int) -> Block:
    return Block(start, len(text), whole=False)
