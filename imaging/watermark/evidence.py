"""How well the pixels of a box agree with a mark in it.

The inverse is tested, not the likeness. If a star of some opacity lies on the picture,
taking it off removes its contour; if none does, taking it off draws one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.watermark.star import Floats
from imaging.watermark.templates import SECTORS, Template

WHITE = np.float32(255)

#: Luma of red, green and blue.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

#: Opacities that are tried to find the one that takes most of the contour away.
_STEP = 0.06
_OPACITIES = np.arange(0, 0.901, _STEP, dtype=np.float32)
_LEFTOVERS = np.arange(-0.6, 0.601, _STEP, dtype=np.float32)
#: Pixels on each side of the contour whose colours are compared, and directions.
_RIM, _DIRECTIONS = 3, 8
#: Levels below the darkest value that a blend can yield, which noise may reach.
_FLOOR_SLACK = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured in one place for one opacity.

    ``score``     about 1 if the mark is there, -1 if not, 0 if that cannot be told; a
                  likelihood ratio over the contour
    ``evenness``  how alike the 32 directions say so, at most 5.66
    ``share``     the part of the contour whose direction speaks for the mark
    ``quadrants`` the score of each quarter, the lowest first
    ``strength``  the opacity that takes most of the contour away
    ``dip``       how much of the contour that takes away, 0 to 1
    ``dark``      the part of the star's inside that is darker than a blend can be
    ``gain``      levels that taking the mark off would change its inside by
    """

    score: float
    evenness: float
    share: float
    quadrants: tuple[float, float, float, float]
    strength: float
    dip: float
    dark: float
    gain: float


def luma(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Return the brightness of RGB pixels, 0 to 255."""
    return pixels.astype(np.float32) @ _LUMA


def gain(bright: Floats, template: Template, opacity: float) -> float:
    """Return how many levels a mark of ``opacity`` would have brought inside the star.

    The pixels would have been ``levels / (1 - opacity)`` further from white.
    """
    inside = float(bright.ravel()[template.core].mean())
    return opacity / (1 - opacity) * (255 - inside)


def examine(bright: Floats, template: Template, opacity: float) -> Evidence:
    """Measure how well ``bright``, as large as the template, agrees with the mark."""
    flat = bright.ravel()
    score, evenness, share, quadrants = _contour(flat, template, opacity)
    strength, dip = _strength(flat, template)
    inside = flat[template.core]
    return Evidence(
        score=score,
        evenness=evenness,
        share=share,
        quadrants=quadrants,
        strength=strength,
        dip=dip,
        dark=float((inside < 255 * opacity - _FLOOR_SLACK).mean()),
        gain=gain(bright, template, opacity),
    )


def _contour(
    flat: Floats, template: Template, opacity: float
) -> tuple[float, float, float, tuple[float, float, float, float]]:
    """Return score, evenness, share and quadrants.

    Of each pair: how much smaller the step between its two pixels is without the mark,
    and how large a step the mark would have made there.
    """
    covered = np.float32(opacity) * template.coverage.ravel()
    one, other = (covered[side] for side in template.pairs)
    seen_one, seen_other = (flat[side] for side in template.pairs)
    clean_one = (seen_one - WHITE * one) / (1 - one)
    clean_other = (seen_other - WHITE * other) / (1 - other)
    weight = 1 - (one + other) / 2
    gained = abs(seen_other - seen_one) - abs(clean_other - clean_one) * weight
    made = abs(other - one) * (255 - ((clean_one + clean_other) / 2).clip(0, 255))

    gains, steps = (
        np.bincount(template.sectors, values, minlength=SECTORS)
        for values in (gained, made)
    )
    whole = float(steps.sum())
    power = float(np.sqrt((gains**2).sum()))
    if whole <= 0 or power <= 0:
        return 0.0, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0)
    quarters = gains.reshape(4, -1).sum(1) / steps.reshape(4, -1).sum(1).clip(1e-3)
    first, second, third, fourth = sorted(float(value) for value in quarters)
    total = float(gains.sum())
    share = float(steps[gains > 0].sum()) / whole
    return total / whole, total / power, share, (first, second, third, fourth)


def leftover(bright: Floats, template: Template) -> tuple[float, float]:
    """Return the opacity of what a removal has left, and the part of the contour that
    taking it off as well would remove.

    The opacity is negative where too much was taken off and a dark star is left.
    """
    return _strength(bright.ravel(), template, _LEFTOVERS)


def _strength(
    flat: Floats, template: Template, opacities: Floats = _OPACITIES
) -> tuple[float, float]:
    """Return the opacity that leaves least of the contour, and the part it removes."""
    left = remaining(flat, template.coverage.ravel(), template.pairs, opacities)
    best = int(left.argmin())
    whole = float(left[int(abs(opacities).argmin())])
    if whole <= 0:
        return 0.0, 0.0
    dip = 1 - float(left[best]) / whole
    if not 0 < best < len(left) - 1:
        return float(opacities[best]), dip
    # The lowest point of the parabola through the three.
    before, least, after = (float(value) for value in left[best - 1 : best + 2])
    bend = before - 2 * least + after
    aside = (before - after) / (2 * bend) if bend > 0 else 0.0
    return float(opacities[best]) + aside * _STEP, dip


def remaining(
    flat: Floats,
    coverage: Floats,
    pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    opacities: Floats,
) -> Floats:
    """Return what is left of the contour without a mark of each of ``opacities``.

    Taking a mark off stretches all contrasts, so each is weighed by what it was.
    """
    covered = opacities[:, None] * coverage[None, :]
    first, second = pairs
    one, other = covered[:, first], covered[:, second]
    seen_one, seen_other = flat[first], flat[second]
    clean_one = (seen_one - WHITE * one) / (1 - one)
    clean_other = (seen_other - WHITE * other) / (1 - other)
    steps = abs(clean_other - clean_one) * (1 - (one + other) / 2)
    result: Floats = steps.sum(1, dtype=np.float32)
    return result


def stain(pixels: npt.NDArray[np.uint8], template: Template) -> float:
    """Return by how many levels the star's colour differs from that around it.

    What counts is the hue, without the brightness, and what most directions have in
    common: a picture may well change its colour somewhere along the contour.
    """
    hue = pixels.astype(np.float32) - luma(pixels)[:, :, None]
    inside, outside = template.rim(_RIM)
    height, width = inside.shape
    y, x = np.mgrid[:height, :width]
    turn = np.arctan2(y - (height - 1) / 2, x - (width - 1) / 2) / (2 * np.pi) % 1.0
    direction = np.minimum((turn * _DIRECTIONS).astype(int), _DIRECTIONS - 1)
    steps = [
        hue[inside & (direction == number)].mean(0)
        - hue[outside & (direction == number)].mean(0)
        for number in range(_DIRECTIONS)
    ]
    return float(abs(np.median(steps, axis=0)).max())
