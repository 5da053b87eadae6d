"""Where a mark could be in a picture of a given size."""

import pytest

from imaging.watermark import marks
from imaging.watermark.marks import Box


def places(width: int, height: int) -> dict[str, Box]:
    return {one.variant: one.box for one in marks.candidates((width, height))}


@pytest.mark.parametrize(
    ("variant", "box"),
    [
        ("v1-48", (1968, 1968, 48, 48)),
        ("v1-96", (1888, 1888, 96, 96)),
        ("v2-48", (1904, 1904, 48, 48)),
        ("v2-96", (1760, 1760, 96, 96)),
    ],
)
def test_each_mark_has_its_exact_place(variant: str, box: Box) -> None:
    assert places(2048, 2048)[variant] == box


@pytest.mark.parametrize(
    "size",
    [(1024, 1024), (1408, 768), (768, 1408), (1696, 2528), (2752, 1536), (4096, 4096)],
)
def test_an_official_size_is_not_taken_for_a_scaled_one(size: tuple[int, int]) -> None:
    assert set(places(*size)) == {"v1-48", "v1-96", "v2-48", "v2-96"}


@pytest.mark.parametrize(
    ("size", "mark", "side"),
    [
        ((1024, 572), "v2-48-scaled", 36),
        ((1024, 559), "v2-48-scaled", 35),
        ((512, 512), "v2-48-scaled", 24),
        ((700, 700), "v1-48-scaled", 33),
        ((700, 700), "v1-96-scaled", 66),
    ],
)
def test_a_preview_has_a_smaller_mark(
    size: tuple[int, int], mark: str, side: int
) -> None:
    assert abs(places(*size)[mark].width - side) <= 1


def test_a_scaled_mark_keeps_its_distance_from_the_corner() -> None:
    box = places(512, 512)["v2-48-scaled"]

    assert 512 - box.x - box.width in (47, 48, 49)
    assert 512 - box.y - box.height in (47, 48, 49)


def test_a_scaled_mark_may_be_a_pixel_aside() -> None:
    found = [
        one.box for one in marks.candidates((700, 700)) if one.variant == "v1-48-scaled"
    ]
    first = found[0]

    assert {(box.x - first.x, box.y - first.y) for box in found} == {
        (right, down) for right in (-1, 0, 1) for down in (-1, 0, 1)
    }


def test_the_places_beside_share_one_template() -> None:
    found = [c for c in marks.candidates((700, 700)) if c.variant == "v1-48-scaled"]

    assert len({id(one.template) for one in found}) == 1


@pytest.mark.parametrize("size", [(1000, 613), (333, 1999), (5000, 300)])
def test_an_odd_size_has_only_the_exact_places(size: tuple[int, int]) -> None:
    assert not any(name.endswith("-scaled") for name in places(*size))


@pytest.mark.parametrize("size", [(1, 1), (48, 48), (79, 2000), (2000, 79)])
def test_a_picture_that_is_too_small_has_no_place(size: tuple[int, int]) -> None:
    assert marks.candidates(size) == ()


@pytest.mark.parametrize("size", [(80, 80), (160, 160), (143, 144), (300, 300)])
def test_every_place_lies_in_the_picture(size: tuple[int, int]) -> None:
    found = marks.candidates(size)

    assert found
    assert all(one.area.within(size) for one in found)


@pytest.mark.parametrize("size", [(2048, 2048), (700, 700), (1024, 572)])
def test_a_template_is_as_large_as_its_area(size: tuple[int, int]) -> None:
    for one in marks.candidates(size):
        assert one.template.coverage.shape == (one.area.height, one.area.width)


def test_every_variant_has_a_place_somewhere() -> None:
    assert (
        set(places(2048, 2048))
        | {name for name in places(700, 700) if name.endswith("-scaled")}
        == marks.VARIANTS
    )


def test_none_means_all_variants() -> None:
    assert marks.checked(None) == marks.VARIANTS


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match=r"v9-11.*v1-48"):
        marks.checked(frozenset({"v1-48", "v9-11"}))
