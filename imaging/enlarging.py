"""Pictures that came smaller than they were wanted, made as large by Lanczos."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Final

from imaging.decoding import Picture
from imaging.sizes import TIERS
from imaging.transforms import Written, resized

#: Official sizes miss the area of their square by a few percent.
_NEAR: Final = 1.06
_FORMS: Final[dict[str, Written]] = {"jpeg": "jpeg", "webp": "webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarging:
    """A step of a picture's finishing: it gets the area that ``size`` names.

    The file's metadata says from which size it was enlarged. ``then`` are the steps
    after it.
    """

    size: str
    then: Callable[[Picture], Picture] | None = None

    def __call__(self, picture: Picture) -> Picture:
        """Return the finished picture (sync). Raises PictureRefused."""
        width, height = picture.shown_size
        share = TIERS[self.size] / sqrt(width * height)
        if share > _NEAR:
            form = _FORMS.get(picture.format, "png")
            sides = round(width * share), round(height * share)
            picture = resized(picture, *sides, form=form)
        return self.then(picture) if self.then else picture
