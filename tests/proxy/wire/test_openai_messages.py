"""Messages: roles, merging, and what a conversation has to start with."""

import pytest

from proxy.errors import BadRequest
from proxy.wire.openai_chat import parse_chat
from proxy.wire.openai_messages import OPENING
from tests.proxy.wire.chat_samples import (
    FLASH_3,
    FLASH_25,
    call,
    calls,
    contents,
    parse,
    refused,
    result,
    said,
    system,
    user,
)


def texts(content: dict) -> list[str]:
    return [part["text"] for part in content["parts"]]


def test_a_user_text_is_one_user_content():
    assert contents(user("hello")) == [{"role": "user", "parts": [{"text": "hello"}]}]


def test_text_parts_stay_separate_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert contents(user(parts)) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    ]


def test_an_empty_text_part_is_skipped():
    parts = [{"type": "text", "text": ""}, {"type": "text", "text": "b"}]
    assert texts(contents(user(parts))[0]) == ["b"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_leading_instructions_become_the_system_instruction(role):
    body = parse({"role": role, "content": "be brief"}, user()).body
    assert body["systemInstruction"] == {"parts": [{"text": "be brief"}]}
    assert [content["role"] for content in body["contents"]] == ["user"]


def test_instructions_given_later_join_the_system_instruction_in_order():
    body = parse(system("a"), user(), said("x"), system("b"), user("y")).body
    assert texts(body["systemInstruction"]) == ["a", "b"]
    assert [c["role"] for c in body["contents"]] == ["user", "model", "user"]


def test_system_text_may_come_in_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert texts(parse(system(parts), user()).body["systemInstruction"]) == ["a", "b"]


def test_an_empty_system_message_makes_no_system_instruction():
    request = parse(system(""), user())
    assert "systemInstruction" not in request.body
    assert "system" not in request.needs


def test_a_system_instruction_is_a_need():
    assert "system" in parse(system("a"), user()).needs


def test_only_a_system_message_is_said_by_the_user():
    body = parse(system("Tell a joke")).body
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Tell a joke"}]}]}


def test_a_model_without_system_instruction_hears_it_first_from_the_user():
    body = parse(system("be brief"), user("hi"), model="gemma-3-27b-it").body
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "be brief"}, {"text": "hi"}]}
    ]
    assert "systemInstruction" not in body


def test_a_gemma_history_that_starts_with_the_assistant_starts_with_the_system_text():
    body = parse(system("s"), said("a"), user("u"), model="gemma-3-4b-it").body
    assert [texts(content) for content in body["contents"]] == [["s"], ["a"], ["u"]]


@pytest.mark.parametrize("role", ["assistant", "model"])
def test_the_assistant_is_called_model(role):
    found = contents(user(), {"role": role, "content": "yes"}, user("more"))
    assert found[1] == {"role": "model", "parts": [{"text": "yes"}]}


def test_a_history_that_starts_with_the_assistant_gets_an_opening():
    found = contents(said("Welcome"), user("hi"))
    assert found[0] == {"role": "user", "parts": [{"text": OPENING}]}
    assert [content["role"] for content in found] == ["user", "model", "user"]
    assert OPENING.strip()


def test_a_history_that_ends_with_the_assistant_stays_so():
    found = contents(user("Write a poem"), said("Roses are"))
    assert found[-1] == {"role": "model", "parts": [{"text": "Roses are"}]}
    assert len(found) == 2


def test_neighbouring_user_messages_become_one_content():
    assert contents(user("a"), user("b")) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    ]


def test_neighbouring_assistant_messages_become_one_content():
    found = contents(user(), said("a"), said("b"), user("c"))
    assert [c["role"] for c in found] == ["user", "model", "user"]
    assert texts(found[1]) == ["a", "b"]


@pytest.mark.parametrize("empty", ["", None, [], [{"type": "text", "text": ""}]])
def test_an_empty_assistant_turn_vanishes_and_its_neighbours_merge(empty):
    found = contents(user("a"), said(empty), user("b"))
    assert found == [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]


def test_an_assistant_message_without_content_key_is_empty():
    assert len(contents(user("a"), {"role": "assistant"}, user("b"))) == 1


def test_no_content_ever_has_no_parts():
    found = contents(user(""), said(""), user("x"), said(None), user([]))
    assert all(content["parts"] for content in found)
    assert len(found) == 1


def test_assistant_content_may_come_in_parts_with_a_refusal():
    parts = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]
    assert texts(contents(user(), said(parts), user())[1]) == ["a", "no"]


def test_a_refusal_beside_empty_content_is_kept_as_text():
    assert texts(contents(user(), said(None, refusal="I won't"), user())[1]) == [
        "I won't"
    ]


@pytest.mark.parametrize(
    "extra",
    [
        {"reasoning_content": "thinking aloud"},
        {"reasoning": "thinking aloud"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "aloud"}]},
        {"audio": {"id": "a1"}},
        {"name": "bot"},
        {"annotations": []},
        {"refusal": None, "tool_calls": None, "function_call": None},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_what_is_not_replayed_leaves_no_trace(extra):
    assert contents(user(), said("yes", **extra), user()) == contents(
        user(), said("yes"), user()
    )


def test_a_picture_the_assistant_made_is_replayed():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    found = contents(user(), said("here", images=[picture]), user("bigger"))
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert found[1]["parts"] == [{"text": "here"}, inline]


def test_a_user_name_is_accepted():
    assert contents({**user("a"), "name": "Ann"}) == contents(user("a"))


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("hi", "messages"),
        ({"role": "user"}, "messages"),
        (None, "messages"),
        (["hi"], "messages[0]"),
        ([None], "messages[0]"),
        ([{}], "messages[0].role"),
        ([{"role": 7, "content": "x"}], "messages[0].role"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": {"type": "text"}}], "messages[0].content"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{}]}], "messages[0].content[0].type"),
        (
            [{"role": "user", "content": [{"type": "text"}]}],
            "messages[0].content[0].text",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": 7}]}],
            "messages[0].content[0].text",
        ),
        (
            [{"role": "user", "content": [{"type": "hologram"}]}],
            "messages[0].content[0].type",
        ),
        (
            [{"role": "user", "content": [{"type": ["text"]}]}],
            "messages[0].content[0].type",
        ),
        ([{"role": "system", "content": None}], "messages[0].content"),
        (
            [{"role": "system", "content": [{"type": "image_url"}]}],
            "messages[0].content[0].type",
        ),
        ([{"role": "assistant", "content": 1.5}], "messages[0].content"),
        ([{"role": "assistant", "refusal": 1}], "messages[0].refusal"),
        ([{"role": "user", "content": "x"}, 5], "messages[1]"),
    ],
)
def test_malformed_messages_are_refused_with_their_place(messages, param):
    with pytest.raises(BadRequest) as caught:
        parse_chat({"messages": messages}, upstream_model=FLASH_3, signatures={})
    assert caught.value.param == param


@pytest.mark.parametrize(
    "messages",
    [[user("")], [user([]), said("")], [system(""), user("")]],
    ids=["empty user", "empty both", "empty system too"],
)
def test_a_conversation_in_which_nothing_is_said_is_refused(messages):
    fault = refused(*messages, param="messages")
    assert "nothing to say" in fault.message


def test_an_assistant_alone_still_answers_an_opening():
    assert [c["role"] for c in contents(said("Once"))] == ["user", "model"]


@pytest.mark.parametrize("model", [FLASH_25, FLASH_3])
def test_words_after_tool_results_come_later_in_the_same_content(model):
    found = contents(
        user(), calls(call("a")), result("a"), user("and now?"), model=model
    )
    last = found[-1]["parts"]
    assert [sorted(part) for part in last] == [["functionResponse"], ["text"]]


def test_roles_alternate_whatever_the_order_of_messages():
    found = contents(
        said("1"),
        said("2"),
        user("3"),
        system("4"),
        user("5"),
        calls(call("a"), content="6"),
        result("a"),
        user("7"),
        said(""),
        user("8"),
    )
    roles = [content["role"] for content in found]
    assert roles == ["user", "model", "user", "model", "user"]
