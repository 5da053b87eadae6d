"""Where a picture comes from, written into its file and read from it.

Nothing here decodes or encodes pixels: the words go into the file as bytes, so a
picture that is not marked stays the file that it was.
"""

from datetime import datetime
from typing import Any, Final

from imaging import xmp
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import DEFAULT_LIMITS
from imaging.formats import jpeg, png, webp
from imaging.formats.outline import Outline
from imaging.formats.recognition import Format, format_of

#: IPTC's term for a picture made by a trained model, as NewsCodes publish it.
MADE_BY_MODEL: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
)

_IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP: Final = "http://ns.adobe.com/xap/1.0/"
_OURS: Final = "urn:gemproxy:picture"
#: IPTC Photo Metadata Standard 2025.1 for source and system; XMP basic for the date.
NAMES: Final[dict[str, xmp.Name]] = {
    "digital_source_type": (_IPTC, "Iptc4xmpExt", "DigitalSourceType"),
    "model": (_IPTC, "Iptc4xmpExt", "AISystemUsed"),
    "created": (_XMP, "xmp", "CreateDate"),
    "upscaled_from": (_OURS, "gemproxy", "UpscaledFrom"),
}
_MODULES: Final[dict[Format, Any]] = {"png": png, "jpeg": jpeg, "webp": webp}
_MOST_MODEL: Final = 200


def marked(
    data: bytes,
    *,
    model: str,
    created: datetime,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Return a PNG, JPEG or WebP file that says that ``model`` made it, and when.

    Pixels, profile and EXIF stay byte for byte. XMP that is there already is merged,
    not doubled. A C2PA manifest cannot stay, since its hash covers the whole file:
    keep the original beside the result where that matters. Raises PictureRefused for
    other formats, for files that are broken, and for XMP that a JPEG cannot hold.
    """
    return annotated(
        data,
        {
            "digital_source_type": MADE_BY_MODEL,
            "model": model[:_MOST_MODEL],
            "created": created.isoformat(timespec="seconds"),
        },
        limits,
    )


def annotated(
    data: bytes, values: dict[str, str], limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """Return the file with these properties of NAMES, and all others that it had."""
    module, found = _outlined(data, limits)
    packet = xmp.written(module.xmp(data, found, limits), NAMES, values)
    made: bytes = module.with_xmp(data, found, packet)
    return made


def carrying(data: bytes, packet: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the file with another file's XMP.

    Where the format cannot hold all of it, what tells of the origin is kept.
    """
    if not packet:
        return data
    module, found = _outlined(data, limits)
    try:
        made: bytes = module.with_xmp(data, found, packet)
    except PictureRefused:
        return annotated(data, _read(packet), limits)
    return made


def provenance(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Return what a file says about its origin, as far as it says anything.

    Keys: ``digital_source_type`` (the full IRI), ``model``, ``created`` (ISO 8601),
    ``upscaled_from`` ("1024x1024") and ``c2pa`` (True where there is a manifest; it
    is not verified). Formats that cannot say anything give nothing. Raises
    PictureRefused for files that are broken or no pictures.
    """
    if format_of(data) not in _MODULES:
        return {}
    module, found = _outlined(data, limits)
    said: dict[str, Any] = dict(_read(module.xmp(data, found, limits)))
    if module.has_manifest(data, found):
        said["c2pa"] = True
    return said


def _outlined(data: bytes, limits: Limits) -> tuple[Any, Outline]:
    module = _MODULES.get(format_of(data))
    if module is None:
        raise PictureRefused(
            "no_metadata_here", "Only PNG, JPEG and WebP can say where they come from."
        )
    return module, module.outline(data, limits)


def _read(packet: bytes) -> dict[str, str]:
    try:
        return xmp.read(packet, NAMES) if packet else {}
    except xmp.Unreadable:
        return {}
