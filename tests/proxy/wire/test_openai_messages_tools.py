"""Tool calls and tool results in a conversation."""

import pytest

from tests.proxy.wire.chat_samples import (
    FLASH_3,
    FLASH_25,
    PNG,
    WAV,
    b64,
    call,
    calls,
    contents,
    data_url,
    parse,
    refused,
    result,
    said,
    system,
    tool,
    user,
)

IMAGE = {"type": "image_url", "image_url": {"url": data_url(PNG)}}
SOUND = {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}}


def responses(content: dict) -> list[dict]:
    found = [part.get("functionResponse") for part in content["parts"]]
    return [response for response in found if response is not None]


def replied(content, model: str = FLASH_25) -> dict:
    """Return the response object that a tool message's content becomes."""
    found = contents(user(), calls(call("a")), result("a", content), model=model)
    return responses(found[-1])[0]["response"]


def test_a_tool_call_keeps_name_arguments_and_id():
    found = contents(
        user(),
        calls(call("call_4162774", "weather", '{"city": "Oslo"}')),
        result("call_4162774", '{"t": 3}'),
        model=FLASH_25,
    )
    assert found[1] == {
        "role": "model",
        "parts": [
            {
                "functionCall": {
                    "name": "weather",
                    "args": {"city": "Oslo"},
                    "id": "call_4162774",
                }
            }
        ],
    }
    assert found[2] == {
        "role": "user",
        "parts": [
            {
                "functionResponse": {
                    "name": "weather",
                    "id": "call_4162774",
                    "response": {"t": 3},
                }
            }
        ],
    }


def test_text_beside_tool_calls_comes_first():
    found = contents(user(), calls(call("a"), content="Let me look"), result("a"))
    assert found[1]["parts"][0] == {"text": "Let me look"}
    assert "functionCall" in found[1]["parts"][1]


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("{bad", {}),
        (None, {}),
        ("  ", {}),
        ({"a": 1}, {"a": 1}),
        ("[1, 2]", {"value": [1, 2]}),
        ('"x"', {"value": "x"}),
        ("null", {"value": None}),
    ],
)
def test_arguments_always_become_an_object_and_the_call_stays(arguments, args):
    found = contents(user(), calls(call("a", "f", arguments)), result("a"))
    assert found[1]["parts"][0]["functionCall"]["args"] == args


def test_results_are_put_into_the_order_of_the_calls():
    found = contents(
        user(),
        calls(call("a", "fa"), call("b", "fb")),
        result("b", "2"),
        result("a", "1"),
    )
    assert [r["name"] for r in responses(found[2])] == ["fa", "fb"]
    assert [r["response"] for r in responses(found[2])] == [
        {"result": 1},
        {"result": 2},
    ]
    assert len(found) == 3


def test_a_missing_result_is_made_up_as_an_error():
    found = contents(
        user(), calls(call("a", "fa"), call("b", "fb")), result("a"), user("go on")
    )
    made = responses(found[2])[1]
    assert (made["name"], made["id"]) == ("fb", "b")
    assert set(made["response"]) == {"error"}
    assert found[2]["parts"][-1] == {"text": "go on"}


def test_calls_without_any_result_at_the_end_are_answered_with_errors():
    found = contents(user(), calls(call("a"), call("b")))
    assert [set(r["response"]) for r in responses(found[-1])] == [{"error"}] * 2


def test_calls_left_unanswered_before_the_next_assistant_turn_are_answered():
    found = contents(user("x"), calls(call("a")), user("never mind"), said("ok"))
    assert [c["role"] for c in found] == ["user", "model", "user", "model"]
    assert set(responses(found[2])[0]["response"]) == {"error"}


def test_a_tool_result_without_a_call_becomes_user_text():
    found = contents(user("x"), said("y"), result("ghost", "42", name="calc"))
    text = found[-1]["parts"][0]["text"]
    assert found[-1]["role"] == "user"
    assert "42" in text and "calc" in text


def test_a_tool_result_that_starts_a_conversation_becomes_user_text():
    found = contents(result("ghost", "lost"), user("hi"))
    assert found[0]["role"] == "user"
    assert "lost" in found[0]["parts"][0]["text"]
    assert found[0]["parts"][1] == {"text": "hi"}


def test_a_second_result_for_the_same_call_becomes_user_text():
    found = contents(user(), calls(call("a")), result("a", "one"), result("a", "two"))
    assert responses(found[2])[0]["response"] == {"result": "one"}
    assert "two" in found[2]["parts"][1]["text"]


def test_a_repeated_id_means_the_call_of_the_nearest_turn():
    found = contents(
        user(),
        calls(call("call_1", "first")),
        result("call_1", "1"),
        said("done"),
        user("again"),
        calls(call("call_1", "second")),
        result("call_1", "2"),
    )
    assert [r["name"] for c in found for r in responses(c)] == ["first", "second"]


def test_parallel_calls_with_one_id_are_answered_in_order():
    found = contents(
        user(),
        calls(call("x", "fa"), call("x", "fb")),
        result("x", "1"),
        result("x", "2"),
    )
    pairs = [(r["name"], r["response"]["result"]) for r in responses(found[2])]
    assert pairs == [("fa", 1), ("fb", 2)]


def test_a_result_that_comes_after_the_users_words_is_still_found():
    found = contents(
        user(), calls(call("a"), call("b")), result("a"), user("hm"), result("b", "9")
    )
    assert responses(found[2])[1]["response"] == {"result": 9}
    assert found[2]["parts"][-1] == {"text": "hm"}


def test_a_system_message_between_call_and_result_does_not_part_them():
    body = parse(user(), calls(call("a")), system("note"), result("a", "7")).body
    assert responses(body["contents"][2])[0]["response"] == {"result": 7}
    assert len(body["contents"]) == 3


def test_calls_in_neighbouring_assistant_messages_are_one_step():
    found = contents(
        user(), calls(call("a")), calls(call("b")), result("a"), result("b")
    )
    assert [len(content["parts"]) for content in found] == [1, 2, 2]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ('{"a": 1}', {"a": 1}),
        ('[{"a": 1}]', {"result": [{"a": 1}]}),
        ("plain", {"result": "plain"}),
        ("", {"result": ""}),
        (None, {"result": ""}),
        ("42", {"result": 42}),
        ("null", {"result": None}),
        ("true", {"result": True}),
        ('"quoted"', {"result": "quoted"}),
        ("0012", {"result": "0012"}),
        (
            "123456789012345678901234567890",
            {"result": "123456789012345678901234567890"},
        ),
        ("1.5", {"result": 1.5}),
        ("NaN", {"result": "NaN"}),
        ([{"type": "text", "text": "a"}], {"result": "a"}),
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            {"result": "a\nb"},
        ),
        ([{"type": "text", "text": '{"a": 1}'}], {"a": 1}),
        ([], {"result": ""}),
    ],
)
def test_the_response_is_always_an_object(content, response):
    assert replied(content) == response


def test_a_result_nested_too_deep_stays_text():
    deep = "[" * 100 + "]" * 100
    assert replied(deep) == {"result": deep}


def test_a_picture_from_a_tool_goes_inside_the_response_on_gemini_3():
    parts = [{"type": "text", "text": "see"}, IMAGE]
    found = contents(user(), calls(call("a")), result("a", parts), model=FLASH_3)
    inline = {"inlineData": {"mimeType": "image/png", "data": b64(PNG)}}
    assert responses(found[2])[0]["parts"] == [inline]
    assert len(found[2]["parts"]) == 1


def test_a_picture_from_a_tool_follows_the_responses_before_gemini_3():
    found = contents(
        user(),
        calls(call("a"), call("b")),
        result("a", [IMAGE]),
        result("b"),
        model=FLASH_25,
    )
    kinds = [next(iter(part)) for part in found[2]["parts"]]
    assert kinds == ["functionResponse", "functionResponse", "inlineData"]


def test_sound_from_a_tool_follows_the_response_even_on_gemini_3():
    found = contents(user(), calls(call("a")), result("a", [SOUND]), model=FLASH_3)
    assert "parts" not in responses(found[2])[0]
    assert found[2]["parts"][1]["inlineData"]["mimeType"] == "audio/wav"


def test_a_resolution_is_not_said_inside_a_response():
    image = {"type": "image_url", "image_url": {"url": data_url(PNG), "detail": "low"}}
    found = contents(user(), calls(call("a")), result("a", [image]), model=FLASH_3)
    assert set(responses(found[2])[0]["parts"][0]) == {"inlineData"}


def test_a_remote_picture_from_a_tool_is_fetched_into_the_response():
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    request = parse(user(), calls(call("a")), result("a", [image]), model=FLASH_3)
    (fetch,) = request.fetches
    assert fetch.param == "messages[2].content[0].image_url"
    inner = responses(request.body["contents"][2])[0]["parts"]
    assert inner[0] is fetch.part


def test_an_orphan_result_keeps_its_picture():
    found = contents(user(), result("ghost", [IMAGE]), model=FLASH_3)
    assert found[0]["parts"][-1]["inlineData"]["data"] == b64(PNG)


def test_a_legacy_function_call_is_answered_by_name():
    found = contents(
        user(),
        said(None, function_call={"name": "f", "arguments": '{"x": 1}'}),
        {"role": "function", "name": "f", "content": "3"},
        model=FLASH_25,
    )
    assert found[1]["parts"] == [{"functionCall": {"name": "f", "args": {"x": 1}}}]
    assert responses(found[2]) == [{"name": "f", "response": {"result": 3}}]


def test_a_custom_tool_call_is_replayed_as_a_function_with_one_text():
    custom = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}
    found = contents(user(), calls(custom), result("c"), model=FLASH_25)
    assert found[1]["parts"][0]["functionCall"] == {
        "name": "sql",
        "args": {"input": "SELECT"},
        "id": "c",
    }


def test_a_call_without_id_has_none_upstream():
    found = contents(user(), calls(call(None, "f")), result(None, "1", name="f"))
    assert "id" not in found[1]["parts"][0]["functionCall"]
    assert responses(found[2]) == [{"name": "f", "response": {"result": 1}}]


def test_a_history_with_tool_calls_needs_tools():
    assert "tools" in parse(user(), calls(call("a")), result("a")).needs
    assert "tools" not in parse(user()).needs


def test_history_uses_the_same_changed_name_as_the_declaration():
    request = parse(
        user(), calls(call("a", "srv/x")), result("a"), tools=[tool("srv/x")]
    )
    upstream = request.body["tools"][0]["functionDeclarations"][0]["name"]
    made = request.body["contents"]
    assert made[1]["parts"][0]["functionCall"]["name"] == upstream
    assert responses(made[2])[0]["name"] == upstream
    assert request.tool_names == {upstream: "srv/x"}


def test_a_name_that_only_the_history_knows_is_changed_too():
    request = parse(user(), calls(call("a", "9 lives")), result("a"))
    assert list(request.tool_names.values()) == ["9 lives"]


def test_thousands_of_parallel_calls_are_paired_quickly():
    ids = [f"c{number}" for number in range(5000)]
    found = contents(
        user(),
        calls(*(call(one) for one in ids)),
        *(result(one) for one in reversed(ids)),
    )
    assert [r["id"] for r in responses(found[2])] == ids


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (calls(call(7)), "tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [3]}, "tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{}]}, "tool_calls[0].function"),
        (calls(call("a", "")), "tool_calls[0].function.name"),
        (calls(call("a", None)), "tool_calls[0].function.name"),
        (calls(call("a", "f", 5)), "tool_calls[0].function.arguments"),
        (calls(call("a", "f", [])), "tool_calls[0].function.arguments"),
        (
            calls(call("a", "f", '{"a":' * 80 + "1" + "}" * 80)),
            "tool_calls[0].function.arguments",
        ),
        (
            calls({"id": "a", "type": "custom", "custom": {"name": "x"}}),
            "tool_calls[0].custom.input",
        ),
        ({"role": "assistant", "function_call": "f"}, "function_call"),
        (result(7), "tool_call_id"),
        (result("a", 7), "content"),
        (result("a", {"x": 1}), "content"),
        (result("a", [7]), "content[0]"),
        (result("a", [{"type": "text"}]), "content[0].text"),
        (result("a", [{"type": "smell"}]), "content[0].type"),
        (result("a", "x", name=7), "name"),
    ],
)
def test_malformed_calls_and_results_are_refused(message, param):
    refused(user(), message, param=f"messages[1].{param}")
