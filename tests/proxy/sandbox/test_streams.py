"""Streams as sent: events or one array, in pieces that make up the whole."""

import json

import pytest

from proxy.sandbox.answers import split
from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    TIME,
    WEATHER,
    answer,
    asking,
    call,
    configured,
    finish_of,
    parts_of,
    stream,
    text_of,
    with_tools,
)


def joined(chunks):
    return "".join(text_of(chunk) for chunk in chunks)


@pytest.mark.parametrize(
    "text",
    [
        "count to 12",
        "hello there you",
        "repeat: word",
        "repeat: a",
        "repeat:   x  y ",
        "",
    ],
)
@pytest.mark.parametrize("to", [NEW, OLD])
async def test_the_pieces_make_up_the_whole(client, text, to):
    chunks = await stream(client, asking(text), to=to)
    assert joined(chunks) == text_of(await answer(client, asking(text), to=to))


async def test_numbers_come_one_by_one(client):
    chunks = await stream(client, asking("count to 40"), to=OLD)
    assert [text_of(chunk).strip() for chunk in chunks] == [
        str(n) for n in range(1, 41)
    ]


async def test_only_the_last_chunk_has_a_finish_reason(client):
    chunks = await stream(client, asking("count to 5"))
    finishes = [finish_of(chunk) for chunk in chunks]
    assert finishes == [None] * (len(chunks) - 1) + ["STOP"]


async def test_the_signature_comes_alone_in_an_empty_text(client):
    *texts, last = await stream(client, asking("count to 3"), to=NEW)
    (part,) = parts_of(last)
    assert part["text"] == ""
    assert part["thoughtSignature"]
    assert not any("thoughtSignature" in p for chunk in texts for p in parts_of(chunk))


async def test_thoughts_come_before_the_text(client):
    body = configured("hi", thinkingConfig={"includeThoughts": True})
    first, *rest = await stream(client, body)
    assert parts_of(first)[0]["thought"] is True
    assert not any(part.get("thought") for chunk in rest for part in parts_of(chunk))


async def test_calls_come_one_per_chunk_and_the_first_is_signed(client):
    body = with_tools("get_time in UTC and get_weather in Rome", TIME, WEATHER)
    chunks = await stream(client, body, to=NEW)
    parts = [parts_of(chunk) for chunk in chunks]
    assert [len(each) for each in parts] == [1, 1]
    assert [each[0]["functionCall"]["name"] for each in parts] == [
        "get_time",
        "get_weather",
    ]
    assert ["thoughtSignature" in each[0] for each in parts] == [True, False]
    assert finish_of(chunks[-1]) == "STOP"


async def test_newer_models_finish_after_the_last_call(client):
    body = with_tools("get_time in UTC", TIME)
    first, last = await stream(client, body, to="gemini-3.5-flash")
    assert "functionCall" in parts_of(first)[0]
    assert finish_of(first) is None
    assert (parts_of(last), finish_of(last)) == ([{"text": ""}], "STOP")


async def test_all_chunks_share_one_id_and_model(client):
    chunks = await stream(client, asking("count to 4"))
    assert len({(chunk["responseId"], chunk["modelVersion"]) for chunk in chunks}) == 1


async def test_grounding_comes_with_the_last_chunk(client):
    *others, last = await stream(client, asking("who?", tools=[{"googleSearch": {}}]))
    assert "groundingMetadata" in last["candidates"][0]
    assert not any("groundingMetadata" in each["candidates"][0] for each in others)


async def test_candidates_are_streamed_side_by_side(client):
    chunks = await stream(client, configured("repeat: a b", candidateCount=2), to=OLD)
    texts = ["", ""]
    for chunk in chunks:
        for candidate in chunk["candidates"]:
            texts[candidate["index"]] += candidate["content"]["parts"][0]["text"]
    assert texts == ["a b", "a b (candidate 2)"]


async def test_an_answer_without_room_is_one_chunk(client):
    (chunk,) = await stream(client, configured("hi", maxOutputTokens=3))
    assert (parts_of(chunk), finish_of(chunk)) == ([], "MAX_TOKENS")


async def test_without_alt_the_stream_is_one_json_array(client):
    response = await call(client, asking("count to 3"), method="streamGenerateContent")
    assert response.headers["content-type"].startswith("application/json")
    assert response.text.startswith("[{")
    assert "\n,\r\n{" in response.text
    assert joined(json.loads(response.text)) == "1 2 3"


async def test_events_have_their_own_media_type(client):
    response = await call(
        client, asking("x"), method="streamGenerateContent", query="?alt=sse"
    )
    assert response.headers["content-type"] == "text/event-stream"
    assert "content-length" not in response.headers


async def test_characters_that_end_lines_elsewhere_stay_raw(client):
    chunks = await stream(client, asking("repeat: a\u2028b\u2029c"))
    assert joined(chunks) == "a\u2028b\u2029c"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a", ["a"]),
        ("", [""]),
        ("word", ["wo", "rd"]),
        ("one two", ["one ", "two"]),
        (" ".join("abcdefghijklm"), ["a b c ", "d e f ", "g h i ", "j k l ", "m"]),
    ],
)
def test_a_text_is_split_between_words(text, pieces):
    assert split(text) == pieces
