"""Pictures, sound, code and log probabilities in OpenAI answers."""

import base64
import io
import wave
from typing import Any

import pytest

from proxy.wire.answer_media import (
    KEPT,
    FenceFilter,
    code_block,
    image_url,
    is_picture,
    kept_link,
    picture_bytes,
)
from proxy.wire.openai_answer import render_chat
from tests.proxy.wire.answer_samples import (
    PNG,
    call,
    chunk,
    deltas,
    finishes,
    image,
    stream,
    style,
    text,
)

URL = f"data:image/png;base64,{PNG}"


def choice(*parts: dict[str, Any], how: dict[str, Any], **candidate: Any) -> Any:
    data = chunk(*parts, finish="STOP", **candidate)
    return render_chat(data, style(**how))[0]["choices"][0]


def message(*parts: dict[str, Any], **how: Any) -> dict[str, Any]:
    return dict(choice(*parts, how=how)["message"])


def picture(index: int, url: str = URL) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}, "index": index}


def test_pictures_are_listed_beside_the_text() -> None:
    found = message(text("Here:"), image(), image())
    assert found["content"] == "Here:"
    assert found["images"] == [picture(0), picture(1)]


def test_an_answer_of_one_picture_has_empty_content() -> None:
    assert message(image())["content"] == ""


def test_pictures_can_be_markdown_in_the_content() -> None:
    found = message(text("Here:"), image(), text("Nice."), images="markdown")
    assert found["content"] == f"Here:\n\n![image]({URL})\nNice."
    assert "images" not in found


def test_pictures_can_be_given_both_ways() -> None:
    found = message(image(), images="both")
    assert found["content"] == f"![image]({URL})\n"
    assert found["images"] == [picture(0)]


def test_a_hosted_picture_is_given_by_its_address() -> None:
    part = {"fileData": {"mimeType": "image/png", "fileUri": "https://h/i/1.png"}}
    assert message(part)["images"] == [picture(0, "https://h/i/1.png")]


PATH = "/images/abc.png?until=1&signature=x"


def kept(link: str = PATH) -> dict[str, Any]:
    return {**image(), KEPT: {"name": "abc", "link": link, "width": 1, "height": 1}}


def at_home(path: str) -> str:
    return f"https://gate.example{path}"


LINKED = f"![image]({at_home(PATH)})\n"
INLINE = f"![image]({URL})\n"


@pytest.mark.parametrize(
    ("way", "content", "images"),
    [
        ("images", "", [picture(0)]),
        ("markdown", LINKED, None),
        ("data_url", INLINE, None),
        ("both", LINKED, [picture(0)]),
    ],
)
def test_a_kept_picture_is_shown_in_the_way_that_is_wanted(
    way: str, content: str, images: Any
) -> None:
    found = message(kept(), images=way, absolute=at_home)
    assert found["content"] == content
    assert found.get("images") == images
    assert KEPT not in str(found)
    raw = stream([chunk(kept(), finish="STOP")], images=way, absolute=at_home)
    (delta,) = deltas(raw)
    assert delta.get("content", "") == content
    assert delta.get("images") == images
    assert finishes(raw) == ["stop"]
    assert KEPT.encode() not in raw


def test_a_storages_own_address_is_used_as_it_is() -> None:
    found = message(kept("https://cdn.example/x.png"), images="markdown")
    assert found["content"] == "![image](https://cdn.example/x.png)\n"


@pytest.mark.parametrize(
    "part", [image(), {**image(), KEPT: {}}, {**image(), KEPT: {"link": ""}}]
)
def test_a_picture_without_a_link_stands_in_the_text_itself(part: Any) -> None:
    assert message(part, images="markdown", absolute=at_home)["content"] == INLINE


def test_a_link_that_nobody_could_open_is_not_given() -> None:
    found = message(kept(), images="markdown", absolute=lambda path: "")
    assert found["content"] == INLINE


@pytest.mark.parametrize("way", ["markdown", "data_url"])
def test_a_hosted_picture_in_the_text_is_its_address(way: str) -> None:
    part = {"fileData": {"mimeType": "image/png", "fileUri": "https://h/i/1.png"}}
    found = message(part, images=way, absolute=at_home)
    assert found["content"] == "![image](https://h/i/1.png)\n"


@pytest.mark.parametrize("part", [text("x"), {KEPT: "odd"}, {KEPT: {"link": None}}])
def test_a_part_that_the_library_does_not_know_has_no_link(part: Any) -> None:
    assert kept_link(part) == ""


@pytest.mark.parametrize(
    ("part", "data"),
    [
        (image(), base64.b64decode(PNG)),
        (image("_-8="), b"\xff\xef"),
        (image("_-8"), b"\xff\xef"),
        (image("ümlaut"), b""),
        (image(""), b""),
        (image(mime="audio/wav"), b""),
        (text("x"), b""),
    ],
)
def test_the_bytes_of_a_picture_are_read_whatever_the_alphabet(
    part: dict[str, Any], data: bytes
) -> None:
    assert picture_bytes(part) == data
    assert is_picture(part) or not data


def test_pictures_of_thoughts_are_not_shown() -> None:
    found = message({**image(), "thought": True}, text("done"))
    assert "images" not in found
    assert found["content"] == "done"


def test_url_safe_base64_becomes_the_plain_kind() -> None:
    assert image_url(image("__79Pj4-Pz8_")) == "data:image/png;base64,//79Pj4+Pz8/"


@pytest.mark.parametrize(
    "part",
    [
        text("x"),
        image(data=""),
        image(mime="application/pdf"),
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x"}},
        {"inlineData": "x"},
    ],
)
def test_other_parts_have_no_picture(part: dict[str, Any]) -> None:
    assert image_url(part) is None


def sound(data: bytes, mime: str) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"inlineData": {"mimeType": mime, "data": encoded}}


def test_raw_sound_becomes_one_playable_wav() -> None:
    mime = "audio/L16;codec=pcm;rate=16000"
    found = message(sound(b"\x01\x00" * 5, mime), sound(b"\x02\x00" * 3, mime))
    audio = found["audio"]
    with wave.open(io.BytesIO(base64.b64decode(audio["data"]))) as heard:
        assert heard.getframerate() == 16000
        assert (heard.getnchannels(), heard.getsampwidth()) == (1, 2)
        assert heard.readframes(99) == b"\x01\x00" * 5 + b"\x02\x00" * 3
    assert audio["id"].startswith("audio_")
    assert audio["transcript"] == ""
    assert audio["expires_at"] == 1_700_000_000
    assert found["content"] == ""


def test_sound_without_a_rate_is_24_khz() -> None:
    audio = message(sound(b"\x01\x00", "audio/pcm"))["audio"]
    with wave.open(io.BytesIO(base64.b64decode(audio["data"]))) as heard:
        assert heard.getframerate() == 24000


def test_sound_in_a_container_stays_as_it_is() -> None:
    audio = message(sound(b"ID3mp3", "audio/mpeg"))["audio"]
    assert base64.b64decode(audio["data"]) == b"ID3mp3"


def test_executed_code_and_its_output_are_fenced_in_place() -> None:
    found = message(
        text("Let me count."),
        {"executableCode": {"language": "PYTHON", "code": "print(6*7)\n"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}},
        text("It is 42."),
    )
    assert found["content"] == (
        "Let me count.\n\n```python\nprint(6*7)\n```\n\n\n```output\n42\n```\nIt is 42."
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"executableCode": {"code": "print('```')"}},
            "````python\nprint('```')\n````\n",
        ),
        (
            {"executableCode": {"language": "LANGUAGE_UNSPECIFIED", "code": "x"}},
            "```\nx\n```\n",
        ),
        (
            {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "boom"}},
            "```output\n[OUTCOME_FAILED]\nboom\n```\n",
        ),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, None),
        ({"executableCode": {}}, None),
        (text("x"), None),
    ],
    ids=["longer-fence", "no-language", "failed", "no-output", "no-code", "text"],
)
def test_code_blocks(part: dict[str, Any], expected: str | None) -> None:
    assert code_block(part) == expected


def test_server_side_tool_traces_are_not_shown() -> None:
    trace = {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}}
    found = message(trace, text("x"))
    assert found == {"role": "assistant", "content": "x", "refusal": None}


def test_log_probabilities_are_openais() -> None:
    result = {
        "chosenCandidates": [
            {"token": "ä", "tokenId": 5, "logProbability": -0.5},
            {"token": "b"},
        ],
        "topCandidates": [{"candidates": [{"token": "c", "logProbability": -2.5}]}],
    }
    found = choice(text("äb"), how={}, logprobsResult=result)["logprobs"]
    other = {"token": "c", "bytes": [99], "logprob": -2.5}
    assert found == {
        "content": [
            {
                "token": "ä",
                "bytes": [195, 164],
                "logprob": -0.5,
                "top_logprobs": [other],
            },
            {"token": "b", "bytes": [98], "logprob": 0.0, "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_a_picture_beside_a_call_keeps_null_content() -> None:
    found = message(image(), call("f"))
    assert found["content"] is None
    assert len(found["images"]) == 1


FENCED = [
    ('```json\n{"a": [1, 2]}\n```', '{"a": [1, 2]}'),
    ('  \n```\n{"a": "`"}\n```  \n', '{"a": "`"}'),
    ('```json\n{"a": "```", "b": "``` "}\n```', '{"a": "```", "b": "``` "}'),
    ('{"a": "```"}', '{"a": "```"}'),
    ("plain `code` text", "plain `code` text"),
    ("`x`", "`x`"),
    ("```not a fence", "```not a fence"),
    ("   ", "   "),
    ('```json\n{"a": 1}', '{"a": 1}'),
    ('```json\n{"a": "x`', '{"a": "x`'),
]


@pytest.mark.parametrize(("wrote", "shown"), FENCED)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_fences_go_however_the_text_was_cut(wrote: str, shown: str, size: int) -> None:
    fence = FenceFilter()
    pieces = [wrote[at : at + size] for at in range(0, len(wrote), size)]
    assert "".join(fence.feed(piece) for piece in pieces) + fence.flush() == shown


def test_text_that_begins_without_a_fence_is_not_held_back() -> None:
    fence = FenceFilter()
    assert fence.feed('{"a"') == '{"a"'
    assert fence.feed(": 1}\n```") == ": 1}\n```"
    assert fence.flush() == ""
