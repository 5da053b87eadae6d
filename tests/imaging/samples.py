"""Small pictures and the files they are in, sound and otherwise."""

import io
import zlib
from typing import Any

from PIL import Image, ImageCms

from imaging.decoding import Picture, opened
from imaging.formats import png, webp

FORMATS = ("png", "jpeg", "webp")


def drawing(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    """A gradient: no two rows or columns alike, so turns and mirrors show."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    flat = Image.new("L", (width, height), 77)
    return Image.merge("RGB", (across, down, flat)).convert(mode)


def file(image: Image.Image | None = None, form: str = "png", **options: Any) -> bytes:
    """An encoded picture."""
    target = io.BytesIO()
    (image or drawing()).save(target, form.upper(), **options)
    return target.getvalue()


def picture(image: Image.Image | None = None, form: str = "png", **options) -> Picture:
    return opened(file(image, form, **options))


def pixels(data: bytes) -> bytes:
    """The pixels of a file, as Pillow sees them without our help."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGBA").tobytes()


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010F] = "Maker"
    return exif.tobytes()


def png_with(*chunks: bytes, image: Image.Image | None = None) -> bytes:
    """A PNG with further chunks after its header."""
    data = file(image)
    return data[:33] + b"".join(chunks) + data[33:]


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return (
        png.SIGNATURE
        + png.chunk_of(b"IHDR", sides + bytes((8, 2, 0, 0, 0)))
        + png.chunk_of(b"IDAT", zlib.compress(b"\0" * 100))
        + png.chunk_of(b"IEND", b"")
    )


def jpeg_with(*segments: tuple[int, bytes], image: Image.Image | None = None) -> bytes:
    """A JPEG with further segments (code, content) after its first marker."""
    data = file(image, "jpeg")
    extra = b"".join(
        bytes((0xFF, code)) + (len(content) + 2).to_bytes(2, "big") + content
        for code, content in segments
    )
    return data[:2] + extra + data[2:]


def jpeg_size(data: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    at = data.index(b"\xff\xc0") + 5
    return (
        data[:at]
        + height.to_bytes(2, "big")
        + width.to_bytes(2, "big")
        + data[at + 4 :]
    )


def webp_with(kind: bytes, content: bytes) -> bytes:
    """A WebP with one more chunk at its end."""
    data = file(form="webp") + webp.chunk_of(kind, content)
    return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]


def animation(form: str, frames: int = 3, **options: Any) -> bytes:
    colours = [Image.new("RGB", (16, 12), (70 * i + 20, 10, 10)) for i in range(frames)]
    return file(colours[0], form, save_all=True, append_images=colours[1:], **options)


def masked(width: int, height: int, box: tuple[int, int, int, int]) -> Picture:
    """A mask that is transparent inside ``box``."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), box)
    return picture(image)
