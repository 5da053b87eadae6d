"""Image requests as they come in, until they can be sent on."""

import base64
from typing import Any

import orjson
import pytest
from django.core.handlers.asgi import ASGIRequest
from PIL import Image

from imaging.decoding import opened
from proxy.catalog import Catalog
from proxy.errors import BadRequest, ModelNotFound
from proxy.models import Route
from proxy.runtime import runtime
from proxy.surfaces import openai_chat
from proxy.surfaces.image_requests import Commission, read_commission
from proxy.wire.openai_images import (
    parse_edit,
    parse_generation,
    parse_simple,
    parse_variation,
)
from tests.imaging import samples
from tests.lib.test_multipart import TYPE, form
from tests.proxy.wire.chat_samples import b64, data_url

#: The threads that work on pictures look after database connections of theirs.
pytestmark = pytest.mark.django_db
BOX = (4, 4, 20, 20)
FLASH = "gemini-2.5-flash-image"


class Kitchen:
    """A gateway that knows its models and nothing else."""

    def __init__(self) -> None:
        self.catalog = Catalog()


@pytest.fixture(autouse=True)
def catalog(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    Route.objects.all().delete()
    for name, category in ((FLASH, "image"), ("wordy", "text")):
        row = Route.objects.create(name=name, category=category)
        row.targets.create(upstream_model=name)
    kitchen = Kitchen()
    kitchen.catalog.load()
    monkeypatch.setitem(runtime.__dict__, "gateway", kitchen)
    return kitchen.catalog


def request(content: bytes, content_type: str = "application/json") -> ASGIRequest:
    made = ASGIRequest(
        {
            "type": "http",
            "method": "POST",
            "path": "/v1/images/edits",
            "query_string": b"",
            "headers": [(b"content-type", content_type.encode())],
        },
        None,
    )
    made.content = content
    made.hold = lambda _size: None
    return made


async def read(body: Any, parse: Any = parse_edit) -> Commission:
    return await read_commission(request(orjson.dumps(body)), parse)


async def read_form(*parts: tuple[str, bytes, bool], parse: Any = parse_edit) -> Any:
    """Read a form of (name, content, whether it has a file name)."""
    shown = []
    for name, content, named in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        shown.append(((head + '; filename="a"' * named).encode(), content))
    return await read_commission(request(form(*shown), TYPE), parse)


def parts_of(commission: Commission) -> list[dict[str, Any]]:
    return list(commission.body["contents"][0]["parts"])


def content_of(part: dict[str, Any]) -> bytes:
    return base64.b64decode(part["inlineData"]["data"])


async def test_a_prompt_alone_is_enough() -> None:
    read_one = await read({"prompt": "将背景改为蓝色天空"}, parse_generation)
    assert read_one.request.model == FLASH
    assert parts_of(read_one) == [{"text": "将背景改为蓝色天空"}]
    assert not read_one.finishing


@pytest.mark.parametrize("encode", [b64, data_url], ids=["base64", "data URL"])
async def test_pictures_come_as_json(encode: Any) -> None:
    data = samples.file()
    found = await read({"prompt": "p", "image": [encode(data), encode(data)]})
    first, second, words = parts_of(found)
    assert content_of(first) == content_of(second) == data
    assert words == {"text": "p"}
    assert found.request.shape == "extended"


@pytest.mark.parametrize("named", [True, False], ids=["named", "without a name"])
@pytest.mark.parametrize("names", [("image", "image"), ("image[]", "image[]")])
async def test_pictures_come_in_a_form(names: tuple[str, str], named: bool) -> None:
    files = [samples.file(), samples.file(form="jpeg")]
    found = await read_form(
        (names[0], files[0], named),
        ("prompt", "把猫咪变成卡通".encode(), False),
        (names[1], files[1], named),
    )
    first, second, words = parts_of(found)
    assert [content_of(first), content_of(second)] == files
    assert second["inlineData"]["mimeType"] == "image/jpeg"
    assert words == {"text": "把猫咪变成卡通"}
    assert found.request.shape == "openai"


async def test_a_large_form_is_read_whole() -> None:
    image = samples.drawing(400, 300)
    data = samples.file(image, "png", compress_level=0)
    assert len(data) > 300_000
    found = await read_form(("image", data, True), ("prompt", b"p", False))
    assert content_of(parts_of(found)[0]) == data


async def test_an_empty_file_field_counts_as_none() -> None:
    made = request(
        form(
            (b'Content-Disposition: form-data; name="prompt"', b"p"),
            (b'Content-Disposition: form-data; name="image"; filename=""', b""),
        ),
        TYPE,
    )
    with pytest.raises(BadRequest, match="image is required"):
        await read_commission(made, parse_edit)


@pytest.mark.parametrize("source", ["gif", "avif"])
async def test_what_models_do_not_see_becomes_png(source: str) -> None:
    found = await read({"prompt": "p", "image": b64(samples.file(form=source))})
    (part, _) = parts_of(found)
    assert part["inlineData"]["mimeType"] == "image/png"
    assert opened(content_of(part)).format == "png"


async def test_what_follows_a_picture_stays_here() -> None:
    data = samples.file()
    found = await read({"prompt": "p", "image": b64(data + b"PK\3\4" + b"x" * 99)})
    assert content_of(parts_of(found)[0]) == data


async def test_a_wrong_declared_type_is_put_right() -> None:
    data = samples.file(form="webp")
    found = await read({"prompt": "p", "image": data_url(data, "image/png")})
    assert parts_of(found)[0]["inlineData"]["mimeType"] == "image/webp"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (samples.png_header(60_000, 60_000), "60000 x 60000"),
        (samples.png_header(12_000, 12_000), "at most"),
        (samples.file()[:-20], "ends too early"),
        (b"GIF89a/*<script>alert(1)</script>*/" + bytes(99), "broken"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ""),
        (b"<html><body>hello</body></html>", ""),
        (b"%PDF-1.7", ""),
        (b"MZ\x90\x00", ""),
    ],
    ids=["huge", "large", "cut", "polyglot", "svg", "html", "pdf", "exe"],
)
@pytest.mark.parametrize("as_form", [True, False], ids=["form", "json"])
async def test_what_is_no_picture_is_refused_by_its_name(
    content: bytes, words: str, as_form: bool
) -> None:
    sent = (
        read_form(("image", content, True), ("prompt", b"p", False))
        if as_form
        else read({"prompt": "p", "image": b64(content)})
    )
    with pytest.raises(BadRequest) as caught:
        await sent
    assert (caught.value.status, caught.value.param) == (400, "image")
    assert words in caught.value.message


async def test_the_picture_at_fault_is_counted() -> None:
    good, bad = b64(samples.file()), b64(samples.file()[:-20])
    with pytest.raises(BadRequest) as caught:
        await read({"prompt": "p", "image": [good, bad]})
    assert caught.value.param == "image[1]"


async def test_a_picture_has_at_most_so_many_bytes(settings: Any) -> None:
    settings.MAX_MEDIA_BYTES = 50
    with pytest.raises(BadRequest, match="at most 50 bytes"):
        await read({"prompt": "p", "image": b64(samples.file())})


@pytest.mark.parametrize(
    "url",
    [
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "gs://bucket/cat.png",
        "https://youtu.be/abc",
    ],
)
async def test_pictures_that_cannot_be_looked_at_are_refused(url: str) -> None:
    with pytest.raises(BadRequest, match="uploaded elsewhere") as caught:
        await read({"prompt": "p", "image": url})
    assert caught.value.param == "image"


async def test_a_linked_picture_is_fetched_and_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fetched(_url: str, **_: Any) -> tuple[str, bytes]:
        return "image/png", samples.file(form="jpeg")

    monkeypatch.setattr(openai_chat, "fetch_media", fetched)
    found = await read({"prompt": "p", "image": "https://pictures.test/a.png"})
    assert parts_of(found)[0]["inlineData"]["mimeType"] == "image/jpeg"


async def test_only_so_many_links_are_followed() -> None:
    urls = [f"https://pictures.test/{number}.png" for number in range(9)]
    with pytest.raises(BadRequest, match="at most 8") as caught:
        await read({"prompt": "p", "image": urls})
    assert caught.value.param == "image[8]"


async def test_a_text_model_names_those_that_draw() -> None:
    with pytest.raises(BadRequest) as caught:
        await read({"prompt": "p", "model": "wordy"}, parse_generation)
    assert caught.value.param == "model"
    assert caught.value.message.endswith(f"Models that do: {FLASH}.")
    with pytest.raises(ModelNotFound):
        await read({"prompt": "p", "model": "nobody"}, parse_generation)


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        (b"{", "application/json", "invalid_json"),
        (b"", "application/json", "invalid_json"),
        (b"prompt=p", "application/x-www-form-urlencoded", "invalid_json"),
        (b"--line\r\n", TYPE, "invalid_form"),
        (b"", "multipart/form-data", "invalid_form"),
        (b"[]", "application/json", "invalid_argument"),
    ],
)
async def test_a_broken_body_is_refused(
    content: bytes, content_type: str, code: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        await read_commission(request(content, content_type), parse_generation)
    assert caught.value.code == code


async def test_a_field_that_is_no_text_is_refused_by_its_name() -> None:
    with pytest.raises(BadRequest) as caught:
        await read_form(("prompt", b"\xff\xfe", False))
    assert caught.value.param == "prompt"


def masked(width: int = 40, height: int = 30, **more: Any) -> dict[str, Any]:
    return {
        "prompt": "a sun",
        "image": b64(samples.file(samples.drawing(40, 30))),
        "mask": b64(samples.masked(width, height, BOX).data),
        **more,
    }


async def test_a_mask_becomes_a_guide_and_a_finishing() -> None:
    found = await read(masked())
    _, guide, words = parts_of(found)
    seen = opened(content_of(guide)).image
    assert (seen.getpixel((10, 10)), seen.getpixel((30, 25))) == (255, 0)
    assert words["text"].startswith("a sun")
    assert "mask" in words["text"]
    made = found.finishing(samples.picture(Image.new("RGB", (64, 48), (9, 9, 9))))
    assert (made.width, made.height) == (40, 30)
    assert not found.transparent


@pytest.mark.parametrize(
    "body",
    [masked(20, 20), masked(mask=b64(samples.file())), masked(mask=b64(b"no"))],
    ids=["another size", "nowhere transparent", "no picture"],
)
async def test_a_mask_that_cannot_be_honoured_is_refused(body: dict) -> None:
    with pytest.raises(BadRequest) as caught:
        await read(body)
    assert caught.value.param == "mask"


@pytest.mark.parametrize(
    ("size", "dropped"),
    [
        ("auto", False),
        ("40x30", False),
        ("4:3", False),
        ("16:9", True),
        ("1024x1024", True),
    ],
)
async def test_a_masked_edit_keeps_the_shape_of_its_picture(
    size: str, dropped: bool
) -> None:
    found = await read(masked(size=size))
    config = found.body["generationConfig"].get("imageConfig", {})
    assert "aspectRatio" not in config
    assert ("size" in found.request.dropped) is dropped


async def test_a_picture_that_shows_through_stays_so() -> None:
    clear = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    found = await read(masked(image=b64(samples.file(clear))))
    assert found.transparent


@pytest.mark.parametrize("parse", [parse_variation, parse_simple, parse_generation])
async def test_every_path_takes_a_picture(parse: Any) -> None:
    body: dict[str, Any] = {"image": b64(samples.file())}
    if parse is not parse_variation:
        body["prompt"] = "p"
    found = await read(body, parse)
    assert "inlineData" in parts_of(found)[0]
    assert found.request.needs >= {"images_in", "images_out"}
