"""What a caller sees of an answer, whole or streamed, in either dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Dialect = Literal["openai", "gemini"]
Json = dict[str, Any]


@dataclass(slots=True)
class Seen:
    """An answer as its caller saw it.

    ``finishes`` are the finish reasons in the order in which they came, ``errors``
    the error objects: that of the body, or those of a stream's frames. ``done`` says
    that OpenAI's ``[DONE]`` came, ``broken`` how the connection failed, and ``odd``
    what came that nobody could read.
    """

    dialect: Dialect
    status: int = 0
    text: str = ""
    finishes: list[str] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)
    done: bool = False
    after_end: int = 0
    broken: str = ""
    odd: str = ""
    retry_after: float | None = None
    should_retry: str = ""
    request_id: str = ""

    @property
    def code(self) -> str:
        """The word for programs of the first error, or an empty one."""
        if not self.errors:
            return ""
        word = "code" if self.dialect == "openai" else "status"
        return str(self.errors[0].get(word) or "")

    @property
    def brief(self) -> str:
        """The answer in a few words."""
        if self.broken:
            return f"{self.status} broken off: {self.broken}"
        if self.errors and self.status == 200:
            frames = len(self.errors)
            return f"200, then {self.code}" + (f" x{frames}" if frames > 1 else "")
        if self.errors:
            wait = self.retry_after
            told = "" if wait is None else f", retry after {wait:.0f} s"
            return f"{self.status} {self.code}{told}"
        return f"{self.status} {', '.join(self.finishes) or 'without a finish'}"


def read_headers(seen: Seen, status: int, headers: Mapping[str, str]) -> None:
    """Take in the head of an answer; names in lower case or of any case-blind kind."""
    seen.status = status
    seen.request_id = headers.get("x-request-id", "")
    seen.should_retry = headers.get("x-should-retry", "")
    wait = headers.get("retry-after")
    seen.retry_after = None if wait is None else float(wait)


def read_whole(seen: Seen, body: bytes) -> None:
    """Take in the body of an answer that is no stream."""
    data = _parsed(body)
    if data is None:
        seen.odd = repr(body[:80])
        return
    _take(seen, data)
    seen.done = True


class EventReader:
    """Takes in a stream of server-sent events line by line."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def feed(self, line: str) -> None:
        """Take in one line, without its end."""
        if not line.strip() or line.startswith(":"):
            return
        name, colon, value = line.partition(":")
        value = value.strip()
        if name != "data" or not colon:
            self.seen.odd = line[:80]
        elif value == "[DONE]":
            self.seen.done = True
        else:
            self._event(value)

    def _event(self, value: str) -> None:
        seen = self.seen
        # Usage may come after OpenAI's finish, nothing else after any end.
        if seen.done or seen.errors:
            seen.after_end += 1
        data = _parsed(value.encode())
        if data is None:
            seen.odd = value[:80]
        else:
            _take(seen, data)


def _take(seen: Seen, data: Json) -> None:
    error = data.get("error")
    if isinstance(error, dict):
        seen.errors.append(error)
    elif seen.dialect == "openai":
        _take_openai(seen, data)
    else:
        _take_gemini(seen, data)


def _take_openai(seen: Seen, data: Json) -> None:
    for choice in data.get("choices", ()):
        said = choice.get("message") or choice.get("delta") or {}
        seen.text += said.get("content") or ""
        if choice.get("finish_reason"):
            seen.finishes.append(choice["finish_reason"])


def _take_gemini(seen: Seen, data: Json) -> None:
    blocked = data.get("promptFeedback", {}).get("blockReason")
    if blocked:
        seen.finishes.append(blocked)
    for candidate in data.get("candidates", ()):
        for part in candidate.get("content", {}).get("parts", ()):
            seen.text += "" if part.get("thought") else part.get("text", "")
        if candidate.get("finishReason"):
            seen.finishes.append(candidate["finishReason"])


def _parsed(raw: bytes) -> Json | None:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None
