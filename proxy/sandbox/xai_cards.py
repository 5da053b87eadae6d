"""The models that the imitated xAI offers."""

from dataclasses import dataclass
from typing import Any

from proxy.sandbox.catalogue import Card, Thinking

_THINKS = Thinking(lowest=0, highest=24576, can_stop=True)


@dataclass(frozen=True)
class Grok:
    """One model: its names, and the efforts that it can be told to make."""

    card: Card
    aliases: tuple[str, ...] = ()
    efforts: tuple[str, ...] = ()
    draws: bool = False
    rewrites: bool = False

    @property
    def id(self) -> str:
        return self.card.id

    def listed(self) -> dict[str, Any]:
        """The row of the models list."""
        return {
            "id": self.id,
            "created": 1752019200,
            "object": "model",
            "owned_by": "xai",
        }

    def detailed(self) -> dict[str, Any]:
        """The row of the longer lists."""
        made = ["image"] if self.draws else ["text"]
        taken = ["text"] if self.draws else ["text", "image"]
        return {
            **self.listed(),
            "fingerprint": "fp_sandbox",
            "version": "1.0.0",
            "input_modalities": taken,
            "output_modalities": made,
            "aliases": list(self.aliases),
        }


def _talks(
    name: str, *, thinks: bool = True, window: int = 1_000_000, **more: Any
) -> Grok:
    card = Card(
        name,
        name,
        0,
        input_limit=window,
        output_limit=128_000,
        thinking=_THINKS if thinks else None,
    )
    return Grok(card, **more)


def _draws(name: str, **more: Any) -> Grok:
    return Grok(Card(name, name, 0, draws=True), draws=True, **more)


_ALL = ("low", "medium", "high")
_GROKS = (
    _talks(
        "grok-4.7",
        window=500_000,
        aliases=("grok-latest",),
        efforts=(*_ALL, "xhigh"),
    ),
    _talks("grok-4.5", window=500_000, efforts=_ALL),
    _talks("grok-4.3", aliases=("grok-4.3-latest",), efforts=("none", *_ALL)),
    _talks("grok-4.20-0309-reasoning", aliases=("grok-4.20", "grok-4.20-reasoning")),
    _talks(
        "grok-4.20-0309-non-reasoning",
        thinks=False,
        aliases=("grok-4.20-non-reasoning",),
    ),
    _talks("grok-build-0.1", window=256_000, aliases=("grok-code-fast-1",)),
    _talks("grok-4-0709", window=256_000, aliases=("grok-4", "grok-4-latest")),
    _talks("grok-3-mini", window=131_072, efforts=("low", "high")),
    _draws("grok-2-image-1212", aliases=("grok-2-image",), rewrites=True),
    _draws("grok-imagine-image"),
    _draws("grok-imagine-image-2.0"),
)
GROKS = {grok.id: grok for grok in _GROKS}
_NAMED = GROKS | {alias: grok for grok in _GROKS for alias in grok.aliases}


def find_grok(name: str) -> Grok | None:
    """The model of a name or alias."""
    return _NAMED.get(name)
