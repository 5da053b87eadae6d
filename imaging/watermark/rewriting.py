"""A picture's file with other pixels, and everything else in it as it was."""

import io
from typing import Any, Final

from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from imaging import metadata
from imaging.bounds import Limits
from imaging.decoding import Picture
from imaging.formats import jpeg, png, webp
from imaging.formats.outline import joined

#: Of 2048 x 2048 pixels level 6 takes 1,067 ms and saves 9 percent over level 3's 348.
_PNG_LEVEL: Final = 3
# The fastest of the lossless WebPs, and smaller than the PNG.
_WEBP: Final[dict[str, Any]] = {
    "lossless": True,
    "method": 0,
    "quality": 0,
    "exact": True,
}
#: Sum of the luma table of ITU-T T.81, annex K.1, by which encoders mean quality 50.
_TABLE_AT_50: Final = 3688
#: Quality up to which the errors of a JPEG show once a mark is taken off.
_NOTICED_AT: Final = 92


def is_lossy(picture: Picture, limits: Limits) -> bool:
    """Tell whether its codec has changed the pixels so that repairs are due."""
    if picture.format == "webp":
        found = webp.outline(picture.data, limits)
        return any(chunk.kind == b"VP8 " for chunk in found.segments)
    if picture.format == "jpeg":
        return jpeg_quality(picture.image) <= _NOTICED_AT
    return False


def jpeg_quality(image: Image.Image) -> int:
    """Return the quality, 1 to 100, that the JPEG's luma table speaks of.

    The usual encoders scale the standard's table by it; of other tables this is the
    quality that is as coarse on the whole.
    """
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if 0 not in tables:
        return 100
    scale = 100 * sum(tables[0]) / _TABLE_AT_50
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return max(1, min(100, round(quality)))


def rewritten(picture: Picture, image: Image.Image, limits: Limits) -> bytes:
    """Return the picture's file with the pixels of ``image``, which has its size.

    PNG stays PNG, with all its chunks, and WebP becomes lossless WebP: no pixel
    changes but those that are other. JPEG is written with the tables and the sampling
    that it had: that gives back almost every block as it was, and the mark's place as
    it would have been without (1.1 dB nearer at quality 75 than with quality 95, at
    half the size). EXIF, XMP and the colour profile stay. Only a C2PA manifest goes, since it vouches for the pixels as they were. Raises
    PictureRefused for any other format.
    """
    if picture.format == "png":
        return _png(picture.data, image, limits)
    target = io.BytesIO()
    image.save(
        target,
        picture.format.upper(),
        icc_profile=picture.icc or None,
        exif=_exif(picture),
        **(_WEBP if picture.format == "webp" else _as_before(picture.image)),
    )
    return metadata.carrying(target.getvalue(), picture.xmp, limits)


def _exif(picture: Picture) -> bytes:
    """Return the block as Pillow wants it: for a JPEG with its prefix."""
    prefixed = picture.format == "jpeg" and picture.exif
    return jpeg.EXIF + picture.exif if prefixed else picture.exif


def _as_before(image: Image.Image) -> dict[str, Any]:
    """Return the options with which a JPEG came to be, as far as they can be read."""
    kept = {
        name: image.info[name] for name in ("dpi", "progressive") if name in image.info
    }
    tables = getattr(image, "quantization", None)
    return kept | {"qtables": tables, "subsampling": get_sampling(image)}


def _png(data: bytes, image: Image.Image, limits: Limits) -> bytes:
    """Exchange header and pixels of a PNG; the header tells of interlacing alone."""
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=_PNG_LEVEL)
    encoded = target.getvalue()
    fresh, found = png.outline(encoded, limits), png.outline(data, limits)
    first = next(i for i, chunk in enumerate(found.segments) if chunk.kind == b"IDAT")
    parts = [
        tuple(chunk for chunk in chunks if chunk.kind not in _REPLACED)
        for chunks in (found.segments[:first], found.segments[first:])
    ]
    header = tuple(chunk for chunk in fresh.segments if chunk.kind == b"IHDR")
    pixels = tuple(chunk for chunk in fresh.segments if chunk.kind == b"IDAT")
    return b"".join(
        (
            png.SIGNATURE,
            joined(encoded, header),
            joined(data, parts[0]),
            joined(encoded, pixels),
            joined(data, parts[1]),
        )
    )


_REPLACED = frozenset({b"IHDR", b"IDAT", png.MANIFEST})
