"""One request on its way through the gateway, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from accounts.callers import Caller

Method = Literal[
    "generateContent", "countTokens", "embedContent", "batchEmbedContents", "relay"
]


#: From the provider's refusal and the refused body to a body worth one more try.
Repair = Callable[[str, dict[str, Any]], dict[str, Any] | None]


@dataclass(slots=True)
class Audience:
    """Who waits for an answer; the calls that serve one request share it.

    ``asked`` tells that an account was asked for it. ``gone`` tells that its client
    went away, and that it is finished for one who asks again.
    """

    asked: bool = False
    gone: bool = False


@dataclass(slots=True, kw_only=True)
class Call:
    """A request in the middle language.

    ``body`` is Gemini JSON without the model; ``model`` is the name the caller asked
    for. ``needs`` are capabilities an account must have. ``deadline`` is seconds
    from the start after which the caller has stopped waiting. ``keep_empty`` tells
    that the caller reads Gemini answers itself, so that an answer without content is
    passed on in the end instead of becoming a fault. ``repair`` may rewrite a body
    that the provider refused, once. ``is_part`` marks one of several calls that serve
    one request, which was admitted as a whole. ``route`` takes the place of the
    catalog's for a ``relay``, whose body is a request in the provider's own dialect.
    ``sticky`` names calls that one account should serve, where that helps. ``finish``
    makes of each picture in the answer what the caller is to get; it runs in a thread,
    takes and returns a ``Picture`` of ``imaging.decoding``.
    """

    request_id: str
    surface: str
    method: Method
    model: str
    body: dict[str, Any]
    caller: Caller
    stream: bool = False
    copies: int = 1
    needs: frozenset[str] = frozenset()
    deadline: float | None = None
    keep_empty: bool = False
    client_ip: str = ""
    user_agent: str = ""
    repair: Repair | None = None
    is_part: bool = False
    route: Any = None
    sticky: str = ""
    finish: Callable[[Any], Any] | None = None
    audience: Audience | None = None


@dataclass(slots=True)
class Event:
    """One Gemini answer or stream chunk: its JSON bytes as received, and parsed."""

    raw: bytes
    data: dict[str, Any]
