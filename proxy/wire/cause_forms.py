"""The forms that causes of trouble have: who must act, what rests, what counts."""

from dataclasses import dataclass
from typing import Literal

from proxy.errors import Scope

Who = Literal["caller", "operator", "provider", "nobody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A cause in plain words, the step that helps, and what it does to scheduling.

    ``who`` must act. ``scope`` rests for ``rest_seconds`` unless the provider named a
    time; None means it does not rest by time. ``attention``: the account is out until
    a human acts. ``strike`` counts against health; ``again`` allows the same account
    at once. ``link`` is a page to open.
    """

    meaning: str
    action: str
    who: Who = "nobody"
    scope: Scope = "nothing"
    rest_seconds: float | None = None
    attention: bool = False
    strike: bool = False
    again: bool = False
    link: str = ""


def out(meaning: str, action: str, link: str = "") -> Cause:
    """An account that is out until the operator acts."""
    return Cause(
        meaning=meaning,
        action=action,
        who="operator",
        scope="account",
        attention=True,
        link=link,
    )


def rest(
    scope: Scope,
    seconds: float | None,
    meaning: str,
    action: str,
    *,
    who: Who = "provider",
    strike: bool = False,
    link: str = "",
) -> Cause:
    """Something that rests and comes back by itself."""
    return Cause(
        meaning=meaning,
        action=action,
        who=who,
        scope=scope,
        rest_seconds=seconds,
        strike=strike,
        link=link,
    )


def failing(
    meaning: str, action: str, *, scope: Scope = "account_model", again: bool = True
) -> Cause:
    """A failure that counts against health."""
    return Cause(
        meaning=meaning,
        action=action,
        who="provider",
        scope=scope,
        strike=True,
        again=again,
    )


def callers(meaning: str, action: str) -> Cause:
    """Something that only the caller can put right."""
    return Cause(meaning=meaning, action=action, who="caller")


def note(meaning: str, action: str, who: Who = "nobody") -> Cause:
    """Something that rests nothing and counts against nobody."""
    return Cause(meaning=meaning, action=action, who=who)
