"""A picture without its visible corner mark, or the very same bytes.

Only the visible mark is touched. SynthID, which Google weaves into all other pixels, is
neither looked for nor changed.
"""

import logging
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from PIL import Image

from imaging.bounds import Limits
from imaging.decoding import DEFAULT_LIMITS, Picture, opened
from imaging.watermark import detection, evidence, rewriting
from imaging.watermark.detection import Finding, Judged, Pixels
from imaging.watermark.marks import Box
from imaging.watermark.restoration import restored

logger = logging.getLogger(__name__)

Reason = Literal[
    "",
    "no_mark",
    "unknown_opacity",
    "residual",
    "format",
    "mode",
    "animated",
    "transparent",
]

#: A marked picture that was used as a reference may carry a second mark on the first.
_MOST_PASSES: Final = 2
#: Levels by which the hue may differ where the mark was.
_STAIN: Final = 6.0
_FORMATS: Final = frozenset({"png", "jpeg", "webp"})
#: Where a PNG says how many bits a sample has, and whether it is interlaced.
_PNG_DEPTH: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What became of a picture.

    ``data`` is the file: the same object that came in, if nothing was taken off.
    ``findings`` holds the mark that was found, if any, also one that was left.
    ``residual`` tells that taking it off left something visible, so that it was put
    back. ``reason`` says in a word why a picture was left alone, and is empty for one
    that was not:

    ``no_mark``          none was found
    ``unknown_opacity``  a star is there, but it is not as strong as any known mark
    ``residual``         see above
    ``format``           not PNG, JPEG or WebP
    ``mode``             palettes, greys, CMYK: anything but 8 bits of red, green, blue
    ``animated``         more than one frame
    ``transparent``      the mark's place is not opaque, so nothing was laid on it
    """

    data: bytes = field(repr=False)
    media_type: str
    findings: tuple[Finding, ...] = ()
    residual: bool = False
    reason: Reason = ""


def clean(
    source: bytes | Picture,
    *,
    variants: frozenset[str] | None = None,
    adaptive: bool = False,
    gemini_known: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> Cleaned:
    """Return the picture without its mark.

    ``source`` is a file's bytes, or a picture that is open already, which is not
    changed. ``variants`` are the names of the marks to take off, out of
    ``marks.VARIANTS``; None means all. ``adaptive`` also takes off a star of an unknown
    opacity. That and the like of a mark that somebody drew look the same, so it has an
    effect only if the caller knows that the picture comes from Gemini.

    Sync; of 2048 x 2048 pixels it takes about 3 ms beside decoding and encoding.
    Raises PictureRefused for bytes that are no picture or over ``limits``, and
    ValueError for unknown variants.
    """
    picture = opened(source, limits) if isinstance(source, bytes) else source
    data = source if isinstance(source, bytes) else picture.data
    whole = Cleaned(data=data, media_type=picture.media_type)
    outcome = taken_off(
        picture, variants=variants, adaptive=adaptive and gemini_known, limits=limits
    )
    findings = (outcome.finding,) if outcome.finding else ()
    if outcome.pixels is None or outcome.area is None:
        return replace(
            whole,
            findings=findings,
            residual=outcome.reason == "residual",
            reason=outcome.reason,
        )
    # An open picture is somebody else's.
    image = picture.image if isinstance(source, bytes) else picture.image.copy()
    _lay(image, outcome.pixels, outcome.area)
    made = rewriting.rewritten(picture, image, limits)
    return replace(whole, data=made, findings=findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``pixels`` to be laid on ``area``, or the ``reason`` why there are none."""

    reason: Reason = ""
    finding: Finding | None = None
    pixels: Pixels | None = None
    area: Box | None = None


def taken_off(
    picture: Picture,
    *,
    variants: frozenset[str] | None = None,
    adaptive: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Outcome:
    """Return the pixels that a picture would have in the mark's place without it.

    The picture is not changed. Raises ValueError for unknown variants.
    """
    if reason := untreated(picture):
        return Outcome(reason=reason)
    judged = detection.judged(picture.image, variants=variants, adaptive=adaptive)
    found = detection.best(judged)
    if found is None:
        return _left(detection.strange(judged))
    area = found.candidate.area
    seen = _part(picture.image, area)
    if seen.shape[2] == 4 and int(seen[:, :, 3].min()) < 255:
        return Outcome(reason="transparent")
    lossy = rewriting.is_lossy(picture, limits)
    pixels, passes = _without(seen[:, :, :3], found, lossy=lossy, adaptive=adaptive)
    finding = found.finding(passes=passes, removed=pixels is not None)
    if pixels is None:
        logger.warning("a mark was put back, it left something: %s", finding)
        return Outcome(reason="residual", finding=finding)
    if finding.adaptive:
        logger.warning("a mark of an unknown opacity was taken off: %s", finding)
    return Outcome(finding=finding, pixels=pixels, area=area)


def _left(strange: Judged | None) -> Outcome:
    """Return what there is to say of a picture without a known mark."""
    if strange is None:
        return Outcome(reason="no_mark")
    finding = strange.finding()
    logger.info("a star of an unknown opacity was left: %s", finding)
    return Outcome(finding=finding, reason="unknown_opacity")


def untreated(picture: Picture) -> Reason:
    """Return why no mark is looked for in a picture, empty if it is."""
    if picture.format not in _FORMATS:
        return "format"
    if picture.frames > 1:
        return "animated"
    # Pillow opens pictures of 16 bits as if they had 8.
    deep = picture.format == "png" and picture.data[_PNG_DEPTH] != 8
    if picture.image.mode not in detection.MODES or deep:
        return "mode"
    return ""


def _without(
    seen: Pixels, found: Judged, *, lossy: bool, adaptive: bool
) -> tuple[Pixels | None, int]:
    """Return the pixels without the mark and how often it was taken off.

    None instead of the pixels if something of it is still to be seen after that.
    """
    candidate, template = found.candidate, found.candidate.template
    opacity, pixels = found.opacity, seen
    for passes in range(1, _MOST_PASSES + 1):
        if opacity is None:
            return None, passes - 1
        pixels = restored(pixels, template, opacity, lossy=lossy)
        bright = evidence.luma(pixels)
        if detection.gone(candidate, bright, opacity):
            # A second mark or one of an unknown opacity may have been another colour.
            plain = passes == 1 and not found.adaptive
            stained = not plain and evidence.stain(pixels, template) > _STAIN
            return None if stained else pixels, passes
        opacity = detection.judge(candidate, bright, adaptive=adaptive).opacity
    return None, _MOST_PASSES


def _part(image: Image.Image, area: Box) -> Pixels:
    right, bottom = area.x + area.width, area.y + area.height
    return np.asarray(image.crop((area.x, area.y, right, bottom)))


def _lay(image: Image.Image, pixels: Pixels, area: Box) -> None:
    """Put RGB pixels into the picture, whatever else a pixel of it holds."""
    patch = Image.fromarray(pixels).convert(image.mode)
    image.paste(patch, (area.x, area.y))
