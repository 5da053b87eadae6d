"""The conversations that a person of the imitated site has in the history."""

from dataclasses import dataclass, field
from typing import Any

SLOTS = 10
_CONTEXT = 9


@dataclass(kw_only=True)
class Talk:
    """One conversation. ``head`` is what the page sends to go on after its last turn:
    ids of the conversation, of the reply and of the candidate, and the context."""

    model: str
    head: list[str] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)

    def goes_on(self, sent: list[Any]) -> bool:
        """Whether a page has sent exactly where the conversation stands."""
        return [sent[0], sent[1], sent[2], sent[_CONTEXT]] == self.head


class Talks:
    """All conversations of one person, by their ids; temporary ones are not here."""

    def __init__(self) -> None:
        self._talks: dict[str, Talk] = {}

    def __contains__(self, cid: object) -> bool:
        return cid in self._talks

    def __len__(self) -> int:
        return len(self._talks)

    def ids(self) -> list[str]:
        """Return the ids, the newest first."""
        return list(reversed(self._talks))

    def find(self, cid: str) -> Talk | None:
        """Return a conversation, unless it never was or was deleted."""
        return self._talks.get(cid)

    def turns(self, cid: str) -> list[dict[str, Any]]:
        """Return what was said so far, nothing in a new conversation."""
        talk = self._talks.get(cid)
        return list(talk.turns) if talk else []

    def add(
        self, cid: str, model: str, turns: list[dict[str, Any]], head: list[str]
    ) -> None:
        """Keep the turns of one more answer."""
        talk = self._talks.setdefault(cid, Talk(model=model))
        talk.turns += turns
        talk.head = head

    def delete(self, cid: str) -> None:
        """Delete a conversation; the site does not mind if there is none."""
        self._talks.pop(cid, None)


def is_head(sent: Any) -> bool:
    """Whether a slot holds what the page sends for a conversation, old or new."""
    if not isinstance(sent, list) or len(sent) != SLOTS:
        return False
    named = [sent[0], sent[1], sent[2], sent[_CONTEXT]]
    known = all(isinstance(name, str) for name in named)
    return known and sent[3:_CONTEXT] == [None] * (_CONTEXT - 3)
