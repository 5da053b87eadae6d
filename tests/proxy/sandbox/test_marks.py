"""The mark on the pictures of the imitated app."""

import io

import numpy as np
import pytest
from PIL import Image

from imaging.decoding import opened
from imaging.watermark import removal
from proxy.sandbox.marks import coverage, marked
from proxy.sandbox.pictures import draw


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.mark.parametrize(("edge", "share"), [(48, 876), (96, 3408)])
def test_the_star_covers_what_the_real_one_covers(edge, share):
    star = coverage(edge)
    assert np.count_nonzero(star) == share
    levels = star * 16
    assert np.array_equal(levels, np.rint(levels))
    assert np.array_equal(star, np.rot90(star))


@pytest.mark.parametrize(
    ("size", "old", "edge", "margin", "peak"),
    [
        (1024, False, 48, 96, 0.3),
        (1024, True, 48, 32, 128 / 255),
        (1056, True, 96, 64, 128 / 255),
    ],
)
def test_the_mark_lies_in_its_box_and_nowhere_else(size, old, edge, margin, peak):
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (0, 0, 0)).save(buffer, "PNG")
    shown = pixels(marked(buffer.getvalue(), old=old))
    assert shown.max() == round(255 * peak)
    first = size - margin - edge
    box = shown[first : first + edge, first : first + edge]
    assert box.sum() == shown.sum() > 0


def test_an_enlarged_picture_has_its_mark_enlarged():
    drawn = draw("a fox")
    shown = Image.open(io.BytesIO(marked(drawn, scale=2)))
    assert shown.size == (2048, 2048)
    plain = Image.open(io.BytesIO(drawn)).resize((2048, 2048), Image.Resampling.BICUBIC)
    apart = np.abs(np.asarray(shown, int) - np.asarray(plain, int)).sum(axis=2)
    # The upscaler shines a little over the edge of the box.
    for places in np.nonzero(apart > 8):
        assert abs(places.min() - (2048 - 192 - 96)) <= 4
        assert abs(places.max() - (2048 - 192)) <= 4


@pytest.mark.parametrize("old", [False, True])
def test_what_takes_real_marks_off_takes_this_one_off(old):
    drawn = draw("a red circle")
    cleaned = removal.clean(opened(marked(drawn, old=old)))
    assert [finding.removed for finding in cleaned.findings] == [True]
    assert np.abs(pixels(cleaned.data) - pixels(drawn)).max() <= 2


def test_a_picture_without_room_for_it_has_none():
    small = io.BytesIO()
    Image.new("RGB", (100, 100), (9, 9, 9)).save(small, "PNG")
    assert pixels(marked(small.getvalue())).max() == 9
