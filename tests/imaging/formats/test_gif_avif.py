"""GIF blocks and AVIF boxes."""

import contextlib
import io

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from imaging.bounds import Limits, PictureRefused
from imaging.formats import avif, gif
from tests.imaging import samples

LIMITS = Limits()


def test_a_gif_is_cut_into_blocks_without_gaps():
    data = samples.animation("gif", comment=b"words")
    found = gif.outline(data, LIMITS)
    assert (found.width, found.height, found.frames) == (16, 12, 3)
    assert found.end == len(data)
    for one, after in zip(found.segments, found.segments[1:], strict=False):
        assert one.end == after.start
    assert found.segments[-1].end == len(data) - 1


def test_only_the_first_frame_of_a_gif_is_decoded():
    data = samples.animation("gif")
    bare = gif.pixels_only(data, gif.outline(data, LIMITS))
    with Image.open(io.BytesIO(bare)) as image:
        assert image.n_frames == 1
    assert samples.pixels(bare) == samples.pixels(data)


def test_a_gif_without_a_colour_table_of_its_own_is_outlined():
    whole = samples.file(form="gif")
    table = 3 << ((whole[10] & 7) + 1)
    data = whole[:10] + b"\0" + whole[11:13] + whole[13 + table :]
    assert gif.outline(data, LIMITS).end == len(data)


def test_a_gif_in_endless_pieces_is_refused(monkeypatch):
    monkeypatch.setattr(gif, "_MOST_SUB_BLOCKS", 50)
    body = b"\x21\xfe" + b"\1x" * 60 + b"\0"
    whole = samples.file(form="gif")
    with pytest.raises(PictureRefused) as caught:
        gif.outline(whole[:-1] + body + b";", LIMITS)
    assert caught.value.reason == "broken"


@settings(deadline=None, database=None, max_examples=60)
@given(st.binary(max_size=80))
def test_any_bytes_of_a_gif_are_outlined_or_refused(junk):
    data = b"GIF89a\5\0\5\0\0\0\0" + junk
    with contextlib.suppress(PictureRefused):
        assert gif.outline(data, LIMITS).end <= len(data)


def test_an_avif_tells_the_size_of_its_largest_item():
    data = samples.file(samples.drawing(48, 32), "avif")
    found = avif.outline(data, LIMITS)
    assert (found.width, found.height) == (48, 32)
    assert [box.kind for box in found.segments][:2] == [b"ftyp", b"meta"]
    at = data.index(b"ispe") + 8
    larger = data[:at] + (9999).to_bytes(4, "big") + data[at + 4 :]
    assert avif.outline(larger, LIMITS).width == 9999


def test_a_box_may_have_a_long_size():
    data = samples.file(form="avif")
    long = b"\0\0\0\1free" + (20).to_bytes(8, "big") + b"1234"
    assert avif.outline(data + long, LIMITS).end == len(data) + 20
    with pytest.raises(PictureRefused):
        avif.outline(data + long[:-1], LIMITS)


@pytest.mark.parametrize(
    "box", [b"\0\0\0\7free", b"\0\0\0\0free", b"\0\0\0\1free" + bytes(8)]
)
def test_a_box_without_a_size_is_refused(box):
    with pytest.raises(PictureRefused) as caught:
        avif.outline(samples.file(form="avif") + box, LIMITS)
    assert caught.value.reason == "broken"


def test_large_boxes_of_metadata_are_refused():
    data = samples.file(form="avif")
    with pytest.raises(PictureRefused) as caught:
        avif.outline(data, Limits(metadata=50))
    assert caught.value.reason == "too_much_metadata"
