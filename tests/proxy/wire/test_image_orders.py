"""What a route adds to a request for a picture."""

import copy

import pytest

from proxy.errors import BadRequest
from proxy.wire.image_orders import at_own_size, fitted, wanted_size

PRO, FLASH, OLD = (
    "gemini-3-pro-image-preview",
    "gemini-3.1-flash-image-preview",
    "gemini-2.5-flash-image",
)


def asked(**image):
    return {"contents": [], "generationConfig": {"seed": 1, "imageConfig": image}}


def image_of(body):
    return body["generationConfig"]["imageConfig"]


@pytest.mark.parametrize("size", ["1K", "2K", "4K"])
def test_the_routes_size_is_asked_for(size):
    made = fitted({"contents": []}, PRO, size)
    assert image_of(made) == {"imageSize": size}


def test_it_stands_beside_what_was_asked():
    body = asked(aspectRatio="16:9")
    before = copy.deepcopy(body)
    made = fitted(body, PRO, "2K")
    assert image_of(made) == {"aspectRatio": "16:9", "imageSize": "2K"}
    assert made["generationConfig"]["seed"] == 1
    assert body == before


@pytest.mark.parametrize(
    "body",
    [
        asked(imageSize="1K"),
        asked(image_size="1K"),
        {"generation_config": {"image_config": {"image_size": "1K"}}},
    ],
)
def test_a_size_of_the_callers_own_is_left_alone(body):
    assert fitted(body, PRO, "4K") is body
    assert wanted_size(body, "4K") == "1K"


def test_the_spelling_of_the_caller_is_kept():
    made = fitted({"generation_config": {"image_config": {}}}, PRO, "2K")
    assert made == {"generation_config": {"image_config": {"imageSize": "2K"}}}


def test_a_model_without_sizes_is_not_asked_for_one():
    body = asked(aspectRatio="1:1")
    assert fitted(body, OLD, "2K") is body
    assert wanted_size(body, "2K") == "2K"


@pytest.mark.parametrize("body", [{}, asked(), {"generationConfig": None}])
def test_without_wishes_nothing_changes(body):
    assert fitted(body, PRO, "") is body
    assert wanted_size(body, "") == ""


@pytest.mark.parametrize(
    ("model", "ratio", "offered"),
    [
        (PRO, "1:8", "21:9"),
        (OLD, "7:5", "16:9"),
        ("imagen-4.0-generate-001", "21:9", "9:16"),
    ],
)
@pytest.mark.parametrize("name", ["aspectRatio", "aspect_ratio"])
def test_a_shape_that_is_not_drawn_is_refused_with_those_that_are(
    model, ratio, offered, name
):
    with pytest.raises(BadRequest) as caught:
        fitted(asked(**{name: ratio}), model, "")
    assert repr(ratio) in caught.value.message
    assert offered in caught.value.message
    assert caught.value.param == "generationConfig.imageConfig.aspectRatio"


@pytest.mark.parametrize(
    ("model", "ratio"),
    [(FLASH, "1:8"), (PRO, "21:9"), ("grok-2-image", "21:9"), ("own-model", "1:4")],
)
def test_what_is_drawn_or_not_known_goes_on(model, ratio):
    body = asked(aspectRatio=ratio)
    assert fitted(body, model, "") is body


@pytest.mark.parametrize(
    ("body", "route_size", "own"),
    [
        (asked(), "", True),
        (asked(), "4K", True),
        (asked(aspectRatio="16:9"), "2K", True),
        (asked(imageSize="2K"), "2K", True),
        (asked(imageSize="1K"), "2K", False),
        (asked(imageSize="1K"), "", True),
        (asked(imageSize="512"), "", False),
        ({"generation_config": {"image_config": {"image_size": "4K"}}}, "", False),
    ],
)
def test_a_size_that_nobody_named_is_1k(body, route_size, own):
    assert at_own_size(body, route_size) is own
