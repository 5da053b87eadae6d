"""What a row expects: of the caller's answer, and of whom the gateway blames."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from proxy.faultlab.answers import Dialect, Seen

#: Whose rest, or state, names the trouble.
Whose = Literal["nobody", "account", "account_rest", "account_model", "egress"]
Words = Mapping[Dialect, str]


def words(openai: str, gemini: str) -> Words:
    """The same thing in both dialects."""
    return {"openai": openai, "gemini": gemini}


STOP = words("stop", "STOP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller sees.

    ``codes`` of an error make it one: the body's if ``status`` is not 200, else that
    of the one error frame which ends a stream. Without codes it is an answer that
    ends with one of ``finishes``; ``full`` says that its text must be all of it.
    ``retry`` bounds Retry-After in seconds; ``hopeless`` that SDKs are told not to.
    """

    status: int = 200
    codes: Words = field(default_factory=dict)
    finishes: Words = field(default_factory=lambda: STOP)
    full: bool = True
    retry: tuple[float, float] | None = None
    hopeless: bool = False

    @property
    def brief(self) -> str:
        """What is expected, in a few words."""
        if not self.codes:
            return f"200 {' / '.join(self.finishes.values())}"
        return f"{self.status} {' / '.join(self.codes.values())}"

    def complaints(self, seen: Seen, text: str) -> Iterator[str]:
        """Yield how what was seen differs; ``text`` is what the model says."""
        if seen.broken or seen.odd:
            yield f"the answer broke: {seen.broken or seen.odd}"
        if seen.status != self.status:
            yield f"status {seen.status} {seen.code}, expected {self.brief}"
        elif self.codes:
            yield from self._of_error(seen)
        else:
            yield from self._of_answer(seen, text)
        if seen.after_end:
            yield f"{seen.after_end} events came after the end"

    def _of_error(self, seen: Seen) -> Iterator[str]:
        wanted = self.codes[seen.dialect]
        if len(seen.errors) != 1:
            yield f"{len(seen.errors)} errors, expected one"
        elif seen.code != wanted:
            yield f"error {seen.code}, expected {wanted}"
        if seen.finishes or (self.status == 200 and seen.done):
            yield "an error and an end like a clean one"
        if self.status == 200 and not seen.text:
            yield "nothing before the error frame: the fault was not retried unseen"
        yield from self._of_retry(seen)

    def _of_retry(self, seen: Seen) -> Iterator[str]:
        if self.retry is not None:
            least, most = self.retry
            wait = seen.retry_after
            if wait is None or not least <= wait <= most:
                yield f"Retry-After {wait}, expected {least:.0f} to {most:.0f} s"
        if self.hopeless and seen.should_retry != "false":
            yield f"x-should-retry {seen.should_retry!r}, expected 'false'"

    def _of_answer(self, seen: Seen, text: str) -> Iterator[str]:
        if seen.errors:
            yield f"error {seen.code} in an answer"
        if seen.finishes != [self.finishes[seen.dialect]]:
            wanted = self.finishes[seen.dialect]
            yield f"finished {seen.finishes}, expected once {wanted}"
        if seen.dialect == "openai" and not seen.done:
            yield "no [DONE]"
        if self.full and seen.text != text:
            yield f"said {seen.text!r}, expected {text!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Whom the account list and the incidents name once the fault has shown.

    ``account`` needs a human's attention; ``account_rest`` and ``account_model`` rest
    for ``least`` to ``most`` seconds from the fault on, ``day`` until midnight in
    Los Angeles; ``egress`` is an incident. Strikes may need several ``requests``.
    """

    whose: Whose = "nobody"
    causes: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    day: bool = False
    requests: int = 1

    @property
    def brief(self) -> str:
        """Who is to be blamed, in a few words."""
        return f"{self.whose} {' or '.join(self.causes)}".strip()


ANSWERED = Answer()
NOBODY = Blame()


def told(status: int, openai: str, gemini: str) -> Answer:
    """An error with a status of its own."""
    return Answer(status=status, codes=words(openai, gemini))


def spent(openai: str, gemini: str) -> Answer:
    """A quota that no retry of the caller's brings back."""
    return Answer(status=429, codes=words(openai, gemini), hopeless=True)


def retried(answer: Answer, least: float, most: float) -> Answer:
    """The same error with a Retry-After within bounds."""
    return replace(answer, retry=(least, most))


def framed(openai: str, gemini: str) -> Answer:
    """Some content, then one error frame and no end like a clean one."""
    return Answer(codes=words(openai, gemini))


def finished(openai: str, gemini: str) -> Answer:
    """An answer that ends early, with a reason of its own."""
    return Answer(finishes=words(openai, gemini), full=False)


def attention(*causes: str) -> Blame:
    """The account is out until a human has acted."""
    return Blame(whose="account", causes=causes)


def resting(cause: str, least: float, most: float, *, requests: int = 1) -> Blame:
    """The account rests for this model only."""
    return Blame(
        whose="account_model",
        causes=(cause,),
        least=least,
        most=most,
        requests=requests,
    )
