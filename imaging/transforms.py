"""Pictures in, pictures out: other formats, other sizes, two made into one.

Everything here is sync and takes a ``Picture`` that ``imaging.decoding.opened`` has
checked; what comes out is a ``Picture`` too, whose ``data`` is the new file. The pixels
are turned upright on the way. All of it belongs in a thread.
"""

import io
from typing import Final, Literal

from PIL import Image, ImageChops, ImageCms, ImageFilter

from imaging import exif, metadata, xmp
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import DEFAULT_LIMITS, Picture
from imaging.formats import jpeg, webp

Written = Literal["png", "jpeg", "webp"]
Colour = tuple[int, int, int]

WHITE: Final[Colour] = (255, 255, 255)
#: Level 6 takes three times as long for a tenth less, ``optimize`` thirty times.
_PNG_LEVEL: Final = 3
_WEBP_METHOD: Final = 2
_QUALITY: Final[dict[Written, int]] = {"png": 100, "jpeg": 95, "webp": 90}
#: From here on colours are kept at full resolution.
_FINE_JPEG: Final = 90
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_THUMBNAIL_QUALITY: Final = 80
_MOST_FEATHER: Final = 8.0


def transcoded(
    picture: Picture,
    form: Written,
    *,
    quality: int | None = None,
    background: Colour = WHITE,
) -> Picture:
    """Return the picture in another format, or anew in its own.

    ``quality`` (0 to 100) is for JPEG and WebP. JPEG has no transparency, so there the
    picture is laid on ``background``. The first frame alone is kept. EXIF, XMP and the
    profile are kept (EXIF says upright from now on); only CMYK becomes sRGB, without
    its profile. A C2PA manifest stays behind: it is about the file as it was. Raises
    PictureRefused where the format cannot hold the size.
    """
    image, profile = _plain(_upright(picture), picture.icc)
    return _written(
        image,
        form,
        quality=quality,
        background=background,
        icc=profile,
        exif_block=exif.upright(picture.exif),
        xmp=picture.xmp,
    )


def thumbnail(picture: Picture, edge: int) -> Picture:
    """Return a WebP of the picture that fits a square of ``edge`` pixels.

    It is in sRGB and carries no metadata; a smaller picture is not enlarged.
    """
    image = _in_srgb(_upright(picture), picture.icc)
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _written(image, "webp", quality=_THUMBNAIL_QUALITY)


def resized(
    picture: Picture,
    width: int,
    height: int,
    *,
    form: Written = "png",
    quality: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Picture:
    """Return the picture at another size, by Lanczos.

    Where that makes a side longer, the file's XMP says from which size it was
    enlarged (``upscaled_from``), and goes on saying the first. Raises PictureRefused
    for sizes over ``limits``.
    """
    limits.check_canvas(width, height)
    image, profile = _plain(_upright(picture), picture.icc)
    packet = picture.xmp
    if width > image.width or height > image.height:
        first = metadata.provenance(picture.data).get("upscaled_from")
        words = {"upscaled_from": str(first or f"{image.width}x{image.height}")}
        packet = xmp.written(packet, metadata.NAMES, words)
    return _written(
        image.resize((width, height), Image.Resampling.LANCZOS),
        form,
        quality=quality,
        icc=profile,
        exif_block=exif.upright(picture.exif),
        xmp=packet,
    )


def composited(
    original: Picture, edited: Picture, mask: Picture, *, feather: float = 0.0
) -> Picture:
    """Return a PNG of ``original`` with ``edited`` where ``mask`` is transparent.

    OpenAI's rule: the mask has the size of the original, and its fully transparent
    areas show what to edit; half-transparent ones mix. ``edited`` is scaled to the
    original's size. ``feather`` softens the edge over that many pixels, on the edited
    side only: what the mask protects stays exact. Raises PictureRefused for a mask of
    another size, or one that is nowhere transparent.
    """
    kept = _alpha(mask)
    base = _in_srgb(_upright(original), original.icc)
    if kept.size != base.size:
        raise PictureRefused(
            "mask_size",
            f"mask must have the size of image: it has {_sides(kept)}, "
            f"and image has {_sides(base)}.",
        )
    if feather > 0:
        soft = kept.filter(ImageFilter.GaussianBlur(min(feather, _MOST_FEATHER)))
        kept = ImageChops.lighter(kept, soft)
    drawn = _in_srgb(_upright(edited), edited.icc)
    if drawn.size != base.size:
        drawn = drawn.resize(base.size, Image.Resampling.LANCZOS)
    mode = "RGBA" if "A" in base.mode + drawn.mode else "RGB"
    mixed = Image.composite(base.convert(mode), drawn.convert(mode), kept)
    return _written(mixed, "png", xmp=edited.xmp)


def mask_guide(mask: Picture) -> Picture:
    """Return the mask as a PNG that a model can see: white where to edit, else black.

    Raises PictureRefused for a mask that is nowhere transparent.
    """
    return _written(ImageChops.invert(_alpha(mask)), "png")


def _sides(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"


def _alpha(mask: Picture) -> Image.Image:
    image, _ = _plain(_upright(mask), b"")
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        least = alpha.getextrema()[0]
        if least == 0:
            return alpha
    raise PictureRefused(
        "mask_without_area",
        "mask has no fully transparent area; that is where the picture is edited.",
    )


def _upright(picture: Picture) -> Image.Image:
    turn = _TURNS.get(picture.orientation)
    return picture.image if turn is None else picture.image.transpose(turn)


def _plain(image: Image.Image, icc: bytes) -> tuple[Image.Image, bytes]:
    """Return the pixels as L, RGB or RGBA, and the profile that still fits them."""
    if image.mode in ("L", "RGB", "RGBA") and "transparency" not in image.info:
        return image, icc
    if image.mode == "CMYK":
        return _converted(image, icc) or image.convert("RGB"), b""
    if image.mode.startswith("I;16"):
        # Sixteen bits to eight; Pillow's own conversion would clip at 255.
        return image.point(lambda level: level * (1 / 256), "L"), icc
    if image.mode in ("I", "F"):
        return image.convert("L"), icc
    if image.has_transparency_data:
        return image.convert("RGBA"), icc
    return image.convert("L" if image.mode == "1" else "RGB"), icc


def _in_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Return a copy as RGB or RGBA in sRGB; a profile that is broken is passed over."""
    plain, profile = _plain(image, icc)
    if plain.mode == "L":
        plain = _converted(plain, profile) or plain.convert("RGB")
    elif profile:
        plain = _converted(plain, profile) or plain
    return plain.copy() if plain is image else plain


def _converted(image: Image.Image, icc: bytes) -> Image.Image | None:
    if not icc:
        return None
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.getOpenProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            outputMode=mode,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _written(
    image: Image.Image,
    form: Written,
    *,
    quality: int | None = None,
    background: Colour = WHITE,
    icc: bytes = b"",
    exif_block: bytes = b"",
    xmp: bytes = b"",
) -> Picture:
    """Encode pixels (L, RGB or RGBA) and give the file its metadata."""
    if form == "webp" and max(image.size) > webp.LONGEST_SIDE:
        raise PictureRefused(
            "too_long_side", f"A side of a WebP has at most {webp.LONGEST_SIDE} pixels."
        )
    if form == "jpeg" and image.mode == "RGBA":
        image = _laid_on(image, background)
    if form == "jpeg" and len(exif_block) > jpeg.MOST_CONTENT - len(jpeg.EXIF):
        exif_block = b""
    options = _options(form, _QUALITY[form] if quality is None else quality)
    # Pillow writes what it once read in ``info`` unless it is told otherwise.
    # Its JPEG writer takes EXIF for such only behind the prefix, which the others cut.
    written = jpeg.EXIF + exif_block if exif_block else b""
    options |= {"icc_profile": icc or None, "exif": written}
    target = io.BytesIO()
    _bare(image).save(target, form.upper(), **options)
    data = metadata.carrying(target.getvalue(), xmp)
    made = Picture(
        data=data,
        format=form,
        width=image.width,
        height=image.height,
        icc=icc,
        exif=exif_block,
        image=image,
    )
    return _with_data(made, data, xmp)


def _options(form: Written, quality: int) -> dict[str, object]:
    if form == "png":
        return {"compress_level": _PNG_LEVEL}
    if form == "webp":
        return {"quality": quality, "method": _WEBP_METHOD}
    return {"quality": quality, "subsampling": 0 if quality >= _FINE_JPEG else 2}


def _bare(image: Image.Image) -> Image.Image:
    """Return the pixels without what a decoder noted beside them."""
    bare = image.copy()
    bare.info = {}
    return bare


def _laid_on(image: Image.Image, background: Colour) -> Image.Image:
    ground = Image.new("RGB", image.size, background)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _with_data(picture: Picture, data: bytes, xmp: bytes = b"") -> Picture:
    return Picture(
        data=data,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        icc=picture.icc,
        exif=picture.exif,
        xmp=xmp or picture.xmp,
        image=picture.image,
    )
