"""Pictures for tests, drawn on the spot, and the rows of pictures in the library."""

import io
from typing import Any

import numpy as np
from PIL import Image as Drawing

from imaging import library
from imaging.models import Image

_MADE = np.random.default_rng(7)


def drawn(form: str = "PNG", size: tuple[int, int] = (64, 48), seed: int = 0) -> bytes:
    """Return a file of noise; another seed gives other pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)
    file = io.BytesIO()
    Drawing.fromarray(pixels).save(file, form)
    return file.getvalue()


def fresh() -> bytes:
    """Return a picture that no test has seen."""
    return drawn(seed=int(_MADE.integers(1 << 40)))


def saved(data: bytes | None = None, **origin: Any) -> Image:
    """Save a picture into the library, as a caller's own unless said otherwise."""
    given = {"made_here": False, "caller": "t1", **origin}
    return library.save(fresh() if data is None else data, library.Origin(**given))
