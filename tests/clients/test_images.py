"""Pictures by the real openai SDK and by plain requests."""

import asyncio
import base64
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from PIL import Image as Pixels

from accounts.models import Token, User
from imaging.models import Image
from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Gateway, eventually
from tests.imaging import samples
from tests.proxy.wire.chat_samples import b64, data_url

FLASH = "gemini-2.5-flash-image"
BOX = (20, 10, 80, 50)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=gateway.token, base_url=f"{gateway.url}/v1", max_retries=0
    ) as made:
        yield made


def picture(encoded: str | None) -> Pixels.Image:
    assert encoded
    return Pixels.open(io.BytesIO(base64.b64decode(encoded)))


def sent(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the parts of the last request that the account got."""
    (asked,) = gateway.sandbox.requests(last=1)
    return list(asked["body"]["contents"][0]["parts"])


def photo(width: int = 96, height: int = 64) -> bytes:
    return samples.file(samples.drawing(width, height))


def test_a_picture_comes_as_bytes_with_its_true_size_and_cost(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    made = client.images.generate(model=FLASH, prompt="a red circle")
    assert picture(made.data[0].b64_json).size == (1024, 1024)
    assert (made.size, made.output_format, made.background) == (
        "1024x1024",
        "png",
        "opaque",
    )
    row = gateway.row()
    assert (row.surface, row.images, row.status) == ("openai.images", 1, 200)
    assert made.usage.total_tokens == row.total_tokens > 0
    assert made.usage.output_tokens_details.image_tokens > 0


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_the_format_is_really_the_one_asked_for(
    client: openai.OpenAI, form: Any
) -> None:
    made = client.images.generate(prompt="a cat", output_format=form)
    assert picture(made.data[0].b64_json).format == form.upper()
    assert made.output_format == form


def test_a_compression_makes_the_file_smaller(client: openai.OpenAI) -> None:
    sizes = [
        len(
            client.images.generate(
                prompt="a cat", output_format="jpeg", output_compression=level
            )
            .data[0]
            .b64_json
        )
        for level in (10, 100)
    ]
    assert sizes[0] < sizes[1]


def test_a_shape_is_drawn_and_the_true_size_told(client: openai.OpenAI) -> None:
    made = client.images.generate(prompt="a hill", size="1536x1024")
    width, height = picture(made.data[0].b64_json).size
    assert made.size == f"{width}x{height}"
    assert abs(width / height - 1.5) < 0.02


def test_knobs_without_effect_are_named(gateway: Gateway) -> None:
    body = {"prompt": "p", "quality": "high", "style": "vivid", "user": "u"}
    answer = gateway.post("/v1/images/generations", json=body)
    assert answer.headers["x-gemproxy-dropped"] == "quality, style"
    assert answer.json()["safety_identifier"] == "u"


def test_several_pictures_are_calls_of_their_own_and_cost_together(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    made = client.images.generate(prompt="a fox", n=4)
    assert len(made.data) == 4
    eventually(lambda: len(gateway.rows()) == 4, "four rows did not come")
    rows = gateway.rows()
    assert made.usage.total_tokens == sum(row.total_tokens for row in rows)


@pytest.mark.parametrize("accounts", [["ok"] * 3])
def test_many_callers_at_once_all_get_all_their_pictures(gateway: Gateway) -> None:
    async def ask() -> list[int]:
        async with openai.AsyncOpenAI(
            api_key=gateway.token, base_url=f"{gateway.url}/v1", max_retries=0
        ) as client:
            asked = (
                client.images.generate(model=FLASH, prompt=f"picture {i}", n=4)
                for i in range(20)
            )
            return [len(made.data) for made in await asyncio.gather(*asked)]

    assert Counter(asyncio.run(ask())) == {4: 20}
    eventually(lambda: len(gateway.rows()) == 80, "rows are missing")


def test_what_failed_is_said_and_what_came_is_delivered(gateway: Gateway) -> None:
    gateway.sandbox.behave(sandbox_key(), "safety", times=1)
    asked = {"prompt": "a fox", "n": 4}
    answer = gateway.post("/v1/images/generations", json=asked)
    body = answer.json()
    missing = body["gemproxy"]["missing"]
    assert (missing["asked"], missing["made"], len(body["data"])) == (4, 3, 3)
    assert missing["reasons"][0].startswith("moderation_blocked: ")
    assert answer.headers["x-gemproxy-missing"] == "1 of 4: moderation_blocked"


@pytest.mark.parametrize("accounts", [["safety"], ["blocked"]])
@pytest.mark.parametrize("count", [1, 2])
def test_a_refusal_is_openais_error(client: openai.OpenAI, count: int) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="a fox", n=count)
    assert (caught.value.status_code, caught.value.code) == (400, "moderation_blocked")


def test_a_link_leads_to_the_picture(gateway: Gateway) -> None:
    body = {"prompt": "a cat", "response_format": "url"}
    (row,) = gateway.post("/v1/images/generations", json=body).json()["data"]
    assert set(row) == {"url"}
    assert row["url"].startswith(gateway.url)
    loaded = httpx.get(row["url"])
    assert (loaded.status_code, loaded.headers["content-type"]) == (200, "image/png")
    assert Pixels.open(io.BytesIO(loaded.content)).size == (1024, 1024)
    stored = Image.objects.get()
    assert (stored.prompt, stored.model) == ("a cat", FLASH)


def test_an_edit_sends_all_its_pictures_in_order(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    files = [photo(), photo(64, 64)]
    made = client.images.edit(
        image=[("a.png", files[0]), ("b.png", files[1])],
        prompt="把它们放在一起",
        input_fidelity="high",
    )
    assert made.model_extra["gemproxy"]["dropped"] == ["input_fidelity"]
    first, second, words = sent(gateway)
    assert [base64.b64decode(p["inlineData"]["data"]) for p in (first, second)] == files
    assert words == {"text": "把它们放在一起"}


def test_a_masked_edit_leaves_the_rest_to_the_pixel(client: openai.OpenAI) -> None:
    original = photo()
    mask = samples.masked(96, 64, BOX).data
    made = client.images.edit(
        image=("a.png", original), mask=("mask.png", mask), prompt="a green square"
    )
    after = picture(made.data[0].b64_json).convert("RGB")
    before = Pixels.open(io.BytesIO(original)).convert("RGB")
    assert (after.size, made.size) == (before.size, "96x64")
    frames = [(0, 0, 96, BOX[1]), (0, BOX[1], BOX[0], 64), (BOX[2], 0, 96, 64)]
    for frame in frames:
        assert after.crop(frame).tobytes() == before.crop(frame).tobytes()
    assert after.crop(BOX).tobytes() != before.crop(BOX).tobytes()


def test_an_edit_of_our_own_picture_knows_its_parent(client: openai.OpenAI) -> None:
    first = client.images.generate(prompt="a cat").data[0].b64_json
    client.images.edit(image=("a.png", base64.b64decode(first)), prompt="blue")
    parent, child = Image.objects.order_by("id")
    assert child.parent_id == parent.pk


def test_a_variation_needs_no_words(client: openai.OpenAI, gateway: Gateway) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        made = client.images.create_variation(image=("a.png", photo()), model=FLASH)
    assert made.data[0].b64_json
    assert "variation" in sent(gateway)[1]["text"]


@pytest.mark.parametrize("edits", [False, True], ids=["generation", "edit"])
def test_a_stream_ends_with_a_completed_event_for_each_picture(
    client: openai.OpenAI, edits: bool
) -> None:
    if edits:
        events = list(
            client.images.edit(
                image=("a.png", photo()), prompt="p", stream=True, output_format="jpeg"
            )
        )
        assert [event.type for event in events] == ["image_edit.completed"]
        assert picture(events[0].b64_json).format == "JPEG"
    else:
        events = list(client.images.generate(prompt="p", stream=True, n=2))
        assert [e.type for e in events] == ["image_generation.completed"] * 2
    assert events[-1].usage.total_tokens > 0


def test_a_slow_stream_is_kept_alive(gateway: Gateway, settings: Any) -> None:
    settings.STREAM_COMMIT_MS, settings.KEEP_ALIVE_SECONDS = 50, 0.1
    gateway.sandbox.behave(sandbox_key(), "slow", seconds=1)
    body = {"prompt": "p", "stream": True}
    answer = gateway.post("/v1/images/generations", json=body)
    assert answer.status_code == 200
    assert answer.text.startswith(": ping\n\n")
    assert "event: image_generation.completed\n" in answer.text
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize("accounts", [["safety"]])
@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
def test_a_refused_stream_is_a_status_or_a_typed_event(
    gateway: Gateway, settings: Any, late: bool
) -> None:
    settings.STREAM_COMMIT_MS = 0 if late else 10_000
    body = {"prompt": "p", "stream": True}
    answer = gateway.post("/v1/images/generations", json=body)
    assert "moderation_blocked" in answer.text
    assert answer.status_code == (200 if late else 400)
    assert answer.text.startswith("event: error\n") is late


def test_a_form_as_browsers_make_it_is_read(gateway: Gateway) -> None:
    # Blobs without types, all fields as text, some of them empty.
    answer = gateway.post(
        "/v1/images/edits",
        files=[
            ("image", ("blob", photo(), "application/octet-stream")),
            ("image", ("blob", photo(), "application/octet-stream")),
        ],
        data={"model": FLASH, "prompt": "p", "n": "1", "size": "", "user": ""},
    )
    assert answer.status_code == 200
    assert len(sent(gateway)) == 3


@pytest.mark.parametrize("path", ["/v1/images/edit", "/v1/images/edits"])
def test_a_json_edit_answers_with_images_and_model(gateway: Gateway, path: str) -> None:
    body = {
        "prompt": "将背景改为蓝色天空",
        "image": data_url(photo()),
        "response_type": "url",
    }
    answer = gateway.post(path, json=body).json()
    assert set(answer) >= {"created", "data", "images", "model"}
    assert answer["model"] == FLASH
    assert answer["images"] == [answer["data"][0]["url"]]
    assert httpx.get(answer["images"][0]).status_code == 200
    assert sent(gateway)[1] == {"text": "将背景改为蓝色天空"}


def test_the_simple_path_answers_with_data_urls(gateway: Gateway) -> None:
    body = {"prompt": "a beautiful sunset over the ocean"}
    answer = gateway.post("/v1/generate-images", json=body).json()
    assert set(answer) == {"images", "model"}
    (url,) = answer["images"]
    assert picture(url.removeprefix("data:image/png;base64,")).size == (1024, 1024)
    assert gateway.row().surface == "simple.images"


def test_the_simple_path_counts_links_and_edits(gateway: Gateway) -> None:
    body = {
        "prompt": "a cute cat",
        "response_type": "url",
        "count": 2,
        "image": b64(photo()),
        "size": "16:9",
    }
    answer = gateway.post("/v1/generate-images", json=body).json()
    assert len(answer["images"]) == 2
    assert all(httpx.get(url).status_code == 200 for url in answer["images"])
    assert "inlineData" in sent(gateway)[0]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/images/generations", {"prompt": "p"}),
        ("/v1/images/edits", {"prompt": "p", "image": b64(photo())}),
        ("/v1/images/variations", {"image": b64(photo())}),
    ],
)
@pytest.mark.parametrize("asked", ["base64", "url"])
def test_response_type_works_on_every_path(
    gateway: Gateway, path: str, kind: dict[str, Any], asked: str
) -> None:
    body = {**kind, "response_type": asked}
    (image,) = gateway.post(path, json=body).json()["images"]
    assert image.startswith("http" if asked == "url" else "data:image/png;base64,")


def test_a_storage_that_fails_changes_no_kind_of_answer(
    gateway: Gateway, settings: Any
) -> None:
    settings.IMAGE_STORAGE_TYPE = "s3"
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
    settings.S3_BUCKET, settings.S3_PUBLIC_URL = "pictures", "https://cdn.test"
    settings.S3_ACCESS_KEY_ID = settings.S3_SECRET_ACCESS_KEY = "x" * 20
    body = {"prompt": "a cat", "response_format": "url"}
    (row,) = gateway.post("/v1/images/generations", json=body).json()["data"]
    assert row["url"].startswith(gateway.url)
    assert httpx.get(row["url"]).status_code == 200


def test_a_host_that_is_not_ours_gets_the_picture_in_its_link(
    gateway: Gateway, settings: Any
) -> None:
    settings.ALLOWED_HOSTS, settings.PUBLIC_URL = ["gate.test"], ""
    body = {"prompt": "a cat", "response_format": "url"}
    answer = gateway.post("/v1/images/generations", json=body).json()
    assert answer["data"][0]["url"].startswith("data:image/png;base64,")
    assert answer["gemproxy"]["data_urls"] == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_who_comes_back_gets_the_picture_that_was_drawn_for_him(
    gateway: Gateway, streamed: bool
) -> None:
    gateway.sandbox.behave(sandbox_key(), "slow", seconds=2)
    body = {"prompt": "a cat", "stream": streamed, "output_format": "jpeg"}
    with gateway.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/images/generations", json=body, timeout=0.7)
    eventually(gateway.rows, "the work did not go on to its end")
    assert Image.objects.count() == 1
    answer = gateway.post("/v1/images/generations", json=body)
    assert answer.headers["x-gemproxy-kept"] == "1"
    assert (answer.status_code, len(gateway.sandbox.requests())) == (200, 1)
    other = {**body, "output_format": "png"}
    again = gateway.post("/v1/images/generations", json=other)
    assert "x-gemproxy-kept" not in again.headers


def test_another_user_cannot_use_a_signed_link_after_a_change(gateway: Gateway) -> None:
    body = {"prompt": "a cat", "response_format": "url"}
    (row,) = gateway.post("/v1/images/generations", json=body).json()["data"]
    plain, _, query = row["url"].partition("?")
    assert httpx.get(plain).status_code == 403
    assert httpx.get(f"{plain}?{query[:-4]}AAAA").status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("generations", {}, "prompt"),
        ("generations", {"prompt": "p", "n": 11}, "n"),
        ("generations", {"prompt": "p", "n": "2"}, "n"),
        ("generations", {"prompt": "p", "background": "transparent"}, "background"),
        ("generations", {"prompt": "p", "output_format": "svg"}, "output_format"),
        ("generations", {"prompt": "p", "model": "gemini-2.5-flash"}, "model"),
        ("generations", {"prompt": "p", "size": "huge"}, "size"),
        ("generations", {"prompt": 5}, "prompt"),
        ("edits", {"prompt": "p"}, "image"),
        ("edit", {"prompt": "p", "image": "http://127.0.0.1:1/a.png"}, "image"),
        ("edits", {"prompt": "p", "image": b64(b"<svg/>")}, "image"),
        ("edits", {"prompt": "p", "image": b64(samples.png_header(60000, 60000))}, ""),
        ("variations", {"prompt": "p", "image": b64(photo())}, "prompt"),
    ],
)
def test_a_bad_request_is_a_400_that_names_the_field_and_leaves_a_row(
    gateway: Gateway, path: str, body: dict[str, Any], param: str
) -> None:
    answer = gateway.post(f"/v1/images/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == (param or "image")
    row = gateway.row()
    assert (row.surface, row.status, row.images) == ("openai.images", 400, 0)
    assert gateway.sandbox.requests() == []


def test_a_body_over_the_bound_is_refused(gateway: Gateway, settings: Any) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'
        yield b"\r\n\x89PNG\r\n\x1a\n"
        for _ in range(80):
            yield bytes(1 << 20)

    answer = gateway.post(
        "/v1/images/edits",
        content=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


def test_strangers_draw_nothing(gateway: Gateway) -> None:
    path = f"{gateway.url}/v1/images/generations"
    assert httpx.post(path, json={"prompt": "p"}).status_code == 401
    assert httpx.get(path).status_code == 401
    answer = gateway.get("/v1/images/generations")
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        405,
        "method_not_allowed",
    )


@pytest.mark.parametrize("count", [1, 3])
def test_a_plan_without_the_model_draws_nothing(gateway: Gateway, count: int) -> None:
    from accounts.models import Plan

    plan = Plan.objects.create(name="words", models=["gemini-2.5-flash"])
    user = User.objects.create_user("dora")
    _, token = Token.issue(user=user, name="narrow", plan=plan)
    answer = httpx.post(
        f"{gateway.url}/v1/images/generations",
        json={"prompt": "p", "n": count},
        headers={"Authorization": f"Bearer {token}"},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "model_not_allowed")
    assert gateway.sandbox.requests() == []


def test_the_paths_are_listed(gateway: Gateway) -> None:
    info = gateway.get("/api/info").json()
    assert info["features"]["images"] and info["features"]["image_edits"]
    assert "POST /v1/images/edits" in info["endpoints"]
