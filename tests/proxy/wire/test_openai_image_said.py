"""What an image answer says besides its pictures."""

import base64

import orjson
import pytest

from proxy.wire.answer_media import KEPT
from proxy.wire.gemini_answer import Usage
from proxy.wire.openai_image_answer import ImageStream, drawn, render_images
from tests.proxy.wire.answer_samples import chunk, image
from tests.proxy.wire.image_samples import PRO, delivered, generation

REASONS = ["rate_limit_exceeded: later"]


def last_event(stream: bytes) -> dict:
    return orjson.loads(stream.strip().rpartition(b"data: ")[2])


def test_what_the_library_knows_comes_with_a_picture():
    part = image("QQ==", "image/png")
    (plain,) = drawn(chunk(part, finish="STOP"), PRO)
    assert plain.kept == {}
    told = {"name": "n", "link": "/images/n.png"}
    (kept,) = drawn(chunk({**part, KEPT: told}, finish="STOP"), PRO)
    assert kept.kept == told
    assert "/images" not in repr(kept)


def test_what_is_base64_already_is_not_made_so_again():
    picture = delivered(b"", encoded="QUJD")
    answer = render_images([picture], generation(), created=5)
    assert answer["data"] == [{"b64_json": "QUJD"}]
    assert delivered(b"ABC").base64 == picture.base64
    assert "QUJD" not in repr(picture)


def test_a_size_that_nobody_knows_is_not_told():
    unknown = delivered(b"", width=0, height=0, url="https://x.ai/1.jpg")
    answer = render_images([unknown], generation(response_format="url"), created=5)
    assert "size" not in answer
    assert answer["data"] == [{"url": "https://x.ai/1.jpg"}]


def test_links_that_hold_the_picture_are_counted():
    inlined = delivered(b"", url="data:image/png;base64,QUJD")
    linked = delivered(b"", url="https://gate.test/n.png")
    request = generation(response_format="url", n=2)
    answer = render_images([inlined, linked], request, created=5)
    assert answer["gemproxy"] == {"data_urls": 1}
    assert answer["data"][0] == {"url": "data:image/png;base64,QUJD"}
    assert "gemproxy" not in render_images([linked], request, created=5)


def test_a_stream_says_in_the_end_what_is_missing_and_guessed():
    request = generation(n=3, stream=True, quality="high")
    stream = ImageStream(request, 5).finish(
        [delivered(), delivered()], Usage(total=5), missing=REASONS, estimated=True
    )
    assert stream.count(b"event: image_generation.completed") == 2
    assert last_event(stream)["gemproxy"] == {
        "dropped": ["quality"],
        "usage": "estimated",
        "missing": {"asked": 3, "made": 2, "reasons": REASONS},
    }
    assert stream.count(b"gemproxy") == 1


@pytest.mark.parametrize("missing", [[], REASONS])
def test_only_what_is_missing_is_said_to_be(missing):
    request = generation(n=2)
    answer = render_images([delivered()], request, created=5, missing=missing)
    assert ("gemproxy" in answer) is bool(missing)
    assert base64.b64decode(answer["data"][0]["b64_json"]) == b"png"
