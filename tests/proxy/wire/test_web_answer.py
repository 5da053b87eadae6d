"""What the site says so far, as chunks that never take anything back."""

import base64

import pytest

from proxy.errors import BadAnswer
from proxy.wire.gemini import Progress, read_usage
from proxy.wire.web_answer import (
    PICTURE_TOKENS,
    Picture,
    Said,
    WebAnswer,
    encoded,
    grounded,
    linked,
    remainder,
)
from proxy.wire.web_prompt import WebPrompt, read_prompt

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


class TestTools:
    """Calls are read from the text; nothing of their marks is shown."""

    CALL = '```toolcall\n{"name": "add", "arguments": {"a": 1}}\n```'
    CALLED = {"name": "add", "args": {"a": 1}}

    def made(self, mode="AUTO", **more):
        tools = [{"functionDeclarations": [{"name": "add", "parameters": {
            "type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}}]}]  # fmt: skip
        body = {
            "contents": [{"parts": [{"text": "x"}]}],
            "tools": tools,
            "toolConfig": {"functionCallingConfig": {"mode": mode}},
            **more,
        }
        prompt = read_prompt(body, "gemini-flash", frozenset({"tools", "json_schema"}))
        return WebAnswer(prompt, "3 Flash", "id-1", 7)

    def called(self, chunks):
        found = [
            p["functionCall"] for c in chunks for p in parts(c) if "functionCall" in p
        ]
        return [{k: v for k, v in call.items() if k != "id"} for call in found]  # fmt: skip

    def test_a_stream_shows_words_and_ends_with_the_calls(self):
        text = f"Let me add.\n\n{self.CALL}"
        steps = [text[:end] for end in range(0, len(text) + 1, 7)] + [text]
        chunks = played(self.made(), *steps)
        assert texts(chunks) == "Let me add."
        assert self.called(chunks) == self.called(chunks[-1:]) == [self.CALLED]
        assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"

    def test_a_whole_answer_is_the_streamed_one(self):
        text = f"So.\n{self.CALL}\n{self.CALL}"
        whole, (*_, last) = (
            self.made().whole(Said(text=text)),
            played(self.made(), text),
        )
        assert parts(whole)[1:] == parts(last)[-2:]
        ids = [part["functionCall"]["id"] for part in parts(last)[-2:]]
        assert len(set(ids)) == 2

    def test_it_is_said_that_they_are_imitated(self):
        said = self.made().whole(Said(text=self.CALL))["gemproxy"]
        assert said == {"emulated": ["tools"], "usage": "estimated"}

    def test_calls_count_as_output(self):
        usage = self.made().whole(Said(text=self.CALL))["usageMetadata"]
        assert usage["candidatesTokenCount"] > 5

    def test_the_gateway_sees_content_in_a_call(self):
        progress = Progress()
        progress.see(self.made().whole(Said(text=self.CALL)))
        assert progress.verdict(ended=True) == "content"

    def test_where_a_call_is_required_nothing_is_shown_before_it_is_there(self):
        made = self.made("ANY")
        assert made.step(Said(text="I would rather talk about it.")) is None
        with pytest.raises(BadAnswer, match="called no tool"):
            made.end(Said(text="I would rather talk about it."))
        last = self.made("ANY").end(Said(text=self.CALL))
        assert self.called([last]) == [self.CALLED]

    def test_a_stop_sequence_in_the_words_ends_all(self):
        made = self.made(generationConfig={"stopSequences": ["halt"]})
        chunks = played(made, f"One halt two.\n{self.CALL}")
        assert texts(chunks) == "One "
        assert self.called(chunks) == []
        assert made.stopped

    def test_json_is_shown_at_the_end_and_pure(self):
        made = self.made(generationConfig={"responseMimeType": "application/json"})
        said = Said(
            text='Sure:\n```json\n{"a": [1]}\n```', links=[("https://x.example/p", "p")]
        )
        assert made.step(said) is None
        assert parts(made.end(said)) == [{"text": '{"a":[1]}'}]

    def test_a_call_is_an_answer_where_json_was_asked_for(self):
        made = self.made(generationConfig={"responseMimeType": "application/json"})
        assert self.called([made.whole(Said(text=self.CALL))]) == [self.CALLED]


@pytest.mark.parametrize(
    ("links", "shown"),
    [
        ([], ""),
        ([("https://a.example/x.png", "A cat")], "![A cat](https://a.example/x.png)"),
        ([("https://a.example/x", "")], "![picture](https://a.example/x)"),
        (
            [("https://a.example/x", "a](b)[c\\\n<d>")],
            "![a (b) c d](https://a.example/x)",
        ),
        (
            [("https://a.example/a (b).png", "A")],
            "![A](https://a.example/a%20%28b%29.png)",
        ),
        (
            [("https://a.example/x?a=1&b=%20#c", "A")],
            "![A](https://a.example/x?a=1&b=%20#c)",
        ),
        (
            [("https://a.example/x\n)<b>", "A")],
            "![A](https://a.example/x%0A%29%3Cb%3E)",
        ),
        (
            [("javascript:alert(1)", "A"), ("data:image/png;base64,x", "B"), ("", "C")],
            "",
        ),
        (
            [("https://a.example/x", "A"), ("https://a.example/x", "B")],
            "![A](https://a.example/x)",
        ),
        (
            [("https://a.example/x", "A"), ("http://b.example/y", "B")],
            "![A](https://a.example/x)\n![B](http://b.example/y)",
        ),
    ],
)
def test_found_pictures_are_links_that_nothing_can_break_out_of(links, shown):
    assert linked(links) == shown


LINKS = [("https://a.example/x", "A")]


def test_found_pictures_follow_the_text_once():
    chunks = played(answer(), "Cats.\n", "Cats.\nMore.", links=LINKS)
    assert texts(chunks) == "Cats.\nMore.\n\n![A](https://a.example/x)"
    whole = answer().whole(Said(text="Cats.", links=LINKS))
    assert texts([whole]) == "Cats.\n\n![A](https://a.example/x)"


def test_found_pictures_may_be_all_of_an_answer():
    assert texts([answer().whole(Said(links=LINKS))]) == "![A](https://a.example/x)"


def test_what_the_caller_was_given_can_be_asked_for():
    made = answer()
    chunks = played(made, "One [cite: 1]", "One [cite: 1] two", links=LINKS)
    assert made.text == texts(chunks)


def test_another_model_stands_in_every_chunk_that_knows_it():
    made = answer()
    chunks = [
        made.step(Said(text="One two")),
        made.end(Said(text="One", served="Lite")),
    ]
    assert [chunk["modelVersion"] for chunk in chunks] == ["3 Flash", "Lite"]
    assert chunks[-1]["usageMetadata"]["servedModel"] == "Lite"


def test_a_picture_is_encoded_as_it_is_shown():
    made = answer().whole(Said(text="See"), [PICTURE])
    assert parts(made)[-1]["inlineData"]["data"] == encoded(PICTURE)
