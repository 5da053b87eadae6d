"""OpenAI's messages as Gemini's systemInstruction and contents."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.wire import signatures
from proxy.wire.model_names import model_name
from proxy.wire.openai_fields import (
    bounded,
    maybe,
    name,
    record,
    sequence,
    text,
    wrong,
)
from proxy.wire.openai_media import MediaReader
from proxy.wire.openai_tool_results import NO_RESULT, Result, as_user_text, read_result
from proxy.wire.tool_names import ToolNames

#: What a history that starts with the assistant gets as its first user turn: Gemini
#: wants one, and an empty part is refused.
OPENING = "(The conversation begins.)"


@dataclass(slots=True)
class Conversation:
    """Messages in Gemini's words: ``system`` texts in order, ``contents`` as they
    follow each other, and whether tools were called in them."""

    system: list[str] = field(default_factory=list)
    contents: list[dict[str, Any]] = field(default_factory=list)
    has_calls: bool = False


def read_messages(
    messages: object, names: ToolNames, media: MediaReader
) -> Conversation:
    """Translate the ``messages`` of a chat request.

    Adjacent turns of one role become one. The results of tool calls come directly
    after the calls and in their order; a call without a result gets an error as its
    result, a result without a call becomes text of the user. Raises BadRequest for
    malformed messages and for an empty list.
    """
    given = sequence(messages, "messages")
    if not given:
        raise wrong("messages", "must not be empty")
    builder = _Builder(names, media)
    for index, message in enumerate(given):
        builder.add(message, f"messages[{index}]")
    return builder.finished()


def shaped(
    conversation: Conversation, model: str
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return (systemInstruction, contents) as ``model`` takes them.

    Contents start with a user turn. A system text alone is said by the user, and so
    it is, before all else, to models that take no systemInstruction. Raises
    BadRequest when nothing at all was said.
    """
    contents = conversation.contents
    system = [{"text": words} for words in conversation.system]
    if not contents and not system:
        raise wrong("messages", "has nothing to say: every message is empty")
    if not contents:
        return None, [{"role": "user", "parts": system}]
    if system and not model_name(model).takes_system:
        return None, _led_by(system, contents)
    if contents[0]["role"] != "user":
        contents = _led_by([{"text": OPENING}], contents)
    return ({"parts": system} if system else None), contents


def _led_by(
    parts: list[dict[str, Any]], contents: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    first = contents[0]
    if first["role"] != "user":
        return [{"role": "user", "parts": parts}, *contents]
    return [{"role": "user", "parts": parts + first["parts"]}, *contents[1:]]


@dataclass(slots=True)
class _Call:
    """A tool call of the latest assistant turn, and its result once it is known."""

    id: str
    own_name: str
    upstream_name: str
    result: Result | None = None

    def response(self) -> list[dict[str, Any]]:
        body: dict[str, Any] = {"name": self.upstream_name}
        if self.id:
            body["id"] = self.id
        if self.result is None:
            return [{"functionResponse": {**body, "response": NO_RESULT}}]
        body["response"] = self.result.response
        if self.result.inner:
            body["parts"] = self.result.inner
        return [{"functionResponse": body}]


class _Builder:
    """Gathers messages turn by turn.

    What follows an assistant turn (tool results, words of the user) is kept back
    until the next one, because all results must stand before all words.
    """

    def __init__(self, names: ToolNames, media: MediaReader) -> None:
        self._names = names
        self._media = media
        self._made = Conversation()
        self._calls: list[_Call] = []
        self._by_id: dict[str, deque[_Call]] = defaultdict(deque)
        self._by_name: dict[str, deque[_Call]] = defaultdict(deque)
        self._words: list[dict[str, Any]] = []
        self._turn_over = False

    def add(self, value: object, param: str) -> None:
        message = record(value, param)
        role = text(message.get("role"), f"{param}.role")
        read = _BY_ROLE.get(role)
        if read is None:
            raise wrong(f"{param}.role", f"must be one of: {', '.join(_BY_ROLE)}")
        read(self, message, param)

    def finished(self) -> Conversation:
        self._close_turn()
        return self._made

    def _system(self, message: dict[str, Any], param: str) -> None:
        where = f"{param}.content"
        for part in self._parts(message.get("content"), where, media=False):
            self._made.system.append(part["text"])

    def _user(self, message: dict[str, Any], param: str) -> None:
        self._turn_over = True
        self._words += self._parts(message.get("content"), f"{param}.content")

    def _assistant(self, message: dict[str, Any], param: str) -> None:
        if self._turn_over:
            self._close_turn()
        parts = self._said(message, param)
        signature = signatures.of_message(message, param)
        calls = self._called(message, param)
        if signature:
            _sign(parts, signature, bare=not calls)
        self._emit("model", parts + calls)

    def _said(self, message: dict[str, Any], param: str) -> list[dict[str, Any]]:
        content = message.get("content")
        parts = []
        if content is not None:
            parts = self._parts(content, f"{param}.content")
        refusal = maybe(message, "refusal", text, param)
        if refusal:
            parts.append({"text": refusal})
        images = message.get("images")
        if images is not None:
            parts += self._parts(images, f"{param}.images")
        return parts

    def _called(self, message: dict[str, Any], param: str) -> list[dict[str, Any]]:
        parts = []
        for index, call in enumerate(
            maybe(message, "tool_calls", sequence, param) or []
        ):
            parts.append(self._call(call, f"{param}.tool_calls[{index}]"))
        if message.get("function_call") is not None:
            where = f"{param}.function_call"
            call = {"function": record(message["function_call"], where)}
            parts.append(self._call(call, where))
        return parts

    def _call(self, value: object, param: str) -> dict[str, Any]:
        call = record(value, param)
        custom = call.get("type") == "custom"
        key = "custom" if custom else "function"
        function = record(call.get(key), f"{param}.{key}")
        own = name(function.get("name"), f"{param}.{key}.name")
        if custom:
            args = {"input": text(function.get("input"), f"{param}.custom.input")}
        else:
            args = _arguments(function.get("arguments"), f"{param}.function.arguments")
        made: dict[str, Any] = {"name": self._names.upstream(own), "args": args}
        call_id, _ = signatures.split_id(maybe(call, "id", text, param) or "")
        if call_id:
            made["id"] = call_id
        part: dict[str, Any] = {"functionCall": made}
        if signature := signatures.of_call(call, param):
            part["thoughtSignature"] = signature
        self._expect(_Call(call_id, own, made["name"]))
        self._made.has_calls = True
        return part

    def _expect(self, call: _Call) -> None:
        self._calls.append(call)
        self._by_id[call.id].append(call)
        self._by_name[call.own_name].append(call)

    def _tool(self, message: dict[str, Any], param: str) -> None:
        self._turn_over = True
        result = read_result(message.get("content"), f"{param}.content", self._media)
        call_id = maybe(message, "tool_call_id", text, param)
        own = maybe(message, "name", text, param)
        call = self._open_call(call_id, own)
        if call is None:
            self._words += as_user_text(result, own or "")
            return
        call.result = result

    def _open_call(self, call_id: str | None, own: str | None) -> _Call | None:
        """Return the unanswered call of this turn that a result belongs to; ids may
        have been used in earlier turns for other calls."""
        if call_id:
            waiting = self._by_id.get(signatures.split_id(call_id)[0])
        else:
            waiting = self._by_name.get(own or "")
        while waiting:
            call = waiting.popleft()
            if call.result is None:
                return call
        return None

    def _close_turn(self) -> None:
        responses = [part for call in self._calls for part in call.response()]
        outer = [
            part for call in self._calls if call.result for part in call.result.outer
        ]
        self._emit("user", responses + outer + self._words)
        self._calls, self._words, self._turn_over = [], [], False
        self._by_id.clear()
        self._by_name.clear()

    def _emit(self, role: str, parts: list[dict[str, Any]]) -> None:
        if not parts:
            return
        contents = self._made.contents
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})

    def _parts(
        self, content: object, param: str, media: bool = True
    ) -> list[dict[str, Any]]:
        if isinstance(content, str):
            return [{"text": content}] if content else []
        if not isinstance(content, list):
            raise wrong(param, "must be a string or an array of content parts")
        made = []
        for index, value in enumerate(content):
            part = self._part(value, f"{param}[{index}]", media)
            if part is not None:
                made.append(part)
        return made

    def _part(self, value: object, param: str, media: bool) -> dict[str, Any] | None:
        """Return the part; None when it is an empty text."""
        part = record(value, param)
        kind = text(part.get("type"), f"{param}.type")
        if kind in ("text", "refusal"):
            words = text(part.get(kind), f"{param}.{kind}")
            return {"text": words} if words else None
        if media and self._media.reads(kind):
            return self._media.read(part, param)
        raise wrong(f"{param}.type", f"{kind!r} is not taken here")


_BY_ROLE: dict[str, Callable[[_Builder, dict[str, Any], str], None]] = {
    "system": _Builder._system,
    "developer": _Builder._system,
    "user": _Builder._user,
    "assistant": _Builder._assistant,
    "model": _Builder._assistant,
    "tool": _Builder._tool,
    "function": _Builder._tool,
}


def _sign(parts: list[dict[str, Any]], signature: str, bare: bool) -> None:
    """Put a text signature on the last text; an empty one is made when the turn has
    nothing else, because that is how Gemini may have sent it."""
    for part in reversed(parts):
        if "text" in part:
            part["thoughtSignature"] = signature
            return
    if bare:
        parts.append({"text": "", "thoughtSignature": signature})


def _arguments(value: object, param: str) -> dict[str, Any]:
    """Return a call's arguments as an object.

    Text that is no JSON gives no arguments: models and clients leave broken ones in
    histories, and the call must stay. A value that is not an object goes under
    ``value``, as its tool was declared.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    elif not isinstance(value, dict):
        raise wrong(param, "must be a string that holds JSON")
    bounded(value, param)
    return value if isinstance(value, dict) else {"value": value}
