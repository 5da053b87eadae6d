"""Sizes of pictures as callers write them, as the ratio and size that Gemini takes."""

import re
from dataclasses import dataclass
from math import log
from typing import Final

from imaging.bounds import PictureRefused

Tier = str

#: imageConfig.aspectRatio of the Gemini API.
RATIOS: Final = (
    "1:1",
    "2:3",
    "3:2",
    "3:4",
    "4:3",
    "4:5",
    "5:4",
    "9:16",
    "16:9",
    "21:9",
)
#: What newer models draw besides.
WIDE_RATIOS: Final = (*RATIOS, "1:4", "4:1", "1:8", "8:1")
#: imageConfig.imageSize: its word, and the edge of the square with its area.
TIERS: Final[dict[Tier, int]] = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}

_PIXELS = re.compile(r"(\d{1,6})\s*[x\u00d7*]\s*(\d{1,6})", re.I | re.ASCII)
_RATIO = re.compile(r"(\d{1,3}):(\d{1,3})", re.ASCII)
_TIER = re.compile(r"(512|0\.5k|1k|2k|4k)(?:px)?", re.I | re.ASCII)
#: The longest side that is no slip of the keyboard.
_LONGEST = 16_384
_WORDS: Final = 'must be "auto", WIDTHxHEIGHT, a ratio such as "16:9", or 1K, 2K or 4K'


@dataclass(frozen=True, slots=True)
class AskedSize:
    """What a size means: ``ratio`` and ``tier`` are None where the caller left them
    open; ``width`` and ``height`` are set where pixels were named."""

    ratio: str | None = None
    tier: Tier | None = None
    width: int | None = None
    height: int | None = None


def asked_size(text: str, ratios: tuple[str, ...] = RATIOS) -> AskedSize:
    """Read a size: "auto" or nothing, "1792x1024", "16:9", "2K", "16:9@2K".

    Pixels and ratios become the nearest of ``ratios``, pixels also the nearest size
    by area. Raises PictureRefused (bad_size) for anything else.
    """
    words = text.strip()
    if words.lower() in ("", "auto"):
        return AskedSize()
    if found := _PIXELS.fullmatch(words):
        width, height = int(found[1]), int(found[2])
        if not (1 <= width <= _LONGEST and 1 <= height <= _LONGEST):
            raise _refused(f"has sides from 1 to {_LONGEST} pixels")
        return AskedSize(
            nearest_ratio(width, height, ratios), _tier(width, height), width, height
        )
    shape, at, tier = words.partition("@")
    if not at and _TIER.fullmatch(shape):
        shape, tier = "", shape
    if (at or tier) and not _TIER.fullmatch(tier):
        raise _refused(_WORDS)
    return AskedSize(_ratio(shape, ratios), _tier_word(tier) if tier else None)


def nearest_ratio(width: int, height: int, ratios: tuple[str, ...] = RATIOS) -> str:
    """Return the ratio that is nearest to a width and a height, by proportion."""
    wanted = log(width / height)
    return min(ratios, key=lambda ratio: abs(_log_of(ratio) - wanted))


def _log_of(ratio: str) -> float:
    across, _, down = ratio.partition(":")
    return log(int(across) / int(down))


def _ratio(shape: str, ratios: tuple[str, ...]) -> str | None:
    if not shape:
        return None
    found = _RATIO.fullmatch(shape)
    if not found or not int(found[1]) or not int(found[2]):
        raise _refused(_WORDS)
    return nearest_ratio(int(found[1]), int(found[2]), ratios)


def _tier(width: int, height: int) -> Tier:
    edge = log(width * height) / 2
    return min(TIERS, key=lambda tier: abs(log(TIERS[tier]) - edge))


def _tier_word(text: str) -> Tier:
    word = text.lower().removesuffix("px")
    return "512" if word in ("512", "0.5k") else word.upper()


def _refused(what: str) -> PictureRefused:
    return PictureRefused("bad_size", f"size {what}.")
