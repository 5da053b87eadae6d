"""Sizes and shapes of pictures that web accounts draw: wishes, and what came of them."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from proxy.wire.remarks import KEY
from tests.proxy.upstreams.web_accounts import order, png, served


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Any:
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


async def drawn(site: Any, behaviour: str = "ok", **fields: Any) -> tuple[Any, Any]:
    web = site.adapter()
    try:
        asked = order("a red circle", model="gemini-pro-image", **fields)
        event = await web.answer(site.account(behaviour), asked)
    finally:
        await web.aclose()
    parts = event.data["candidates"][0]["content"]["parts"]
    (data,) = [p["inlineData"]["data"] for p in parts if "inlineData" in p]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), event.data


def wish(**image: str) -> dict[str, Any]:
    return {"generationConfig": {"imageConfig": image}}


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ({"aspectRatio": "16:9"}, (1376, 768)),
        ({"imageSize": "2K"}, (2048, 2048)),
        ({"imageSize": "2K", "aspectRatio": "9:16"}, (1536, 2752)),
        # What an account's plan does not allow is not made up for.
        ({"imageSize": "4K"}, (2048, 2048)),
        ({"imageSize": "1K"}, (1024, 1024)),
    ],
)
async def test_a_wish_is_followed_as_far_as_the_account_can(
    site: Any, image: dict[str, str], size: tuple[int, int]
) -> None:
    picture, data = await drawn(site, **wish(**image))
    assert picture.size == size
    assert "dropped" not in data[KEY]


async def test_a_reference_picture_is_edited_at_the_wished_size(site: Any) -> None:
    inline = {"inlineData": {"mimeType": "image/png", "data": png()}}
    picture, _ = await drawn(
        site, parts=[inline, {"text": "make it blue"}], **wish(imageSize="2K")
    )
    assert picture.size == (2048, 2048)


async def test_only_accounts_that_mark_their_pictures_do(site: Any) -> None:
    plain, _ = await drawn(site, "nomark")
    new, _ = await drawn(site)
    old, _ = await drawn(site, "oldmark")
    middle = {"new": (1024 - 96 - 24,) * 2, "old": (1024 - 32 - 24,) * 2}
    assert new.getpixel(middle["new"]) != plain.getpixel(middle["new"])
    assert new.getpixel(middle["old"]) == plain.getpixel(middle["old"])
    assert old.getpixel(middle["old"]) != plain.getpixel(middle["old"])
