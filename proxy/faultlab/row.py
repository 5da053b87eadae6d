"""One row of the fault matrix: how an account fails, and what must come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from proxy.faultlab.answers import Dialect
from proxy.faultlab.expectations import ANSWERED, NOBODY, Answer, Blame

COUNT, COUNTED = "count to 9", "1 2 3 4 5 6 7 8 9"

#: Where an account's requests go: to the sandbox, to a port on which nobody listens,
#: or to the sandbox over TLS, which it does not speak.
Place = Literal["sandbox", "dead port", "no tls"]
#: The kinds of account that the lab can make.
Kind = Literal["gemini_api", "gemini_web", "code_assist", "xai"]
#: What the caller does: wait, or leave before or after the first content.
Act = Literal["stay", "leave early", "leave late"]


@dataclass(frozen=True, slots=True)
class Form:
    """A surface, and whether its answer is streamed."""

    dialect: Dialect
    stream: bool

    @property
    def name(self) -> str:
        return f"{self.dialect} {'stream' if self.stream else 'whole'}"


OPENAI, OPENAI_STREAM = Form("openai", False), Form("openai", True)
GEMINI, GEMINI_STREAM = Form("gemini", False), Form("gemini", True)
FORMS = (OPENAI, OPENAI_STREAM, GEMINI, GEMINI_STREAM)
MIXED = (OPENAI, GEMINI_STREAM)
MIXED_TOO = (OPENAI_STREAM, GEMINI)
STREAMS = (OPENAI_STREAM, GEMINI_STREAM)
WHOLE = (OPENAI, GEMINI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault of an account of a ``kind``.

    ``behaviour`` is what the sandbox does for the failing account, with ``params``;
    ``others`` what it does for the other one. ``pair`` is what the caller sees when
    both are in the pool, the failing one first, and ``alone`` when it is the only
    one; by dialect where they differ. ``blame`` is of the failing account alone.
    ``ledger`` is the cause in the usage row of the ``alone`` request, if it matters.
    """

    name: str
    kind: Kind = "gemini_api"
    behaviour: str = "ok"
    params: Mapping[str, Any] = field(default_factory=dict)
    others: str = "ok"
    place: Place = "sandbox"
    act: Act = "stay"
    forms: tuple[Form, ...] = MIXED
    prompt: str = COUNT
    text: str = COUNTED
    pair: Answer | Mapping[Dialect, Answer] = ANSWERED
    alone: Answer | Mapping[Dialect, Answer] = ANSWERED
    blame: Blame = NOBODY
    ledger: str = ""

    def expected(self, form: Form, *, alone: bool) -> Answer:
        """What the caller sees in a form."""
        wanted = self.alone if alone else self.pair
        return wanted if isinstance(wanted, Answer) else wanted[form.dialect]
