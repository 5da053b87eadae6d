"""PNG files, chunk by chunk."""

import contextlib
import zlib

import pytest
from hypothesis import given, settings, strategies as st

from imaging.bounds import Limits, PictureRefused
from imaging.formats import png
from tests.imaging import samples

LIMITS = Limits()
TEXT = png.chunk_of(b"tEXt", b"Comment\0words")
EXIF = png.chunk_of(b"eXIf", b"II*\0\x08\0\0\0\0\0")


def outline(data: bytes, limits: Limits = LIMITS):
    return png.outline(data, limits)


def kinds(data: bytes) -> list[bytes]:
    return [chunk.kind for chunk in outline(data).segments]


def test_an_outline_covers_the_file_without_gaps():
    data = samples.png_with(TEXT, EXIF)
    found = outline(data)
    assert (found.width, found.height, found.frames) == (40, 30, 1)
    assert found.segments[0].start == 8
    assert found.end == len(data)
    for one, after in zip(found.segments, found.segments[1:], strict=False):
        assert one.end == after.start
        assert one.size == one.end - one.start == one.stop - one.body + 12


def test_the_decoder_sees_nothing_but_pixels():
    profile = samples.srgb_profile()
    data = samples.file(
        samples.drawing(mode="P"), icc_profile=profile, transparency=3, dpi=(72, 72)
    )
    data = data[:33] + TEXT + EXIF + data[33:]
    bare = png.pixels_only(data, outline(data))
    assert set(kinds(bare)) <= {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
    assert b"tRNS" in kinds(bare)
    assert samples.pixels(bare) == samples.pixels(data)


def test_an_animation_loses_its_later_frames():
    data = samples.animation("png")
    found = outline(data)
    assert found.frames == 3
    assert b"fdAT" not in kinds(png.pixels_only(data, found))


def test_frames_are_no_metadata():
    data = samples.animation("png", 20)
    assert outline(data, Limits(metadata=400)).frames == 20


def test_metadata_counts_as_it_is_uncompressed():
    packed = png.chunk_of(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 5000))
    data = samples.png_with(packed)
    assert outline(data, Limits(metadata=5000 + len(packed)))
    with pytest.raises(PictureRefused) as caught:
        outline(data, Limits(metadata=4999 + len(packed)))
    assert caught.value.reason == "too_much_metadata"


def test_the_first_exif_counts():
    data = samples.png_with(EXIF, png.chunk_of(b"eXIf", b"other"))
    assert png.exif(data, outline(data)) == b"II*\0\x08\0\0\0\0\0"
    assert png.exif(samples.file(), outline(samples.file())) == b""


@pytest.mark.parametrize(
    "text",
    [
        png.XMP + b"\0\0\0\0\0<packet/>",
        png.XMP + b"\0\1\0\0\0" + zlib.compress(b"<packet/>"),
        png.XMP + b"\0\0\0en\0title\0<packet/>",
    ],
)
def test_xmp_is_found_plain_packed_and_translated(text):
    data = samples.png_with(TEXT, png.chunk_of(b"iTXt", text))
    assert png.xmp(data, outline(data), LIMITS) == b"<packet/>"


def test_other_international_texts_are_no_xmp():
    other = png.chunk_of(b"iTXt", b"Title\0\0\0\0\0words")
    data = samples.png_with(other)
    assert png.xmp(data, outline(data), LIMITS) == b""
    assert b"Title" in png.with_xmp(data, outline(data), b"<packet/>")


def test_xmp_stands_before_the_pixels():
    data = samples.png_with(TEXT)
    after = png.with_xmp(data, outline(data), b"<packet/>")
    order = kinds(after)
    assert order.index(b"tEXt") < order.index(b"iTXt") < order.index(b"IDAT")
    assert png.xmp(after, outline(after), LIMITS) == b"<packet/>"


def test_a_profile_is_unpacked():
    profile = samples.srgb_profile()
    data = samples.file(icc_profile=profile)
    assert png.icc(data, outline(data), LIMITS) == profile
    assert len(png.icc(data, outline(data), Limits(metadata=100))) == 100


def test_a_chunk_has_length_name_content_and_checksum():
    assert png.chunk_of(b"IEND", b"") == bytes.fromhex("0000000049454e44ae426082")


@settings(deadline=None, database=None, max_examples=60)
@given(st.binary(max_size=120))
def test_any_bytes_after_the_signature_are_cut_or_refused(junk):
    with contextlib.suppress(PictureRefused):
        assert outline(png.SIGNATURE + junk).end <= len(junk) + 8
