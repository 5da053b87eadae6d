"""OpenAI's image requests, and the simple ones, as Gemini bodies."""

import json
import random

import pytest

from proxy.errors import BadRequest
from proxy.wire import openai_images
from proxy.wire.openai_image_forms import FormFile
from proxy.wire.openai_image_options import MOST_COPIES
from proxy.wire.openai_images import (
    MOST_PICTURES,
    gemini_body,
    parse_edit,
    parse_generation,
    parse_simple,
    parse_variation,
    peek_model,
)
from tests.proxy.wire.chat_samples import CAPTURES, b64, data_url
from tests.proxy.wire.image_samples import FLASH, PRO, edit, generation, picture_file

PNG = picture_file()
JPEG = picture_file("JPEG")
NAMES = {"default_model": FLASH, "upstream_model": PRO}


def refused(parse, body) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(body, **NAMES)
    assert caught.value.status == 400
    return caught.value


def inline(part) -> tuple[str, str]:
    return part["inlineData"]["mimeType"], part["inlineData"]["data"]


def test_a_plain_request_is_words_and_modalities():
    made = generation()
    assert gemini_body(made) == {
        "contents": [{"role": "user", "parts": [{"text": "a red fox"}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }
    assert (made.operation, made.shape, made.copies) == ("generation", "openai", 1)
    assert (made.stream, made.as_url, made.output_format) == (False, False, None)
    assert made.needs == {"images_out"}
    assert made.dropped == []
    assert made.model == FLASH


def test_words_of_any_language_reach_the_model_unchanged():
    words = "  一只红色的狐狸 🦊\n第二行 "
    body = gemini_body(generation(prompt=words))
    assert body["contents"][0]["parts"] == [{"text": words}]


@pytest.mark.parametrize(
    ("body", "model"),
    [({}, FLASH), ({"model": None}, FLASH), ({"model": " m "}, "m")],
)
def test_the_model_is_optional(body, model):
    assert peek_model(body, FLASH) == model


def test_the_size_becomes_shape_and_resolution():
    made = generation(size="2048x1152")
    assert made.config == {"aspectRatio": "16:9", "imageSize": "2K"}
    config = gemini_body(made)["generationConfig"]
    assert config["imageConfig"] == made.config
    assert (made.asked.width, made.asked.height) == (2048, 1152)
    assert generation(size="1280x720").config["imageSize"] == "1K"


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"size": "auto"}, {}),
        ({"size": "16:9"}, {"aspectRatio": "16:9"}),
        ({"size": "2K"}, {"imageSize": "2K"}),
        ({"aspect_ratio": "3:4"}, {"aspectRatio": "3:4"}),
        ({"image_size": "4K"}, {"imageSize": "4K"}),
        (
            {"extra_body": {"google": {"aspect_ratio": "9:16", "image_size": "2K"}}},
            {"aspectRatio": "9:16", "imageSize": "2K"},
        ),
        (
            {"size": "1024x1024", "aspect_ratio": "21:9"},
            {"aspectRatio": "21:9", "imageSize": "1K"},
        ),
        (
            {"model": f"{PRO}-4k", "size": "1024x1024"},
            {"aspectRatio": "1:1", "imageSize": "4K"},
        ),
        ({"model": f"{PRO}-2k"}, {"imageSize": "2K"}),
    ],
)
def test_sizes_come_from_many_places(fields, config):
    made = generation(**fields)
    assert made.config == config
    assert made.dropped == []


def test_a_size_that_the_model_lacks_is_named():
    made = generation(FLASH, size="4096x4096")
    assert made.config == {"aspectRatio": "1:1"}
    assert made.dropped == ["size"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", "  "),
        ("prompt", 5),
        ("n", 0),
        ("n", MOST_COPIES + 1),
        ("n", "2"),
        ("n", 1.5),
        ("size", "huge"),
        ("size", "0x0"),
        ("size", 1024),
        ("aspect_ratio", "wide"),
        ("image_size", "8K"),
        ("quality", "best"),
        ("style", "wild"),
        ("moderation", "off"),
        ("response_format", "binary"),
        ("response_type", "file"),
        ("output_format", "bmp"),
        ("output_format", "gif"),
        ("output_format", "svg"),
        ("output_compression", 101),
        ("output_compression", -1),
        ("output_compression", 50),
        ("background", "transparent"),
        ("background", "red"),
        ("stream", "yes"),
        ("partial_images", 4),
        ("frame_count", 9),
        ("frame_duration_ms", 100),
        ("svg", {"model": "x"}),
        ("markup", data_url(PNG)),
        ("model", ""),
        ("mask", data_url(PNG)),
        ("user", 5),
        ("safety_settings", [{"category": "c"}]),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(field, value):
    fault = refused(parse_generation, {"prompt": "p", field: value})
    assert (fault.param or "").startswith(field)
    assert fault.message.startswith(field)


@pytest.mark.parametrize("body", [None, [], "prompt", 5])
def test_what_is_no_object_is_refused(body):
    for parse in (parse_generation, parse_edit, parse_variation, parse_simple):
        refused(parse, body)
    with pytest.raises(BadRequest):
        peek_model(body, FLASH)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("quality", "high", True),
        ("quality", "auto", False),
        ("style", "vivid", True),
        ("moderation", "low", True),
        ("moderation", "auto", False),
        ("input_fidelity", "high", True),
        ("complexity", "low", True),
        ("partial_images", 2, True),
        ("partial_images", 0, False),
        ("background", "opaque", False),
        ("user", "u", False),
        ("safety_identifier", "s", False),
        ("output_compression", 100, False),
        ("seed", 5, True),
        ("quality", None, False),
    ],
)
def test_what_has_no_effect_is_named(field, value, named):
    assert generation(**{field: value}).dropped == ([field] if named else [])


def test_only_plain_names_are_told_and_not_without_end():
    odd = {"a\r\nx-evil: 1": 1, "ä": 1, "x" * 65: 1, "": 1}
    assert generation(**odd).dropped == []
    many = generation(**{f"field{i}": 1 for i in range(100)})
    assert len(many.dropped) == 20


def test_google_extras_go_along_and_unknown_ones_are_named():
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    google = {"safety_settings": settings, "other": 1, "aspect_ratio": "1:1"}
    made = generation(extra_body={"google": google})
    assert gemini_body(made)["safetySettings"] == settings
    assert made.dropped == ["google.other"]


@pytest.mark.parametrize(
    ("fields", "shape", "as_url"),
    [
        ({}, "openai", False),
        ({"response_format": "url"}, "openai", True),
        ({"response_format": "b64_json"}, "openai", False),
        ({"response_type": "url"}, "extended", True),
        ({"response_type": "base64"}, "extended", False),
        ({"response_type": "base64", "response_format": "b64_json"}, "extended", False),
        ({"image": data_url(PNG)}, "extended", False),
        ({"image": data_url(PNG), "response_format": "url"}, "extended", True),
    ],
)
def test_the_shape_of_the_answer_is_as_asked(fields, shape, as_url):
    made = generation(**fields)
    assert (made.shape, made.as_url) == (shape, as_url)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_type": "url", "response_format": "b64_json"}, "response_type"),
        ({"response_format": "url", "stream": True}, "response_format"),
        ({"response_type": "url", "stream": True}, "response_type"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(fields, param):
    assert refused(parse_generation, {"prompt": "p", **fields}).param == param


@pytest.mark.parametrize(
    ("fields", "form", "compression"),
    [
        ({}, None, None),
        ({"output_format": "png"}, "png", None),
        ({"output_format": "png", "output_compression": 100}, "png", None),
        ({"output_format": "jpg"}, "jpeg", None),
        ({"output_format": "jpeg", "output_compression": 0}, "jpeg", 0),
        ({"output_format": "webp", "output_compression": 80}, "webp", 80),
    ],
)
def test_the_form_of_the_picture_is_as_asked(fields, form, compression):
    made = generation(**fields)
    assert (made.output_format, made.compression) == (form, compression)


def test_a_captured_request_of_openai_python_is_read():
    body = json.loads((CAPTURES / "o_img.jsonl").read_text())["body"]
    assert refused(parse_generation, body).param == "background"
    made = parse_generation({**body, "background": "opaque"}, **NAMES)
    assert (made.copies, made.output_format, made.model) == (2, "webp", "gpt-image-1")
    assert made.dropped == ["quality", "moderation"]
    assert (made.quality, made.safety_identifier) == ("high", "u")
    assert made.config == {"aspectRatio": "1:1", "imageSize": "1K"}


@pytest.mark.parametrize("name", ["o_img_dalle", "o_img_stream"])
def test_other_captured_requests_are_read(name):
    body = json.loads((CAPTURES / f"{name}.jsonl").read_text())["body"]
    made = parse_generation(body, **NAMES)
    assert made.stream is (name == "o_img_stream")
    assert made.dropped == (["partial_images"] if made.stream else ["style"])


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"image": data_url(PNG)}, ["image/png"]),
        ({"image": b64(JPEG)}, ["image/jpeg"]),
        ({"image": data_url(JPEG, "image/jpg")}, ["image/jpeg"]),
        ({"image": [data_url(PNG), b64(JPEG)]}, ["image/png", "image/jpeg"]),
        ({"images": [{"image_url": data_url(PNG)}]}, ["image/png"]),
        (
            {"images": [{"url": data_url(PNG)}, {"b64_json": b64(PNG)}]},
            ["image/png"] * 2,
        ),
        ({"image": {"image_url": b64(PNG)}}, ["image/png"]),
        (
            {"image": [FormFile(PNG), FormFile(JPEG, "text/plain")]},
            ["image/png", "image/jpeg"],
        ),
    ],
)
def test_pictures_to_edit_come_in_many_forms(fields, kinds):
    made = edit(**fields)
    body = gemini_body(made)
    *pictures, words = body["contents"][0]["parts"]
    assert [inline(part)[0] for part in pictures] == kinds
    assert all(inline(part)[1] in (b64(PNG), b64(JPEG)) for part in pictures)
    assert words == {"text": "make it blue"}
    assert made.needs == {"images_out", "images_in"}
    assert made.operation == "edit"


def test_a_form_is_answered_in_openais_shape_and_json_in_the_extended_one():
    assert edit(image=[FormFile(PNG)]).shape == "openai"
    assert edit(image=data_url(PNG)).shape == "extended"


def test_linked_pictures_are_left_to_be_fetched():
    made = edit(image=["https://a.example/x.png", data_url(PNG)])
    (fetch,) = made.fetches
    assert (fetch.url, fetch.param) == ("https://a.example/x.png", "image[0]")
    assert fetch.part is made.pictures[0]
    fetch.part["inlineData"] = {"mimeType": "image/png", "data": b64(PNG)}
    assert inline(gemini_body(made)["contents"][0]["parts"][0])[1] == b64(PNG)


@pytest.mark.parametrize(
    ("image", "param"),
    [
        (None, "image"),
        ("", "image"),
        ([], "image"),
        (5, "image"),
        ("%%% no base64 %%%", "image"),
        ("data:image/png;base64,", "image"),
        (["ok" * 40, 5], "image[0]"),
        ([data_url(PNG), 5], "image[1]"),
        (data_url(b"<html>", "text/html"), "image"),
        (b64(b"%PDF-1.7 and more"), "image"),
        ({"file_id": "file-5"}, "image.file_id"),
        ({"image_url": None}, "image.image_url"),
        ("ftp://a.example/x.png", "image"),
        (FormFile(b""), "image"),
        (FormFile(b"%PDF-1.7", "image/png"), "image"),
        (FormFile(b"<svg/>", "image/png"), "image"),
        ([data_url(PNG)] * (MOST_PICTURES + 1), f"image[{MOST_PICTURES}]"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_place(image, param):
    fault = refused(parse_edit, {"prompt": "p", "image": image})
    assert fault.param == param


def test_an_edit_needs_words():
    assert refused(parse_edit, {"image": data_url(PNG)}).param == "prompt"


def test_a_mask_goes_upstream_only_as_its_guide():
    made = edit(image=data_url(PNG), mask=b64(JPEG))
    assert inline(made.mask) == ("image/jpeg", b64(JPEG))
    assert gemini_body(made)["contents"][0]["parts"] == [
        made.pictures[0],
        {"text": "make it blue"},
    ]
    guide = {"inlineData": {"mimeType": "image/png", "data": "R1VJREU="}}
    picture, mask, words = gemini_body(made, guide)["contents"][0]["parts"]
    assert (picture, mask) == (made.pictures[0], guide)
    assert words["text"].startswith("make it blue\n\nThe last picture is a mask")


def test_a_variation_has_a_picture_and_our_words():
    made = parse_variation(
        {"image": [FormFile(PNG)], "n": 2, "size": "512x512"}, **NAMES
    )
    picture, words = gemini_body(made)["contents"][0]["parts"]
    assert inline(picture)[0] == "image/png"
    assert "variation" in words["text"]
    assert (made.operation, made.copies, made.shape) == ("variation", 2, "openai")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "image"),
        ({"image": [data_url(PNG)] * 2}, "image[1]"),
        ({"image": data_url(PNG), "prompt": "p"}, "prompt"),
        ({"image": data_url(PNG), "mask": data_url(PNG)}, "mask"),
    ],
)
def test_a_variation_is_of_one_picture_alone(body, param):
    assert refused(parse_variation, body).param == param


def test_the_simple_form_draws():
    body = {"prompt": "a cat", "count": 3, "response_type": "url", "size": "16:9"}
    made = parse_simple(body, **NAMES)
    assert (made.shape, made.operation, made.copies) == ("simple", "generation", 3)
    assert made.as_url
    assert made.config == {"aspectRatio": "16:9"}


def test_the_simple_form_defaults_to_one_picture_as_base64():
    made = parse_simple({"prompt": "a cat"}, **NAMES)
    assert (made.copies, made.as_url, made.model) == (1, False, FLASH)


def test_the_simple_form_edits_where_there_is_a_picture():
    made = parse_simple({"prompt": "blue", "image": b64(PNG)}, **NAMES)
    assert (made.shape, made.operation) == ("simple", "edit")
    assert inline(made.pictures[0])[0] == "image/png"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": "p", "count": 0}, "count"),
        ({"prompt": "p", "count": "many"}, "count"),
        ({"prompt": "p", "response_type": "xml"}, "response_type"),
        ({"prompt": "p", "stream": True}, "stream"),
        ({"prompt": "p", "mask": data_url(PNG)}, "mask"),
        ({"prompt": "p", "image": "?"}, "image"),
    ],
)
def test_the_simple_form_refuses_by_name(body, param):
    assert refused(parse_simple, body).param == param


def test_a_picture_shows_none_of_itself_in_logs():
    made = edit(image=[FormFile(PNG)])
    assert b64(PNG) not in repr(made.fetches)


EVERYTHING = {
    "prompt": "p",
    "model": "m",
    "n": 2,
    "size": "1024x1024",
    "quality": "high",
    "style": "vivid",
    "response_format": "url",
    "response_type": "url",
    "output_format": "webp",
    "output_compression": 50,
    "background": "auto",
    "moderation": "low",
    "user": "u",
    "safety_identifier": "s",
    "partial_images": 1,
    "image": [data_url(PNG), {"image_url": b64(PNG)}],
    "mask": data_url(PNG),
    "extra_body": {"google": {"aspect_ratio": "1:1"}},
    "google": {"image_size": "2K"},
}
ODD = [None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [{}], {"a": 1}, "\ud800", 10**30]


@pytest.mark.parametrize(
    "parse", [parse_generation, parse_edit, parse_variation, parse_simple]
)
def test_whatever_comes_is_a_translation_or_a_bad_request(parse):
    dice = random.Random(5)
    made = 0
    for _ in range(1500):
        body = {key: EVERYTHING[key] for key in EVERYTHING if dice.random() < 0.6}
        for _ in range(dice.randint(0, 2)):
            body[dice.choice(list(EVERYTHING))] = dice.choice(ODD)
        try:
            gemini_body(parse(body, **NAMES))
            made += 1
        except BadRequest:
            continue
    assert made or parse is parse_variation


def test_the_fields_of_the_sdk_are_all_known():
    from openai.types.image_edit_params import ImageEditParamsBase
    from openai.types.image_generate_params import ImageGenerateParamsBase

    from proxy.wire import openai_image_options

    fields = {
        *ImageGenerateParamsBase.__annotations__,
        *ImageEditParamsBase.__annotations__,
    }
    assert fields <= openai_image_options._KNOWN
    assert openai_images.MOST_PICTURES == 16
