"""Pictures from strangers: what is taken, what is refused, and how soon."""

import contextlib
import io
import random
import tracemalloc
import zlib

import pytest
from PIL import Image

from imaging.bounds import Limits, PictureRefused
from imaging.decoding import opened
from imaging.formats import png
from tests.imaging import samples

SMALL = Limits(bytes=200_000, pixels=4000, side=100, frames=5, metadata=20_000)


def refused(data, limits=SMALL) -> PictureRefused:
    with pytest.raises(PictureRefused) as caught:
        opened(data, limits)
    return caught.value


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif", "avif"])
def test_a_picture_is_opened_by_its_content(form):
    data = samples.file(form=form)
    found = opened(data)
    assert (found.format, found.media_type) == (form, f"image/{form}")
    assert (found.width, found.height, found.frames) == (40, 30, 1)
    assert found.shown_size == (40, 30)
    assert found.data == data
    assert found.cut == 0
    assert found.image.convert("RGBA").tobytes() == samples.pixels(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pngs_of_every_kind_are_opened(mode):
    image = samples.drawing(mode="L").convert("I;16") if mode == "I;16" else None
    found = samples.picture(image or samples.drawing(mode=mode))
    assert found.image.size == (40, 30)


def test_transparency_of_palettes_and_colour_keys_survives():
    image = samples.drawing(mode="P")
    data = samples.file(image, transparency=0)
    assert opened(data).image.convert("RGBA").tobytes() == samples.pixels(data)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpegs_of_every_kind_keep_their_colours(mode):
    data = samples.file(samples.drawing(mode=mode), "jpeg", icc_profile=None)
    assert opened(data).image.convert("RGBA").tobytes() == samples.pixels(data)


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_rows": 1}])
def test_jpegs_with_many_scans_or_restarts_are_opened(options):
    data = samples.file(form="jpeg", **options)
    found = opened(data)
    assert found.data == data
    assert found.image.tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_an_open_file_is_read():
    assert opened(io.BytesIO(samples.file())).width == 40


@pytest.mark.parametrize("form", ["png", "webp", "gif", "avif"])
def test_of_an_animation_the_first_frame_counts(form):
    found = opened(samples.animation(form))
    assert found.frames == 3
    red = found.image.convert("RGB").getpixel((5, 5))[0]
    assert abs(red - 20) < 12


@pytest.mark.parametrize("form", ["png", "webp", "gif", "avif"])
def test_too_many_frames_are_refused(form):
    data = samples.animation(form, 4)
    limits = Limits(frames=3)
    assert refused(data, limits).reason == "too_many_frames"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf \n<?xml version="1.0"?><!-- a --><svg width="1">', "SVG"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"  <HTML><body>", "HTML"),
        (b"<script>alert(1)</script>", "HTML"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b"<other>", "markup"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"BM......", "BMP"),
        (b"II*\0....", "TIFF"),
        (b"PK\3\4....", "ZIP"),
        (b"8BPS....", "Photoshop"),
        (b"\0\0\0\x18ftypheic....", "HEIC"),
        (b"\0\0\0\x18ftypmp42....", "film"),
        (b"just words", "known here"),
        (b"RIFF\0\0\0\0WAVEfmt ", "known here"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_name(data, word):
    fault = refused(data)
    assert fault.reason == "wrong_type"
    assert word in fault.text
    assert "PNG" in fault.text


def test_nothing_is_refused_as_empty():
    assert refused(b"").reason == "empty"


def test_a_gigabyte_is_refused_after_reading_no_more_than_the_limit():
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size=-1):
            assert size >= 0, "an unbounded read"
            self.taken += size
            return (png.SIGNATURE + b"\0" * size)[:size]

    source = Endless()
    tracemalloc.start()
    try:
        fault = refused(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fault.reason == "too_many_bytes"
    assert source.taken == SMALL.bytes + 1
    assert peak < 2_000_000


def test_bytes_over_the_limit_are_refused():
    assert refused(bytes(SMALL.bytes + 1)).reason == "too_many_bytes"


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (60_000, 60_000, "too_long_side"),
        (101, 1, "too_long_side"),
        (90, 90, "too_many_pixels"),
        (0, 10, "broken"),
        (10, 0, "broken"),
    ],
)
def test_a_large_canvas_is_refused_before_it_is_decoded(
    width, height, reason, monkeypatch
):
    monkeypatch.setattr(Image, "open", None)
    assert refused(samples.png_header(width, height)).reason == reason


@pytest.mark.parametrize("form", ["jpeg", "webp", "gif", "avif"])
def test_the_canvas_of_every_format_is_checked_before_it_is_decoded(form, monkeypatch):
    data = samples.file(samples.drawing(120, 20), form)
    monkeypatch.setattr(Image, "open", None)
    assert refused(data).reason == "too_long_side"


def test_the_largest_jpeg_header_is_refused():
    data = samples.jpeg_size(samples.file(form="jpeg"), 65_535, 65_535)
    assert refused(data, Limits()).reason == "too_long_side"


def test_a_lossless_webp_tells_its_size(monkeypatch):
    data = samples.file(samples.drawing(120, 20), "webp", lossless=True)
    assert opened(data).image.size == (120, 20)
    monkeypatch.setattr(Image, "open", None)
    assert refused(data).reason == "too_long_side"


def test_a_frame_beyond_the_screen_of_a_gif_counts():
    data = bytearray(samples.file(form="gif"))
    at = data.index(b"\x2c\0\0\0\0")
    data[at + 5 : at + 9] = (200).to_bytes(2, "little") * 2
    assert refused(bytes(data)).reason == "too_long_side"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif", "avif"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(form, share):
    data = samples.file(form=form)
    early = refused(data[: max(12, int(len(data) * share))])
    assert early.reason in ("truncated", "broken")


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif"])
@pytest.mark.parametrize(
    "tail", [b"PK\3\4 an archive", b"<html><script>alert(1)</script>", b"\0"]
)
def test_what_follows_the_end_is_cut_off(form, tail):
    data = samples.file(form=form)
    found = opened(data + tail)
    assert found.data == data
    assert found.cut == len(tail)


def test_a_tail_of_an_avif_is_refused():
    data = samples.file(form="avif")
    assert refused(data + b"<html><script>").reason in ("truncated", "broken")


def test_the_index_of_cut_pictures_goes_with_them():
    plain = samples.jpeg_with()
    data = samples.jpeg_with((0xE2, b"MPF\0MM\0*\0\0\0\x08")) + samples.file(
        form="jpeg"
    )
    assert opened(data).data == plain


def bomb(kind: bytes, name: bytes, size: int) -> bytes:
    packed = zlib.compress(b"\0" * size, 9)
    head = {b"iTXt": b"\0\1\0\0\0"}.get(kind, b"\0\0")
    return png.chunk_of(kind, name + head + packed)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_compressed_metadata_that_explodes_is_refused(kind):
    data = samples.png_with(bomb(kind, b"Comment", 30_000_000))
    tracemalloc.start()
    try:
        fault = refused(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fault.reason == "too_much_metadata"
    assert peak < 5_000_000


def test_many_small_bombs_count_together():
    chunks = [bomb(b"zTXt", b"Comment", 6000)] * 4
    assert refused(samples.png_with(*chunks)).reason == "too_much_metadata"
    assert opened(samples.png_with(*chunks[:3]), SMALL).width == 40


def test_broken_metadata_does_not_hurt_the_picture():
    broken = png.chunk_of(b"zTXt", b"Comment\0\0not zlib")
    profile = png.chunk_of(b"iCCP", b"icc\0\0not zlib either")
    found = opened(samples.png_with(broken, profile))
    assert found.icc == b""
    assert found.image.size == (40, 30)


@pytest.mark.parametrize(
    "data",
    [
        samples.jpeg_with((0xE1, b"x" * 15_000), (0xFE, b"y" * 15_000)),
        samples.webp_with(b"JUNK", b"z" * 30_000),
        samples.png_with(png.chunk_of(b"teSt", b"t" * 30_000)),
        samples.file(form="gif", comment=b"c" * 30_000),
    ],
)
def test_plain_metadata_is_bounded_too(data):
    assert refused(data).reason == "too_much_metadata"


def test_a_file_in_too_many_pieces_is_refused():
    data = samples.png_with(*[png.chunk_of(b"teSt", b"")] * 50)
    assert refused(data, Limits(segments=40)).reason == "broken"


def test_a_jpeg_with_absurdly_many_scans_is_refused():
    data = samples.file(form="jpeg", progressive=True)
    at = data.rindex(b"\xff\xda")
    scan, end = data[at:-2], data[-2:]
    assert refused(data[:at] + scan * 101 + end, Limits()).reason == "broken"


def test_scans_count_by_the_size_of_the_picture():
    data = samples.file(samples.drawing(60, 60), "jpeg", progressive=True)
    at = data.rindex(b"\xff\xda")
    many = data[:at] + data[at:-2] * 12 + data[-2:]
    assert refused(many, Limits(pixels=3700)).reason == "broken"


@pytest.mark.parametrize(
    "data",
    [
        png.SIGNATURE + png.chunk_of(b"IEND", b""),
        png.SIGNATURE + b"\0\0\0\0\0\1\2\3" + b"\0" * 20,
        samples.png_header(20, 20).replace(b"IDAT", b"teSt"),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xc0\0\1" + b"\0" * 20,
        b"\xff\xd8\xff\xe0\0\4ab" + b"no marker",
        b"RIFF\4\0\0\0WEBP",
        b"RIFF\x10\0\0\0WEBPVP8 \xff\xff\xff\x7f....",
        b"RIFF\x10\0\0\0WEBPJUNK\4\0\0\0....",
        b"GIF89a\1\0\1\0\0\0\0;",
        b"GIF89a\1\0\1\0\0\0\0\x99\0",
        b"\0\0\0\x10ftypavif\0\0\0\0",
        b"\0\0\0\x10ftypavif\0\0\0\0\0\0\0\x08meta",
        b"\0\0\0\x10ftypavif\0\0\0\0\0\0\0\2meta",
    ],
)
def test_files_that_are_made_wrongly_are_refused_as_broken(data):
    assert refused(data).reason == "broken"


def test_pixels_that_do_not_decode_are_refused():
    assert refused(samples.png_header(30, 30)).reason == "broken"
    data = bytearray(samples.file(form="webp"))
    data[30:60] = b"\xff" * 30
    assert refused(bytes(data)).reason == "broken"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif", "avif"])
def test_no_damage_raises_anything_but_a_refusal(form):
    whole = samples.file(form=form)
    dice = random.Random(form)
    taken = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with contextlib.suppress(PictureRefused):
            taken += opened(bytes(data), SMALL).width > 0
    assert taken < 150


@pytest.mark.parametrize("form", samples.FORMATS)
def test_metadata_is_told(form):
    profile, exif = samples.srgb_profile(), samples.orientation(6)
    data = samples.file(form=form, icc_profile=profile, exif=exif)
    found = opened(data)
    assert found.icc == profile
    assert found.exif == exif.removeprefix(b"Exif\0\0")
    assert found.orientation == 6
    assert (found.width, found.height) == (40, 30)
    assert found.shown_size == (30, 40)


def test_a_profile_in_many_segments_is_put_together():
    profile = bytes(range(256)) * 300
    data = samples.file(form="jpeg", icc_profile=profile)
    limits = Limits()
    assert opened(data, limits).icc == profile


def test_a_picture_shows_none_of_itself_in_logs():
    assert len(repr(samples.picture())) < 200
