"""The mark measured on pictures that carry it: for the day on which Google changes it.

On a black picture the mark is all that there is. One lossless picture is enough; edges
measured on lossy ones are wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.watermark import star
from imaging.watermark.marks import Box
from imaging.watermark.star import FULL, Levels

Doubles = npt.NDArray[np.float64]

#: Pixels around the box in which the ground is read.
PADDING = 16
_LEAST_PADDING = 4
_DEGREE = 3
#: What a mark must add at least to be measured at all.
_LEAST_OPACITY = 0.05
#: Part of the strongest opacity from which on a pixel belongs to the inside.
_INSIDE = 0.9


class Uncalibrated(ValueError):
    """The pictures do not show a mark that can be measured; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was measured in a box of ``size`` pixels.

    ``opacity`` is that of the inside, ``levels`` each pixel's 0 to 16 of it, and
    ``error`` how far pixels are from such a level on the average.
    ``differing``, ``most`` and ``mean`` compare with the star that is built in: pixels
    of another level, and the largest and mean difference of opacity.
    """

    size: int
    margin: int
    samples: int
    opacity: float
    levels: Levels = field(repr=False)
    error: float
    differing: int
    most: float
    mean: float

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {
            "size": self.size,
            "margin": self.margin,
            "samples": self.samples,
            "opacity": self.opacity,
            "error": self.error,
            "differing": self.differing,
            "levels": self.levels.tolist(),
        }


def calibrated(images: Sequence[Image.Image], *, size: int, margin: int) -> Calibration:
    """Measure the mark in the box of ``size``, ``margin`` from right and bottom.

    Raises Uncalibrated where there is none, or where a picture is too small.
    """
    if size < 8 or margin < _LEAST_PADDING:
        raise Uncalibrated(
            f"A box has at least 8 pixels and a margin of {_LEAST_PADDING}."
        )
    measured = [_measured(image, size, margin) for image in images]
    if not measured:
        raise Uncalibrated("There is no picture to measure.")
    total = np.sum([alpha * weight for alpha, weight in measured], axis=(0, 3))
    alpha = total / np.sum([weight for _, weight in measured])
    # The mark is the same from all four sides, so each side is a sample.
    alpha = np.mean([np.rot90(alpha, turns) for turns in range(4)], axis=0)
    strongest = float(np.percentile(alpha, 99))
    if strongest < _LEAST_OPACITY:
        raise Uncalibrated("There is no mark in the box.")
    opacity = float(np.median(alpha[alpha >= _INSIDE * strongest]))
    levels = np.rint(alpha / opacity * FULL).clip(0, FULL).astype(np.uint8)
    built_in = star.levels(size).astype(float)
    difference = abs(levels - built_in) * opacity / FULL
    return Calibration(
        size=size,
        margin=margin,
        samples=len(measured),
        opacity=opacity,
        levels=levels,
        error=float(abs(alpha - levels * opacity / FULL).mean()),
        differing=int((levels != built_in).sum()),
        most=float(difference.max()),
        mean=float(difference.mean()),
    )


def _measured(image: Image.Image, size: int, margin: int) -> tuple[Doubles, Doubles]:
    """Return each pixel's opacity by channel, and how far each channel is trusted."""
    padding = min(PADDING, margin)
    x, y = (side - margin - size - padding for side in image.size)
    side = size + 2 * padding
    area = Box(x, y, side, side)
    if not area.within(image.size):
        raise Uncalibrated(f"A picture of {image.width} x {image.height} is too small.")
    part = image.convert("RGB").crop((x, y, x + side, y + side))
    seen = np.asarray(part).astype(float)
    ground, error = _ground(seen, padding)
    inner = slice(padding, padding + size)
    light = (255 - ground[inner, inner]).clip(1)
    alpha = (seen[inner, inner] - ground[inner, inner]) / light
    weight = light.mean((0, 1)) ** 2 / np.maximum(error, 0.25) ** 2
    return alpha, weight


def _ground(seen: Doubles, padding: int) -> tuple[Doubles, Doubles]:
    """Return the picture beneath, a cubic surface through what is around the box, and
    by how much that misses there."""
    y, x = np.mgrid[-1 : 1 : seen.shape[0] * 1j, -1 : 1 : seen.shape[1] * 1j]
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    terms = np.stack([x**i * y**j for i, j in powers], axis=-1)
    around = np.ones(seen.shape[:2], bool)
    around[padding:-padding, padding:-padding] = False
    factors, *_ = np.linalg.lstsq(terms[around], seen[around], rcond=None)
    ground: Doubles = terms @ factors
    error: Doubles = (seen - ground)[around].std(0)
    return ground.clip(0, 255), error
