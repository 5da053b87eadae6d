"""Which marks there are, and where in a picture of a given size each of them would sit.

A picture's size does not decide which mark it carries: the same size occurs with several.
So these are candidates, which must be confirmed in the pixels.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from imaging.watermark import star, templates
from imaging.watermark.templates import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One form of the mark: a box of ``size`` pixels, ``margin`` from right and bottom.

    ``opacity`` is that of the star's inside. ``native`` marks were put on the picture
    as it was drawn; others were enlarged with it.
    """

    name: str
    size: int
    margin: int
    opacity: float
    native: bool = True


MARKS = (
    Mark(name="v1-48", size=48, margin=32, opacity=128 / 255),
    Mark(name="v1-96", size=96, margin=64, opacity=128 / 255),
    Mark(name="v2-48", size=48, margin=96, opacity=0.3),
    # The same as v2-48, enlarged by the download button.
    Mark(name="v2-96", size=96, margin=192, opacity=0.3, native=False),
)
_SCALED = "-scaled"
#: Every name that a setting may list.
VARIANTS = frozenset(
    mark.name + suffix
    for mark in MARKS
    for suffix in (("", _SCALED)[: 1 + mark.native])
)

#: Pixels that a template reaches beyond its box where a filter spreads the star.
_SPREAD = 4

# What the image models draw at 1K; 2K and 4K are twice and four times that.
_DRAWN = (
    *((1024, 1024), (832, 1248), (864, 1184), (896, 1152), (768, 1344), (672, 1536)),
    *((848, 1264), (896, 1200), (928, 1152), (768, 1376), (672, 1584), (768, 1408)),
)
_DRAWN_TIMES = (1, 2, 4)
_LEAST_SCALE, _MOST_SCALE = 0.3, 2.2
_SAME_SCALE = 0.002


class Box(NamedTuple):
    """Where a mark is: left, top, width and height in pixels of the picture."""

    x: int
    y: int
    width: int
    height: int

    def within(self, size: tuple[int, int]) -> bool:
        """Tell whether the box lies in a picture of this size."""
        right, bottom = self.x + self.width, self.y + self.height
        return self.x >= 0 and self.y >= 0 and right <= size[0] and bottom <= size[1]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mark that a picture of this size may carry.

    ``box`` is the mark's nominal box, ``area`` the pixels that ``template`` covers; the
    latter is larger where a filter has spread the star.
    """

    variant: str
    mark: Mark
    box: Box
    area: Box
    template: Template


def checked(variants: frozenset[str] | None) -> frozenset[str]:
    """Return the names of the marks to look for, all of them for None.

    Raises ValueError for a name that does not exist.
    """
    if variants is None:
        return VARIANTS
    if unknown := variants - VARIANTS:
        raise ValueError(
            f"No such mark: {', '.join(sorted(unknown))}."
            f" There are {', '.join(sorted(VARIANTS))}."
        )
    return variants


@functools.lru_cache(maxsize=32)
def candidates(size: tuple[int, int]) -> tuple[Candidate, ...]:
    """Return the marks that a picture of ``size`` may carry and that fit into it.

    The official sizes have the mark at an exact place. A picture of another size may be
    one of those, scaled: there the star is scaled too, and a pixel's slack is allowed.
    """
    found = [_exact(mark, size) for mark in MARKS]
    for drawn in _scaled_from(size):
        for mark in MARKS:
            found += _scaled(mark, drawn, size) if mark.native else []
    return tuple(
        candidate
        for candidate in found
        if candidate.area.within(size) and candidate.template.core.size
    )


def _exact(mark: Mark, size: tuple[int, int]) -> Candidate:
    x, y = (side - mark.margin - mark.size for side in size)
    box = Box(x, y, mark.size, mark.size)
    spread = 0 if mark.native else _SPREAD
    side = mark.size + 2 * spread
    area = Box(x - spread, y - spread, side, side)
    return Candidate(mark.name, mark, box, area, _template(mark))


@functools.lru_cache(maxsize=len(MARKS))
def _template(mark: Mark) -> Template:
    if mark.native:
        return templates.template(star.coverage(mark.size))
    return templates.template(star.doubled(mark.size // 2, _SPREAD))


def _scaled(
    mark: Mark, drawn: tuple[int, int], size: tuple[int, int]
) -> list[Candidate]:
    """Return the scaled mark in its place and in the eight places beside it."""
    across = _axis(mark, drawn[0], size[0])
    down = _axis(mark, drawn[1], size[1])
    template = templates.template(
        star.scaled(
            mark.size,
            (across.first, down.first),
            (across.pixel, down.pixel),
            (across.many, down.many),
        )
    )
    found = []
    for right, below in itertools.product((0, -1, 1), repeat=2):
        area = Box(across.at + right, down.at + below, across.many, down.many)
        box = Box(
            area.x + _SPREAD,
            area.y + _SPREAD,
            area.width - 2 * _SPREAD,
            area.height - 2 * _SPREAD,
        )
        found.append(Candidate(mark.name + _SCALED, mark, box, area, template))
    return found


@dataclass(frozen=True, slots=True)
class _Axis:
    """The scaled star along one side: its first pixel in the picture and their number,
    where that pixel begins in the drawn star, and how large it is there."""

    at: int
    many: int
    first: float
    pixel: float


def _axis(mark: Mark, drawn: int, side: int) -> _Axis:
    pixel = drawn / side
    begin = drawn - mark.margin - mark.size
    low = math.floor(begin / pixel) - _SPREAD
    high = math.ceil((begin + mark.size) / pixel) + _SPREAD
    return _Axis(low, high - low, low * pixel - begin, pixel)


def _scaled_from(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the drawn sizes of which ``size`` is a uniform scale, one for each scale."""
    found: dict[tuple[int, int], float] = {}
    for drawn in _official():
        scale = sum(size) / sum(drawn)
        if not _fits(drawn, size, scale):
            continue
        if any(abs(scale / times - 1) < _SAME_SCALE for times in _DRAWN_TIMES):
            return []
        fresh = all(abs(scale / other - 1) > _SAME_SCALE for other in found.values())
        if fresh and _LEAST_SCALE <= scale <= _MOST_SCALE:
            found[drawn] = scale
    return list(found)


def _fits(drawn: tuple[int, int], size: tuple[int, int], scale: float) -> bool:
    return all(abs(a * scale - b) <= 1 for a, b in zip(drawn, size, strict=True))


def _official() -> Iterator[tuple[int, int]]:
    for short, long in _DRAWN:
        yield short, long
        if short != long:
            yield long, short
