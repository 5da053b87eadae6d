"""The picture beneath the mark.

A mark is white laid over the picture: ``seen = 255 a + (1 - a) picture`` in each channel.
Where each ``a`` is known that is undone exactly, but for rounding. A lossy codec has also
changed what was seen, and the undoing enlarges its errors; three mild repairs, measured
to help on lossy pictures and to hurt on others, take the enlargement back.
"""

import functools

import numpy as np
import numpy.typing as npt

from imaging.watermark import evidence
from imaging.watermark.star import Floats
from imaging.watermark.templates import Template

Pixels = npt.NDArray[np.uint8]

#: The least of a pixel's own light that is still enlarged; marks leave .15 and more.
_LEAST_LIGHT = 0.05

# How blurred the codec may have left the star, and what a blur must gain to be believed.
_BLURS = (0.0, 0.35, 0.5, 0.7, 0.9)
_BELIEVED = 0.995

#: Enlarged noise is brought down to that around the star, at most by this factor.
_LEAST_SHRINK = 0.45
# The contour is blended with a blurred copy of itself.
_SOFT_BLUR, _SOFT_PART = 1.2, 0.6
#: Change of coverage to a neighbour that makes a pixel wholly part of the contour.
_CONTOUR = 0.25

_BINOMIAL = np.array([0.25, 0.5, 0.25], np.float32)


def restored(
    seen: Pixels, template: Template, opacity: float, *, lossy: bool
) -> Pixels:
    """Return RGB pixels, as large as the template, without the mark of ``opacity``.

    ``lossy`` tells that a codec has changed them noticeably since they were marked.
    """
    coverage = template.coverage
    if lossy:
        coverage = _matched(evidence.luma(seen), template, opacity)
    clean = _unblended(seen.astype(np.float32), coverage, opacity)
    if lossy:
        clean = _calmed(clean, template)
        clean = _softened(clean, template)
    return np.rint(clean).clip(0, 255).astype(np.uint8)


def _unblended(seen: Floats, coverage: Floats, opacity: float) -> Floats:
    alpha = (np.float32(opacity) * coverage)[:, :, None]
    clean: Floats = (seen - 255 * alpha) / np.maximum(1 - alpha, _LEAST_LIGHT)
    return clean


def _matched(bright: Floats, template: Template, opacity: float) -> Floats:
    """Return the star as blurred as the codec left it."""
    peak = np.array([opacity], np.float32)

    def left(coverage: Floats) -> float:
        flat = coverage.ravel()
        return float(evidence.remaining(bright.ravel(), flat, template.pairs, peak)[0])

    stars = [_blurred(template.coverage, blur) for blur in _BLURS]
    remains = [left(coverage) for coverage in stars]
    least = int(np.argmin(remains))
    return stars[least if remains[least] < remains[0] * _BELIEVED else 0]


def _calmed(clean: Floats, template: Template) -> Floats:
    """Bring the finest grain inside the star down to that around it."""
    grain = clean - _filtered(clean, _BINOMIAL)
    around = abs(grain[template.outside]).mean(0)
    within = abs(grain.reshape(-1, grain.shape[2])[template.core]).mean(0)
    shrink = (around / np.maximum(within, 1e-3)).clip(_LEAST_SHRINK, 1)
    result: Floats = clean - grain * (1 - shrink) * template.coverage[:, :, None]
    return result


def _softened(clean: Floats, template: Template) -> Floats:
    """Blend the contour with a blurred copy."""
    part = (_SOFT_PART * _contour(template))[:, :, None]
    result: Floats = clean + part * (_blurred(clean, _SOFT_BLUR) - clean)
    return result


def _contour(template: Template) -> Floats:
    """Return for each pixel, 0 to 1, how much it belongs to the star's contour."""
    around = np.pad(template.coverage, 1, mode="edge")
    neighbours = (
        around[:-2, 1:-1],
        around[2:, 1:-1],
        around[1:-1, :-2],
        around[1:-1, 2:],
    )
    changes = [abs(other - template.coverage) for other in neighbours]
    result: Floats = (np.max(changes, axis=0) / _CONTOUR).clip(0, 1)
    return result


def _blurred(values: Floats, sigma: float) -> Floats:
    return _filtered(values, _gaussian(sigma)) if sigma else values


@functools.lru_cache(maxsize=8)
def _gaussian(sigma: float) -> Floats:
    reach = np.arange(-int(3 * sigma + 1), int(3 * sigma + 1) + 1)
    weights = np.exp(-0.5 * (reach / sigma) ** 2)
    result: Floats = (weights / weights.sum()).astype(np.float32)
    return result


def _filtered(values: Floats, weights: Floats) -> Floats:
    """Filter along both sides of the picture; beyond its edge the edge goes on."""
    reach = len(weights) // 2
    for axis in (0, 1):
        spread = [(reach, reach) if axis == at else (0, 0) for at in range(values.ndim)]
        wide = np.pad(values, spread, mode="edge")
        values = sum(
            weight * _shifted(wide, step, values.shape[axis], axis)
            for step, weight in enumerate(weights)
        )
    return values


def _shifted(wide: Floats, step: int, length: int, axis: int) -> Floats:
    return wide[step : step + length] if axis == 0 else wide[:, step : step + length]
