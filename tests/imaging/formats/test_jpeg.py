"""JPEG files, segment by segment."""

import pytest
from hypothesis import given, settings, strategies as st

from imaging.bounds import Limits, PictureRefused
from imaging.formats import jpeg
from tests.imaging import samples

LIMITS = Limits()
EXIF = (0xE1, jpeg.EXIF + b"II*\0\x08\0\0\0" + bytes(6))
XMP = (0xE1, jpeg.XMP + b"<old/>")
ICC = b"ICC_PROFILE\0"


def outline(data: bytes, limits: Limits = LIMITS):
    return jpeg.outline(data, limits)


def codes(data: bytes) -> list[int]:
    return [segment.kind[0] for segment in outline(data).segments]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_an_outline_covers_the_file_without_gaps(options):
    data = samples.file(form="jpeg", **options)
    found = outline(data)
    assert (found.width, found.height, found.frames) == (40, 30, 1)
    assert (found.segments[0].start, found.end) == (2, len(data))
    for one, after in zip(found.segments, found.segments[1:], strict=False):
        assert one.end == after.start


def test_the_size_is_not_taken_for_that_of_a_thumbnail():
    inner = samples.file(samples.drawing(8, 8), "jpeg")
    data = samples.jpeg_with((0xE1, jpeg.EXIF + inner))
    assert (outline(data).width, outline(data).height) == (40, 30)


def test_filling_between_segments_is_skipped():
    data = samples.file(form="jpeg")
    filled = data[:2] + b"\xff\xff\xff" + data[2:]
    assert (outline(filled).width, outline(filled).end) == (40, len(filled))


def test_stuffed_bytes_and_restarts_do_not_end_a_scan():
    noise = samples.drawing(200, 200).effect_spread(80)
    data = samples.file(noise, "jpeg", quality=100, restart_marker_blocks=2)
    assert data.count(b"\xff\x00") > 0
    assert b"\xff\xd0" in data
    assert codes(data).count(0xDA) == 1
    assert outline(data).end == len(data)


def test_the_decoder_sees_no_application_data():
    data = samples.jpeg_with(EXIF, XMP, (0xE2, ICC + b"\1\1x"), (0xFE, b"words"))
    bare = jpeg.pixels_only(data, outline(data))
    kept = {code for code in codes(bare) if 0xE0 <= code <= 0xEF or code == 0xFE}
    assert kept == {0xE0}
    assert samples.pixels(bare) == samples.pixels(data)


def test_the_word_about_colours_is_kept():
    data = samples.file(samples.drawing(mode="CMYK"), "jpeg")
    assert 0xEE in codes(jpeg.pixels_only(data, outline(data)))


def test_pieces_of_a_profile_are_joined_by_their_numbers():
    data = samples.jpeg_with(
        (0xE2, ICC + b"\2\2second"), (0xE2, ICC + b"\1\2first "), (0xE2, ICC)
    )
    assert jpeg.icc(data, outline(data), LIMITS) == b"first second"
    assert jpeg.icc(data, outline(data), Limits(metadata=5)) == b"first"


def test_exif_and_xmp_are_told_apart():
    data = samples.jpeg_with(XMP, EXIF)
    assert jpeg.exif(data, outline(data)) == b"II*\0\x08\0\0\0" + bytes(6)
    assert jpeg.xmp(data, outline(data), LIMITS) == b"<old/>"


def test_new_xmp_takes_the_place_of_old():
    data = samples.jpeg_with(EXIF, XMP, (0xFE, b"words"), XMP)
    after = jpeg.with_xmp(data, outline(data), b"<new/>")
    assert after.count(jpeg.XMP) == 1
    assert jpeg.xmp(after, outline(after), LIMITS) == b"<new/>"
    assert b"words" in after
    assert codes(after)[:2] == [0xE1, 0xE1]


def test_extended_xmp_is_kept():
    more = (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"5" * 32)
    data = samples.jpeg_with(XMP, more)
    assert b"xmp/extension" in jpeg.with_xmp(data, outline(data), b"<new/>")


def test_a_segment_holds_so_much_and_no_more():
    data = samples.file(form="jpeg")
    room = jpeg.MOST_CONTENT - len(jpeg.XMP)
    full = jpeg.with_xmp(data, outline(data), b"x" * room)
    assert jpeg.xmp(full, outline(full), LIMITS) == b"x" * room
    with pytest.raises(PictureRefused) as caught:
        jpeg.with_xmp(data, outline(data), b"x" * (room + 1))
    assert caught.value.reason == "metadata_full"


def test_a_file_with_two_headers_is_refused():
    data = samples.file(form="jpeg")
    header = next(s for s in outline(data).segments if s.kind == b"\xc0")
    twice = data[: header.end] + data[header.start :]
    with pytest.raises(PictureRefused) as caught:
        outline(twice)
    assert caught.value.reason == "broken"


def test_a_whole_file_is_not_copied():
    data = samples.file(form="jpeg")
    assert jpeg.trimmed(data, outline(data)) is data


@settings(deadline=None, database=None, max_examples=60)
@given(st.binary(max_size=120))
def test_any_bytes_after_the_signature_are_cut_or_refused(junk):
    with pytest.raises(PictureRefused) as caught:
        outline(b"\xff\xd8" + junk + b"\xff\xd9")
    assert caught.value.reason in ("truncated", "broken")
