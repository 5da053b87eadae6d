"""Which mark a picture carries."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from imaging.watermark import detection, evidence, marks, star, templates
from imaging.watermark.detection import Finding
from imaging.watermark.restoration import restored
from tests.imaging.watermark import pictures
from tests.imaging.watermark.pictures import PLACES

#: No official size, nor one to scale: four places are examined, no more.
SIZE = (512, 430)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def photo(rng: np.random.Generator) -> Image.Image:
    return pictures.scene(rng, *SIZE)


def measured(image: Image.Image, variant: str) -> Finding:
    return next(one for one in detection.survey(image) if one.variant == variant)


@pytest.mark.parametrize("variant", PLACES)
def test_the_score_is_near_one_with_the_mark(photo: Image.Image, variant: str) -> None:
    assert measured(pictures.marked(photo, variant), variant).score > 0.4


@pytest.mark.parametrize("variant", PLACES)
def test_the_score_is_near_minus_one_without(photo: Image.Image, variant: str) -> None:
    assert measured(photo, variant).score < -0.4


@pytest.mark.parametrize("variant", PLACES)
@pytest.mark.parametrize("draw", pictures.BACKGROUNDS, ids=lambda one: one.__name__)
def test_a_mark_is_found_on_any_ground_and_nowhere_else(
    rng: np.random.Generator,
    draw: Callable[..., Image.Image],
    variant: str,
) -> None:
    ground = draw(rng, *SIZE).point(lambda value: value * 3 // 4)
    size, margin, _ = PLACES[variant]
    x, y = (side - margin - size for side in SIZE)

    found = detection.inspect(pictures.marked(ground, variant))

    assert detection.inspect(ground) is None
    assert found is not None
    assert found.variant == variant
    assert found.box == (x, y, size, size)
    assert found.accepted


@pytest.mark.parametrize("variant", PLACES)
def test_the_strength_is_read_from_the_picture(
    photo: Image.Image, variant: str
) -> None:
    found = detection.inspect(pictures.marked(photo, variant))

    assert found is not None
    assert found.strength == pytest.approx(PLACES[variant][2], abs=0.03)


@pytest.mark.parametrize("opacity", [0.4, 0.6, 0.72, 0.8])
def test_any_strength_is_read(photo: Image.Image, opacity: float) -> None:
    seen = pictures.marked(photo, "v1-48", opacity)

    assert measured(seen, "v1-48").strength == pytest.approx(opacity, abs=0.03)


def test_the_gain_is_how_much_lighter_the_mark_made_the_star() -> None:
    ground = Image.new("RGB", SIZE, (55, 55, 55))

    found = measured(pictures.marked(ground, "v1-96"), "v1-96")

    assert found.gain == pytest.approx(200 * 128 / 255, abs=1)


def test_an_invisible_mark_is_not_found() -> None:
    white = Image.new("RGB", SIZE, (254, 254, 254))

    assert detection.inspect(pictures.marked(white, "v1-48")) is None


def test_the_mark_is_not_found_elsewhere(photo: Image.Image) -> None:
    seen = pictures.marked(photo, "v1-48")
    moved = Image.new("RGB", SIZE)
    moved.paste(seen, (7, 7))

    assert detection.inspect(moved) is None


@pytest.mark.parametrize("colour", ["black", "#204060", "#d02020"])
def test_a_drawn_star_in_another_colour_is_no_mark(
    photo: Image.Image, colour: str
) -> None:
    mask = Image.fromarray((star.coverage(48) * 255).astype(np.uint8))
    photo.paste(colour, (SIZE[0] - 80, SIZE[1] - 80), mask)

    assert detection.inspect(photo) is None


def test_a_star_darker_than_a_blend_can_be_is_no_mark() -> None:
    ground = Image.new("RGB", SIZE, (10, 10, 10))
    mask = Image.fromarray((star.coverage(96) * 255).astype(np.uint8))
    ground.paste((60, 60, 60), (SIZE[0] - 160, SIZE[1] - 160), mask)

    assert detection.inspect(ground) is None


def test_a_disc_in_the_marks_place_is_no_mark(photo: Image.Image) -> None:
    ImageDraw.Draw(photo, "RGBA").ellipse((432, 350, 480, 398), (255, 255, 255, 128))

    assert detection.inspect(photo) is None


@pytest.mark.parametrize("allowed", [frozenset({"v1-96", "v2-48"}), frozenset()])
def test_only_the_wanted_marks_are_looked_for(
    photo: Image.Image, allowed: frozenset[str]
) -> None:
    seen = pictures.marked(photo, "v1-48")

    assert detection.inspect(seen, variants=allowed) is None
    assert detection.inspect(seen, variants=allowed | {"v1-48"}) is not None


def test_of_two_marks_the_clearer_one_is_returned(photo: Image.Image) -> None:
    both = pictures.marked(pictures.marked(photo, "v1-48"), "v2-48")

    found = detection.inspect(both)
    assert found is not None
    assert found.variant in ("v1-48", "v2-48")
    accepted = [one for one in detection.survey(both) if one.accepted]
    assert accepted[0].variant == found.variant
    assert len(accepted) == 2


@pytest.mark.parametrize("opacity", [0.66, 0.82])
def test_an_unknown_opacity_is_taken_only_on_demand(
    photo: Image.Image, opacity: float
) -> None:
    seen = pictures.marked(photo, "v1-48", opacity)

    assert detection.inspect(seen) is None
    found = detection.inspect(seen, adaptive=True)

    assert found is not None
    assert found.adaptive
    assert found.opacity == pytest.approx(opacity, abs=0.03)


def test_a_known_opacity_is_not_called_unknown(photo: Image.Image) -> None:
    found = detection.inspect(pictures.marked(photo, "v1-48"), adaptive=True)

    assert found is not None
    assert not found.adaptive
    assert found.opacity == pytest.approx(128 / 255, abs=1e-4)


def test_a_survey_tells_of_every_place(photo: Image.Image) -> None:
    found = detection.survey(photo)

    assert {one.variant for one in found} >= {"v1-48", "v1-96", "v2-48", "v2-96"}
    assert not any(one.accepted for one in found)


def test_a_survey_begins_with_the_mark(photo: Image.Image) -> None:
    found = detection.survey(pictures.marked(photo, "v2-48"))

    assert found[0].variant == "v2-48"
    assert [one.accepted for one in found] == [True] + [False] * (len(found) - 1)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "1"])
def test_other_modes_are_refused_by_name(mode: str) -> None:
    with pytest.raises(ValueError, match=f"mode {mode} "):
        detection.inspect(Image.new(mode, SIZE))


def test_a_picture_without_room_for_a_mark_has_none() -> None:
    assert detection.inspect(Image.new("RGB", (40, 40))) is None


def test_transparency_does_not_matter_to_the_look(photo: Image.Image) -> None:
    seen = pictures.marked(photo, "v1-48").convert("RGBA")

    assert detection.inspect(seen) == detection.inspect(seen.convert("RGB"))


@pytest.mark.parametrize("small", [(1024, 572), (700, 391)])
def test_a_mark_on_a_preview_is_found(
    rng: np.random.Generator, small: tuple[int, int]
) -> None:
    drawn = pictures.background(rng, (1376, 768), 5)
    seen = pictures.marked(drawn, "v2-48").resize(small, Image.Resampling.LANCZOS)
    unmarked = drawn.resize(small, Image.Resampling.LANCZOS)

    found = detection.inspect(seen)

    assert detection.inspect(unmarked) is None
    assert found is not None
    assert found.variant == "v2-48-scaled"


def test_an_enlarged_mark_is_found(rng: np.random.Generator) -> None:
    drawn = pictures.background(rng, (848, 1264), 5)
    double = (1696, 2528)
    seen = pictures.marked(drawn, "v2-48").resize(double, Image.Resampling.BICUBIC)

    found = detection.inspect(seen)

    assert found is not None
    assert found.variant == "v2-96"
    assert found.box == (1696 - 288, 2528 - 288, 96, 96)


@pytest.mark.parametrize("variant", ["v1-48", "v1-96"])
def test_the_core_lies_inside_and_the_contour_at_the_edge(variant: str) -> None:
    candidate = next(c for c in marks.candidates(SIZE) if c.variant == variant)
    template = candidate.template
    coverage = template.coverage.ravel()
    first, second = template.pairs

    assert (coverage[template.core] == 1).all()
    assert (abs(coverage[first] - coverage[second]) > 0.04).all()
    assert not template.coverage[template.outside].any()


def test_the_contour_goes_in_all_directions() -> None:
    template = templates.template(star.coverage(96))

    pairs = np.bincount(template.sectors, minlength=templates.SECTORS)

    assert len(pairs) == templates.SECTORS
    assert pairs.min() > 0


def test_the_rim_lies_on_both_sides_of_the_contour() -> None:
    template = templates.template(star.coverage(48))

    inside, outside = template.rim(3)

    assert template.coverage[inside].min() >= 0.97
    assert template.coverage[outside].max() == 0
    assert inside.any()
    assert outside.any()
    assert not outside[0, 0]


def test_a_stain_is_the_difference_in_hue_alone() -> None:
    template = templates.template(star.coverage(48))
    pixels = np.full((48, 48, 3), 90, np.uint8)
    lighter, bluer = pixels.copy(), pixels.copy()
    lighter[template.coverage > 0.5] += 60
    bluer[template.coverage > 0.5, 2] += 60

    assert evidence.stain(lighter, template) == pytest.approx(0, abs=0.01)
    assert evidence.stain(bluer, template) > 30


def test_one_coloured_edge_across_the_star_is_no_stain() -> None:
    template = templates.template(star.coverage(48))
    pixels = np.full((48, 48, 3), 90, np.uint8)
    pixels[:, 30:, 0] = 250

    assert evidence.stain(pixels, template) < 6


CLEAR = evidence.Evidence(
    score=0.9,
    evenness=5.0,
    share=1.0,
    quadrants=(0.8, 0.9, 0.9, 1.0),
    strength=0.49,
    dip=0.9,
    dark=0.0,
    gain=100.0,
)


@pytest.mark.parametrize(
    "change",
    [
        {"score": 0.05},
        {"evenness": 1.0},
        {"share": 0.6},
        {"quadrants": (-0.5, -0.1, 0.9, 1.0)},
        {"strength": 0.24},
        {"strength": 0.61},
        {"dark": 0.07},
        {"gain": 2.9},
    ],
    ids=str,
)
def test_each_measure_alone_can_refuse_a_mark(change: dict[str, Any]) -> None:
    assert detection._accepted(CLEAR, 0.5)
    assert not detection._accepted(dataclasses.replace(CLEAR, **change), 0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"evenness": 3.9},
        {"share": 0.96},
        {"quadrants": (0.2, 0.9, 0.9, 1.0)},
        {"strength": 0.14},
        {"strength": 0.86},
        {"dip": 0.4},
        {"gain": 5.9},
    ],
    ids=str,
)
def test_each_measure_alone_can_refuse_an_unknown_opacity(
    change: dict[str, Any],
) -> None:
    assert detection._accepted_at_any(CLEAR)
    assert not detection._accepted_at_any(dataclasses.replace(CLEAR, **change))


@pytest.mark.parametrize(
    ("score", "strength", "dip", "gone"),
    [
        (-0.5, 0.0, 0.0, True),
        (-0.5, 0.05, 0.3, True),
        (-0.2, 0.07, 0.01, True),
        (-0.2, 0.07, 0.05, False),
        (-0.2, -0.2, 0.15, True),
        (-0.2, -0.07, 0.3, False),
        (0.01, 0.0, 0.0, False),
    ],
)
def test_a_mark_is_gone_when_nothing_speaks_for_it(
    score: float,
    strength: float,
    dip: float,
    gone: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = dataclasses.replace(CLEAR, score=score)
    monkeypatch.setattr(evidence, "examine", lambda *_: left)
    monkeypatch.setattr(evidence, "leftover", lambda *_: (strength, dip))
    candidate = marks.candidates(SIZE)[0]

    assert detection.gone(candidate, np.zeros((48, 48), np.float32), 0.5) is gone


@pytest.mark.parametrize("part", [0.7, 0.85, 1.2])
def test_a_mark_that_was_taken_off_in_part_is_not_gone(part: float) -> None:
    ground = pictures.gradient(np.random.default_rng(2), *SIZE)
    candidate = next(c for c in marks.candidates(SIZE) if c.variant == "v1-48")
    x, y, width, height = candidate.area
    seen = np.asarray(pictures.marked(ground, "v1-48"))[y : y + height, x : x + width]
    wrong = PLACES["v1-48"][2] * part

    left = restored(seen, candidate.template, wrong, lossy=False)

    assert not detection.gone(candidate, evidence.luma(left), PLACES["v1-48"][2])
