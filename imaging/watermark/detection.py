"""Which mark a picture carries: every place where one could be is judged by its pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.watermark import evidence, marks
from imaging.watermark.evidence import Evidence
from imaging.watermark.marks import Box, Candidate
from imaging.watermark.star import Floats

Pixels = npt.NDArray[np.uint8]

# The rule below was fitted on 2,100 pictures with and 2,100 without a mark.
_LEAST_GAIN = 3.0
_MOST_DARK = 0.06
_LEAST_SCORE = 0.08
_LEAST_EVENNESS = 1.1
_LEAST_SHARE = 0.62
_LEAST_QUADRANT = -0.08
_STRENGTH_BELOW, _STRENGTH_ABOVE = 0.5, 0.10

# Without a known opacity the contour must speak alone, and much louder.
_LEAST_GAIN_ADAPTIVE = 6.0
_LEAST_DIP = 0.5
_LEAST_SHARE_ADAPTIVE = 0.97
_LEAST_EVENNESS_ADAPTIVE = 4.0
_LEAST_QUADRANT_ADAPTIVE = 0.3
_STRENGTHS = (0.15, 0.85)

#: How near to that of two marks an opacity must be, so that they are taken off.
_STACKED_WITHIN = 0.03

# After a removal the contour may speak for no more than this opacity, or so faintly that
# the picture beneath may well say the same: of a light star, and of a dark one.
_GONE, _GONE_DIP, _GONE_DARK_DIP = 0.06, 0.04, 0.25

#: Modes in which a picture's pixels are red, green and blue, a byte each.
MODES = frozenset({"RGB", "RGBA", "RGBX"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mark that was found, or a place that was examined for one.

    ``score``, ``evenness`` and ``strength`` are those of `Evidence`, ``opacity`` is what
    the mark was (or would be) taken off with. ``adaptive`` tells that the star's
    opacity, read from the picture, is none of the known ones. ``passes`` counts how often it
    was taken off and ``removed`` tells whether the result stood the test.
    """

    variant: str
    score: float
    strength: float
    box: Box
    evenness: float
    share: float
    gain: float
    opacity: float
    accepted: bool
    adaptive: bool = False
    passes: int = 0
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with what was measured, and the opacity that it is accepted with.

    ``opacity`` is None for a mark that is not there, or that is not to be taken off.
    ``adaptive`` tells that the star is surely one, but of none of the known opacities.
    """

    candidate: Candidate
    evidence: Evidence
    opacity: float | None
    adaptive: bool = False

    @property
    def weight(self) -> float:
        """Return how loudly the evidence speaks for the mark."""
        return self.evidence.score * max(self.evidence.evenness, 0.0)

    def finding(self, *, passes: int = 0, removed: bool = False) -> Finding:
        """Return what others may know of it."""
        found = self.evidence
        known = self.candidate.mark.opacity
        return Finding(
            variant=self.candidate.variant,
            score=round(found.score, 4),
            strength=round(found.strength, 4),
            box=self.candidate.box,
            evenness=round(found.evenness, 4),
            share=round(found.share, 4),
            gain=round(found.gain, 2),
            opacity=round(known if self.opacity is None else self.opacity, 4),
            accepted=self.opacity is not None,
            adaptive=self.adaptive,
            passes=passes,
            removed=removed,
        )


def inspect(
    image: Image.Image,
    *,
    variants: frozenset[str] | None = None,
    adaptive: bool = False,
) -> Finding | None:
    """Return the mark that the picture carries, or None.

    ``image`` is opened, in one of MODES; ``variants`` are names out of
    ``marks.VARIANTS``. ``adaptive`` also takes a star of an unknown opacity for a mark:
    only for pictures that surely come from Gemini, since a drawn star is one as well.
    Raises ValueError for another mode or an unknown name.
    """
    found = best(judged(image, variants=variants, adaptive=adaptive))
    return found.finding() if found else None


def survey(
    image: Image.Image,
    *,
    variants: frozenset[str] | None = None,
    adaptive: bool = False,
) -> tuple[Finding, ...]:
    """Return what was measured in each place where a mark could be, the likeliest first.

    As `inspect`, but with the places that were not accepted.
    """
    found = judged(image, variants=variants, adaptive=adaptive, thorough=True)
    found.sort(key=lambda one: (one.opacity is not None, one.weight), reverse=True)
    return tuple(one.finding() for one in found)


def judged(
    image: Image.Image,
    *,
    variants: frozenset[str] | None = None,
    adaptive: bool = False,
    thorough: bool = False,
) -> list[Judged]:
    """Examine every candidate; without ``thorough`` only those that could be accepted.

    Raises ValueError for a mode that is not in MODES or an unknown name.
    """
    if image.mode not in MODES:
        raise ValueError(f"A picture of mode {image.mode} is not examined.")
    allowed = marks.checked(variants)
    places = [c for c in marks.candidates(image.size) if c.variant in allowed]
    if not places:
        return []
    corner = _corner(image, places)
    found = []
    for candidate in places:
        bright = evidence.luma(corner.part(candidate.area))
        mark = candidate.mark
        gain = evidence.gain(bright, candidate.template, mark.opacity)
        if thorough or gain >= _LEAST_GAIN:
            found.append(judge(candidate, bright, adaptive=adaptive))
    return found


def judge(candidate: Candidate, bright: Floats, *, adaptive: bool) -> Judged:
    """Decide whether ``bright``, the candidate's area in luma, carries its mark."""
    opacity = candidate.mark.opacity
    found = evidence.examine(bright, candidate.template, opacity)
    if _accepted(found, opacity):
        return Judged(candidate, found, opacity)
    if not _accepted_at_any(found):
        return Judged(candidate, found, None)
    if abs(found.strength - _stacked(opacity)) <= _STACKED_WITHIN:
        return Judged(candidate, found, opacity)
    if not adaptive:
        return Judged(candidate, found, None, adaptive=True)
    again = evidence.examine(bright, candidate.template, found.strength)
    return Judged(candidate, again, found.strength, adaptive=True)


def _stacked(opacity: float) -> float:
    """Return the opacity of a mark on the same mark."""
    return 1 - (1 - opacity) ** 2


def best(found: list[Judged]) -> Judged | None:
    """Return the one accepted mark that the pixels speak for most, or None."""
    accepted = [one for one in found if one.opacity is not None]
    return max(accepted, key=lambda one: one.weight, default=None)


def strange(found: list[Judged]) -> Judged | None:
    """Return the star of an unknown opacity that shows most, or None."""
    seen = [one for one in found if one.opacity is None and one.adaptive]
    return max(seen, key=lambda one: one.weight, default=None)


def gone(candidate: Candidate, bright: Floats, opacity: float) -> bool:
    """Tell whether nothing of the mark can be seen any more, nor a dark one instead."""
    template = candidate.template
    strength, dip = evidence.leftover(bright, template)
    most = _GONE_DIP if strength > 0 else _GONE_DARK_DIP
    faint = abs(strength) < _GONE or dip < most
    return faint and evidence.examine(bright, template, opacity).score < 0


def _accepted(found: Evidence, opacity: float) -> bool:
    below, above = _STRENGTH_BELOW * opacity, opacity + _STRENGTH_ABOVE
    return (
        found.gain >= _LEAST_GAIN
        and found.dark <= _MOST_DARK
        and found.score >= _LEAST_SCORE
        and found.evenness >= _LEAST_EVENNESS
        and found.share >= _LEAST_SHARE
        and found.quadrants[1] >= _LEAST_QUADRANT
        and below <= found.strength <= above
    )


def _accepted_at_any(found: Evidence) -> bool:
    least, most = _STRENGTHS
    return (
        found.gain >= _LEAST_GAIN_ADAPTIVE
        and found.dip >= _LEAST_DIP
        and found.share >= _LEAST_SHARE_ADAPTIVE
        and found.evenness >= _LEAST_EVENNESS_ADAPTIVE
        and found.quadrants[0] >= _LEAST_QUADRANT_ADAPTIVE
        and least <= found.strength <= most
    )


@dataclass(frozen=True, slots=True)
class _Corner:
    """The part of a picture in which all candidates lie, and where it begins."""

    pixels: Pixels
    x: int
    y: int

    def part(self, area: Box) -> Pixels:
        top, left = area.y - self.y, area.x - self.x
        return self.pixels[top : top + area.height, left : left + area.width]


def _corner(image: Image.Image, places: list[Candidate]) -> _Corner:
    left = min(place.area.x for place in places)
    top = min(place.area.y for place in places)
    right = max(place.area.x + place.area.width for place in places)
    bottom = max(place.area.y + place.area.height for place in places)
    part = image.crop((left, top, right, bottom))
    return _Corner(np.asarray(part)[:, :, :3], left, top)
