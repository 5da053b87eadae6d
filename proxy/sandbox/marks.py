"""The visible mark that the Gemini app lays on the pictures of its accounts.

It is a white star of four points in the lower right corner. The API's pictures carry
none. Of the two generations the newer is fainter and further from the corner, and is
laid on before a picture is enlarged.
"""

import io
from math import sqrt

import numpy as np
from PIL import Image

#: Where sixteen samples of a pixel lie, in sixteenths from its middle: these, and the
#: same turned by a quarter three times.
_OFFSETS = ((-5, -7), (-1, -5), (1, -3), (-7, -3))
#: Edge of the star's box, its distance from both edges of the picture, and opacity.
_NEW = (48, 96, 0.3)
_OLD_SMALL = (48, 32, 128 / 255)
_OLD_LARGE = (96, 64, 128 / 255)
_LARGE = 1024


def marked(data: bytes, *, old: bool = False, scale: int = 1) -> bytes:
    """A PNG with the mark, made ``scale`` times as large afterwards."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    is_large = min(picture.size) > _LARGE
    edge, margin, opacity = (_OLD_LARGE if is_large else _OLD_SMALL) if old else _NEW
    pixels = np.asarray(picture).astype(float)
    height, width = pixels.shape[:2]
    if min(width, height) >= edge + margin:
        left, top = width - margin - edge, height - margin - edge
        box = pixels[top : top + edge, left : left + edge]
        share = (opacity * coverage(edge))[:, :, None]
        box[:] = share * 255 + (1 - share) * box
    shown = Image.fromarray(np.rint(pixels).astype(np.uint8))
    if scale > 1:
        shown = shown.resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def coverage(edge: int) -> np.ndarray:
    """How much of each pixel of the star's box lies in the star, 0 to 1."""
    places = [(x, y) for x, y in _OFFSETS] + [(-y, x) for x, y in _OFFSETS]
    places += [(-x, -y) for x, y in places]
    middles = np.arange(edge) + 0.5 - edge / 2
    inside = [
        _is_star(middles[None, :] + x / 16, middles[:, None] + y / 16, edge)
        for x, y in places
    ]
    return np.mean(inside, axis=0)


def _is_star(across: np.ndarray, down: np.ndarray, edge: int) -> np.ndarray:
    """Tell which points lie between the four circles, or in the rounded tips."""
    tip, side = 2.191 * edge / 96, 61.407 * edge / 96
    far = edge / 2 - tip
    centre = (2 * far + sqrt(4 * far**2 - 8 * (far**2 - (side + tip) ** 2))) / 4
    joint = far + tip * (centre - far) / (side + tip)
    across, down = np.abs(across), np.abs(down)
    near, long = np.minimum(across, down), np.maximum(across, down)
    in_tip = near**2 + (long - far) ** 2 <= tip**2
    in_body = (near - centre) ** 2 + (long - centre) ** 2 >= side**2
    return np.where(long > joint, in_tip, in_body)
