"""Sizes as callers write them."""

import pytest
from hypothesis import given, settings, strategies as st

from imaging.bounds import PictureRefused
from imaging.sizes import RATIOS, TIERS, WIDE_RATIOS, asked_size, nearest_ratio


@pytest.mark.parametrize(
    ("words", "ratio", "tier"),
    [
        ("", None, None),
        ("auto", None, None),
        (" AUTO ", None, None),
        ("1024x1024", "1:1", "1K"),
        ("1536x1024", "3:2", "1K"),
        ("1024x1536", "2:3", "1K"),
        ("1792x1024", "16:9", "1K"),
        ("1024X1792", "9:16", "1K"),
        ("256x256", "1:1", "512"),
        ("512x512", "1:1", "512"),
        ("2048x2048", "1:1", "2K"),
        ("4096 x 4096", "1:1", "4K"),
        ("2560\u00d71440", "16:9", "2K"),
        ("3440*1440", "21:9", "2K"),
        ("1280x720", "16:9", "1K"),
        ("800x1000", "4:5", "1K"),
        ("16:9", "16:9", None),
        ("32:18", "16:9", None),
        ("21:9", "21:9", None),
        ("2K", None, "2K"),
        ("4k", None, "4K"),
        ("512", None, "512"),
        ("0.5K", None, "512"),
        ("512px", None, "512"),
        ("16:9@4K", "16:9", "4K"),
        ("3:4@1k", "3:4", "1K"),
    ],
)
def test_a_size_is_the_nearest_shape_and_resolution(words, ratio, tier):
    found = asked_size(words)
    assert (found.ratio, found.tier) == (ratio, tier)


def test_pixels_are_remembered():
    found = asked_size("1536x1024")
    assert (found.width, found.height) == (1536, 1024)
    assert asked_size("3:2").width is None


def test_long_shapes_need_a_model_that_draws_them():
    assert asked_size("400x100").ratio == "21:9"
    assert asked_size("400x100", WIDE_RATIOS).ratio == "4:1"
    assert asked_size("1:8", WIDE_RATIOS).ratio == "1:8"


@pytest.mark.parametrize(
    "words",
    [
        "large",
        "1024",
        "1024x",
        "x1024",
        "0x10",
        "10x0",
        "99999x1",
        "-5x5",
        "1.5x2",
        "0:1",
        "1:0",
        "16:9@",
        "16:9@8K",
        "8K",
        "1024x1024@2K",
        "16/9",
        "\u0661\u0660x10\n",
        "auto auto",
    ],
)
def test_what_is_no_size_is_refused(words):
    with pytest.raises(PictureRefused) as caught:
        asked_size(words)
    assert caught.value.reason == "bad_size"
    assert caught.value.text.startswith("size ")


@settings(deadline=None, database=None)
@given(st.integers(1, 16_384), st.integers(1, 16_384))
def test_turning_a_size_turns_its_shape(width, height):
    def turned(ratio: str) -> str:
        return ":".join(reversed(ratio.split(":")))

    symmetric = tuple({*RATIOS, *map(turned, RATIOS)})
    found = asked_size(f"{width}x{height}", symmetric)
    other = asked_size(f"{height}x{width}", symmetric)
    assert found.tier == other.tier
    assert found.tier in TIERS
    assert _skew(found.ratio, width, height) == pytest.approx(
        _skew(turned(other.ratio), width, height)
    )


def _skew(ratio: str, width: int, height: int) -> float:
    across, down = (int(side) for side in ratio.split(":"))
    shape = (across / down) / (width / height)
    return max(shape, 1 / shape)


@settings(deadline=None, database=None)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_no_other_shape_is_nearer(width, height):
    best = _skew(nearest_ratio(width, height), width, height)
    assert all(best <= _skew(ratio, width, height) + 1e-9 for ratio in RATIOS)


@settings(deadline=None, database=None)
@given(st.text(max_size=20))
def test_any_words_are_a_size_or_refused(words):
    try:
        found = asked_size(words)
    except PictureRefused:
        return
    assert found.ratio in (None, *RATIOS)
    assert found.tier in (None, *TIERS)
