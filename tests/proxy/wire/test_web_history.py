"""When two requests belong to the same conversation, and when they do not."""

import base64

import pytest

from proxy.wire.web_history import read_history

PNG = base64.b64encode(b"\xfb\xff\xfe a picture").decode()


def user(*parts):
    return {"role": "user", "parts": [part(each) for each in parts]}


def model(*parts):
    return {"role": "model", "parts": [part(each) for each in parts]}


def part(each):
    return each if isinstance(each, dict) else {"text": each}


def inline(data=PNG, kind="image/png"):
    return {"inlineData": {"mimeType": kind, "data": data}}


def history(*contents, **fields):
    return read_history({"contents": list(contents), **fields})


def key(*contents, **fields):
    """The key of a conversation that goes on after these contents."""
    return history(*contents, user("Next"), **fields).key


FIRST, ANSWER = user("Hi"), model("Hello there.")
USUAL = key(FIRST, ANSWER)


def test_the_first_turn_continues_nothing():
    assert history(FIRST).key == ""
    assert list(history(FIRST).fresh) == [FIRST]


def test_what_follows_the_last_answer_is_new():
    found = history(FIRST, ANSWER, user("One"), user("Two"))
    assert list(found.fresh) == [user("One"), user("Two")]
    assert found.key == USUAL


def test_an_answer_is_found_again_by_the_next_request():
    assert history(FIRST).after("Hello there.") == USUAL


def test_a_later_answer_is_found_again_as_well():
    later = history(FIRST, ANSWER, user("And?")).after("So.")
    assert later == key(FIRST, ANSWER, user("And?"), model("So."))


def test_an_answer_with_a_picture_is_found_again():
    made = history(FIRST).after("Look:", [("image/png", PNG)])
    assert made == key(FIRST, model("Look:", inline()))
    assert made != key(FIRST, model("Look:"))


@pytest.mark.parametrize(
    "contents",
    [
        (FIRST, model("Hello", " there.")),
        (FIRST, model("Hello "), model("there.")),
        (FIRST, model({"text": "Hm.", "thought": True}, "Hello there.")),
        (FIRST, model({"text": "Hello there.", "thoughtSignature": "c2ln"})),
        (FIRST, model("\n Hello\r\n  there. ")),
        (FIRST, model("Hello there.", "")),
        (user("Hi \r\n"), ANSWER),
        ({"parts": [{"text": "Hi"}]}, ANSWER),
        (FIRST, {"role": "model", "parts": {"text": "Hello there."}}),
    ],
    ids=range(9),
)
def test_clients_hand_the_same_answer_back_in_their_own_ways(contents):
    assert key(*contents) == USUAL


def test_casing_and_alphabet_of_a_picture_do_not_matter():
    plain = key(user("See", inline()), ANSWER)
    snake = {"inline_data": {"mime_type": "image/PNG", "data": PNG}}
    url_safe = inline(PNG.replace("+", "-").replace("/", "_").rstrip("="))
    assert key(user("See", snake), ANSWER) == plain
    assert key(user("See", url_safe), ANSWER) == plain


@pytest.mark.parametrize(
    "contents",
    [
        (user("Hi!"), ANSWER),
        (user("hi"), ANSWER),
        (FIRST, model("Hello there!")),
        (FIRST, model("Hellothere.")),
        (FIRST, model("Hello there.", inline())),
        (user("Hi", inline()), ANSWER),
        (user("Hi", {"fileData": {"fileUri": "https://a.example/x"}}), ANSWER),
        (FIRST, user("Hi"), ANSWER),
        (FIRST, ANSWER, user("And?"), model("So.")),
        ({"role": "function", "parts": [{"text": "Hi"}]}, ANSWER),
        (FIRST, model("Hello there.", {"functionCall": {"name": "add"}})),
        (user("Hi"), user(""), ANSWER),
    ],
    ids=range(12),
)
def test_what_was_said_otherwise_is_another_conversation(contents):
    assert key(*contents) != USUAL


def test_white_space_that_may_mean_something_counts():
    assert key(user("if x:\n    y"), ANSWER) != key(user("if x:\n  y"), ANSWER)
    assert key(user("a\n\nb"), ANSWER) != key(user("a\nb"), ANSWER)
    assert key(user("  a"), ANSWER) != key(user("a"), ANSWER)


def test_another_picture_is_another_conversation():
    other = inline(base64.b64encode(b"another").decode())
    as_jpeg = inline(kind="image/jpeg")
    keys = {key(user(each), ANSWER) for each in (inline(), other, as_jpeg)}
    assert len(keys) == 3


def test_the_place_of_a_picture_in_a_question_counts():
    before = key(user(inline(), "What is it?"), ANSWER)
    assert before != key(user("What is it?", inline()), ANSWER)


def test_the_system_text_belongs_to_the_conversation():
    system = {"parts": [{"text": "Be kind."}]}
    with_it = key(FIRST, ANSWER, systemInstruction=system)
    assert with_it != USUAL
    assert key(FIRST, ANSWER, system_instruction=system) == with_it


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"functionDeclarations": [{"name": "add"}]}]},
        {"cachedContent": "cachedContents/1"},
        {"generationConfig": {"responseMimeType": "application/json"}},
        {"generationConfig": {"responseSchema": {"type": "OBJECT"}}},
        {"generation_config": {"response_json_schema": {"type": "object"}}},
    ],
)
def test_what_is_explained_in_one_prompt_is_not_kept(fields):
    assert history(FIRST, **fields) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"generationConfig": {"temperature": 1, "responseMimeType": "text/plain"}},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
        {"safetySettings": [{"category": "x"}]},
    ],
)
def test_settings_are_no_part_of_a_conversation(fields):
    assert key(FIRST, ANSWER, **fields) == USUAL


@pytest.mark.parametrize(
    "contents",
    [(), (FIRST, ANSWER), (FIRST, ANSWER, user("")), (FIRST, ANSWER, user("\n"))],
)
def test_who_asks_nothing_new_continues_nothing(contents):
    assert history(*contents) is None


def test_a_turns_text_cannot_pass_for_two_turns():
    assert key(user("a\nb"), ANSWER) != key(user("a"), user("b"), ANSWER)
    assert key(user("a"), model("b"), user("c"), ANSWER) != key(user("a b c"), ANSWER)
