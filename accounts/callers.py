"""Who is calling: the plain values that an accepted token stands for."""

from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["api", "operator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one plan allows; None means unlimited, an empty tuple means any."""

    requests_per_minute: int | None = None
    concurrency: int | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One authenticated caller, as the gateway needs it.

    ``token_id`` is None for a signed-in person who uses the portal. A guest has no
    user: an address stands for those who bring a provider's key of their own.
    """

    user_id: int | None
    username: str
    token_id: int | None = None
    token_name: str = ""
    scope: Scope = "api"
    plan: str = ""
    #: Whether the token wants the corner mark off its pictures; None if it does not say.
    remove_mark: bool | None = None
    limits: Limits = field(default_factory=Limits)
    guest: str = ""

    @property
    def key(self) -> str:
        """The name under which this caller's use is counted."""
        if self.guest:
            return f"g{self.guest}"
        return f"t{self.token_id}" if self.token_id else f"u{self.user_id}"
