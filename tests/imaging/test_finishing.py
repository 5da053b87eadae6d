"""The last steps of a picture."""

import numpy as np
import pytest
from PIL import Image

from imaging.bounds import Limits, PictureRefused
from imaging.decoding import opened
from imaging.finishing import Finishing
from tests.imaging import samples

BOX = (4, 4, 20, 20)


def yellow(width: int = 64, height: int = 48) -> Image.Image:
    return Image.new("RGB", (width, height), (255, 200, 0))


def masked(**more) -> Finishing:
    mask = samples.masked(40, 30, BOX).data
    original = samples.file(samples.drawing(40, 30))
    return Finishing(original=original, mask=mask, **more)


def test_without_wishes_there_is_nothing_to_do():
    picture = samples.picture()
    assert not Finishing()
    assert Finishing()(picture) is picture


@pytest.mark.parametrize("form", samples.FORMATS)
def test_a_picture_of_that_format_is_not_written_anew(form):
    picture = samples.picture(form=form)
    assert Finishing(form=form)
    assert Finishing(form=form)(picture) is picture


@pytest.mark.parametrize("form", samples.FORMATS)
@pytest.mark.parametrize("source", samples.FORMATS)
def test_the_format_is_the_one_that_was_asked_for(source, form):
    made = Finishing(form=form)(samples.picture(form=source))
    assert (opened(made.data).format, made.format) == (form, form)


def test_a_quality_is_heeded_in_the_same_format_too():
    picture = samples.picture(samples.drawing(200, 150), "jpeg", quality=95)
    small = Finishing(form="jpeg", quality=10)(picture)
    assert len(small.data) < len(picture.data)


def test_what_the_mask_protects_stays_to_the_pixel():
    finishing = masked()
    made = finishing(samples.picture(yellow()))
    before, after = (
        np.asarray(opened(data).image) for data in (finishing.original, made.data)
    )
    outside = np.ones((30, 40), bool)
    outside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = False
    assert np.array_equal(before[outside], after[outside])
    assert list(after[12, 12]) == [255, 200, 0]


def test_a_masked_edit_comes_in_the_format_that_was_asked_for():
    made = masked(form="webp", quality=80)(samples.picture(yellow()))
    assert opened(made.data).format == "webp"
    assert (made.width, made.height) == (40, 30)


def test_one_finishing_serves_many_pictures():
    finishing = masked()
    first, second = (finishing(samples.picture(yellow())) for _ in range(2))
    assert first.data == second.data


def test_its_limits_are_those_of_the_request():
    with pytest.raises(PictureRefused) as caught:
        masked(limits=Limits(pixels=100))(samples.picture(yellow()))
    assert caught.value.reason == "too_many_pixels"


def test_equal_wishes_have_one_name():
    wishes = [(None, None), ("jpeg", None), ("jpeg", 80), ("webp", 80)]
    names = [Finishing(form=form, quality=quality).name for form, quality in wishes]
    assert len(set(names)) == 4
    assert names[2] == Finishing(form="jpeg", quality=80, mask=b"x").name


def test_it_shows_none_of_its_pictures_in_logs():
    assert "PNG" not in repr(masked())
