"""What an upstream kind must be able to do.

An adapter is made from plain configuration, never from a model row, and keeps
nothing. It answers three questions: what do I send, how, and what did it mean.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from proxy.calls import Event, Method


@dataclass(frozen=True, slots=True)
class Way:
    """How connections go out: by which egress proxy, and whom they trust in PEM beside
    the known certificate authorities."""

    proxy_url: str = field(default="", repr=False)
    ca_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """One credential. ``base_url`` and ``proxy_url`` are empty for the defaults."""

    id: int
    kind: str
    secret: str = field(repr=False)
    base_url: str = ""
    proxy_url: str = field(default="", repr=False)
    #: Certificate authorities in PEM that its connections trust beside the known ones.
    ca_pem: str = field(default="", repr=False)

    @property
    def way(self) -> Way:
        return Way(self.proxy_url, self.ca_pem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. ``first_byte`` bounds the wait for the answer's head, ``idle`` the
    silence between chunks, ``total`` the whole call."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the gateway wants from one account: a Gemini method on an upstream model.

    ``body`` is Gemini JSON; the adapter must not change it. ``emulates`` are
    capabilities that the kind lacks and the route wants imitated. ``test``: nobody reads
    the answer, and nothing may be asked for it that costs more than a few tokens.
    """

    method: Method
    model: str
    body: Mapping[str, Any]
    timeouts: Timeouts = Timeouts()
    emulates: frozenset[str] = frozenset()
    test: bool = False


class Adapter(Protocol):
    """One upstream kind. Every method raises only faults of ``proxy.errors``.

    A class that can imitate capabilities which it lacks names them in ``imitates``.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[frozenset[str]]

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        """Return the whole answer."""
        ...

    def stream(
        self, account: AccountConfig, order: Order
    ) -> AsyncIterator[list[Event]]:
        """Yield the chunks of a generateContent as they arrive, those that arrived
        together in one list.

        Closing the iterator (or cancelling its consumer) aborts the upstream call.
        An ``error`` chunk is raised as the fault it means. The end of the stream
        without a finish reason is not judged here.
        """
        ...

    async def probe(self, account: AccountConfig, timeouts: Timeouts) -> list[str]:
        """Return the model names this account can use; raise the fault if none."""
        ...

    async def aclose(self) -> None:
        """Close pooled connections of the running loop."""
        ...


@runtime_checkable
class KeepsChats(Protocol):
    """An adapter whose accounts remember conversations themselves."""

    async def holder(self, model: str, body: Mapping[str, Any]) -> int | None:
        """Return the account that can go on with a body's conversation, or None."""
        ...
