"""The repairs of lossy pictures, and when they are due."""

import io

import numpy as np
import pytest
from PIL import Image

from imaging.decoding import DEFAULT_LIMITS, opened
from imaging.watermark import restoration, rewriting, star, templates
from imaging.watermark.restoration import restored
from tests.imaging.watermark import pictures
from tests.imaging.watermark.pictures import Codec

TEMPLATE = templates.template(star.coverage(48))
OPACITY = 128 / 255


def file(form: str, **options: object) -> bytes:
    image = pictures.background(np.random.default_rng(1), (200, 180), 5)
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


@pytest.mark.parametrize("quality", [30, 50, 75, 85, 92, 95, 99])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    image = opened(file("JPEG", quality=quality)).image

    assert abs(rewriting.jpeg_quality(image) - quality) <= 1


def test_a_picture_without_tables_counts_as_the_best() -> None:
    assert rewriting.jpeg_quality(Image.new("RGB", (8, 8))) == 100


@pytest.mark.parametrize(
    ("data", "lossy"),
    [
        pytest.param(file("PNG"), False, id="PNG"),
        pytest.param(file("WEBP", lossless=True), False, id="lossless WebP"),
        pytest.param(file("WEBP", quality=99), True, id="lossy WebP"),
        pytest.param(file("WEBP", quality=80, xmp=b"<x/>"), True, id="extended WebP"),
        pytest.param(file("JPEG", quality=95), False, id="fine JPEG"),
        pytest.param(file("JPEG", quality=90), True, id="usual JPEG"),
        pytest.param(file("JPEG", quality=60), True, id="coarse JPEG"),
    ],
)
def test_repairs_are_due_where_a_codec_has_left_its_errors(
    data: bytes, lossy: bool
) -> None:
    assert rewriting.is_lossy(opened(data), DEFAULT_LIMITS) is lossy


@pytest.mark.parametrize("codec", [pictures.jpeg(75), pictures.jpeg(85)])
def test_repairs_help_on_coarse_pictures(codec: Codec) -> None:
    gains = []
    for seed in range(12):
        image = pictures.background(np.random.default_rng(seed), (160, 160), 5)
        place = np.s_[80:128, 80:128]
        seen = pictures.pixels(codec.file(pictures.marked(image, "v1-48")))[place]
        wanted = pictures.pixels(codec.file(image))[place]
        exact, repaired = (
            restored(seen, TEMPLATE, OPACITY, lossy=lossy) for lossy in (False, True)
        )
        gains.append(pictures.psnr(repaired, wanted) - pictures.psnr(exact, wanted))
    assert np.mean(gains) > 0.5


def test_repairs_are_not_made_on_lossless_pictures() -> None:
    rng = np.random.default_rng(5)
    seen = rng.integers(130, 256, (48, 48, 3)).astype(np.uint8)

    exact = restored(seen, TEMPLATE, OPACITY, lossy=False)

    alpha = TEMPLATE.coverage[:, :, None] * OPACITY
    wanted = np.rint((seen - 255 * alpha) / (1 - alpha)).clip(0, 255)
    assert abs(exact - wanted).max() <= 1


def test_repairs_leave_what_is_far_from_the_star() -> None:
    rng = np.random.default_rng(5)
    seen = rng.integers(130, 256, (48, 48, 3)).astype(np.uint8)

    repaired = restored(seen, TEMPLATE, OPACITY, lossy=True)

    assert np.array_equal(repaired[:8, :8], seen[:8, :8])


def test_a_star_that_a_codec_has_blurred_is_taken_off_blurred() -> None:
    blurred = restoration._blurred(TEMPLATE.coverage, 0.9)
    ground = np.full((48, 48), 60, np.float32)
    bright = 255 * blurred * OPACITY + (1 - blurred * OPACITY) * ground

    assert np.array_equal(restoration._matched(bright, TEMPLATE, OPACITY), blurred)


def test_a_sharp_star_is_taken_off_sharp() -> None:
    ground = np.full((48, 48), 60, np.float32)
    alpha = TEMPLATE.coverage * OPACITY
    bright = 255 * alpha + (1 - alpha) * ground

    matched = restoration._matched(bright, TEMPLATE, OPACITY)

    assert np.array_equal(matched, TEMPLATE.coverage)


def test_grain_in_the_star_becomes_that_around_it() -> None:
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 2, (48, 48, 3)).astype(np.float32)
    noise[TEMPLATE.coverage > 0] *= 2

    calm = restoration._calmed(100 + noise, TEMPLATE)

    def grain(values: np.ndarray) -> float:
        fine = values - restoration._filtered(values, restoration._BINOMIAL)
        return float(abs(fine.reshape(-1, 3)[TEMPLATE.core]).mean())

    assert grain(calm) < 0.65 * grain(100 + noise)
    assert np.array_equal(calm[:6, :6], (100 + noise)[:6, :6])


def test_a_blur_keeps_what_is_flat() -> None:
    even = np.full((12, 10, 3), 77, np.float32)

    assert np.allclose(restoration._blurred(even, 1.2), 77, atol=1e-3)


def test_a_blur_has_the_width_it_was_asked_for() -> None:
    point = np.zeros((21, 21), np.float32)
    point[10, 10] = 1

    spread = restoration._blurred(point, 1.2)

    offsets = np.arange(-10, 11)
    assert (spread.sum(0) * offsets**2).sum() == pytest.approx(1.44, abs=0.1)


def test_an_outline_that_was_left_becomes_softer() -> None:
    contour = restoration._contour(TEMPLATE)
    left = (100 + 30 * contour[:, :, None] * np.ones(3)).astype(np.float32)

    soft = restoration._softened(left, TEMPLATE)

    outline = contour == 1
    assert (soft - 100)[outline].mean() < 0.8 * (left - 100)[outline].mean()
    assert np.array_equal(soft[:8, :8], left[:8, :8])
    assert np.array_equal(soft[22:26, 22:26], left[22:26, 22:26])
