"""Pictures of answers: cleaned, finished, stored, and never lost."""

import base64
import io
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from django.db import OperationalError
from PIL import Image as Drawing

from accounts.callers import Caller
from gemproxy.lib import db
from imaging import library, threads
from imaging.blobs import NotKept
from imaging.bounds import PictureRefused
from imaging.decoding import Picture
from imaging.metadata import provenance
from imaging.models import Image
from imaging.storages.base import StorageTrouble
from imaging.transforms import transcoded
from proxy import pictures
from proxy.calls import Event
from proxy.models import Route
from proxy.wire.answer_media import KEPT
from tests.imaging.conftest import own_storages  # noqa: F401  (for each test here)
from tests.imaging.pictures import fresh
from tests.imaging.watermark.pictures import marked
from tests.proxy.house import House, call, text

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def _png(image: Drawing.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


PLAIN = Drawing.new("RGB", (512, 512), (40, 60, 90))
WITH_MARK = _png(marked(PLAIN, "v1-48"))


def inline(data: bytes, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"inlineData": {"mimeType": "image/png", "data": encoded}, **more}


def answer(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"content": content, "finishReason": "STOP", **more}]}


def asked(words: str = "a red cat", *parts: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [*parts, {"text": words}]}]}


async def event_of(house: House, stream: bool = False, **fields: Any) -> Event:
    """Return the only chunk of an answer, streamed or whole."""
    one = call(stream, **{"body": asked(), **fields})
    if not stream:
        return await house.gateway.answer(one)
    found = [event async for batch in house.gateway.stream(one) for event in batch]
    (event,) = found
    return event


def parts_in(data: Any) -> list[dict[str, Any]]:
    return data["candidates"][0]["content"]["parts"]


def shown(event: Event, place: int = 0) -> bytes:
    """Return a picture as the native dialect sends it."""
    part = parts_in(orjson.loads(event.raw))[place]
    return base64.b64decode(part["inlineData"]["data"])


async def rows() -> list[Image]:
    found = Image.objects.select_related("blob", "parent").order_by("id")
    return await db.run(lambda: list(found))


async def row() -> Image:
    (found,) = await rows()
    return found


def mark_of(data: bytes) -> float:
    """Return how far the corner is from the picture without a mark, in levels."""
    with Drawing.open(io.BytesIO(data)) as image:
        corner = np.asarray(image.convert("RGB")).astype(float)[-80:-32, -80:-32]
    return float(abs(corner - np.asarray(PLAIN).astype(float)[-80:-32, -80:-32]).max())


@both
async def test_the_mark_goes_and_the_library_keeps_the_picture(
    house: House, stream: bool
) -> None:
    house.script(answer({"text": "Here."}, inline(WITH_MARK)))
    event = await event_of(house, stream)
    assert mark_of(WITH_MARK) > 50 > 3 > mark_of(shown(event, 1))
    image = await row()
    assert image.mark == Image.Mark.REMOVED
    assert (image.prompt, image.model, image.caller) == ("a red cat", "m-1", "t3")
    assert (image.user_id, image.token_id) == (7, 3)
    used = (await house.row()).request_id, (await house.row()).account_id
    assert (image.request_id, image.account_id) == used
    assert (image.blob.width, image.blob.height) == (512, 512)
    assert await threads.run(library.content, image) == shown(event, 1)


@both
async def test_only_our_own_renderers_are_told_what_the_library_knows(
    house: House, stream: bool
) -> None:
    house.script(answer({"text": "Here."}, inline(WITH_MARK), avgLogprobs=-0.5))
    event = await event_of(house, stream)
    image, native = await row(), orjson.loads(event.raw)
    kept = parts_in(event.data)[1].pop(KEPT)
    assert (kept["name"], kept["width"], kept["height"]) == (image.name, 512, 512)
    assert kept["link"].startswith(f"/images/{image.name}.png?")
    assert kept["size"] == len(shown(event, 1))
    # Nothing else was added, changed or left out.
    assert event.data == native
    sent = answer({"text": "Here."}, inline(shown(event, 1)), avgLogprobs=-0.5)
    assert native == sent


@both
async def test_the_row_counts_the_pictures(house: House, stream: bool) -> None:
    house.script(answer(inline(fresh()), inline(fresh())))
    await event_of(house, stream)
    assert (await house.row()).images == 2


async def test_a_developed_picture_says_who_made_it(house: House) -> None:
    house.script(answer(inline(fresh())))
    said = provenance(shown(await event_of(house)))
    assert "trainedAlgorithmicMedia" in str(said)
    assert "m-1" in str(said)


async def test_each_of_several_pictures_keeps_its_place(house: House) -> None:
    data = [fresh() for _ in range(3)]
    pieces = [{"text": "one"}, inline(data[0]), {"text": "two"}, inline(data[1])]
    sent = answer(*pieces)
    sent["candidates"].append(answer(inline(data[2]))["candidates"][0] | {"index": 1})
    house.script(sent)
    event = await event_of(house)
    told = [part for c in event.data["candidates"] for part in c["content"]["parts"]]
    assert [part.get("text") for part in told] == ["one", None, "two", None, None]
    names = {part[KEPT]["name"] for part in told if KEPT in part}
    assert len(names) == 3
    pixels = [Drawing.open(io.BytesIO(each)).tobytes() for each in data]
    came = [
        Drawing.open(io.BytesIO(base64.b64decode(part["inlineData"]["data"]))).tobytes()
        for part in told
        if KEPT in part
    ]
    assert came == pixels


@pytest.mark.parametrize(
    ("token", "route", "setting", "goes"),
    [
        (None, None, True, True),
        (None, None, False, False),
        (None, True, False, True),
        (None, False, True, False),
        (True, False, False, True),
        (False, True, True, False),
    ],
)
async def test_the_token_comes_before_the_route_before_the_setting(
    house: House,
    settings: Any,
    token: bool | None,
    route: bool | None,
    setting: bool,
    goes: bool,
) -> None:
    settings.ENABLE_WATERMARK_REMOVAL = setting
    await db.run(lambda: Route.objects.update(remove_mark=route))
    await db.run(house.gateway.catalog.load)
    house.script(answer(inline(WITH_MARK)))
    caller = Caller(user_id=7, username="ann", token_id=3, remove_mark=token)
    event = await event_of(house, caller=caller)
    assert (mark_of(shown(event)) < 3) is goes
    # What keeps its mark keeps all its bytes.
    assert (shown(event) == WITH_MARK) is not goes


def camel(data: bytes) -> dict[str, Any]:
    return inline(data)


def snake(data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"inline_data": {"mime_type": "image/png", "data": encoded}}


@pytest.mark.parametrize("written", [camel, snake])
async def test_an_edited_picture_knows_what_it_was_made_from(
    house: House, written: Callable[[bytes], dict[str, Any]]
) -> None:
    house.script(answer(inline(fresh())), answer(inline(fresh())))
    first = shown(await event_of(house))
    await event_of(house, body=asked("make it blue", written(first)))
    one, other = await rows()
    assert (other.parent, other.prompt) == (one, "make it blue")


async def test_somebody_elses_picture_is_no_parent(house: House) -> None:
    house.script(answer(inline(fresh())), answer(inline(fresh())))
    other = Caller(user_id=8, username="bob", token_id=4)
    first = shown(await event_of(house, caller=other))
    await event_of(house, body=asked("make it blue", inline(first)))
    assert [image.parent for image in await rows()] == [None, None]


@both
@pytest.mark.parametrize(
    "part",
    [
        {"text": 'the word "inlineData"'},
        inline(WITH_MARK, thought=True),
        {"fileData": {"mimeType": "image/png", "fileUri": "https://imgen.x.ai/1.png"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "image/png", "data": ""}},
        {"functionCall": {"name": "draw", "args": {"inlineData": "x"}}},
    ],
    ids=["text", "thought", "hosted", "sound", "nothing", "call"],
)
async def test_all_else_stays_as_it_is(
    house: House, stream: bool, part: dict[str, Any]
) -> None:
    sent = answer({"text": "x"}, part)
    house.script(sent)
    event = await event_of(house, stream)
    assert event.raw == orjson.dumps(sent)
    assert event.data == sent
    assert await rows() == []


async def test_an_answer_without_pictures_is_not_even_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_drawn", None)
    house.script(text("no picture"))
    assert (await event_of(house)).raw == orjson.dumps(text("no picture"))


@pytest.mark.parametrize("sent", [b"<svg/>", b"GIF89a", WITH_MARK[:900]])
async def test_what_cannot_be_decoded_goes_on_as_it_came(
    house: House, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    house.script(answer(inline(sent)))
    event = await event_of(house)
    assert shown(event) == sent
    assert KEPT not in parts_in(event.data)[0]
    assert "was not kept: PictureRefused: " in caplog.text


@pytest.mark.parametrize("data", ["%%%%", "ümlaut", "AAAAA"])
async def test_broken_base64_ends_no_request(house: House, data: str) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": data}}
    house.script(answer(part))
    event = await event_of(house)
    assert parts_in(orjson.loads(event.raw)) == [part]


TROUBLES = [
    PictureRefused("it is odd", "odd"),
    NotKept("the disk is full"),
    StorageTrouble("s3", "writing", "it is away"),
    OperationalError("a red cat"),
    OSError("no space"),
    MemoryError(),
    ZeroDivisionError("a red cat"),
]


@both
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: type(t).__name__)
async def test_trouble_in_the_library_costs_neither_picture_nor_answer(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stream: bool,
    trouble: Exception,
) -> None:
    def develop(*_: Any) -> None:
        raise trouble

    monkeypatch.setattr(library, "develop", develop)
    house.script(answer(inline(WITH_MARK)))
    event = await event_of(house, stream)
    assert mark_of(shown(event)) < 3
    assert KEPT not in parts_in(event.data)[0]
    used = await house.row()
    assert (used.outcome, used.images) == ("ok", 1)
    assert used.attempts[-1][pictures.UNKEPT] == 1
    (said,) = [r for r in caplog.records if r.name == "proxy.pictures"]
    assert said.levelno == logging.WARNING
    assert used.request_id in said.getMessage()
    # Prompts stay out of logs, also by way of a database's words.
    assert "a red cat" not in caplog.text


async def test_a_kept_picture_leaves_no_note(house: House) -> None:
    house.script(answer(inline(fresh())))
    await event_of(house)
    assert pictures.UNKEPT not in (await house.row()).attempts[-1]


async def test_a_request_may_ask_for_another_format(house: House) -> None:
    def finish(picture: Picture) -> Picture:
        return transcoded(picture, "webp")

    house.script(answer(inline(WITH_MARK)))
    event = await event_of(house, finish=finish)
    part = parts_in(event.data)[0]
    assert part["inlineData"]["mimeType"] == "image/webp"
    assert shown(event)[8:12] == b"WEBP"
    assert (await row()).blob.media_type == "image/webp"


async def test_a_picture_that_cannot_be_finished_is_clean_and_not_kept(
    house: House,
) -> None:
    def finish(picture: Picture) -> Picture:
        raise PictureRefused("it is too large", "size")

    house.script(answer(inline(WITH_MARK)))
    event = await event_of(house, finish=finish)
    assert mark_of(shown(event)) < 3
    # Whoever asked for the format sees by this that the picture does not have it.
    assert KEPT not in parts_in(event.data)[0]
    assert await rows() == []


async def test_the_event_loop_neither_decodes_nor_hashes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def spied(real: Callable[..., Any]) -> Callable[..., Any]:
        def spy(*args: Any) -> Any:
            found.append(threading.current_thread().name)
            return real(*args)

        return spy

    for name in ("picture_bytes", "_origin", "_made"):
        monkeypatch.setattr(pictures, name, spied(getattr(pictures, name)))
    house.script(answer(inline(fresh())))
    await event_of(house, body=asked("again", inline(fresh())))
    # The request's two parts, the answer's one, and the work on each of both.
    assert len(found) == 5
    assert all(name.startswith("pictures") for name in found)


@both
async def test_a_storage_that_is_away_delays_only_the_upload(
    house: House, settings: Any, stream: bool
) -> None:
    settings.IMAGE_STORAGE_DIR.parent.mkdir(exist_ok=True)
    settings.IMAGE_STORAGE_DIR.write_text("a file, not a folder")
    house.script(answer(inline(fresh())))
    event = await event_of(house, stream)
    image = await row()
    assert parts_in(event.data)[0][KEPT]["name"] == image.name
    assert image.blob.state == "pending"
    assert await threads.run(library.content, image) == shown(event)


async def test_a_prefix_of_the_model_is_not_noted(house: House) -> None:
    house.script(answer(inline(fresh())))
    await event_of(house, model="models/m-1")
    assert (await row()).model == "m-1"


async def test_the_prompt_is_that_of_the_last_turn(house: House) -> None:
    turns = [
        {"role": "user", "parts": [{"text": "a dog"}]},
        {"role": "model", "parts": [{"text": "Here."}]},
        {"role": "user", "parts": [{"text": "now"}, {"text": "a cat"}]},
    ]
    house.script(answer(inline(fresh())))
    await event_of(house, body={"contents": turns})
    assert (await row()).prompt == "now\na cat"


async def test_a_person_without_a_token_owns_pictures_too(house: House) -> None:
    house.script(answer(inline(fresh())))
    one = replace(call(), caller=Caller(user_id=7, username="ann"), body=asked())
    await house.gateway.answer(one)
    image = await row()
    assert (image.caller, image.user_id, image.token_id) == ("u7", 7, None)
