"""Other formats, other sizes, two pictures made into one."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image, ImageCms

from imaging import metadata, transforms
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import Picture, opened
from tests.imaging import samples

RED, BLUE = (250, 10, 10), (10, 10, 250)


def array(picture: Picture, mode: str = "RGB") -> np.ndarray:
    return np.asarray(opened(picture.data).image.convert(mode)).astype(int)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def flat(colour, size=(40, 30), mode="RGB") -> Picture:
    return samples.picture(Image.new(mode, size, colour))


@pytest.mark.parametrize("source", ["png", "jpeg", "webp", "gif", "avif"])
@pytest.mark.parametrize("form", samples.FORMATS)
def test_every_format_becomes_every_other_for_real(source, form):
    before = samples.picture(form=source)
    after = transforms.transcoded(before, form)
    again = opened(after.data)
    assert (again.format, again.width, again.height) == (form, 40, 30)
    assert (after.format, after.width, after.height) == (form, 40, 30)
    assert after.data != before.data or source == form
    plain = np.asarray(before.image.convert("RGB")).astype(int)
    assert distance(array(after), plain) < 6


def test_png_is_exact():
    before = samples.picture(samples.drawing(mode="RGBA"))
    assert samples.pixels(transforms.transcoded(before, "png").data) == samples.pixels(
        before.data
    )


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_less_quality_makes_smaller_files(form):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    before = samples.picture(Image.fromarray(noise))
    sizes = [
        len(transforms.transcoded(before, form, quality=q).data) for q in (10, 60, 100)
    ]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2] / 2


def test_fine_jpegs_keep_their_colours_at_full_resolution():
    before = samples.picture()
    fine = Image.open(io.BytesIO(transforms.transcoded(before, "jpeg").data))
    assert [layer[1:3] for layer in fine.layer] == [(1, 1)] * 3
    coarse = transforms.transcoded(before, "jpeg", quality=60)
    assert Image.open(io.BytesIO(coarse.data)).layer[0][1:3] == (2, 2)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 120, 0)])
def test_a_jpeg_of_something_transparent_shows_the_background(background):
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 16, 32))
    after = transforms.transcoded(samples.picture(image), "jpeg", background=background)
    assert distance(array(after)[:, :14], np.array(RED)) < 5
    assert distance(array(after)[:, 18:], np.array(background)) < 5


@pytest.mark.parametrize("form", ["png", "webp"])
def test_transparency_is_kept_where_the_format_has_it(form):
    image = samples.drawing(mode="RGBA")
    image.putalpha(samples.drawing(mode="L"))
    after = transforms.transcoded(samples.picture(image), form, quality=100)
    alpha = array(after, "RGBA")[..., 3]
    assert distance(alpha, np.asarray(image)[..., 3].astype(int)) < 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("form", samples.FORMATS)
def test_every_kind_of_pixel_can_be_written(mode, form):
    source = "jpeg" if mode == "CMYK" else "png"
    before = samples.picture(samples.drawing(mode=mode), source)
    after = transforms.transcoded(before, form)
    # A dithered palette is noise, which a lossy format blurs.
    bound = 16 if mode == "P" else 8
    assert distance(array(after), np.asarray(before.image.convert("RGB"))) < bound


def test_sixteen_bits_become_eight_without_clipping():
    levels = np.linspace(0, 65_535, 40 * 30).reshape(30, 40).astype(np.uint16)
    before = samples.picture(Image.fromarray(levels))
    after = array(transforms.transcoded(before, "png"), "L")
    assert distance(after, levels / 257) < 1.5


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_exif_is_in_the_file_whatever_its_format(form):
    before = samples.picture(exif=samples.orientation(6))
    after = opened(transforms.transcoded(before, form).data)
    assert after.exif and after.orientation == 1
    assert Image.open(io.BytesIO(after.data)).getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", samples.FORMATS)
def test_pixels_are_turned_upright_and_exif_says_so(value, form):
    before = samples.picture(form=form, exif=samples.orientation(value))
    after = transforms.transcoded(before, "png")
    assert (after.width, after.height) == before.shown_size
    again = opened(after.data)
    assert again.orientation == 1
    assert Image.open(io.BytesIO(after.data)).getexif()[0x010F] == "Maker"
    turned = transforms.transcoded(before, "png").image.convert("RGB")
    from PIL import ImageOps

    with Image.open(io.BytesIO(before.data)) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert turned.tobytes() == expected.tobytes()


@pytest.mark.parametrize("form", samples.FORMATS)
def test_profile_and_xmp_go_along(form):
    profile = samples.srgb_profile()
    data = metadata.marked(
        samples.file(icc_profile=profile),
        model="m",
        created=datetime(2026, 1, 2, tzinfo=UTC),
    )
    after = transforms.transcoded(opened(data), form)
    again = opened(after.data)
    assert again.icc == profile
    assert metadata.provenance(after.data) == metadata.provenance(data)
    assert after.xmp == again.xmp


def test_nothing_is_added_that_was_not_there():
    after = opened(transforms.transcoded(samples.picture(), "jpeg").data)
    assert (after.icc, after.exif, after.xmp) == (b"", b"", b"")


def test_comments_of_the_source_do_not_go_along():
    data = samples.jpeg_with((0xFE, b"secret comment"))
    for form in samples.FORMATS:
        assert b"secret" not in transforms.transcoded(opened(data), form).data


def test_exif_that_a_jpeg_cannot_hold_is_left_out():
    block = b"MM\0*\0\0\0\x08\0\0" + b"x" * 70_000
    before = samples.picture(form="webp", exif=block)
    assert len(before.exif) > 65_536
    assert opened(transforms.transcoded(before, "jpeg").data).exif == b""


def test_a_webp_cannot_be_longer_than_its_format_allows():
    wide = samples.picture(Image.new("L", (16_384, 1)))
    with pytest.raises(PictureRefused) as caught:
        transforms.transcoded(wide, "webp")
    assert caught.value.reason == "too_long_side"


@pytest.mark.parametrize(
    ("size", "edge", "expected"),
    [
        ((400, 300), 100, (100, 75)),
        ((300, 400), 100, (75, 100)),
        ((40, 30), 100, (40, 30)),
        ((1000, 10), 100, (100, 1)),
    ],
)
def test_a_thumbnail_fits_its_square(size, edge, expected):
    made = transforms.thumbnail(flat(RED, size), edge)
    again = opened(made.data)
    assert again.format == "webp"
    assert (again.width, again.height) == expected
    assert distance(array(made), np.array(RED)) < 6


def test_a_thumbnail_is_upright_and_bare():
    data = metadata.marked(
        samples.file(samples.drawing(200, 100), exif=samples.orientation(6)),
        model="m",
        created=datetime(2026, 1, 2, tzinfo=UTC),
    )
    made = opened(transforms.thumbnail(opened(data), 50).data)
    assert (made.width, made.height) == (25, 50)
    assert (made.exif, made.xmp, made.icc) == (b"", b"", b"")


def test_a_thumbnail_leaves_the_picture_alone():
    before = samples.picture()
    pixels = before.image.tobytes()
    transforms.thumbnail(before, 8)
    assert (before.image.size, before.image.tobytes()) == ((40, 30), pixels)


def test_a_thumbnail_is_in_srgb():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    broken = flat(RED)
    object.__setattr__(broken, "icc", b"no profile")
    assert distance(array(transforms.thumbnail(broken, 20)), np.array(RED)) < 6
    object.__setattr__(broken, "icc", profile)
    assert distance(array(transforms.thumbnail(broken, 20)), np.array(RED)) < 6


@pytest.mark.parametrize("form", samples.FORMATS)
def test_an_enlarged_picture_says_from_what(form):
    made = transforms.resized(samples.picture(), 80, 60, form=form)
    assert (made.width, made.height) == (80, 60)
    assert opened(made.data).image.size == (80, 60)
    assert metadata.provenance(made.data) == {"upscaled_from": "40x30"}
    more = transforms.resized(opened(made.data), 160, 120, form=form)
    assert metadata.provenance(more.data) == {"upscaled_from": "40x30"}


@pytest.mark.parametrize("size", [(20, 15), (40, 30)])
def test_a_smaller_picture_says_nothing(size):
    made = transforms.resized(samples.picture(), *size)
    assert metadata.provenance(made.data) == {}
    assert opened(made.data).image.size == size


def test_enlarging_is_by_lanczos():
    before = samples.picture()
    expected = before.image.resize((80, 60), Image.Resampling.LANCZOS)
    assert transforms.resized(before, 80, 60).image.tobytes() == expected.tobytes()


def test_enlarging_has_a_bound():
    with pytest.raises(PictureRefused) as caught:
        transforms.resized(samples.picture(), 500, 500, limits=Limits(pixels=10_000))
    assert caught.value.reason == "too_many_pixels"


BOX = (10, 5, 30, 25)


def test_the_edited_picture_shows_where_the_mask_is_transparent():
    mask = samples.masked(40, 30, BOX)
    made = transforms.composited(flat(RED), flat(BLUE), mask)
    expected = np.full((30, 40, 3), RED)
    expected[5:25, 10:30] = BLUE
    assert np.array_equal(array(made), expected)
    assert made.format == "png"
    assert made.image.mode == "RGB"


def test_a_half_transparent_mask_mixes():
    image = Image.new("RGBA", (40, 30), (0, 0, 0, 128))
    image.putpixel((0, 0), (0, 0, 0, 0))
    made = transforms.composited(flat(RED), flat(BLUE), samples.picture(image))
    assert np.abs(array(made)[10, 10] - [130, 10, 130]).max() <= 2
    assert list(array(made)[0, 0]) == list(BLUE)


@pytest.mark.parametrize("feather", [1.0, 2.0])
def test_a_feathered_edge_leaves_what_is_protected_exact(feather):
    mask = samples.masked(40, 30, BOX)
    made = array(transforms.composited(flat(RED), flat(BLUE), mask, feather=feather))
    outside = np.ones((30, 40), bool)
    outside[5:25, 10:30] = False
    assert np.array_equal(made[outside], np.full((800, 3), RED))
    assert list(made[15, 20]) == list(BLUE)
    edge = made[15, 10]
    assert BLUE[0] < edge[0] < RED[0]


def test_the_edited_picture_is_scaled_to_the_original():
    mask = samples.masked(40, 30, BOX)
    made = transforms.composited(flat(RED), flat(BLUE, (1024, 768)), mask)
    assert (made.width, made.height) == (40, 30)
    assert list(array(made)[15, 20]) == list(BLUE)


def test_transparency_of_the_original_outside_the_mask_is_kept():
    original = flat((0, 200, 0, 60), mode="RGBA")
    made = transforms.composited(original, flat(BLUE), samples.masked(40, 30, BOX))
    shown = array(made, "RGBA")
    assert list(shown[0, 0]) == [0, 200, 0, 60]
    assert list(shown[15, 20]) == [*BLUE, 255]


def test_the_original_is_composited_as_people_see_it():
    turned = samples.picture(
        samples.drawing(40, 30), "jpeg", exif=samples.orientation(6)
    )
    made = transforms.composited(
        turned, flat(BLUE), samples.masked(30, 40, (0, 0, 5, 5))
    )
    assert (made.width, made.height) == (30, 40)


def test_a_composite_says_what_the_edited_picture_said():
    edited = opened(
        metadata.marked(
            flat(BLUE).data, model="m", created=datetime(2026, 1, 2, tzinfo=UTC)
        )
    )
    made = transforms.composited(flat(RED), edited, samples.masked(40, 30, BOX))
    assert metadata.provenance(made.data)["model"] == "m"


@pytest.mark.parametrize("size", [(41, 30), (30, 40), (20, 15)])
def test_a_mask_of_another_size_is_refused_by_its_name(size):
    mask = samples.masked(*size, (0, 0, 5, 5))
    with pytest.raises(PictureRefused) as caught:
        transforms.composited(flat(RED), flat(BLUE), mask)
    assert caught.value.reason == "mask_size"
    assert caught.value.text.startswith("mask must have the size of image")
    assert f"{size[0]} x {size[1]}" in caught.value.text


@pytest.mark.parametrize(
    "mask",
    [
        flat((0, 0, 0)),
        flat((0, 0, 0, 255), mode="RGBA"),
        flat((0, 0, 0, 9), mode="RGBA"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        transforms.mask_guide,
        lambda mask: transforms.composited(flat(RED), flat(BLUE), mask),
    ],
)
def test_a_mask_without_a_transparent_area_is_refused(mask, use):
    with pytest.raises(PictureRefused) as caught:
        use(mask)
    assert caught.value.reason == "mask_without_area"
    assert caught.value.text.startswith("mask has no")


def test_a_guide_is_white_where_to_edit():
    guide = array(transforms.mask_guide(samples.masked(40, 30, BOX)), "L")
    expected = np.zeros((30, 40), int)
    expected[5:25, 10:30] = 255
    assert np.array_equal(guide, expected)
