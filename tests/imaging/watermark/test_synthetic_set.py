"""Many drawn pictures, with and without a mark: how often it is found, and how well
what was beneath comes back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from imaging.watermark import removal
from tests.imaging.watermark import pictures

#: Levels from which on people see a mark.
VISIBLE = 10
SEED = 41


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a picture: found, taken off, and how near it came in the box."""

    variant: str | None
    codec: str
    lossless: bool
    gain: float
    found: str | None
    removed: bool
    psnr: float | None
    same: bool


def result(number: int, *, with_mark: bool, small: bool = False) -> Result:
    drawn = pictures.sample(SEED, number, with_mark=with_mark, small=small)
    cleaned = removal.clean(drawn.data)
    finding = cleaned.findings[0] if cleaned.findings else None
    removed = bool(finding and finding.removed)
    likeness = None
    if removed and finding:
        x, y, width, height = finding.box
        place = np.s_[y : y + height, x : x + width]
        after, wanted = pictures.pixels(cleaned.data), pictures.pixels(drawn.clean)
        likeness = pictures.psnr(after[place], wanted[place])
    return Result(
        variant=drawn.variant,
        codec=drawn.codec.name,
        lossless=drawn.codec.lossless,
        gain=drawn.gain,
        found=finding.variant if finding else None,
        removed=removed,
        psnr=likeness,
        same=cleaned.data is drawn.data,
    )


def mean_psnr(results: Sequence[Result], *codecs: str) -> float:
    return float(
        np.mean([one.psnr for one in results if one.psnr and one.codec in codecs])
    )


def check_marked(results: Sequence[Result]) -> None:
    visible = [one for one in results if one.gain >= VISIBLE]
    missed = sum(not one.removed for one in visible)
    wrong = [one for one in results if one.found and one.found != one.variant]
    jpegs = [f"jpeg{quality}" for quality in (75, 85, 90, 95)]
    webps = [f"webp{quality}" for quality in (75, 85, 90, 95)]
    natives = [one for one in visible if one.variant in pictures.PLACES]
    for name, codecs in (("png", ["png"]), ("jpeg", jpegs), ("webp", webps)):
        print(f"{name}: {mean_psnr(visible, *codecs):.1f} dB")
    print(
        f"native png: {mean_psnr(natives, 'png'):.1f} dB; missed {missed} of {len(visible)}"
    )

    assert missed <= max(1, 0.02 * len(visible))
    assert len(wrong) <= max(1, 0.01 * len(results))
    assert mean_psnr(visible, "png") >= 54
    assert mean_psnr(natives, "png") >= 55
    assert mean_psnr(visible, *jpegs) >= 33
    assert mean_psnr(visible, *webps) >= 33


def check_unmarked(results: Sequence[Result]) -> None:
    altered = [one for one in results if not one.same]

    assert len(altered) <= len(results) * 0.002


def test_a_small_set_with_marks_is_cleaned() -> None:
    check_marked([result(number, with_mark=True, small=True) for number in range(48)])


def test_a_small_set_without_marks_comes_back() -> None:
    check_unmarked(
        [result(number, with_mark=False, small=True) for number in range(36)]
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_set_with_marks_is_cleaned() -> None:
    check_marked([result(number, with_mark=True) for number in range(600)])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_set_without_marks_comes_back() -> None:
    check_unmarked([result(number, with_mark=False) for number in range(600)])
