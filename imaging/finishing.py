"""What a request asks to be done with a picture once it is drawn."""

from dataclasses import dataclass, field
from typing import Final

from imaging.bounds import Limits
from imaging.decoding import DEFAULT_LIMITS, Picture, opened
from imaging.transforms import Written, composited, transcoded

#: Pixels over which an edit fades into what its mask lets it change.
FEATHER: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """The last steps of a picture: what a mask protects is put back, then the format.

    ``original`` and ``mask`` are files that have been checked, or both empty; they are
    opened anew for each picture, as their pixels are large. ``form`` is None where the
    format may stay; ``quality`` is for JPEG and WebP.
    """

    form: Written | None = None
    quality: int | None = None
    original: bytes = field(default=b"", repr=False)
    mask: bytes = field(default=b"", repr=False)
    limits: Limits = DEFAULT_LIMITS

    @property
    def name(self) -> str:
        """What the format will be, in a word that is the same for equal wishes."""
        return f"{self.form}/{self.quality}"

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.form or self.mask)

    def __call__(self, picture: Picture) -> Picture:
        """Return the picture as it was asked for (sync). Raises PictureRefused."""
        if self.mask:
            original = opened(self.original, self.limits)
            mask = opened(self.mask, self.limits)
            picture = composited(original, picture, mask, feather=FEATHER)
        if self.form is None:
            return picture
        if picture.format == self.form and self.quality is None:
            return picture
        return transcoded(picture, self.form, quality=self.quality)
