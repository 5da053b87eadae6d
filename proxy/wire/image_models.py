"""What models can draw: which shapes, which sizes, and what their names ask for."""

import re
from dataclasses import dataclass
from typing import Final

from imaging.sizes import RATIOS, TIERS, WIDE_RATIOS, AskedSize, nearest_ratio
from proxy.wire.model_names import model_name
from proxy.wire.xai_models import is_grok

_SUFFIX = re.compile(r"-([24])k\Z", re.I)
_IMAGEN_RATIOS: Final = ("1:1", "3:4", "4:3", "9:16", "16:9")
_WIDE_SINCE: Final = (3, 1)
_NOTHING: Final[frozenset[str]] = frozenset()
#: A prediction is made of one text; the method takes nothing else (ai.google.dev,
#: "Imagen"), and such a model answers no other method.
_NOT_IMAGENS: Final = frozenset(
    {
        "tools",
        "json_schema",
        "images_in",
        "audio_in",
        "video_in",
        "files_in",
        "audio_out",
        "search",
        "code",
        "system",
        "embeddings",
        "count_tokens",
    }
)


@dataclass(frozen=True, slots=True)
class Canvas:
    """The aspect ratios and sizes that a model takes; none where it takes no such
    field and always draws the same."""

    ratios: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()


def is_imagen(model: str) -> bool:
    """Is it an Imagen model, which answers ``:predict`` only?"""
    return model_name(model).bare.startswith("imagen-")


def lacks_of(model: str) -> frozenset[str]:
    """Return the capabilities of its kind of account that an upstream model lacks."""
    return _NOT_IMAGENS if is_imagen(model) else _NOTHING


def split_size(model: str) -> tuple[str, str | None]:
    """Return a model's name without ``-2k`` or ``-4k``, and the imageSize that the
    ending asks for: gemini-3-pro-image-preview-4k is that model at 4K."""
    found = _SUFFIX.search(model)
    return (model[: found.start()], f"{found[1]}K") if found else (model, None)


def canvas_of(model: str) -> Canvas:
    """Return what an upstream model can draw, by its name.

    Facts: ai.google.dev, "Image generation" (models up to 2.0 take no imageConfig,
    2.5 takes ratios only) and "Imagen"; docs.x.ai for Grok. A name that tells nothing
    is the operator's own, so everything is passed on.
    """
    name = model_name(model)
    if is_imagen(model):
        big = "-4" in name.bare and not name.has("fast")
        return Canvas(_IMAGEN_RATIOS, ("1K", "2K") if big else ())
    if is_grok(model):
        # grok-2-image refuses an aspect ratio.
        return Canvas() if name.bare.startswith("grok-2") else Canvas(RATIOS)
    if name.family != "gemini":
        return Canvas(WIDE_RATIOS, tuple(TIERS))
    if name.version < (2, 5):
        return Canvas()
    if name.version < (3, 0):
        return Canvas(RATIOS)
    if name.has("pro") or name.version < _WIDE_SINCE:
        return Canvas(RATIOS, ("1K", "2K", "4K"))
    return Canvas(WIDE_RATIOS, tuple(TIERS))


def image_config(asked: AskedSize, model: str) -> tuple[dict[str, str], bool]:
    """Return an imageConfig for a size, and whether the model can follow it.

    A ratio or size that the model lacks becomes the nearest that it has.
    """
    canvas = canvas_of(model)
    config: dict[str, str] = {}
    followed = True
    if asked.ratio and canvas.ratios:
        across, _, down = asked.ratio.partition(":")
        ratio = nearest_ratio(int(across), int(down), canvas.ratios)
        config["aspectRatio"] = ratio
        followed = ratio == asked.ratio
    elif asked.ratio and asked.ratio != "1:1":
        followed = False
    if asked.tier and canvas.tiers:
        config["imageSize"] = min(
            canvas.tiers, key=lambda tier: abs(_edge(tier) - _edge(asked.tier or "1K"))
        )
    drawn = config.get("imageSize", "1K")
    return config, followed and asked.tier in (None, drawn)


def _edge(tier: str) -> int:
    return TIERS[tier]
