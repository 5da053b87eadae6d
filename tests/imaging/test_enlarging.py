"""Pictures that came too small."""

import pytest

from imaging import metadata
from imaging.decoding import opened
from imaging.enlarging import Enlarging
from imaging.finishing import Finishing
from tests.imaging import samples


def of_size(width, height, form="png"):
    return samples.picture(samples.drawing(width, height), form=form)


@pytest.mark.parametrize(
    ("before", "size", "after"),
    [
        ((256, 256), "512", (512, 512)),
        ((480, 270), "1K", (1365, 768)),
        ((270, 480), "1K", (768, 1365)),
    ],
)
def test_a_picture_gets_the_area_that_was_asked_for(before, size, after):
    made = Enlarging(size=size)(of_size(*before))
    assert (made.width, made.height) == after
    told = metadata.provenance(made.data)
    assert told["upscaled_from"] == f"{before[0]}x{before[1]}"


@pytest.mark.parametrize("before", [(512, 512), (680, 384), (2000, 900)])
def test_one_of_about_that_size_or_more_stays_as_it_is(before):
    picture = of_size(*before)
    assert Enlarging(size="512")(picture) is picture


@pytest.mark.parametrize("form", samples.FORMATS)
def test_the_format_stays(form):
    assert Enlarging(size="512")(of_size(64, 64, form)).format == form


def test_the_callers_own_steps_come_after_it():
    made = Enlarging(size="512", then=Finishing(form="jpeg"))(of_size(256, 256))
    assert (made.format, made.width) == ("jpeg", 512)
    assert metadata.provenance(made.data)["upscaled_from"] == "256x256"
    assert opened(made.data).shown_size == (512, 512)
