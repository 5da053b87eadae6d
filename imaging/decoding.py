"""Pictures from strangers: checked before they are decoded, decoded once."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeVar

from PIL import Image, ImageFile

from imaging import exif
from imaging.bounds import Limits, PictureRefused, broken
from imaging.formats import avif, gif, jpeg, png, webp
from imaging.formats.outline import Outline
from imaging.formats.recognition import MEDIA_TYPES, Format, format_of

T = TypeVar("T")

#: What Pillow's decoders raise for files that they cannot read.
_UNREADABLE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that was decoded without trouble.

    ``data`` is the file, without anything that followed its end. ``image`` holds the
    pixels of the first frame as they are stored: not turned by ``orientation``, not
    converted by ``icc``; treat it as read-only. ``width`` and ``height`` are those of
    ``image``; ``frames`` is how many the file has. ``cut`` counts the bytes that
    followed the end of the file.
    """

    data: bytes = field(repr=False)
    format: Format
    width: int
    height: int
    frames: int = 1
    orientation: int = 1
    cut: int = 0
    icc: bytes = field(default=b"", repr=False)
    exif: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    image: Image.Image = field(repr=False)

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as people see it, turned by its orientation."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


DEFAULT_LIMITS: Final = Limits()


def opened(data: bytes | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Return the picture in a file's bytes, or in an open file.

    The format is told by content, never by a name or a declared type: PNG, JPEG, WebP,
    GIF or AVIF. Of an animation the first frame counts, and the others only count
    towards a limit. The file's own structure is walked first, so that nothing over
    ``limits`` is decoded, or read further than the limit; the decoder then gets the
    pixels alone, without the texts, profiles and thumbnails that bombs hide in. What
    follows the end of the file (archives, pages, further pictures) is cut off.

    Sync and bounded; takes some 25 ms for a square of 1024 pixels, so it belongs in a
    thread. Raises PictureRefused and nothing else.
    """
    data = _read(data, limits)
    form = format_of(data)
    module = _MODULES[form]
    found: Outline = module.outline(data, limits)
    limits.check_canvas(found.width, found.height)
    limits.check_frames(found.frames)
    trimmed: bytes = module.trimmed(data, found)
    image = _decoded(module.pixels_only(data, found), form, found)
    frames = found.frames
    if form == "avif":
        frames = int(getattr(image, "n_frames", 1))
        limits.check_frames(frames)
    _load(image)
    known = _metadata(data, form, found, limits, image)
    return Picture(
        data=trimmed,
        format=form,
        width=image.width,
        height=image.height,
        frames=frames,
        orientation=exif.orientation(known["exif"]),
        cut=len(data) - found.end,
        image=image,
        **known,
    )


_MODULES: Final[dict[Format, Any]] = {
    "png": png,
    "jpeg": jpeg,
    "webp": webp,
    "gif": gif,
    "avif": avif,
}
_CARRYING: Final[tuple[Format, ...]] = ("png", "jpeg", "webp")


def _read(data: bytes | BinaryIO, limits: Limits) -> bytes:
    if not isinstance(data, bytes):
        data = data.read(limits.bytes + 1)
    if len(data) > limits.bytes:
        raise PictureRefused(
            "too_many_bytes",
            f"The picture's file is too large: at most {limits.bytes} bytes are taken.",
        )
    return data


def _decoded(pixels: bytes, form: Format, found: Outline) -> ImageFile.ImageFile:
    """Open what the decoder shall see; no pixel is decoded yet."""
    image = _tried(lambda: Image.open(io.BytesIO(pixels), formats=(form.upper(),)))
    if image.width > found.width or image.height > found.height:
        raise broken("it is larger than it says")
    return image


def _load(image: ImageFile.ImageFile) -> None:
    _tried(image.load)


def _tried(read: Callable[[], T]) -> T:
    try:
        return read()
    except _UNREADABLE:
        raise broken("its pixels cannot be decoded") from None


def _metadata(
    data: bytes, form: Format, found: Outline, limits: Limits, image: Image.Image
) -> dict[str, bytes]:
    if form in _CARRYING:
        module = _MODULES[form]
        return {
            "icc": module.icc(data, found, limits),
            "exif": module.exif(data, found),
            "xmp": module.xmp(data, found, limits),
        }
    exif_block = bytes(image.info.get("exif") or b"").removeprefix(jpeg.EXIF)
    return {
        "icc": bytes(image.info.get("icc_profile") or b""),
        "exif": exif_block,
        "xmp": bytes(image.info.get("xmp") or b""),
    }
