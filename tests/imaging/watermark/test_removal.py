"""A picture without its mark, or the same bytes."""

import io
import logging
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from imaging.bounds import Limits, PictureRefused
from imaging.decoding import opened
from imaging.formats import png
from imaging.watermark import marks, removal, restoration, star, templates
from tests.imaging.watermark import pictures
from tests.imaging.watermark.pictures import PLACES, Codec

SIZE = (512, 430)
CODECS = {one.name: one for one in (pictures.PNG, pictures.jpeg(90), pictures.webp(90))}


def photo(seed: int = 1, size: tuple[int, int] = SIZE) -> Image.Image:
    return pictures.background(np.random.default_rng(seed), size, 5)


def png_file(image: Image.Image, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1, **options)
    return target.getvalue()


def box_of(image: Image.Image, variant: str) -> tuple[slice, slice]:
    size, margin, _ = PLACES[variant]
    x, y = (side - margin - size for side in image.size)
    return slice(y, y + size), slice(x, x + size)


# --- taken off ---


@pytest.mark.parametrize("variant", PLACES)
def test_a_lossless_picture_comes_back_within_a_level(variant: str) -> None:
    clean = photo()
    cleaned = removal.clean(png_file(pictures.marked(clean, variant)))

    difference = abs(
        pictures.pixels(cleaned.data).astype(int) - np.asarray(clean).astype(int)
    )
    assert difference.max() <= 1
    outside = np.ones(difference.shape[:2], bool)
    outside[box_of(clean, variant)] = False
    assert not difference[outside].any()


@pytest.mark.parametrize("variant", PLACES)
def test_noise_survives_the_round_trip_within_a_level(variant: str) -> None:
    rng = np.random.default_rng(3)
    size, _, opacity = PLACES[variant]
    clean = rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
    alpha = star.levels(size)[:, :, None] / 16 * opacity
    seen = np.rint(255 * alpha + (1 - alpha) * clean).astype(np.uint8)

    found = restoration.restored(
        seen, templates.template(star.coverage(size)), opacity, lossy=False
    )

    assert abs(found.astype(int) - clean).max() <= 1


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_come_back_exactly(level: int) -> None:
    template = templates.template(star.coverage(96))
    opacity = PLACES["v1-96"][2]
    alpha = template.coverage[:, :, None] * opacity
    seen = np.rint(255 * alpha + (1 - alpha) * np.full((96, 96, 3), level))

    found = restoration.restored(seen.astype(np.uint8), template, opacity, lossy=False)

    assert (found == level).all()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("variant", [*PLACES, "v2-96"])
def test_each_mark_goes_from_each_kind_of_file(variant: str, codec: Codec) -> None:
    if variant == "v2-96":
        drawn = photo(7, (848, 1264))
        double = (1696, 2528)
        clean = drawn.resize(double, Image.Resampling.BICUBIC)
        seen = pictures.marked(drawn, "v2-48").resize(double, Image.Resampling.BICUBIC)
    else:
        clean = photo(7)
        seen = pictures.marked(clean, variant)

    cleaned = removal.clean(codec.file(seen))

    assert [one.variant for one in cleaned.findings] == [variant]
    finding = cleaned.findings[0]
    assert finding.removed
    assert finding.passes == 1
    assert not cleaned.residual
    assert cleaned.reason == ""
    x, y, width, height = finding.box
    place = np.s_[y : y + height, x : x + width]
    wanted = pictures.pixels(codec.file(clean))[place]
    before = pictures.psnr(pictures.pixels(codec.file(seen))[place], wanted)
    after = pictures.psnr(pictures.pixels(cleaned.data)[place], wanted)
    assert after > before + 8
    assert after > (50 if codec.lossless else 33)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_cleaned_file_has_no_mark_any_more(codec: Codec) -> None:
    cleaned = removal.clean(codec.file(pictures.marked(photo(), "v1-48")))

    again = removal.clean(cleaned.data)

    assert again.data is cleaned.data
    assert again.reason == "no_mark"
    assert again.findings == ()


@pytest.mark.parametrize("variant", ["v1-48", "v1-96", "v2-48"])
def test_a_mark_on_the_same_mark_goes_in_two_passes(variant: str) -> None:
    clean = photo(4)
    twice = pictures.marked(pictures.marked(clean, variant), variant)

    cleaned = removal.clean(png_file(twice))

    assert cleaned.findings[0].removed
    assert cleaned.findings[0].passes == 2
    assert not cleaned.findings[0].adaptive
    after = pictures.pixels(cleaned.data).astype(int)
    assert abs(after - np.asarray(clean)).max() <= 4


def test_three_marks_on_each_other_are_left() -> None:
    image = photo(4)
    for _ in range(3):
        image = pictures.marked(image, "v1-48")
    data = png_file(image)

    assert removal.clean(data).data is data


# --- left alone ---


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("number", range(len(pictures.BACKGROUNDS)))
def test_without_a_mark_the_same_bytes_come_back(number: int, codec: Codec) -> None:
    rng = np.random.default_rng(number)
    data = codec.file(pictures.background(rng, SIZE, number))

    cleaned = removal.clean(data)

    assert cleaned.data is data
    assert cleaned.reason == "no_mark"
    assert not cleaned.residual


def converted(mode: str, **options: object) -> Callable[[], bytes]:
    return lambda: png_file(pictures.marked(photo(), "v1-48").convert(mode), **options)


def saved(form: str, mode: str = "RGB", **options: object) -> Callable[[], bytes]:
    def made() -> bytes:
        target = io.BytesIO()
        pictures.marked(photo(), "v1-48").convert(mode).save(target, form, **options)
        return target.getvalue()

    return made


def deep() -> bytes:
    """Return a PNG with 16 bits a sample, which Pillow does not write."""
    rows = np.asarray(pictures.marked(photo(), "v1-48")).astype(">u2") * 257
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = SIZE[0].to_bytes(4, "big") + SIZE[1].to_bytes(4, "big") + b"\x10\2\0\0\0"
    return png.SIGNATURE + b"".join(
        png.chunk_of(kind, content)
        for kind, content in (
            (b"IHDR", head),
            (b"IDAT", zlib.compress(lines, 1)),
            (b"IEND", b""),
        )
    )


def moving(form: str) -> bytes:
    target = io.BytesIO()
    frames = [pictures.marked(photo(seed), "v1-48") for seed in (1, 2)]
    frames[0].save(target, form, save_all=True, append_images=frames[1:])
    return target.getvalue()


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(converted("L"), "mode", id="grey"),
        pytest.param(converted("LA"), "mode", id="grey with alpha"),
        pytest.param(converted("1"), "mode", id="black and white"),
        pytest.param(converted("P"), "mode", id="palette"),
        pytest.param(deep, "mode", id="16 bits"),
        pytest.param(saved("JPEG", "L"), "mode", id="grey JPEG"),
        pytest.param(saved("JPEG", "CMYK"), "mode", id="CMYK"),
        pytest.param(saved("GIF"), "format", id="GIF"),
        pytest.param(lambda: moving("PNG"), "animated", id="animated PNG"),
        pytest.param(lambda: moving("WEBP"), "animated", id="animated WebP"),
    ],
)
def test_what_cannot_be_treated_is_left_with_a_reason(
    made: Callable[[], bytes], reason: str
) -> None:
    data = made()

    cleaned = removal.clean(data)

    assert cleaned.data is data
    assert cleaned.reason == reason
    assert cleaned.findings == ()


def test_a_transparent_place_is_left() -> None:
    image = pictures.marked(photo(), "v1-48").convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    data = png_file(image)

    cleaned = removal.clean(data)

    assert cleaned.data is data
    assert cleaned.reason == "transparent"


def test_an_unknown_opacity_is_left_and_told() -> None:
    data = png_file(pictures.marked(photo(), "v1-48", 0.65))

    cleaned = removal.clean(data)

    assert cleaned.data is data
    assert cleaned.reason == "unknown_opacity"
    assert [one.removed for one in cleaned.findings] == [False]
    assert cleaned.findings[0].strength == pytest.approx(0.65, abs=0.03)


def test_an_unknown_opacity_is_taken_off_on_demand_and_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clean = photo()
    data = png_file(pictures.marked(clean, "v1-48", 0.65))

    with caplog.at_level(logging.WARNING):
        cleaned = removal.clean(data, adaptive=True)

    assert cleaned.findings[0].adaptive
    assert cleaned.findings[0].removed
    assert "unknown opacity" in caplog.text
    place = box_of(clean, "v1-48")
    after = pictures.pixels(cleaned.data)[place].astype(int)
    assert abs(after - np.asarray(clean)[place]).mean() < 6


def test_an_unknown_opacity_is_left_if_the_picture_may_not_be_geminis() -> None:
    data = png_file(pictures.marked(photo(), "v1-48", 0.65))

    cleaned = removal.clean(data, adaptive=True, gemini_known=False)

    assert cleaned.data is data
    assert cleaned.reason == "unknown_opacity"


def test_a_coloured_star_is_put_back_with_a_word_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    image = pictures.marked(photo(), "v1-48", 0.65)
    rows, columns = box_of(image, "v1-48")
    values = np.array(image).astype(float)
    tint = star.coverage(48)[:, :, None] * np.array([18, 0, -30])
    values[rows, columns] += tint
    data = png_file(Image.fromarray(values.clip(0, 255).astype(np.uint8)))

    with caplog.at_level(logging.WARNING):
        cleaned = removal.clean(data, adaptive=True)

    assert cleaned.data is data
    assert cleaned.residual
    assert cleaned.reason == "residual"
    assert not cleaned.findings[0].removed
    assert "put back" in caplog.text


def test_a_mark_that_stays_visible_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    data = png_file(pictures.marked(photo(), "v1-48"))
    monkeypatch.setattr(
        removal, "restored", lambda seen, *_, **__: np.array(seen, copy=True)
    )

    cleaned = removal.clean(data)

    assert cleaned.data is data
    assert cleaned.residual
    assert cleaned.findings[0].passes == 2


def test_a_fainter_star_leaves_no_dark_one_behind() -> None:
    ground = pictures.gradient(np.random.default_rng(2), *SIZE)
    data = png_file(pictures.marked(ground, "v1-48", 0.32))

    cleaned = removal.clean(data)

    assert cleaned.findings[0].variant == "v1-48"
    assert cleaned.residual
    assert cleaned.data is data


def test_marks_that_are_not_wanted_off_stay() -> None:
    data = png_file(pictures.marked(photo(), "v1-48"))

    assert removal.clean(data, variants=frozenset({"v2-48"})).data is data
    assert removal.clean(data, variants=frozenset({"v1-48"})).data is not data


# --- the file around the pixels ---


def test_a_png_keeps_everything_but_its_pixels_and_its_manifest() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a lake")
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    seen = pictures.marked(photo(), "v1-48")
    exif = Image.Exif()
    exif[0x010E] = "a lake"
    data = png_file(
        seen, pnginfo=info, icc_profile=b"profile", dpi=(300, 300), exif=exif
    )
    end = data.index(b"IDAT") - 4
    data = data[:end] + png.chunk_of(b"caBX", b"manifest" * 9) + data[end:]

    cleaned = removal.clean(data)

    def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
        return [
            (chunk.kind, chunk.content(file))
            for chunk in png.outline(file, Limits()).segments
            if chunk.kind not in (b"IDAT", b"caBX")
        ]

    assert cleaned.data is not data
    assert chunks(cleaned.data) == chunks(data)
    assert b"caBX" not in cleaned.data
    assert (b"eXIf" in cleaned.data) and (b"iCCP" in cleaned.data)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_profile_exif_and_xmp_stay(form: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a lake"
    target = io.BytesIO()
    pictures.marked(photo(), "v1-48").save(
        target,
        form,
        quality=90,
        icc_profile=b"a profile",
        exif=exif,
        xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    )
    before = opened(target.getvalue())

    cleaned = removal.clean(target.getvalue())

    after = opened(cleaned.data)
    assert cleaned.findings[0].removed
    assert (after.icc, after.exif, after.xmp) == (before.icc, before.exif, before.xmp)
    assert (after.width, after.height, after.format) == (*SIZE, form.lower())
    assert cleaned.media_type == f"image/{form.lower()}"


def test_an_alpha_channel_stays_as_it_was() -> None:
    image = pictures.marked(photo(), "v1-48").convert("RGBA")
    alpha = np.full((SIZE[1], SIZE[0]), 255, np.uint8)
    alpha[:100, :100] = 7
    image.putalpha(Image.fromarray(alpha))

    cleaned = removal.clean(png_file(image))

    with Image.open(io.BytesIO(cleaned.data)) as after:
        assert after.mode == "RGBA"
        assert np.array_equal(np.asarray(after.getchannel("A")), alpha)
        assert np.array_equal(np.asarray(after)[:90, :90], np.asarray(image)[:90, :90])
    assert cleaned.findings[0].removed


def interlaced(image: Image.Image) -> bytes:
    """Return a PNG in seven passes (Adam7), which Pillow does not write."""
    values = np.asarray(image)
    steps = (
        *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
        *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
    )
    lines = b"".join(
        b"\0" + row.tobytes()
        for top, left, down, right in steps
        for row in values[top::down, left::right]
    )
    width, height = (side.to_bytes(4, "big") for side in image.size)
    return png.SIGNATURE + b"".join(
        png.chunk_of(kind, content)
        for kind, content in (
            (b"IHDR", width + height + b"\x08\2\0\0\1"),
            (b"IDAT", zlib.compress(lines, 1)),
            (b"IEND", b""),
        )
    )


def test_an_interlaced_png_is_cleaned() -> None:
    clean = photo()

    cleaned = removal.clean(interlaced(pictures.marked(clean, "v1-48")))

    assert cleaned.findings[0].removed
    after = pictures.pixels(cleaned.data).astype(int)
    assert abs(after - np.asarray(clean)).max() <= 1


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [75, 90, 96])
def test_a_jpeg_keeps_its_tables_and_its_sampling(
    quality: int, subsampling: str
) -> None:
    data = pictures.jpeg(quality, subsampling).file(pictures.marked(photo(), "v1-48"))

    cleaned = removal.clean(data)

    before, after = opened(data).image, opened(cleaned.data).image
    assert cleaned.findings[0].removed
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    assert after.layer == before.layer  # type: ignore[attr-defined]
    assert len(cleaned.data) < 1.1 * len(data)


def test_a_progressive_jpeg_stays_progressive() -> None:
    target = io.BytesIO()
    pictures.marked(photo(), "v1-48").save(target, "JPEG", quality=90, progressive=True)

    cleaned = removal.clean(target.getvalue())

    assert cleaned.findings[0].removed
    with Image.open(io.BytesIO(cleaned.data)) as after:
        assert after.info.get("progressive")


def test_a_webp_changes_no_pixel_beyond_the_mark() -> None:
    data = pictures.webp(80).file(pictures.marked(photo(), "v1-48"))

    cleaned = removal.clean(data)

    changed = (pictures.pixels(cleaned.data) != pictures.pixels(data)).any(2)
    changed[box_of(photo(), "v1-48")] = False
    assert not changed.any()
    assert cleaned.data is not data


# --- how it is called ---


def test_an_open_picture_is_cleaned_and_not_changed() -> None:
    data = png_file(pictures.marked(photo(), "v1-48"))
    picture = opened(data)
    before = picture.image.tobytes()

    cleaned = removal.clean(picture)

    assert cleaned.data == removal.clean(data).data
    assert picture.image.tobytes() == before


def test_an_open_picture_without_a_mark_gives_its_own_bytes() -> None:
    picture = opened(png_file(photo()))

    assert removal.clean(picture).data is picture.data


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"<svg xmlns='x'/>", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureRefused):
        removal.clean(data)


def test_a_truncated_picture_is_refused() -> None:
    data = png_file(pictures.marked(photo(), "v1-48"))

    with pytest.raises(PictureRefused) as refused:
        removal.clean(data[: len(data) // 2])
    assert refused.value.reason == "truncated"


def test_limits_are_kept() -> None:
    with pytest.raises(PictureRefused) as refused:
        removal.clean(png_file(photo()), limits=Limits(pixels=1000))
    assert refused.value.reason == "too_many_pixels"


def test_an_unknown_variant_is_an_error() -> None:
    with pytest.raises(ValueError, match="v7"):
        removal.clean(png_file(photo()), variants=frozenset({"v7"}))


@pytest.mark.parametrize("size", [(1, 1), (47, 47), (100, 90), (2000, 40)])
def test_a_tiny_picture_comes_back(size: tuple[int, int]) -> None:
    data = png_file(Image.new("RGB", size, "teal"))

    assert removal.clean(data).data is data


def test_every_reason_to_leave_has_words_in_the_command() -> None:
    from typing import get_args

    from imaging.management.commands.watermark import REASONS

    assert set(REASONS) == set(get_args(removal.Reason)) - {""}
    assert marks.VARIANTS
