"""WebP files, chunk by chunk."""

import contextlib
import io

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from imaging.bounds import Limits, PictureRefused
from imaging.formats import webp
from tests.imaging import samples

LIMITS = Limits()


def outline(data: bytes, limits: Limits = LIMITS):
    return webp.outline(data, limits)


def kinds(data: bytes) -> list[bytes]:
    return [chunk.kind for chunk in outline(data).segments]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (40, 30), (257, 1), (1, 300)])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"II*\0"}])
def test_every_kind_of_file_tells_its_size(size, options):
    data = samples.file(samples.drawing(*size), "webp", **options)
    found = outline(data)
    assert ((found.width, found.height), found.end) == (size, len(data))


def test_the_padding_of_the_last_chunk_may_be_missing():
    data = samples.webp_with(b"ABCD", b"odd")
    short = data[:4] + (len(data) - 9).to_bytes(4, "little") + data[8:-1]
    assert outline(short).segments[-1].content(short) == b"odd"
    whole = webp.with_xmp(short, outline(short), b"<p/>")
    assert b"odd\0" in whole
    assert samples.pixels(whole) == samples.pixels(data)


def test_the_decoder_sees_nothing_but_pixels():
    data = samples.file(
        form="webp", exif=b"II*\0", xmp=b"<p/>", icc_profile=samples.srgb_profile()
    )
    bare = webp.pixels_only(data, outline(data))
    assert kinds(bare) == [b"VP8X", b"VP8 "]
    assert samples.pixels(bare) == samples.pixels(data)


def test_an_animation_keeps_its_frames():
    data = samples.animation("webp")
    after = webp.with_xmp(data, outline(data), b"<p/>")
    assert outline(after).frames == 3
    assert kinds(after)[-1] == b"XMP "
    with Image.open(io.BytesIO(after)) as image:
        assert image.n_frames == 3


def test_metadata_is_read():
    profile = samples.srgb_profile()
    data = samples.file(
        form="webp", exif=b"Exif\0\0MM\0*", xmp=b"<p/>", icc_profile=profile
    )
    found = outline(data)
    assert webp.exif(data, found) == b"MM\0*"
    assert webp.xmp(data, found, LIMITS) == b"<p/>"
    assert webp.icc(data, found, LIMITS) == profile
    bare = samples.file(form="webp")
    assert webp.exif(bare, outline(bare)) == b""


def test_flags_of_an_extended_file_are_kept():
    data = samples.file(form="webp", exif=b"II*\0")
    before = data[outline(data).segments[0].body]
    after = webp.with_xmp(data, outline(data), b"<p/>")
    assert after[outline(after).segments[0].body] == before | 0x04


def test_new_xmp_takes_the_place_of_old():
    data = samples.file(form="webp", xmp=b"<old/>")
    after = webp.with_xmp(data, outline(data), b"<new/>")
    assert kinds(after).count(b"XMP ") == 1
    assert webp.xmp(after, outline(after), LIMITS) == b"<new/>"


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_file_that_is_shorter_than_it_says_is_cut_off(cut):
    with pytest.raises(PictureRefused) as caught:
        outline(samples.file(form="webp")[:-cut])
    assert caught.value.reason == "truncated"


@settings(deadline=None, database=None, max_examples=60)
@given(st.binary(max_size=120))
def test_any_bytes_in_the_file_are_outlined_or_refused(junk):
    data = b"RIFF" + (len(junk) + 4).to_bytes(4, "little") + b"WEBP" + junk
    with contextlib.suppress(PictureRefused):
        assert outline(data).end == len(data)
