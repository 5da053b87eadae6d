"""Gemini's pictures as OpenAI's answers, as the real SDK reads them."""

import base64
import json

import httpx
import openai
import pytest
from openai.types import ImagesResponse

from proxy.errors import BadAnswer, Overloaded, RateLimited, UpstreamRefused
from proxy.wire.error_bodies import openai_error
from proxy.wire.gemini_answer import read_usage
from proxy.wire.openai_image_answer import (
    Drawn,
    ImageStream,
    drawn,
    refusal,
    render_images,
    render_usage,
    shortfall,
)
from proxy.wire.openai_images import parse_simple, parse_variation
from tests.proxy.wire.answer_samples import chunk, image, text, thought
from tests.proxy.wire.chat_samples import data_url
from tests.proxy.wire.image_samples import (
    FLASH,
    PRO,
    delivered,
    edit,
    generation,
    picture_file,
)

USAGE = read_usage(
    {
        "promptTokenCount": 270,
        "candidatesTokenCount": 1320,
        "thoughtsTokenCount": 80,
        "totalTokenCount": 1670,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 12},
            {"modality": "IMAGE", "tokenCount": 258},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
)


def client(answer: httpx.Response) -> openai.OpenAI:
    transport = httpx.MockTransport(lambda _: answer)
    return openai.OpenAI(
        api_key="k",
        base_url="http://gateway/v1",
        max_retries=0,
        http_client=httpx.Client(transport=transport),
    )


def candidates(*rows) -> dict:
    """Several whole answers as one, as the fan-out joins them."""
    found = [row["candidates"][0] for row in rows]
    return {"candidates": [{**row, "index": i} for i, row in enumerate(found)]}


def test_pictures_are_found_in_their_order():
    data = candidates(
        chunk(text("Here:"), image("QQ=="), image("Qg==", "image/jpeg"), finish="STOP"),
        chunk(image("Qw=="), finish="STOP"),
    )
    assert drawn(data, PRO) == [
        Drawn("image/png", "QQ=="),
        Drawn("image/jpeg", "Qg=="),
        Drawn("image/png", "Qw=="),
    ]


def test_drafts_of_thinking_are_left_out():
    draft = {**image("RFJBRlQ="), "thought": True}
    data = chunk(thought("hm"), draft, image("QQ=="), finish="STOP")
    assert [picture.data for picture in drawn(data, PRO)] == ["QQ=="]
    with pytest.raises(UpstreamRefused):
        drawn(chunk(draft, finish="STOP"), PRO)


def test_hosted_pictures_are_told_by_their_address():
    part = {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.ai/1.jpg"}}
    data = chunk(text("a better fox"), part, finish="STOP")
    assert drawn(data, "grok-imagine-image") == [
        Drawn("image/jpeg", url="https://x.ai/1.jpg", revised_prompt="a better fox")
    ]


def test_words_of_gemini_are_no_revised_prompt():
    data = chunk(text("Sure!"), image("QQ=="), finish="STOP")
    assert drawn(data, PRO)[0].revised_prompt == ""


def test_other_files_are_no_pictures():
    audio = image("QQ==", "audio/wav")
    assert shortfall(chunk(audio, finish="STOP")) == ["STOP"]


@pytest.mark.parametrize(
    "reason",
    [
        "SAFETY",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "BLOCKLIST",
        "SPII",
    ],
)
def test_a_filter_is_moderation(reason):
    fault = refusal(chunk(finish=reason, finishMessage="Try another prompt."))
    assert (fault.status, fault.code, fault.blame) == (
        400,
        "moderation_blocked",
        "caller",
    )
    assert reason in fault.message
    assert "Try another prompt." in fault.message


def test_a_blocked_prompt_is_moderation_of_the_prompt():
    fault = refusal({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
    assert (fault.code, fault.param) == ("moderation_blocked", "prompt")
    assert "PROHIBITED_CONTENT" in fault.message


def test_words_instead_of_a_picture_are_passed_on():
    fault = refusal(chunk(text("I cannot\ndraw "), text("that."), finish="STOP"))
    assert (fault.status, fault.code) == (400, "image_generation_failed")
    assert "said: I cannot draw that." in fault.message


def test_a_long_speech_is_cut():
    fault = refusal(chunk(text("word " * 500), finish="STOP"))
    assert len(fault.message) < 400


@pytest.mark.parametrize("reason", ["NO_IMAGE", "STOP", "MAX_TOKENS"])
def test_a_model_that_draws_nothing_is_told_plainly(reason):
    fault = refusal(chunk(thought("hm"), finish=reason))
    assert (fault.status, fault.code) == (400, "image_generation_failed")
    assert reason in fault.message


@pytest.mark.parametrize(
    "data", [chunk(finish="IMAGE_OTHER"), chunk(finish="OTHER"), chunk(), {}]
)
def test_what_nobody_explains_is_the_providers_failure(data):
    if data and not data["candidates"][0].get("finishReason"):
        data = {"candidates": [{"finishReason": "MALFORMED_RESPONSE"}]}
    fault = refusal(data)
    assert isinstance(fault, BadAnswer)
    assert (fault.status, fault.code) == (502, "image_generation_failed")


def test_a_filter_tells_more_than_words():
    data = candidates(chunk(text("No."), finish="STOP"), chunk(finish="IMAGE_SAFETY"))
    assert refusal(data).code == "moderation_blocked"


def test_what_is_missing_is_told_by_reason():
    data = candidates(
        chunk(image("QQ=="), finish="STOP"),
        chunk(finish="IMAGE_SAFETY"),
        chunk(text("no"), finish="STOP"),
    )
    assert shortfall(data) == ["IMAGE_SAFETY", "STOP"]


def test_a_whole_answer_tells_what_was_really_made():
    answer = render_images(
        [delivered(b"one"), delivered(b"two")],
        generation(n=2, size="1024x1024", quality="high", user="u"),
        created=1700000000,
        usage=USAGE,
    )
    assert answer == {
        "created": 1700000000,
        "data": [{"b64_json": "b25l"}, {"b64_json": "dHdv"}],
        "background": "opaque",
        "output_format": "png",
        "size": "1024x768",
        "quality": "high",
        "safety_identifier": "u",
        "usage": {
            "input_tokens": 270,
            "output_tokens": 1400,
            "total_tokens": 1670,
            "input_tokens_details": {"image_tokens": 258, "text_tokens": 12},
            "output_tokens_details": {"image_tokens": 1290, "text_tokens": 110},
        },
        "gemproxy": {"dropped": ["quality"]},
    }
    ImagesResponse.model_validate(answer, strict=True)


def test_the_sdk_reads_a_whole_answer():
    answer = render_images([delivered()], generation(), created=5, usage=USAGE)
    found = client(httpx.Response(200, json=answer)).images.generate(prompt="p")
    assert base64.b64decode(found.data[0].b64_json) == b"png"
    assert found.usage.input_tokens_details.image_tokens == 258
    assert (found.size, found.output_format) == ("1024x768", "png")


def test_links_are_given_where_asked():
    picture = delivered(b"", url="https://g/x.png", revised_prompt="better")
    answer = render_images([picture], generation(response_format="url"), created=5)
    assert answer["data"] == [{"url": "https://g/x.png", "revised_prompt": "better"}]
    assert "images" not in answer
    assert "usage" not in answer


def test_the_extended_shape_has_images_and_model_beside():
    request = edit(image=data_url(picture_file()), model="my-model")
    answer = render_images([delivered(b"one")], request, created=5)
    assert answer["images"] == ["data:image/png;base64,b25l"]
    assert answer["model"] == "my-model"
    assert answer["data"] == [{"b64_json": "b25l"}]
    request = generation(response_type="url")
    answer = render_images([delivered(b"", url="https://g/x")], request, created=5)
    assert (answer["images"], answer["data"]) == (
        ["https://g/x"],
        [{"url": "https://g/x"}],
    )


def test_the_simple_shape_has_images_and_model_alone():
    request = parse_simple({"prompt": "p"}, default_model=FLASH, upstream_model=PRO)
    picture = delivered(b"one", media_type="image/webp")
    assert render_images([picture], request, created=5, usage=USAGE) == {
        "images": ["data:image/webp;base64,b25l"],
        "model": FLASH,
    }


@pytest.mark.parametrize("shape", ["openai", "simple"])
def test_a_shortfall_is_said(shape):
    request = generation(n=3)
    request.shape = shape
    answer = render_images([delivered()], request, created=5, missing=["A", "B"])
    assert answer["gemproxy"]["missing"] == {
        "asked": 3,
        "made": 1,
        "reasons": ["A", "B"],
    }


@pytest.mark.parametrize(
    ("asked", "told"),
    [("hd", "high"), ("standard", "medium"), ("max", "max"), ("auto", None)],
)
def test_quality_is_told_in_todays_words(asked, told):
    answer = render_images([delivered()], generation(quality=asked), created=5)
    assert answer.get("quality") == told


def test_a_transparent_composite_is_told():
    answer = render_images([delivered(transparent=True)], generation(), created=5)
    assert answer["background"] == "transparent"


def test_usage_without_details_is_text_in_and_pictures_out():
    usage = read_usage(
        {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299}
    )
    shown = render_usage(usage)
    assert shown["input_tokens_details"] == {"image_tokens": 0, "text_tokens": 9}
    assert shown["output_tokens_details"] == {"image_tokens": 1290, "text_tokens": 0}


def test_estimated_usage_is_called_so():
    answer = render_images([delivered()], generation(), created=5, estimated=True)
    assert answer["gemproxy"] == {"usage": "estimated"}


def events(raw: bytes) -> list[tuple[str, dict]]:
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append(
            (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        )
    return found


VARIATION = parse_variation(
    {"image": data_url(picture_file())}, default_model=FLASH, upstream_model=PRO
)


@pytest.mark.parametrize(
    ("request_", "prefix"),
    [
        (generation(stream=True), "image_generation"),
        (edit(image=data_url(picture_file()), stream=True), "image_edit"),
        (VARIATION, "image_edit"),
    ],
)
def test_a_stream_has_named_events(request_, prefix):
    stream = ImageStream(request_, 1700000000)
    raw = stream.partial(delivered(b"draft"), 0) + stream.finish([delivered()], USAGE)
    (first, draft), (second, last) = events(raw)
    assert first == draft["type"] == f"{prefix}.partial_image"
    assert draft["partial_image_index"] == 0
    assert "usage" not in draft
    assert second == last["type"] == f"{prefix}.completed"
    assert last["b64_json"] == base64.b64encode(b"png").decode()
    assert last["created_at"] == 1700000000
    assert (last["size"], last["quality"]) == ("1024x768", "auto")
    assert (last["background"], last["output_format"]) == ("opaque", "png")
    assert last["usage"]["total_tokens"] == 1670


def test_the_last_of_several_tells_the_usage_of_all():
    stream = ImageStream(generation(stream=True, n=2, style="vivid"), 5)
    (_, one), (_, two) = events(stream.finish([delivered(), delivered()], USAGE))
    assert [e["usage"]["total_tokens"] for e in (one, two)] == [0, 1670]
    assert "gemproxy" not in one
    assert two["gemproxy"] == {"dropped": ["style"]}


def streamed(raw: bytes) -> list:
    answer = httpx.Response(
        200, content=raw, headers={"content-type": "text/event-stream"}
    )
    return client(answer).images.generate(prompt="p", model="m", stream=True)


def test_the_sdk_reads_a_stream():
    stream = ImageStream(generation(stream=True), 5)
    raw = ImageStream.keep_alive + stream.partial(delivered(), 0)
    raw += ImageStream.keep_alive + stream.finish([delivered()], USAGE)
    partial, completed = streamed(raw)
    assert partial.type == "image_generation.partial_image"
    assert completed.type == "image_generation.completed"
    assert completed.usage.output_tokens == 1400


@pytest.mark.parametrize(
    "fault",
    [Overloaded("Busy."), RateLimited("Slow down.", retry_after=5), refusal({})],
)
def test_the_sdk_reads_a_fault_in_a_stream(fault):
    stream = ImageStream(generation(stream=True), 5)
    ((name, body),) = events(stream.fault(fault))
    assert (name, body["type"]) == ("error", "error")
    assert body["error"] == openai_error(fault, in_frame=True)["error"]
    with pytest.raises(openai.APIError) as caught:
        list(streamed(ImageStream(generation(), 5).fault(fault)))
    assert caught.value.message == fault.message
    assert caught.value.code == fault.code


def test_a_stream_ends_once():
    stream = ImageStream(generation(stream=True), 5)
    assert stream.finish([delivered()])
    assert stream.finish([delivered()]) == b""
    assert stream.fault(Overloaded()) == b""
    assert stream.partial(delivered(), 1) == b""
    broken = ImageStream(generation(stream=True), 5)
    assert broken.fault(Overloaded())
    assert broken.finish([delivered()]) == b""


def test_the_sdk_reads_a_refusal():
    fault = refusal(chunk(finish="IMAGE_SAFETY"))
    answer = httpx.Response(fault.status, json=openai_error(fault))
    with pytest.raises(openai.BadRequestError) as caught:
        client(answer).images.generate(prompt="p")
    assert caught.value.code == "moderation_blocked"


def test_pictures_show_none_of_themselves_in_logs():
    assert "QUJD" not in repr(Drawn("image/png", "QUJD"))
    assert "secret" not in repr(delivered(b"secret"))
