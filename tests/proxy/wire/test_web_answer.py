"""What the site says so far, as chunks that never take anything back."""

import base64

import pytest

from proxy.wire.gemini import Progress, read_usage
from proxy.wire.web_answer import (
    PICTURE_TOKENS,
    Picture,
    Said,
    WebAnswer,
    grounded,
    remainder,
)
from proxy.wire.web_prompt import WebPrompt

PICTURE = Picture(mime_type="image/png", data=b"png")
SOURCES = [(1, "https://a.example", "A"), (2, "https://b.example", "B")]


def answer(**fields):
    return WebAnswer(WebPrompt(text="x", **fields), "3 Flash", "id-1", 7)


def parts(chunk):
    return chunk["candidates"][0]["content"]["parts"] if chunk else []


def texts(chunks, *, thought=False):
    found = [p for c in chunks for p in parts(c) if "text" in p]
    return "".join(p["text"] for p in found if bool(p.get("thought")) is thought)


def played(made, *steps, **end):
    """All chunks of an answer that grows through these texts."""
    chunks = [chunk for s in steps if (chunk := made.step(Said(text=s)))]
    return [*chunks, made.end(Said(text=steps[-1], **end))]


@pytest.mark.parametrize(
    "steps",
    [
        ["Hello", "Hello world", "Hello world again"],
        ["Hello \\", "Hello *you*", "Hello *you* all"],
        ["One ht", "One https://googleusercontent.com/image", "One two"],
        ["It is so [ci", "It is so [cite: 1", "It is so [cite: 1]. Yes"],
        ["a < b", "a < b &", "a < b & c"],
        ["Done.\n", "Done.\n\nhttp://x", "Done."],
        ["", "", "all at once"],
    ],
)
def test_the_pieces_are_the_final_text(steps):
    final = steps[-1].replace(" [cite: 1]", "")
    assert texts(played(answer(), *steps)) == final


def test_the_tail_that_may_change_is_held_back():
    made = answer()
    assert texts([made.step(Said(text="See https://goo"))]) == "See"
    assert texts([made.step(Said(text="See here now."))]) == " here now."


def test_nothing_new_makes_no_chunk():
    made = answer()
    made.step(Said(text="Hello there."))
    assert made.step(Said(text="Hello there.")) is None


@pytest.mark.parametrize(
    ("sent", "text", "rest"),
    [
        ("", "abc", "abc"),
        ("ab", "abc", "c"),
        ("abc", "ab", ""),
        ("Say \\*this part of it", "Say *this part of it and more", " and more"),
        ("entirely different", "other words that are longer", "re longer"),
    ],
)
def test_a_changed_text_goes_on_after_what_was_sent(sent, text, rest):
    assert remainder(sent, text) == rest


def test_only_the_last_chunk_has_the_end_and_the_counts():
    first, last = played(answer(), "Hello you there.")
    assert "finishReason" not in first["candidates"][0]
    assert "usageMetadata" not in first
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["modelVersion"] == "3 Flash"
    assert last["responseId"] == first["responseId"] == "id-1"


def test_remarks_are_made_once_and_first():
    made = answer(dropped=("temperature",))
    first, second, last = played(made, "One two.", "One two. Three four.")
    assert first["gemproxy"] == {"dropped": ["temperature"], "usage": "estimated"}
    assert "gemproxy" not in second | last


def test_an_answer_without_words_still_has_a_part():
    assert parts(answer().end(Said(text=""))) == [{"text": ""}]


def test_the_gateway_sees_content_and_the_end():
    progress = Progress()
    for chunk in played(answer(), "Hello you there."):
        progress.see(chunk)
    assert progress.complete
    assert progress.verdict() == "content"


def test_counts_are_guesses_that_add_up_and_say_so():
    made = answer(thoughts=True)
    whole = made.whole(Said(text="word " * 40, thoughts="hm " * 20), [PICTURE])
    metadata = whole["usageMetadata"]
    usage = read_usage(metadata)
    assert usage.prompt == 7
    assert usage.output > PICTURE_TOKENS + 30
    assert usage.thoughts > 10
    assert usage.total == usage.prompt + usage.output + usage.thoughts
    assert usage.details["estimated"] is True


def test_a_whole_answer_has_thoughts_words_and_pictures_in_this_order():
    whole = answer(thoughts=True).whole(Said(text="See", thoughts="hm"), [PICTURE])
    data = base64.b64encode(b"png").decode()
    assert parts(whole) == [
        {"text": "hm", "thought": True},
        {"text": "See"},
        {"inlineData": {"mimeType": "image/png", "data": data}},
    ]


def test_thoughts_grow_like_the_text():
    made = answer(thoughts=True)
    chunks = [
        made.step(Said(thoughts="One")),
        made.step(Said(thoughts="One two")),
        made.end(Said(text="So.", thoughts="One two")),
    ]
    assert texts(chunks, thought=True) == "One two"
    assert texts(chunks) == "So."


def test_thoughts_that_nobody_asked_for_are_not_shown():
    assert answer().step(Said(thoughts="One")) is None


@pytest.mark.parametrize(
    ("stops", "steps", "text"),
    [
        (("STOP",), ["One two STOP three"], "One two "),
        (("o b", "three"), ["One t", "One two b", "One two b three"], "One tw"),
        (("never",), ["One two"], "One two"),
    ],
)
def test_an_answer_ends_at_its_stop_sequence(stops, steps, text):
    made = answer(stops=stops)
    assert texts(played(made, *steps)) == text
    assert made.stopped == ("never" not in stops)
    assert texts([answer(stops=stops).whole(Said(text=steps[-1]))]) == text


def test_marks_of_sources_become_grounding():
    text = "Tea is hot [cite: 1]. Ünder ice [cite: 1, 2]!"
    whole = answer().whole(Said(text=text, sources=SOURCES))
    grounding = whole["candidates"][0]["groundingMetadata"]
    plain = "Tea is hot. Ünder ice!"
    assert texts([whole]) == plain
    assert grounding["groundingChunks"][1] == {
        "web": {"uri": "https://b.example", "title": "B"}
    }
    spans = [s["segment"] for s in grounding["groundingSupports"]]
    cut = [plain.encode()[s["startIndex"] : s["endIndex"]].decode() for s in spans]
    assert cut == [s["text"] for s in spans] == ["Tea is hot", ". Ünder ice"]
    indices = [s["groundingChunkIndices"] for s in grounding["groundingSupports"]]
    assert indices == [[0], [0, 1]]


def test_marks_without_sources_only_go():
    whole = answer().whole(Said(text="So [cite: 3]."))
    assert texts([whole]) == "So."
    assert "groundingMetadata" not in whole["candidates"][0]


def test_a_mark_of_an_unknown_source_names_none():
    found = grounded("x [cite: 9]", SOURCES)
    assert found["groundingSupports"][0]["groundingChunkIndices"] == []
