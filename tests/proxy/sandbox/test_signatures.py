"""Thought signatures: issued, sent back, missing, altered and bypassed."""

import base64

import pytest

from proxy.sandbox.catalogue import CARDS
from proxy.sandbox.signatures import (
    BYPASSES,
    is_bypass,
    is_genuine,
    sign_call,
    sign_text,
)
from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    TIME,
    WEATHER,
    answer,
    asking,
    call,
    model,
    parts_of,
    refusal,
    user,
    with_tools,
)

CORRUPTED = "Corrupted thought signature."


def result(name="get_weather"):
    return {"functionResponse": {"name": name, "response": {"output": "sunny"}}}


def continued(parts, *after, tools=(WEATHER, TIME)):
    first = user("use get_weather in Rome and get_time")
    contents = [first, model(*parts), *after]
    return {"contents": contents, "tools": [{"functionDeclarations": list(tools)}]}


async def called(client, to=NEW, text="use get_weather in Rome"):
    return parts_of(await answer(client, with_tools(text, WEATHER, TIME), to=to))


async def test_the_first_of_parallel_calls_carries_the_signature(client):
    first, second = await called(client, text="use get_weather in Rome and get_time")
    assert base64.b64decode(first["thoughtSignature"], validate=True)
    assert "thoughtSignature" not in second


@pytest.mark.parametrize("to", [OLD, "gemma-4-31b-it"])
async def test_older_models_sign_nothing(client, to):
    (part,) = await called(client, to=to)
    assert "thoughtSignature" not in part
    assert (await call(client, continued([part], user(result())), to=to)).is_success


@pytest.mark.parametrize("to", ["gemini-3.1-pro-preview", "gemini-3.5-flash", NEW])
async def test_a_signature_sent_back_is_accepted(client, to):
    parts = await called(client, to=to)
    response = await call(client, continued(parts, user(result())), to=to)
    assert response.is_success, response.text


@pytest.mark.parametrize("alphabet", ["standard", "url", "unpadded"])
async def test_the_alphabet_of_the_signature_does_not_matter(client, alphabet):
    (part,) = await called(client)
    raw = base64.b64decode(part["thoughtSignature"])
    encoded = (
        base64.urlsafe_b64encode(raw) if alphabet == "url" else base64.b64encode(raw)
    )
    text = encoded.decode()
    part["thoughtSignature"] = text.rstrip("=") if alphabet == "unpadded" else text
    assert (await call(client, continued([part], user(result())))).is_success


async def test_numbers_written_differently_do_not_break_a_signature(client):
    declaration = {
        "name": "wait",
        "parametersJsonSchema": {
            "type": "object",
            "properties": {"seconds": {"type": "number"}},
            "required": ["seconds"],
        },
    }
    (part,) = parts_of(await answer(client, with_tools("wait 5", declaration)))
    assert part["functionCall"]["args"] == {"seconds": 5}
    part["functionCall"]["args"] = {"seconds": 5.0}
    body = continued([part], user(result("wait")), tools=[declaration])
    assert (await call(client, body)).is_success


async def test_a_missing_signature_is_refused_with_name_and_position(client):
    (part,) = await called(client)
    del part["thoughtSignature"]
    error = await refusal(client, continued([part], user(result())))
    assert error["message"].startswith(
        "Function call is missing a thought_signature in functionCall parts."
    )
    assert "function call `default_api:get_weather` , position 2." in error["message"]


async def test_thinking_as_little_as_possible_does_not_lift_the_rule(client):
    (part,) = await called(client)
    del part["thoughtSignature"]
    config = {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}
    body = continued([part], user(result())) | {"generationConfig": config}
    assert "missing a thought_signature" in (await refusal(client, body))["message"]


async def test_siblings_of_the_first_call_need_no_signature(client):
    parts = await called(client, text="use get_weather in Rome and get_time")
    body = continued(parts, user(result(), result("get_time")))
    assert (await call(client, body)).is_success


async def test_every_step_of_the_turn_is_checked(client):
    parts = await called(client)
    bare = {"functionCall": {"name": "get_time", "args": {"zone": "UTC"}}}
    body = continued(parts, user(result()), model(bare), user(result("get_time")))
    error = await refusal(client, body)
    assert "`default_api:get_time` , position 4." in error["message"]


async def test_earlier_turns_are_not_checked(client):
    bare = {"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}}
    body = continued([bare], user(result()), model("sunny"), user("thanks"))
    assert (await call(client, body)).is_success


@pytest.mark.parametrize("bypass", BYPASSES)
@pytest.mark.parametrize("encoded", [False, True], ids=["literal", "encoded"])
async def test_a_bypass_value_is_accepted(client, bypass, encoded):
    value = base64.b64encode(bypass.encode()).decode() if encoded else bypass
    call_part = {
        "functionCall": {"name": "get_weather", "args": {}},
        "thoughtSignature": value,
    }
    assert (await call(client, continued([call_part], user(result())))).is_success


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.update(thoughtSignature="AAAA"),
        lambda part: part.update(thoughtSignature=part["thoughtSignature"][:-4]),
        lambda part: part.update(thoughtSignature=part["thoughtSignature"] + "AAAA"),
        lambda part: part["functionCall"].update(args={"city": "Oslo"}),
        lambda part: part["functionCall"].update(name="get_time"),
    ],
    ids=["foreign", "cut", "longer", "other-args", "other-name"],
)
async def test_an_altered_call_or_signature_is_corrupted(client, change):
    (part,) = await called(client)
    change(part)
    error = await refusal(client, continued([part], user(result())))
    assert error["message"] == CORRUPTED


async def test_the_signature_of_another_model_is_corrupted(client):
    parts = await called(client, to="gemini-3.1-pro-preview")
    error = await refusal(client, continued(parts, user(result())), to=NEW)
    assert error["message"] == CORRUPTED


async def test_a_text_answer_is_signed_on_its_last_part(client):
    response = await answer(client, asking("repeat: one"))
    (part,) = parts_of(response)
    signature = base64.b64decode(part["thoughtSignature"])
    assert is_genuine(CARDS[NEW], signature)


async def test_a_corrupted_text_signature_of_the_turn_is_refused(client):
    bad = {"text": "on it", "thoughtSignature": "AAAA"}
    (part,) = await called(client)
    error = await refusal(client, continued([bad, part], user(result())))
    assert error["message"] == CORRUPTED


async def test_picture_models_sign_but_do_not_insist(client):
    to = "gemini-3-pro-image-preview"
    drawn = parts_of(await answer(client, asking("a red circle"), to=to))
    assert all("thoughtSignature" in part for part in drawn if "inlineData" in part)
    for part in drawn:
        part.pop("thoughtSignature", None)
    body = {"contents": [user("a red circle"), model(*drawn), user("now blue")]}
    assert (await call(client, body, to=to)).is_success


def test_signatures_differ_by_model_name_and_arguments():
    cards = CARDS[NEW], CARDS["gemini-3.5-flash"]
    made = {
        sign_call(card, name, args)
        for card in cards
        for name in "ab"
        for args in ({}, {"x": 1})
    }
    assert len(made) == 8
    assert sign_text(cards[0], "a") != sign_text(cards[0], "b")


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"skip"])
def test_other_bytes_are_no_bypass(value):
    assert not is_bypass(value)
