"""Which format a file has, by its content alone."""

import re
from typing import Literal

from imaging.bounds import PictureRefused
from imaging.formats import avif, jpeg, png

Format = Literal["png", "jpeg", "webp", "gif", "avif"]

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
}

_HEAD = 1024
_TEXTS = (
    (re.compile(rb"<svg[\s>:]", re.I), "an SVG"),
    (re.compile(rb"<(!doctype\s+html|html|head|body|script)\b", re.I), "HTML"),
    (re.compile(rb"<\?xml\b", re.I), "XML"),
)
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\0\0\1\0", "an icon"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"PK\3\4", "a ZIP archive"),
    (b"%!PS", "PostScript"),
)
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_TAKEN = "PNG, JPEG, WebP, GIF and AVIF are taken"


def format_of(data: bytes) -> Format:
    """Return the format of a file.

    Raises PictureRefused for any other, with its name where it is a well-known one:
    SVG and HTML above all, which a browser would run.
    """
    if data.startswith(png.SIGNATURE):
        return "png"
    if data.startswith(jpeg.SIGNATURE):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[4:8] == b"ftyp" and data[8:12] in avif.BRANDS:
        return "avif"
    raise _refusal(data[:_HEAD])


def _refusal(head: bytes) -> PictureRefused:
    if not head:
        return PictureRefused("empty", "The picture is empty.")
    name = _name_of(head)
    if name:
        return PictureRefused(
            "wrong_type", f"The file is {name}, not a picture: {_TAKEN}."
        )
    return PictureRefused("wrong_type", f"The file is no picture known here: {_TAKEN}.")


def _name_of(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "a HEIC" if head[8:12] in _HEIC else "a film"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return next((name for known, name in _TEXTS if known.search(text)), "markup")
    return next((name for magic, name in _OTHERS if head.startswith(magic)), None)
