"""What a picture may be, and the one error for what it may not."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "empty",
    "too_many_bytes",
    "too_many_pixels",
    "too_long_side",
    "too_many_frames",
    "too_much_metadata",
    "wrong_type",
    "truncated",
    "broken",
    "bad_size",
    "mask_size",
    "mask_without_area",
    "no_metadata_here",
    "metadata_full",
]


class PictureRefused(ValueError):
    """A picture is not taken, or cannot be made as asked.

    ``reason`` is a stable word for programs, ``text`` a sentence for people. Neither
    holds anything of the picture.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a picture may be.

    ``bytes`` bounds the file, ``pixels`` and ``side`` the canvas, ``frames`` an
    animation, ``metadata`` everything in the file that is no pixel, once it is
    uncompressed, and ``segments`` the pieces that the file is cut into.
    """

    bytes: int = 50 * 1024 * 1024
    pixels: int = 64 * 1024 * 1024
    side: int = 16_384
    frames: int = 1000
    metadata: int = 8 * 1024 * 1024
    segments: int = 65_536

    def check_canvas(self, width: int, height: int) -> None:
        """Raise PictureRefused for a canvas that is empty or too large."""
        if width < 1 or height < 1:
            raise PictureRefused("broken", "The picture has no width or no height.")
        if max(width, height) > self.side:
            raise PictureRefused(
                "too_long_side",
                f"The picture has {width} x {height} pixels; "
                f"a side may have at most {self.side}.",
            )
        if width * height > self.pixels:
            raise PictureRefused(
                "too_many_pixels",
                f"The picture has {width} x {height} pixels; "
                f"at most {self.pixels} are taken in all.",
            )

    def check_frames(self, frames: int) -> None:
        """Raise PictureRefused for an animation with too many frames."""
        if frames > self.frames:
            raise PictureRefused(
                "too_many_frames", f"The picture has more than {self.frames} frames."
            )

    def check_segments(self, count: int) -> None:
        """Raise PictureRefused for a file that is cut into too many pieces."""
        if count > self.segments:
            raise PictureRefused(
                "broken", f"The file has more than {self.segments} segments."
            )

    def check_metadata(self, size: int) -> None:
        """Raise PictureRefused for more than the allowed bytes beside the pixels."""
        if size > self.metadata:
            raise PictureRefused(
                "too_much_metadata",
                f"The picture holds more than {self.metadata} bytes of metadata.",
            )


def truncated() -> PictureRefused:
    """Return the refusal of a file that ends too early."""
    return PictureRefused("truncated", "The picture's file ends too early.")


def broken(what: str) -> PictureRefused:
    """Return the refusal of a file that is not made as its format demands."""
    return PictureRefused("broken", f"The picture's file is broken: {what}.")
