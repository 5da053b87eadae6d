"""What happens to a picture before it is stored: checked, cleaned, marked, shrunk."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from gemproxy.lib import clock
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import Picture, opened
from imaging.metadata import marked, provenance
from imaging.models import Image
from imaging.transforms import thumbnail
from imaging.watermark import removal

logger = logging.getLogger(__name__)
THUMBNAIL_EDGE = 320
#: A picture that we store may be larger than one that a caller may send.
LEAST_LIMIT = 50 * 1024 * 1024
#: From a clean picture to what its caller asked for; raises PictureRefused.
Finish = Callable[[Picture], Picture]
#: What arithmetic on a strange picture may end with; the picture is kept as it is.
FAILURES = (ArithmeticError, LookupError, MemoryError, OSError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Bytes that are ready to be stored, and what is known of them.

    ``original`` holds the bytes as they came, if they are to be kept and are others.
    ``mark_fields`` are columns of ``Image``.
    """

    data: bytes = field(repr=False)
    media_type: str
    size: tuple[int, int]
    original: bytes = field(default=b"", repr=False)
    original_type: str = ""
    original_size: tuple[int, int] = (0, 0)
    thumbnail: bytes = field(default=b"", repr=False)
    thumbnail_size: tuple[int, int] = (0, 0)
    mark_fields: dict[str, Any]


def prepared(
    data: bytes,
    *,
    model: str,
    made_here: bool,
    remove_mark: bool,
    keep_original: bool,
    finish: Finish | None = None,
) -> Prepared:
    """Return a picture as it is to be stored. Raises PictureRefused for no picture.

    A picture that our accounts made loses its visible mark, if that is wanted, and
    says in its metadata where it comes from. All others stay byte for byte as they
    are, but for what follows the end of the file.
    """
    picture = opened(data, Limits(bytes=max(LEAST_LIMIT, settings.MAX_MEDIA_BYTES)))
    shown, fields = picture, {"mark": Image.Mark.UNTRIED}
    if made_here and remove_mark:
        result, fields = _cleaned(picture)
        shown = picture if result == picture.data else opened(result)
    if finish:
        shown = finish(shown)
    result, changed = shown.data, shown.data != picture.data
    if made_here and (remove_mark or changed):
        result = _with_provenance(result, model, is_changed=changed)
    small = _thumbnail(shown)
    return Prepared(
        data=result,
        media_type=shown.media_type,
        size=(shown.width, shown.height),
        original=picture.data if keep_original and result != picture.data else b"",
        original_type=picture.media_type,
        original_size=(picture.width, picture.height),
        thumbnail=small.data if small else b"",
        thumbnail_size=(small.width, small.height) if small else (0, 0),
        mark_fields=fields,
    )


def _cleaned(picture: Picture) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes without the visible mark, and what the look for it found."""
    try:
        cleaned = removal.clean(picture)
        # What is stored must be a picture, whatever was done to it.
        if cleaned.data is not picture.data:
            opened(cleaned.data)
    except FAILURES as error:
        logger.warning("the look for a mark failed: %s", type(error).__name__)
        note = type(error).__name__
        return picture.data, {"mark": Image.Mark.FAILED, "mark_note": note}
    return cleaned.data, _found(cleaned)


def _found(cleaned: removal.Cleaned) -> dict[str, Any]:
    if not cleaned.findings:
        looked = cleaned.reason == "no_mark"
        mark = Image.Mark.NONE if looked else Image.Mark.UNTRIED
        return {"mark": mark, "mark_note": "" if looked else cleaned.reason}
    first = cleaned.findings[0]
    mark = Image.Mark.RESIDUAL if cleaned.residual else Image.Mark.LEFT
    return {
        "mark": Image.Mark.REMOVED if first.removed else mark,
        "mark_variant": first.variant[:24],
        "mark_score": first.score,
        "mark_strength": first.strength,
        "mark_box": list(first.box),
        "mark_note": cleaned.reason,
    }


def _with_provenance(data: bytes, model: str, *, is_changed: bool) -> bytes:
    """Let the file say that a model made it.

    A C2PA manifest says so already and would be lost: it stays in a picture whose
    pixels were not touched.
    """
    try:
        if not is_changed and "c2pa" in provenance(data):
            return data
        return marked(data, model=model, created=clock.now())
    except PictureRefused as refused:
        logger.info("a picture could not be marked: %s", refused.reason)
        return data


def _thumbnail(picture: Picture) -> Picture | None:
    try:
        return thumbnail(picture, THUMBNAIL_EDGE)
    except FAILURES as error:
        logger.warning("a thumbnail could not be made: %s", type(error).__name__)
        return None
