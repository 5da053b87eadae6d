"""Thought signatures: where clients carry them and how lost ones are made good."""

import pytest

from proxy.wire.openai_chat import missing_signatures
from proxy.wire.signatures import BYPASS, BYPASS_VALUES, split_id
from tests.proxy.wire.chat_samples import (
    FLASH_3,
    FLASH_25,
    call,
    calls,
    parse,
    refused,
    result,
    said,
    system,
    user,
)

SIG = "c2lnbmF0dXJl"
OTHER = "b3RoZXI="


def google(signature) -> dict:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def signed(*messages, model: str = FLASH_3, signatures=None) -> list:
    """Return the signatures of all function calls, in order; None where none is."""
    body = parse(*messages, model=model, signatures=signatures).body
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [p.get("thoughtSignature") for p in parts if "functionCall" in p]


@pytest.mark.parametrize(
    "carried",
    [
        call("a", **google(SIG)),
        {
            "id": "a",
            "type": "function",
            "function": {"name": "f", "arguments": "{}", **google(SIG)},
        },
        call("a", provider_specific_fields={"thought_signature": SIG}),
        {
            "id": "a",
            "function": {
                "name": "f",
                "provider_specific_fields": {"thought_signature": SIG},
            },
        },
        call(f"a__thought__{SIG}"),
    ],
    ids=["extra_content", "in function", "provider", "provider in function", "id"],
)
@pytest.mark.parametrize("model", [FLASH_3, FLASH_25])
def test_a_signature_is_found_wherever_clients_carry_it(carried, model):
    assert signed(user(), calls(carried), result("a"), model=model) == [SIG]


def test_the_signature_goes_on_the_part_and_not_into_the_call():
    body = parse(user(), calls(call("a", **google(SIG))), result("a")).body
    part = body["contents"][1]["parts"][0]
    assert part["thoughtSignature"] == SIG
    assert set(part["functionCall"]) == {"name", "args", "id"}


def test_the_signature_is_cut_off_the_id_in_call_and_result():
    glued = f"a__thought__{SIG}"
    body = parse(user(), calls(call(glued)), result(glued, "7")).body
    assert body["contents"][1]["parts"][0]["functionCall"]["id"] == "a"
    response = body["contents"][2]["parts"][0]["functionResponse"]
    assert (response["id"], response["response"]) == ("a", {"result": 7})


def test_a_result_may_name_the_bare_id():
    body = parse(user(), calls(call(f"a__thought__{SIG}")), result("a", "7")).body
    response = body["contents"][2]["parts"][0]["functionResponse"]
    assert response["response"] == {"result": 7}


def test_what_the_client_sent_wins_over_the_cache():
    found = signed(
        user(), calls(call("a", **google(SIG))), result("a"), signatures={"a": OTHER}
    )
    assert found == [SIG]


def test_a_lost_signature_comes_from_the_cache():
    found = signed(user(), calls(call("a")), result("a"), signatures={"a": SIG})
    assert found == [SIG]


def test_a_signature_nobody_knows_is_bypassed_on_the_first_call_only():
    messages = [user(), calls(call("a"), call("b")), result("a"), result("b")]
    assert signed(*messages) == [BYPASS, None]
    assert BYPASS == "skip_thought_signature_validator"
    assert BYPASS in BYPASS_VALUES


def test_every_step_of_the_current_turn_gets_one():
    found = signed(
        user(),
        calls(call("a")),
        result("a"),
        calls(call("b", **google(SIG))),
        result("b"),
        calls(call("c")),
        result("c"),
    )
    assert found == [BYPASS, SIG, BYPASS]


def test_earlier_turns_get_none():
    found = signed(
        user("x"),
        calls(call("a")),
        result("a"),
        said("done"),
        user("y"),
        calls(call("b")),
        result("b"),
    )
    assert found == [None, BYPASS]


def test_earlier_turns_keep_what_the_client_sent():
    found = signed(
        user(), calls(call("a", **google(SIG))), result("a"), said("done"), user("y")
    )
    assert found == [SIG]


def test_the_cache_is_not_used_for_earlier_turns_whose_ids_repeat():
    found = signed(
        user("x"),
        calls(call("same")),
        result("same"),
        said("done"),
        user("y"),
        calls(call("same")),
        result("same"),
        signatures={"same": SIG},
    )
    assert found == [None, SIG]


def test_words_after_a_result_do_not_end_the_turn():
    found = signed(user(), calls(call("a")), result("a"), user("hurry"))
    assert found == [BYPASS]


@pytest.mark.parametrize("model", [FLASH_25, "gemini-2.0-flash", "gemma-3-27b-it"])
def test_models_before_gemini_3_get_nothing_added(model):
    messages = [user(), calls(call("a")), result("a")]
    assert signed(*messages, model=model, signatures={"a": SIG}) == [None]


@pytest.mark.parametrize("model", [FLASH_3, "gemini-3.1-pro", "gemini-flash-latest"])
def test_gemini_3_and_newer_get_the_bypass(model):
    assert signed(user(), calls(call("a")), result("a"), model=model) == [BYPASS]


def test_a_signature_on_a_sibling_does_not_excuse_the_first_call():
    found = signed(
        user(),
        calls(call("a"), call("b", **google(SIG))),
        result("a"),
        result("b"),
    )
    assert found == [BYPASS, SIG]


@pytest.mark.parametrize("broken", ["not base64!", "", "<sig>"])
def test_a_mangled_signature_counts_as_lost(broken):
    assert signed(user(), calls(call("a", **google(broken))), result("a")) == [BYPASS]
    assert missing_signatures(
        {"messages": [user(), calls(call("a", **google(broken))), result("a")]}
    ) == ["a"]


@pytest.mark.parametrize("extra", ["x", {"google": "x"}, {"google": {}}, None, []])
def test_other_extra_content_is_ignored(extra):
    assert signed(user(), calls(call("a", extra_content=extra)), result("a")) == [
        BYPASS
    ]


def test_a_signature_that_is_no_string_is_refused():
    refused(
        user(),
        calls(call("a", **google(7))),
        param="messages[1].tool_calls[0].extra_content.google.thought_signature",
    )


def test_a_text_signature_goes_on_the_last_text_of_its_turn():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = parse(user(), said(parts, **google(SIG)), user()).body
    assert body["contents"][1]["parts"] == [
        {"text": "a"},
        {"text": "b", "thoughtSignature": SIG},
    ]


def test_a_text_signature_without_text_keeps_an_empty_part():
    body = parse(user(), said("", **google(SIG)), user()).body
    assert body["contents"][1]["parts"] == [{"text": "", "thoughtSignature": SIG}]


def test_a_text_signature_beside_calls_leaves_the_calls_alone():
    message = {**calls(call("a", **google(OTHER))), **google(SIG)}
    body = parse(user(), message, result("a")).body
    assert [p.get("thoughtSignature") for p in body["contents"][1]["parts"]] == [OTHER]


def test_signed_and_unsigned_texts_are_not_joined():
    body = parse(user(), said("a", **google(SIG)), said("b"), user()).body
    assert body["contents"][1]["parts"] == [
        {"text": "a", "thoughtSignature": SIG},
        {"text": "b"},
    ]


@pytest.mark.parametrize(
    ("call_id", "expected"),
    [
        ("plain", ("plain", None)),
        (f"a__thought__{SIG}", ("a", SIG)),
        ("a__thought__", ("a", None)),
        ("a__thought__!!", ("a", None)),
        ("", ("", None)),
    ],
)
def test_an_id_is_split_from_its_signature(call_id, expected):
    assert split_id(call_id) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user(), calls(call("a"), call("b")), result("a")], ["a", "b"]),
        ([user(), calls(call("a", **google(SIG)), call("b"))], ["b"]),
        ([user(), calls(call(f"a__thought__{SIG}"))], []),
        ([user(), calls(call("a")), result("a"), said("x"), user("y")], []),
        ([user(), calls(call("a")), result("a"), user("y")], ["a"]),
        ([user(), calls(call("a")), user("y")], ["a"]),
        ([user(), calls(call("a")), result("a"), calls(call("b"))], ["a", "b"]),
        ([user(), calls(call("a")), system("s"), result("a")], ["a"]),
        ([user(), calls(call("a"), call("a"))], ["a"]),
        ([user(), calls(call(None), call(""))], []),
        ([user("x")], []),
        ([], []),
        (None, []),
        ("x", []),
        ([3, None, {}, {"role": "assistant", "tool_calls": 7}], []),
        ([{"role": "assistant", "tool_calls": [7, {"id": 7}]}], []),
    ],
)
def test_missing_signatures_are_those_of_the_current_turn(messages, expected):
    assert missing_signatures({"messages": messages}) == expected


@pytest.mark.parametrize("body", [None, 7, [], "x", {}])
def test_nothing_is_missing_from_what_is_no_request(body):
    assert missing_signatures(body) == []


def test_filling_in_what_is_missing_leaves_no_bypass():
    messages = [user(), calls(call("a")), result("a"), calls(call("b")), result("b")]
    ids = missing_signatures({"messages": messages})
    found = signed(*messages, signatures=dict.fromkeys(ids, SIG))
    assert found == [SIG, SIG]
