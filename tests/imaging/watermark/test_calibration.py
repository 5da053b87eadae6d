"""The mark measured on pictures that carry it."""

import json

import numpy as np
import pytest
from PIL import Image

from imaging.watermark import calibration, star
from imaging.watermark.calibration import Uncalibrated
from tests.imaging.watermark import pictures
from tests.imaging.watermark.pictures import PLACES


def ground(seed: int, level: float = 2, drift: float = 3) -> Image.Image:
    """Draw nearly black, with noise and a slope."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:400, :400] / 400
    values = level + drift * (x + y**2) + rng.normal(0, 1, (400, 400))
    return Image.fromarray(
        np.dstack([values] * 3).round().clip(0, 255).astype(np.uint8)
    )


@pytest.mark.parametrize("variant", PLACES)
def test_black_pictures_give_the_built_in_star(variant: str) -> None:
    size, margin, opacity = PLACES[variant]
    images = [pictures.marked(ground(seed), variant) for seed in range(3)]

    found = calibration.calibrated(images, size=size, margin=margin)

    assert found.differing == 0
    assert found.most == 0
    assert found.opacity == pytest.approx(opacity, abs=0.004)
    assert found.samples == 3
    assert np.array_equal(found.levels, star.levels(size))


def test_one_picture_is_enough() -> None:
    seen = pictures.marked(Image.new("RGB", (300, 300)), "v1-48")

    assert calibration.calibrated([seen], size=48, margin=32).differing == 0


def test_a_grey_ground_is_taken_out() -> None:
    images = [pictures.marked(ground(seed, 90, 12), "v1-96") for seed in range(8)]

    found = calibration.calibrated(images, size=96, margin=64)

    assert found.opacity == pytest.approx(128 / 255, abs=0.01)
    assert found.differing < 200


def test_another_star_is_told_from_the_built_in_one() -> None:
    seen = Image.new("RGB", (300, 300))
    mask = Image.new("L", (48, 48))
    mask.paste(128, (8, 8, 40, 40))
    seen.paste((255, 255, 255), (220, 220), mask)

    found = calibration.calibrated([seen], size=48, margin=32)

    assert found.differing > 400
    assert found.most == pytest.approx(0.5, abs=0.01)
    assert found.levels[24, 24] == 16
    assert found.levels[4, 4] == 0


def test_noise_is_weighed_down() -> None:
    rng = np.random.default_rng(1)
    calm = pictures.marked(ground(1), "v1-48")
    values = np.asarray(ground(2)) + rng.normal(0, 25, (400, 400, 3))
    wild = pictures.marked(
        Image.fromarray(values.clip(0, 255).astype(np.uint8)), "v1-48"
    )

    assert calibration.calibrated([calm, wild], size=48, margin=32).differing == 0


def test_it_can_be_written_down() -> None:
    seen = pictures.marked(Image.new("RGB", (300, 300)), "v1-48")

    written = json.loads(
        json.dumps(calibration.calibrated([seen], size=48, margin=32).as_json())
    )

    assert written["levels"] == star.levels(48).tolist()
    assert (written["size"], written["margin"], written["samples"]) == (48, 32, 1)


@pytest.mark.parametrize(
    ("images", "size", "margin", "words"),
    [
        ([Image.new("RGB", (300, 300))], 48, 32, "no mark"),
        ([Image.new("RGB", (60, 300))], 48, 32, "60 x 300 is too small"),
        ([], 48, 32, "no picture"),
        ([Image.new("RGB", (300, 300))], 4, 32, "at least 8"),
        ([Image.new("RGB", (300, 300))], 48, 1, "margin of 4"),
    ],
)
def test_what_cannot_be_measured_is_said(
    images: list[Image.Image], size: int, margin: int, words: str
) -> None:
    with pytest.raises(Uncalibrated, match=words):
        calibration.calibrated(images, size=size, margin=margin)
