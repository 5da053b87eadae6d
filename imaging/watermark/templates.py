"""A star on a grid of pixels, with what detection asks of it worked out once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.watermark.star import Floats

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

SECTORS = 32
#: Change of coverage from a pixel to the next that makes the pair part of the contour.
_CONTOUR = 0.04
#: Coverage from which on a pixel lies inside the star.
_INSIDE = 0.97
#: Pixels by which the inside is eroded to its core.
_ERODED = 2
#: Coverage from which on a pixel holds something of the star.
_TOUCHED = 0.004


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """``coverage`` of each pixel, and the places where a star would show.

    ``pairs`` holds the flat indices of the neighbours, side by side or one above the
    other, between which the coverage changes; ``sectors`` the direction of each pair
    from the centre, 0 to 31. ``core`` are the indices of pixels well inside the star,
    ``outside`` is true where there is no star.
    """

    coverage: Floats
    pairs: tuple[Indices, Indices]
    sectors: Indices
    core: Indices
    outside: Mask

    def rim(self, reach: int) -> tuple[Mask, Mask]:
        """Return the pixels inside and those outside within ``reach`` of the contour."""
        inside = self.coverage >= _INSIDE
        beyond = np.pad(self.outside, reach, constant_values=True)
        far = _eroded(beyond, reach)[reach:-reach, reach:-reach]
        return inside & ~_eroded(inside, reach), self.outside & ~far


def template(coverage: Floats) -> Template:
    """Return the template of a star in an array."""
    numbers = np.arange(coverage.size).reshape(coverage.shape)
    first = np.concatenate([numbers[:, :-1].ravel(), numbers[:-1].ravel()])
    second = np.concatenate([numbers[:, 1:].ravel(), numbers[1:].ravel()])
    flat = coverage.ravel()
    contour = abs(flat[second] - flat[first]) > _CONTOUR
    first, second = first[contour], second[contour]
    return Template(
        coverage=coverage,
        pairs=(first, second),
        sectors=_sectors(first, second, coverage.shape),
        core=_core(coverage),
        outside=coverage < _TOUCHED,
    )


def _sectors(first: Indices, second: Indices, shape: tuple[int, ...]) -> Indices:
    height, width = shape
    x = (first % width + second % width + 1 - width) / 2
    y = (first // width + second // width + 1 - height) / 2
    turn: Doubles = (np.arctan2(y, x) / (2 * np.pi)) % 1.0
    return np.minimum((turn * SECTORS).astype(np.intp), SECTORS - 1)


def _core(coverage: Floats) -> Indices:
    return np.flatnonzero(_eroded(coverage >= _INSIDE, _ERODED))


def _eroded(mask: Mask, steps: int) -> Mask:
    """Take the outermost pixels away; what lies beyond the array counts as empty."""
    for _ in range(steps):
        wide = np.pad(mask, 1)
        mask = (
            mask & wide[:-2, 1:-1] & wide[2:, 1:-1]
            & wide[1:-1, :-2] & wide[1:-1, 2:]
        )  # fmt: skip
    return mask
