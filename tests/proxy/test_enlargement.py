"""Sizes and shapes of pictures on their way through the gateway."""

import base64
from decimal import Decimal
from typing import Any

import pytest

from gemproxy.lib import db
from imaging import metadata
from imaging.decoding import opened
from imaging.models import Image
from proxy.errors import BadRequest
from proxy.models import Route, Target
from proxy.sandbox.pictures import draw
from tests.proxy.house import House, call, text

pytestmark = pytest.mark.django_db(transaction=True)
MODEL = "gemini-3-pro-image-preview"


@pytest.fixture
def house(tmp_path: Any, settings: Any, request: Any) -> Any:
    settings.IMAGE_STORAGE_DIR = str(tmp_path / "images")
    found = House(tmp_path)
    fields = {"upstream_model": MODEL, **getattr(request, "param", {})}
    Target.objects.update(**fields)
    Route.objects.update(category="image", remove_mark=False)
    found.upstream.capabilities |= {"images_out", "images_in", "system"}
    found.gateway.catalog.load()
    yield found
    found.stop()


def sized(**fields: Any) -> Any:
    return pytest.mark.parametrize("house", [fields], indirect=True)


def drawn(size: str = "512") -> dict[str, Any]:
    data = base64.b64encode(draw("a fox", "1:1", size)).decode()
    part = {"inlineData": {"mimeType": "image/png", "data": data}}
    return {
        "candidates": [
            {"content": {"parts": [part]}, "finishReason": "STOP", "index": 0}
        ]
    }


def asked(**image: Any) -> dict[str, Any]:
    turn = {"role": "user", "parts": [{"text": "a fox"}]}
    config = {"generationConfig": {"imageConfig": image}} if image else {}
    return {"contents": [turn], **config}


def picture_of(event: Any) -> Any:
    (part,) = event.data["candidates"][0]["content"]["parts"]
    return opened(base64.b64decode(part["inlineData"]["data"]))


@sized(image_size="2K")
async def test_the_targets_size_goes_upstream(house: House) -> None:
    await house.gateway.answer(call(body=asked(aspectRatio="16:9")))
    body = house.upstream.orders[0].body
    assert body["generationConfig"]["imageConfig"] == {
        "aspectRatio": "16:9",
        "imageSize": "2K",
    }


@sized(image_size="2K")
async def test_only_generation_has_a_size(house: House) -> None:
    house.upstream.capabilities |= {"count_tokens"}
    await house.gateway.answer(call(body=asked(), method="countTokens"))
    assert "generationConfig" not in house.upstream.orders[0].body


async def test_a_shape_that_is_not_drawn_asks_nobody(house: House) -> None:
    with pytest.raises(BadRequest, match="21:9"):
        await house.gateway.answer(call(body=asked(aspectRatio="1:8")))
    assert not house.upstream.orders
    row = await house.row()
    assert (row.status, row.blame) == (400, "caller")


@sized(image_size="1K", upscale=True)
async def test_a_target_may_enlarge_what_came_small(house: House) -> None:
    house.script(drawn("512"))
    picture = picture_of(await house.gateway.answer(call(body=asked())))
    assert picture.shown_size == (1024, 1024)
    assert metadata.provenance(picture.data)["upscaled_from"] == "512x512"


@sized(upscale=True)
async def test_it_goes_by_the_size_that_the_caller_asked_for(house: House) -> None:
    house.script(drawn("512"))
    event = await house.gateway.answer(call(body=asked(imageSize="1K")))
    assert picture_of(event).shown_size == (1024, 1024)


@sized(image_size="1K")
async def test_nothing_is_enlarged_unasked(house: House) -> None:
    house.script(drawn("512"))
    picture = picture_of(await house.gateway.answer(call(body=asked())))
    assert picture.shown_size == (512, 512)
    assert "upscaled_from" not in metadata.provenance(picture.data)


@sized(upstream_model="imagen-4.0-generate-001")
@pytest.mark.parametrize("need", ["images_in", "system"])
async def test_what_imagen_cannot_take_is_refused_by_name(
    house: House, need: str
) -> None:
    with pytest.raises(BadRequest, match=need):
        await house.gateway.answer(call(body=asked(), needs=frozenset({need})))


def _add_target(house: House) -> None:
    Route.objects.get().targets.create(upstream_model=MODEL, position=5)
    house.gateway.catalog.load()


@sized(upstream_model="imagen-4.0-generate-001")
async def test_another_target_takes_what_imagen_cannot(house: House) -> None:
    await db.run(_add_target, house)
    house.script(text("fine"), text("fine"))
    await house.gateway.answer(call(body=asked(), needs=frozenset({"images_in"})))
    await house.gateway.answer(call(body=asked()))
    models = [order.model for order in house.upstream.orders]
    assert models == [MODEL, "imagen-4.0-generate-001"]


async def costs() -> list[Decimal | None]:
    return await db.run(lambda: list(Image.objects.values_list("cost", flat=True)))


@sized(image_size="2K", image_price="0.134")
@pytest.mark.parametrize("image", [{}, {"imageSize": "2K"}, {"aspectRatio": "16:9"}])
async def test_each_picture_costs_what_its_target_says(
    house: House, image: dict[str, Any]
) -> None:
    one, other = drawn("512"), drawn("1K")
    one["candidates"] += [other["candidates"][0] | {"index": 1}]
    house.script(one)
    await house.gateway.answer(call(body=asked(**image)))
    assert await costs() == [Decimal("0.134")] * 2


@sized(image_size="2K", image_price="0.134")
@pytest.mark.parametrize("field", ["imageSize", "image_size"])
async def test_what_a_picture_of_another_size_costs_is_not_known(
    house: House, field: str
) -> None:
    house.script(drawn("512"))
    await house.gateway.answer(call(body=asked(**{field: "4K"})))
    assert await costs() == [None]


@sized(image_size="2K")
async def test_a_picture_of_a_target_without_a_price_has_no_cost(house: House) -> None:
    house.script(drawn("512"))
    await house.gateway.answer(call(body=asked()))
    assert await costs() == [None]
