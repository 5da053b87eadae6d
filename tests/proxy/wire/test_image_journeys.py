"""Whole ways of a picture: request, checked pictures, answer, and back to the client."""

import base64
import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from imaging import metadata, transforms
from imaging.bounds import PictureRefused
from imaging.decoding import Picture, opened
from proxy.wire.gemini import needs
from proxy.wire.openai_image_answer import Delivered, drawn, render_images
from proxy.wire.openai_image_forms import FormFile, read_form
from proxy.wire.openai_images import ImageRequest, gemini_body, parse_edit, parse_simple
from tests.imaging import samples
from tests.proxy.wire.answer_samples import chunk, image
from tests.proxy.wire.chat_samples import b64, data_url
from tests.proxy.wire.image_samples import FLASH, PRO, generation

BOX = (4, 4, 20, 20)


def part_of(picture: Picture) -> dict:
    return {"inlineData": {"mimeType": picture.media_type, "data": b64(picture.data)}}


def checked(part: dict) -> Picture:
    return opened(base64.b64decode(part["inlineData"]["data"]))


def sent_back(picture: Picture, request: ImageRequest) -> Delivered:
    made = picture
    if request.output_format:
        made = transforms.transcoded(
            picture, request.output_format, quality=request.compression
        )
    return Delivered(
        media_type=made.media_type,
        width=made.width,
        height=made.height,
        content=made.data,
    )


def answer_to(request: ImageRequest, picture: Picture) -> dict:
    data = chunk(image(b64(picture.data), picture.media_type), finish="STOP")
    (found,) = drawn(data, PRO)
    return render_images(
        [sent_back(opened(base64.b64decode(found.data)), request)], request, created=5
    )


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, "png"),
        ({"output_format": "webp", "output_compression": 60}, "webp"),
        ({"output_format": "jpeg"}, "jpeg"),
    ],
)
def test_a_drawing_arrives_in_the_format_that_was_asked_for(fields, form):
    request = generation(**fields)
    answer = answer_to(request, samples.picture())
    again = opened(base64.b64decode(answer["data"][0]["b64_json"]))
    assert (again.format, answer["output_format"]) == (form, form)
    assert answer["size"] == "40x30"


def test_what_a_request_needs_is_what_its_body_needs():
    request = generation()
    assert needs(gemini_body(request)) == request.needs
    request = parse_simple(
        {"prompt": "p", "image": data_url(samples.file())},
        default_model=FLASH,
        upstream_model=PRO,
    )
    assert needs(gemini_body(request)) == request.needs


def test_a_masked_edit_changes_nothing_outside_its_mask():
    original = samples.file(samples.drawing(40, 30))
    mask = samples.masked(40, 30, BOX).data
    form = read_form(
        [("prompt", "a sun"), ("output_format", "png")],
        [("image", FormFile(original)), ("mask", FormFile(mask))],
    )
    request = parse_edit(form, default_model=FLASH, upstream_model=PRO)
    guide = transforms.mask_guide(checked(request.mask))
    body = gemini_body(request, part_of(guide))
    first, second, _ = body["contents"][0]["parts"]
    assert base64.b64decode(first["inlineData"]["data"]) == original
    seen = np.asarray(checked(second).image)
    assert seen[10, 10] == 255 and seen[25, 35] == 0

    answered = samples.picture(Image.new("RGB", (1024, 768), (255, 200, 0)))
    mixed = transforms.composited(
        checked(first), answered, checked(request.mask), feather=1.5
    )
    answer = answer_to(request, mixed)
    shown = np.asarray(opened(base64.b64decode(answer["data"][0]["b64_json"])).image)
    before = np.asarray(opened(original).image)
    outside = np.ones((30, 40), bool)
    outside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = False
    assert np.array_equal(shown[outside], before[outside])
    assert list(shown[12, 12]) == [255, 200, 0]


def test_a_mask_of_another_size_is_named_as_the_parameter():
    form = read_form(
        [("prompt", "p")],
        [
            ("image", FormFile(samples.file())),
            ("mask", FormFile(samples.masked(20, 20, BOX).data)),
        ],
    )
    request = parse_edit(form, default_model=FLASH, upstream_model=PRO)
    picture = checked(request.pictures[0])
    with pytest.raises(PictureRefused) as caught:
        transforms.composited(picture, picture, checked(request.mask))
    assert caught.value.text.partition(" ")[0] == "mask"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_provenance_survives_the_way_to_the_client(form):
    made = metadata.marked(
        samples.file(), model=PRO, created=datetime(2026, 5, 5, tzinfo=UTC)
    )
    answer = answer_to(generation(output_format=form), opened(made))
    content = base64.b64decode(answer["data"][0]["b64_json"])
    assert metadata.provenance(content)["model"] == PRO
    assert metadata.provenance(content)["digital_source_type"] == metadata.MADE_BY_MODEL


@pytest.mark.parametrize("source", ["gif", "avif"])
def test_pictures_that_gemini_does_not_take_can_be_made_ones_that_it_takes(source):
    request = parse_simple(
        {"prompt": "p", "image": b64(samples.file(form=source))},
        default_model=FLASH,
        upstream_model=PRO,
    )
    made = transforms.transcoded(checked(request.pictures[0]), "png")
    assert Image.open(io.BytesIO(made.data)).size == (40, 30)


def test_the_request_lines_of_the_simple_api_work_as_written():
    sunset = {"prompt": "a beautiful sunset over the ocean"}
    request = parse_simple(sunset, default_model=FLASH, upstream_model=FLASH)
    answer = answer_to(request, samples.picture())
    assert set(answer) == {"images", "model"}
    assert answer["images"][0].startswith("data:image/png;base64,")
    blue = {
        "prompt": "将背景改为蓝色天空",
        "image": data_url(samples.file()),
        "response_type": "url",
    }
    request = parse_edit(blue, default_model=FLASH, upstream_model=FLASH)
    assert request.shape == "extended" and request.as_url
    words = gemini_body(request)["contents"][0]["parts"][-1]
    assert words == {"text": "将背景改为蓝色天空"}
