"""What a prompt of the imitated site asks for, strictly read from its form."""

import base64
import binascii
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from proxy.sandbox.catalogue import CARDS
from proxy.sandbox.model import Reply, compose
from proxy.sandbox.web_accounts import Person
from proxy.sandbox.web_rules import understood, written
from proxy.sandbox.web_talks import is_head

SLOTS = 81
MODEL_HEADER = "x-goog-ext-525001261-jspb"
_UUID_HEADER = "x-goog-ext-525005358-jspb"
_TURN = re.compile(
    r"<\|im_start\|>(system|user|assistant|tool)\n(.*?)<\|im_end\|>", re.DOTALL
)
_DRAW = re.compile(
    r"\b(?:draw|paint|sketch|generate|create|make|edit)\b.{0,60}?"
    r"\b(?:picture|image|photo|drawing|painting)\b",
    re.IGNORECASE | re.DOTALL,
)
_SHAPE = re.compile(r"\baspect ratio of (1:1|2:3|3:2|3:4|4:3|4:5|5:4|9:16|16:9|21:9)\b")
_TEXT_CARD, _PICTURE_CARD = "gemini-3-flash-preview", "gemini-2.5-flash-image"
#: id, category, title, what it is for, number
MODELS = (
    ("fbb127bbb056c959", "Flash", "3 Flash", "Fast answers", 1),
    ("9d8ca3786ebdfbea", "Pro", "3.1 Pro", "Hard problems", 3),
    ("cf41b0e0dd7d53e5", "Flash Lite", "3.5 Flash-Lite", "Fastest", 6),
)


class Unreadable(Exception):
    """The form is not what the site's own page sends."""


@dataclass(kw_only=True)
class Prompt:
    """One prompt, checked. ``files`` are (name, type, bytes)."""

    text: str
    model: str = ""
    temporary: bool = False
    extended: bool = False
    conversation: str = ""
    files: list[tuple[str, str, bytes]] = field(default_factory=list)


def read_prompt(form: dict[str, str], headers: dict[str, str], who: Person) -> Prompt:
    """Return what was asked. Raises ``Unreadable``."""
    slots = _slots(form)
    content, talk = slots[0], slots[2]
    if not isinstance(content, list) or len(content) != 7:
        raise Unreadable("slot 0 is no message")
    text, files = content[0], content[3]
    if not isinstance(text, str) or not text:
        raise Unreadable("the prompt is empty")
    if content[1:3] != [0, None] or content[4:] != [None, None, 0]:
        raise Unreadable("slot 0 is filled wrongly")
    if not is_head(talk):
        raise Unreadable("slot 2 is no conversation")
    _check_talk(talk, who, temporary=slots[45] == 1)
    _check_uuid(slots[59], headers)
    return Prompt(
        text=text,
        model=_model(headers, slots),
        temporary=slots[45] == 1,
        extended=slots[80] == 2,
        conversation=talk[0] or "",
        files=[_file(item, who) for item in files or ()],
    )


def _check_talk(head: list[Any], who: Person, *, temporary: bool) -> None:
    if not head[0]:
        if any(head):
            raise Unreadable("a reply without its conversation")
        return
    talk = who.talks.find(head[0])
    if talk is None:
        raise Unreadable("no such conversation")
    if temporary:
        raise Unreadable("a temporary turn in a kept conversation")
    if not talk.goes_on(head):
        raise Unreadable("the conversation has gone on since")


def _slots(form: dict[str, str]) -> list[Any]:
    try:
        outer = json.loads(form["f.req"])
        slots = json.loads(outer[1])
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Unreadable("f.req") from error
    if len(outer) != 2 or outer[0] is not None or len(slots) != SLOTS:
        raise Unreadable("f.req has the wrong length")
    wanted = {6: [1], 7: 1, 10: 1, 11: 0, 27: 1, 30: [4], 41: [1], 53: 0, 68: 1}
    wrong = [index for index, value in wanted.items() if slots[index] != value]
    if wrong or slots[45] not in (None, 1) or slots[80] not in (1, 2):
        raise Unreadable(f"slots {wrong}")
    return list(slots)


def _check_uuid(given: Any, headers: dict[str, str]) -> None:
    try:
        uuid.UUID(given)
        told = json.loads(headers[_UUID_HEADER])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Unreadable("the request's own id") from error
    if told != [given, 1]:
        raise Unreadable("two ids for one request")


def _model(headers: dict[str, str], slots: list[Any]) -> str:
    """Return the id of the model asked for, "" for the site's choice."""
    if MODEL_HEADER not in headers:
        return ""
    try:
        selector = json.loads(headers[MODEL_HEADER])
        uuid.UUID(selector[-1])
        chosen, number, depth = selector[4], selector[-3], selector[-2]
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise Unreadable(MODEL_HEADER) from error
    if number != slots[79] or depth != slots[80]:
        raise Unreadable("header and body name different models")
    return str(chosen)


def _file(item: Any, who: Person) -> tuple[str, str, bytes]:
    try:
        token, name = item[0][0], item[1]
        kept, kind, data = who.uploads[token]
    except (TypeError, IndexError, KeyError) as error:
        raise Unreadable("a file that was not uploaded") from error
    if kept != name:
        raise Unreadable("a file under another name than at its upload")
    return name, kind, data


def known_model(prompt: Prompt) -> bool:
    """Whether the model asked for is one that the site offered."""
    return not prompt.model or any(row[0] == prompt.model for row in MODELS)


def other_model(prompt: Prompt, who: Person) -> bool:
    """Whether the conversation was begun with another model."""
    talk = who.talks.find(prompt.conversation)
    return talk is not None and talk.model != prompt.model


def reply_to(prompt: Prompt, who: Person) -> Reply:
    """Return what the model says, with the conversation before it in mind."""
    turns = [*who.talks.turns(prompt.conversation), *turns_of(prompt)]
    system = [part for t in turns if t["role"] == "system" for part in t["parts"]]
    contents = [turn for turn in turns if turn["role"] != "system"]
    contents[-1]["parts"] += [_part(*each) for each in prompt.files]
    request: dict[str, Any] = {"contents": contents}
    if system:
        request["systemInstruction"] = {"parts": system}
    draws = _DRAW.search(_words(contents[-1])) is not None
    if not draws:
        request["generationConfig"] = {"thinkingConfig": {"includeThoughts": True}}
    elif shape := _SHAPE.search(_words(contents[-1])):
        request["generationConfig"] = {"imageConfig": {"aspectRatio": shape[1]}}
    card = CARDS[_PICTURE_CARD if draws else _TEXT_CARD]
    request = understood(request)
    return written(compose(request, card), request)


def turns_of(prompt: Prompt) -> list[dict[str, Any]]:
    """Split a prompt at role tags, which models know from their training."""
    found = [
        {"role": "model" if role == "assistant" else role, "parts": [{"text": said}]}
        for role, said in _TURN.findall(prompt.text)
    ]
    spoken = [turn for turn in found if turn["role"] != "system"]
    return found if spoken else [{"role": "user", "parts": [{"text": prompt.text}]}]


def _part(name: str, kind: str, data: bytes) -> dict[str, Any]:
    if kind.startswith("image/"):
        return {"inlineData": {"mimeType": kind, "data": data}}
    words = data.decode(errors="replace") if kind.startswith("text/") else ""
    return {"text": f"[{name}: {kind}, {len(data)} bytes] {words}".strip()}


def _words(content: dict[str, Any]) -> str:
    return "\n".join(part.get("text", "") for part in content["parts"])


def picture_in(reply: Reply) -> bytes | None:
    """Return the picture of a reply, if it drew one."""
    for part in reply.parts:
        if "inlineData" in part:
            try:
                return base64.b64decode(part["inlineData"]["data"])
            except binascii.Error:
                return None
    return None


def text_in(reply: Reply) -> str:
    """Return the words of a reply."""
    return "".join(part.get("text", "") for part in reply.parts)
