"""Forms of image edits, as SDKs and others send them."""

import json
from email.parser import BytesParser

import pytest

from proxy.errors import BadRequest
from proxy.wire.openai_image_forms import FormFile, read_form
from tests.proxy.wire.chat_samples import CAPTURES

A, B, C = (FormFile(name.encode()) for name in "abc")


def captured(name: str) -> tuple[list, list]:
    """The fields and files of a captured form."""
    request = json.loads((CAPTURES / f"{name}.jsonl").read_text())
    head = f"Content-Type: {request['headers']['Content-Type']}\r\n\r\n"
    message = BytesParser().parsebytes(
        (head + request["body"]["__raw"]).encode("latin-1")
    )
    fields, files = [], []
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True).rstrip(b"\r\n")
        if part.get_filename():
            files.append((name, FormFile(content, part.get_content_type())))
        else:
            fields.append((name, content.decode()))
    return fields, files


def test_one_picture_as_openai_python_sends_it():
    request = read_form(*captured("o_img_edit1"))
    assert request == {
        "prompt": "p",
        "model": "m",
        "size": "auto",
        "image": [FormFile(b"\x89PNG", "image/png")],
    }


def test_several_pictures_and_a_mask_as_openai_python_sends_them():
    request = read_form(*captured("o_img_edit2"))
    picture = FormFile(b"\x89PNG", "image/png")
    assert request == {
        "prompt": "p",
        "input_fidelity": "high",
        "model": "m",
        "n": 1,
        "image": [picture, picture],
        "mask": picture,
    }


@pytest.mark.parametrize(
    "names",
    [
        ("image", "image", "image"),
        ("image[]", "image[]", "image[]"),
        ("image[0]", "image[1]", "image[2]"),
        ("images[]", "images[]", "images[]"),
    ],
)
def test_pictures_keep_their_order(names):
    request = read_form([], list(zip(names, (A, B, C), strict=True)))
    assert request["image"] == [A, B, C]


def test_numbers_decide_the_order():
    request = read_form([], [("image[2]", C), ("image[0]", A), ("image[1]", B)])
    assert request["image"] == [A, B, C]


def test_a_picture_may_be_a_text_field():
    request = read_form([("image", "data:image/png;base64,AA=="), ("image", "")], [])
    assert request["image"] == ["data:image/png;base64,AA=="]


def test_numbers_and_flags_are_read():
    fields = [
        ("n", "2"),
        ("stream", "True"),
        ("output_compression", " 80 "),
        ("partial_images", "0"),
        ("user", "5"),
        ("size", ""),
    ]
    assert read_form(fields, []) == {
        "n": 2,
        "stream": True,
        "output_compression": 80,
        "partial_images": 0,
        "user": "5",
    }


def test_of_a_repeated_field_the_last_counts():
    assert read_form([("n", "2"), ("n", "3")], []) == {"n": 3}


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", "two"), ("n", "1.5"), ("n", "9" * 30), ("stream", "maybe")],
)
def test_a_value_that_is_none_is_refused_by_its_name(field, value):
    with pytest.raises(BadRequest) as caught:
        read_form([(field, value)], [])
    assert caught.value.param == field


@pytest.mark.parametrize("name", ["file", "image[x]", "masks", "image[0][1]"])
def test_a_file_in_another_place_is_refused_by_its_name(name):
    with pytest.raises(BadRequest) as caught:
        read_form([], [(name, A)])
    assert caught.value.param == name


def test_a_file_shows_none_of_itself_in_logs():
    assert "secret" not in repr(FormFile(b"secret", "image/png"))
