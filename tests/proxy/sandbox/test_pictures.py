"""Pictures that are drawn: real PNGs of the wanted size, the same each time."""

import base64
import io

import pytest
from PIL import Image

from proxy.sandbox.pictures import describe, draw, picture_size
from tests.proxy.sandbox.calling import (
    answer,
    asking,
    configured,
    parts_of,
    picture_part,
    stream,
    user,
)

OLD_PAINTER = "gemini-2.5-flash-image"
NEW_PAINTER = "gemini-3-pro-image-preview"


def opened(part):
    assert part["inlineData"]["mimeType"] == "image/png"
    data = base64.b64decode(part["inlineData"]["data"])
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.format == "PNG"
    return picture


async def drawn(client, body, to=OLD_PAINTER):
    parts = parts_of(await answer(client, body, to=to))
    return [opened(part) for part in parts if "inlineData" in part]


@pytest.mark.parametrize(
    ("ratio", "size", "expected"),
    [
        ("", "", (1024, 1024)),
        ("1:1", "2K", (2048, 2048)),
        ("1:1", "4K", (4096, 4096)),
        ("16:9", "1K", (1376, 768)),
        ("9:16", "1K", (768, 1376)),
        ("21:9", "1K", (1568, 672)),
        ("3:2", "1K", (1248, 832)),
    ],
)
def test_sizes_keep_the_area(ratio, size, expected):
    assert picture_size(ratio, size) == expected


async def test_a_picture_is_drawn_with_words_beside_it(client):
    response = await answer(client, asking("a red circle"), to=OLD_PAINTER)
    words, picture = parts_of(response)
    assert "a red circle" in words["text"]
    assert opened(picture).size == (1024, 1024)


async def test_only_the_picture_comes_when_only_that_is_wanted(client):
    body = configured("a red circle", responseModalities=["IMAGE"])
    (part,) = parts_of(await answer(client, body, to=OLD_PAINTER))
    assert opened(part)


async def test_no_picture_comes_when_only_text_is_wanted(client):
    body = configured("a red circle", responseModalities=["TEXT"])
    (part,) = parts_of(await answer(client, body, to=OLD_PAINTER))
    assert "inlineData" not in part


async def test_shape_and_size_are_followed(client):
    body = configured("a hut", imageConfig={"aspectRatio": "16:9", "imageSize": "2K"})
    (picture,) = await drawn(client, body, NEW_PAINTER)
    assert picture.size == (2720, 1536)


async def test_the_middle_has_the_wanted_colour(client):
    (picture,) = await drawn(client, asking("a green square"))
    middle = picture.crop((500, 500, 520, 520))
    assert describe(middle) == "a 20x20 green image"


async def test_an_edit_looks_at_the_given_picture(client):
    bodies = [
        {"contents": [user("make it nice", picture_part(c))]} for c in ("red", "blue")
    ]
    first, second = [await drawn(client, body) for body in bodies]
    assert first[0].tobytes() != second[0].tobytes()


async def test_a_streamed_picture_comes_in_one_piece(client):
    chunks = await stream(client, asking("a red circle"), to=NEW_PAINTER)
    pictures = [p for chunk in chunks for p in parts_of(chunk) if "inlineData" in p]
    assert len(pictures) == 1
    assert opened(pictures[0]).size == (1024, 1024)


def test_a_prompt_always_gives_the_same_picture():
    assert draw("a hut") == draw("a hut")
    assert draw("a hut") != draw("a house")


def test_a_square_is_square_and_a_circle_round():
    corners = []
    for shape in ("square", "circle"):
        picture = Image.open(io.BytesIO(draw(f"a red {shape}")))
        corners.append(describe(picture.crop((260, 260, 280, 280))))
    assert corners[0] == "a 20x20 red image"
    assert corners[1] != corners[0]


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK"])
def test_pictures_of_all_modes_are_described(mode):
    assert (
        describe(Image.new("RGB", (5, 7), "white").convert(mode)) == "a 5x7 white image"
    )
