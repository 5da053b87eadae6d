"""The map of the mark: what captures of it show, pixel by pixel."""

import zlib

import numpy as np
import pytest
from PIL import Image

from imaging.watermark import star

#: Pixels of each level, 0 to 16, as counted on captures of the mark on black.
COUNTED = {
    48: [1428, 4, 20, 4, 20, 0, 0, 4, 4, 8, 20, 0, 12, 4, 24, 8, 744],
    96: [5808, 24, 56, 4, 28, 12, 4, 12, 24, 8, 28, 12, 4, 4, 52, 32, 3104],
}
#: Checksum of the level tables that were read from those captures.
CHECKSUMS = {48: 511191750, 96: 3435964564}
SIZES = (48, 96)


@pytest.mark.parametrize("size", SIZES)
def test_no_pixel_differs_from_the_captures(size: int) -> None:
    assert zlib.crc32(star.levels(size).tobytes()) == CHECKSUMS[size]


@pytest.mark.parametrize("size", SIZES)
def test_each_level_has_as_many_pixels_as_in_the_captures(size: int) -> None:
    assert (
        np.bincount(star.levels(size).ravel(), minlength=17).tolist() == COUNTED[size]
    )


@pytest.mark.parametrize("size", [24, 36, 48, 96])
def test_the_star_looks_the_same_from_all_four_sides(size: int) -> None:
    assert np.array_equal(star.levels(size), np.rot90(star.levels(size)))


@pytest.mark.parametrize("size", SIZES)
def test_the_star_is_no_mirror_image_of_itself(size: int) -> None:
    assert not np.array_equal(star.levels(size), star.levels(size)[:, ::-1])


@pytest.mark.parametrize(("row", "column", "level"), [(12, 42, 16), (15, 40, 10)])
def test_the_two_corrected_pixels_have_their_levels_on_all_sides(
    row: int, column: int, level: int
) -> None:
    for turns in range(4):
        assert np.rot90(star.levels(96), turns)[row, column] == level


@pytest.mark.parametrize("size", SIZES)
def test_the_tips_touch_the_box_and_its_corners_are_empty(size: int) -> None:
    levels = star.levels(size)

    assert levels[0, size // 2 - 1 : size // 2 + 1].min() > 0
    assert levels[: size // 4, : size // 4].max() == 0


def test_coverage_is_the_levels_in_sixteenths() -> None:
    assert np.array_equal(star.coverage(48) * 16, star.levels(48))


@pytest.mark.parametrize(
    "shared",
    [
        star.levels(48),
        star.coverage(48),
        star.doubled(48, 4),
        star.scaled(48, (0.0, 0.0), (1.5, 1.5), (32, 32)),
    ],
    ids=["levels", "coverage", "doubled", "scaled"],
)
def test_what_is_shared_cannot_be_changed(shared: np.ndarray) -> None:
    with pytest.raises(ValueError, match="read-only"):
        shared[0, 0] = 1


def test_the_doubled_star_is_a_bicubic_enlargement() -> None:
    plain = Image.fromarray(np.pad(star.coverage(48), 2))
    wanted = np.asarray(plain.resize((104, 104), Image.Resampling.BICUBIC))

    assert np.array_equal(star.doubled(48, 4), wanted)


def test_the_doubled_star_overshoots_and_reaches_beyond_its_box() -> None:
    doubled = star.doubled(48, 4)

    assert doubled.max() > 1.0
    assert abs(doubled[:4]).max() > 0


def test_a_scaled_star_of_the_same_grid_is_the_star() -> None:
    same = star.scaled(48, (-4.0, -4.0), (1.0, 1.0), (56, 56))

    assert np.allclose(same, np.pad(star.coverage(48), 4), atol=1e-6)


@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (0.3, 0.0), (0.25, 0.7)])
def test_a_scaled_star_is_what_a_scaled_picture_shows(
    right: float, down: float
) -> None:
    # A canvas of 100 with the star at 30, 40, scaled by 3/4, but seen from elsewhere.
    canvas = np.zeros((100, 100), np.float32)
    canvas[40:88, 30:78] = star.coverage(48)
    window = (16 + right, 24 + down, 96 + right, 96 + down)
    wanted = np.asarray(
        Image.fromarray(canvas).resize((60, 54), Image.Resampling.LANCZOS, window)
    )

    found = star.scaled(
        48, (16 + right - 30, 24 + down - 40), (80 / 60, 72 / 54), (60, 54)
    )

    assert np.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("pixel", [0.5, 0.8, 1.4, 2.0, 3.2])
def test_scaling_keeps_the_stars_area(pixel: float) -> None:
    side = round(60 / pixel)
    step = 60 / side

    scaled = star.scaled(48, (-6.0, -6.0), (step, step), (side, side))

    assert scaled.sum() * step**2 == pytest.approx(star.coverage(48).sum(), rel=0.01)
