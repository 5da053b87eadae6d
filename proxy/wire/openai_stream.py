"""Gemini stream chunks as OpenAI chat completion chunks, for one request."""

from typing import ClassVar

import orjson

from proxy.errors import BadAnswer, Fault, StreamCut
from proxy.wire.answer_media import read_logprobs
from proxy.wire.error_bodies import openai_error
from proxy.wire.gemini_answer import (
    Json,
    Usage,
    candidates_of,
    mapping,
    parts_of,
    read_usage,
    reason_of,
)
from proxy.wire.openai_answer import Choice, Style, render_usage, served_by

_PLAIN = frozenset({"content", "index"})
_DONE = b"data: [DONE]\n\n"


def _framed(payloads: list[bytes]) -> bytes:
    if len(payloads) == 1:
        return b"data: %b\n\n" % payloads[0]
    return b"".join([b"data: %b\n\n" % payload for payload in payloads])


class ChatStream:
    """Renders one stream; made per request, holds what was seen so far.

    The ``…payloads`` methods return JSON objects as bytes, for any transport; the
    others return the same ones as server-sent events. A stream ends once, by finish
    or by fault; what comes after that is nothing.
    """

    keep_alive: ClassVar[bytes] = b": ping\n\n"

    def __init__(self, style: Style) -> None:
        self.style = style
        #: tool call id → thought signature, filled while rendering
        self.signatures: dict[str, str] = {}
        self._call_ids: set[str] = set()
        self._choices: dict[int, Choice] = {}
        self._started = False
        self._ended = False
        self._last: Json = {}
        self._metadata: Json = {}
        head = orjson.dumps(self._object([]))[:-2]
        self._head = head + b'{"index":0,"delta":{"content":'
        self._thought_head = head + b'{"index":0,"delta":{"reasoning_content":'
        self._tail = b'},"logprobs":null,"finish_reason":null}]}'
        self._first = Choice(style, self.signatures, self._call_ids)
        self._say = None if style.json_text else self._first.transcript.say

    def start(self) -> bytes:
        """Return the role event; nothing when it was sent already."""
        return _framed(self.start_payloads())

    def start_payloads(self) -> list[bytes]:
        """Return the payloads that come before any content."""
        return self._begin({})

    def _begin(self, data: Json) -> list[bytes]:
        if self._started:
            return []
        self._started = True
        first = [candidate for index, candidate in candidates_of(data) if not index]
        return [self._role(0, *first)]

    def render(self, chunks: list[Json]) -> bytes:
        """Return the events of chunks that arrived together; may be empty."""
        return _framed(self.payloads(chunks))

    def payloads(self, chunks: list[Json]) -> list[bytes]:
        """Return the payloads of chunks that arrived together; may be empty."""
        out = self._begin(chunks[0]) if chunks and not self._started else []
        for data in chunks:
            plain = self._plain(data)
            if plain is None:
                self._read(data, out)
            elif plain:
                out.append(plain)
        return out

    def finish(self, usage: Usage | None = None) -> bytes:
        """Return the events that end the stream.

        ``usage`` replaces the last snapshot seen where several upstream answers were
        joined. A stream that may not end well (see ``finish_payloads``) ends with an
        error event and without [DONE].
        """
        if self._ended:
            return b""
        broken = self._broken()
        if broken:
            return self.fault(broken)
        return _framed(self.finish_payloads(usage)) + _DONE

    def finish_payloads(self, usage: Usage | None = None) -> list[bytes]:
        """Return per choice what was left and the finish, then usage if asked for.

        An answer that is empty, that broke off without a finish reason, or that says
        nothing and ended for no reason of substance gives an error payload instead:
        a client must never take it for a complete one.
        """
        if self._ended:
            return []
        broken = self._broken()
        if broken:
            return self.fault_payloads(broken)
        self._ended = True
        out: list[bytes] = self.start_payloads()
        for index, choice in sorted(self._choices.items()):
            out += [self._chunk(index, delta) for delta in choice.close()]
            out.append(self._finish(index, choice))
        if self.style.include_usage:
            out.append(self._usage(usage or read_usage(self._metadata)))
        return out

    def fault(self, fault: Fault) -> bytes:
        """Return the error event that ends the stream; no [DONE] follows it."""
        return _framed(self.fault_payloads(fault))

    def fault_payloads(self, fault: Fault) -> list[bytes]:
        """Return the error payload, with ``retry_after`` where it is known."""
        if self._ended:
            return []
        self._ended = True
        return [orjson.dumps(openai_error(fault, in_frame=True))]

    def _plain(self, data: Json) -> bytes | None:
        """Render a chunk that is one plain text, b"" for an empty one.

        Nearly every chunk is; None sends the others the long way.
        """
        try:
            (candidate,) = data["candidates"]
            (part,) = candidate["content"]["parts"]
            text = part["text"]
        except (KeyError, TypeError, ValueError):
            return None
        say = self._say
        plain = say and candidate.keys() <= _PLAIN and not candidate.get("index")
        if not plain or not isinstance(text, str) or "promptFeedback" in data:
            return None
        if len(part) == 1:
            head = self._head
        elif len(part) == 2 and part.get("thought") is True:
            head, say = self._thought_head, None
        else:
            return None
        self._last = data
        self._metadata = data.get("usageMetadata") or self._metadata
        self._choices[0] = self._first
        if not text:
            return b""
        if say:
            say(text)
        return head + orjson.dumps(text) + self._tail

    def _read(self, data: Json, out: list[bytes]) -> None:
        self._last = data
        self._metadata = mapping(data.get("usageMetadata")) or self._metadata
        feedback = mapping(data.get("promptFeedback"))
        reason = reason_of(feedback, "blockReason")
        if reason and not self._choices:
            self._choices[0] = self._first
            self._first.block(reason)
        for index, candidate in candidates_of(data):
            choice = self._choice(index, candidate, out)
            deltas = choice.read(candidate)
            logprobs = read_logprobs(candidate)
            if logprobs and not deltas:
                deltas = [{}]
            for delta in deltas:
                out.append(self._chunk(index, delta, logprobs))
                logprobs = None

    def _choice(self, index: int, candidate: Json, out: list[bytes]) -> Choice:
        choice = self._choices.get(index)
        if choice:
            return choice
        if index == 0:
            choice = self._first
        else:
            choice = Choice(self.style, self.signatures, self._call_ids)
            out.append(self._role(index, candidate))
        self._choices[index] = choice
        return choice

    def _broken(self) -> Fault | None:
        choices = self._choices.values()
        if not choices:
            return BadAnswer("The provider's answer was empty.", code="upstream_empty")
        if any(not choice.native and not choice.filtered for choice in choices):
            return StreamCut()
        if all(choice.malformed for choice in choices):
            natives = ", ".join(sorted({str(choice.native) for choice in choices}))
            return BadAnswer(f"The provider ended an answer without output: {natives}.")
        return None

    def _object(self, choices: list[Json]) -> Json:
        return {
            "id": self.style.id,
            "object": "chat.completion.chunk",
            "created": self.style.created,
            "model": self.style.model,
            "choices": choices,
        }

    def _role(self, index: int, candidate: Json | None = None) -> bytes:
        """Render the role; content is null where a call comes first, as at OpenAI.

        The AI SDK takes an empty content for the start of a text.
        """
        calls = any("functionCall" in part for part in parts_of(candidate or {})[:1])
        content = None if calls else ""
        return self._chunk(index, {"role": "assistant", "content": content})

    def _chunk(self, index: int, delta: Json, logprobs: Json | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs}
        return orjson.dumps(self._object([{**choice, "finish_reason": None}]))

    def _finish(self, index: int, choice: Choice) -> bytes:
        row = {
            "index": index,
            "delta": {},
            "logprobs": None,
            "finish_reason": choice.finish_reason(),
            "native_finish_reason": choice.native,
        }
        return orjson.dumps({**self._object([row]), **served_by(self._last)})

    def _usage(self, usage: Usage) -> bytes:
        return orjson.dumps({**self._object([]), "usage": render_usage(usage)})
