"""The mark's shape as numbers: how much of each pixel the four-pointed star covers.

The shape was measured on captures of the mark and on real pictures. It is two kinds of
circle: a small cap at each tip and a large one that bends each side inwards. The renderer
took 16 samples per pixel, so a pixel's coverage is one of 17 levels.
"""

import functools
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

#: Samples per pixel, and with that the level of a pixel inside the star.
FULL = 16

# Circles of the 96 pixel star; others are to scale.
_NATIVE = 96
_CAP_RADIUS = 2.191
_SIDE_RADIUS = 61.407

# A rotated grid of four samples, in sixteenths of a pixel from its centre; the other
# twelve are its rotations. It is 4x multisampling at double size, halved.
_SAMPLES = ((-5, -7), (-1, -5), (1, -3), (-7, -3))

# Row, column, level of the two pixels, each with its three rotations, in which the
# captures of the 96 pixel star differ from the circles.
_CORRECTIONS = {96: ((12, 42, 16), (15, 40, 10))}


def _rotations(x: int, y: int) -> list[tuple[int, int]]:
    return [(x, y), (-y, x), (-x, -y), (y, -x)]


def _inside(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.bool_]:
    """Tell which points, counted from the star's centre, lie in the star."""
    near, far = np.minimum(abs(x), abs(y)), np.maximum(abs(x), abs(y))
    cap, side = (radius * size / _NATIVE for radius in (_CAP_RADIUS, _SIDE_RADIUS))
    # The cap's centre is on the axis and its tip touches the box. The side's centre is
    # on the diagonal, where the two circles are tangent.
    cap_at = size / 2 - cap
    root = math.sqrt(4 * cap_at**2 - 8 * (cap_at**2 - (side + cap) ** 2))
    side_at = (2 * cap_at + root) / 4
    border = cap_at + cap * (side_at - cap_at) / (side + cap)
    in_cap = near**2 + (far - cap_at) ** 2 <= cap**2
    beside = (near - side_at) ** 2 + (far - side_at) ** 2 >= side**2
    return np.where(far > border, in_cap, beside)


@functools.lru_cache(maxsize=8)
def levels(size: int) -> Levels:
    """Return the star in a box of ``size`` pixels, each 0 (outside) to 16 (inside).

    Exact for the 48 and the 96 pixel star: no pixel differs from the captures.
    """
    centres = np.arange(size) + 0.5 - size / 2
    total: Levels = np.zeros((size, size), np.uint8)
    for sample in _SAMPLES:
        for right, down in _rotations(*sample):
            x, y = np.meshgrid(centres + right / 16, centres + down / 16)
            total += _inside(x, y, size)
    for row, column, level in _CORRECTIONS.get(size, ()):
        for _ in range(4):
            total[row, column] = level
            row, column = column, size - 1 - row
    total.setflags(write=False)
    return total


@functools.lru_cache(maxsize=8)
def coverage(size: int) -> Floats:
    """Return the star of ``size`` pixels, each 0 to 1."""
    return _fixed(levels(size).astype(np.float32) / FULL)


@functools.lru_cache(maxsize=4)
def doubled(size: int, padding: int) -> Floats:
    """Return the star of ``size`` enlarged twice, with ``padding`` around the box.

    Bicubic, the nearest plain filter to what Google's own enlarger makes of the mark. It
    overshoots beyond the box and slightly beyond 0 and 1, as that does.
    """
    spare = padding // 2
    canvas = Image.fromarray(np.pad(coverage(size), spare))
    side = 2 * (size + 2 * spare)
    return _fixed(np.asarray(canvas.resize((side, side), Image.Resampling.BICUBIC)))


@functools.lru_cache(maxsize=64)
def scaled(
    size: int,
    corner: tuple[float, float],
    pixel: tuple[float, float],
    shape: tuple[int, int],
) -> Floats:
    """Return the star of ``size`` as Lanczos shows it on another grid of pixels.

    ``corner`` is where the grid begins, counted from the box's own top left corner, and
    ``pixel`` how large its pixels are, both in pixels of the star, across and down.
    ``shape`` is the grid's width and height.
    """
    spare = math.ceil(3 * max(*pixel, 1.0)) + math.ceil(max(-min(corner), 0.0)) + 1
    far = max(
        at + step * many for at, step, many in zip(corner, pixel, shape, strict=True)
    )
    spare = max(spare, math.ceil(far - size) + 1)
    canvas = Image.fromarray(np.pad(coverage(size), spare))
    left, top = corner[0] + spare, corner[1] + spare
    window = (left, top, left + pixel[0] * shape[0], top + pixel[1] * shape[1])
    return _fixed(np.asarray(canvas.resize(shape, Image.Resampling.LANCZOS, window)))


def _fixed(values: npt.NDArray[np.floating]) -> Floats:
    """Return the values so that nobody who shares them can change them."""
    fixed: Floats = np.ascontiguousarray(values, np.float32)
    fixed.setflags(write=False)
    return fixed
