"""What models can draw, by their names."""

import pytest

from imaging.sizes import AskedSize
from proxy.wire.image_models import canvas_of, image_config, is_imagen, split_size

FLASH = "gemini-2.5-flash-image"
PRO = "gemini-3-pro-image-preview"
WIDE = "gemini-3.1-flash-image"


@pytest.mark.parametrize(
    ("name", "bare", "size"),
    [
        (f"{PRO}-2k", PRO, "2K"),
        (f"{PRO}-4K", PRO, "4K"),
        (PRO, PRO, None),
        ("model-8k", "model-8k", None),
        ("4k", "4k", None),
    ],
)
def test_the_end_of_a_name_asks_for_a_size(name, bare, size):
    assert split_size(name) == (bare, size)


@pytest.mark.parametrize(
    ("model", "yes"),
    [("imagen-4.0-generate-001", True), ("models/imagen-3.0", True), (FLASH, False)],
)
def test_imagen_is_known_by_name(model, yes):
    assert is_imagen(model) is yes


@pytest.mark.parametrize(
    ("model", "shapes", "tiers"),
    [
        ("gemini-2.0-flash-preview-image-generation", 0, ()),
        ("gemini-2.0-flash-exp", 0, ()),
        (FLASH, 10, ()),
        (PRO, 10, ("1K", "2K", "4K")),
        ("gemini-3-pro-image", 10, ("1K", "2K", "4K")),
        (WIDE, 14, ("512", "1K", "2K", "4K")),
        ("imagen-4.0-ultra-generate-001", 5, ("1K", "2K")),
        ("imagen-4.0-fast-generate-001", 5, ()),
        ("imagen-3.0-generate-002", 5, ()),
        ("grok-2-image-1212", 0, ()),
        ("grok-imagine-image", 10, ()),
        ("our-own-name", 14, ("512", "1K", "2K", "4K")),
    ],
)
def test_each_model_has_its_canvas(model, shapes, tiers):
    canvas = canvas_of(model)
    assert (len(canvas.ratios), canvas.tiers) == (shapes, tiers)


@pytest.mark.parametrize(
    ("asked", "model", "config", "followed"),
    [
        (AskedSize(), PRO, {}, True),
        (AskedSize("1:1", "1K"), FLASH, {"aspectRatio": "1:1"}, True),
        (AskedSize("16:9", "2K"), FLASH, {"aspectRatio": "16:9"}, False),
        (AskedSize("16:9"), FLASH, {"aspectRatio": "16:9"}, True),
        (AskedSize("1:8"), FLASH, {"aspectRatio": "9:16"}, False),
        (AskedSize("1:8"), WIDE, {"aspectRatio": "1:8"}, True),
        (AskedSize(None, "4K"), PRO, {"imageSize": "4K"}, True),
        (AskedSize(None, "512"), PRO, {"imageSize": "1K"}, False),
        (AskedSize(None, "512"), WIDE, {"imageSize": "512"}, True),
        (AskedSize(None, "4K"), "imagen-4.0-generate-001", {"imageSize": "2K"}, False),
        (AskedSize("1:1", "1K"), "gemini-2.0-flash-exp", {}, True),
        (AskedSize("16:9"), "grok-2-image", {}, False),
        (AskedSize(None, "2K"), "gemini-2.0-flash-exp", {}, False),
    ],
)
def test_a_size_becomes_what_the_model_takes(asked, model, config, followed):
    assert image_config(asked, model) == (config, followed)
