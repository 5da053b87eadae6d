"""Token counts: they add up, thinking is part of the limit, streams grow."""

import pytest

from proxy.sandbox.tokens import text_tokens
from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    WEATHER,
    answer,
    asking,
    configured,
    finish_of,
    parts_of,
    picture_part,
    refusal,
    stream,
    text_of,
    user,
    with_tools,
)

BODIES = {
    "text": asking("hello"),
    "picture": {"contents": [user("what?", picture_part("red"))]},
    "thoughts": configured("hi", thinkingConfig={"includeThoughts": True}),
    "call": with_tools("get_weather in Rome", WEATHER),
    "count": asking("count to 30"),
    "limited": configured("count to 30", maxOutputTokens=60),
    "cut-thinking": configured("count to 30", maxOutputTokens=5),
    "url": asking("see https://a.example/", tools=[{"urlContext": {}}]),
    "drawn": asking("a red circle"),
}


def check_sums(usage):
    parts = (
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
    )
    assert usage["totalTokenCount"] == sum(usage.get(name, 0) for name in parts)
    for name in ("prompt", "candidates", "toolUsePrompt"):
        details = usage.get(f"{name}TokensDetails")
        if details is not None:
            assert (
                sum(each["tokenCount"] for each in details)
                == usage[f"{name}TokenCount"]
            )


def model_for(name):
    return "gemini-3-pro-image-preview" if name == "drawn" else NEW


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("éé", 1), ("世界", 2)],
)
def test_tokens_are_quarters_of_utf8_bytes(text, count):
    assert text_tokens(text) == count


@pytest.mark.parametrize("name", BODIES)
async def test_the_numbers_add_up(client, name):
    response = await answer(client, BODIES[name], to=model_for(name))
    check_sums(response["usageMetadata"])


@pytest.mark.parametrize("name", BODIES)
async def test_a_stream_ends_with_the_usage_of_the_whole(client, name):
    chunks = await stream(client, BODIES[name], to=model_for(name))
    for chunk in chunks:
        check_sums(chunk["usageMetadata"])
    totals = [chunk["usageMetadata"]["totalTokenCount"] for chunk in chunks]
    assert totals == sorted(totals)
    whole = await answer(client, BODIES[name], to=model_for(name))
    assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]


async def test_prompt_tokens_are_told_by_modality(client):
    response = await answer(client, BODIES["picture"])
    assert response["usageMetadata"]["promptTokensDetails"] == [
        {"modality": "TEXT", "tokenCount": 2},
        {"modality": "IMAGE", "tokenCount": 258},
    ]


async def test_a_drawn_picture_costs_1290_tokens(client):
    response = await answer(client, BODIES["drawn"], to="gemini-2.5-flash-image")
    details = response["usageMetadata"]["candidatesTokensDetails"]
    assert {"modality": "IMAGE", "tokenCount": 1290} in details


async def test_system_tools_and_history_count_as_prompt(client):
    async def prompt(body):
        usage = (await answer(client, body, to=OLD))["usageMetadata"]
        return usage["promptTokenCount"]

    bare = await prompt(asking("hi"))
    system = {"parts": [{"text": "x" * 40}]}
    assert await prompt(asking("hi", systemInstruction=system)) == bare + 10
    assert await prompt(with_tools("hi", WEATHER)) > bare + 10


@pytest.mark.parametrize(
    ("to", "thinking", "thoughts"),
    [
        (NEW, {}, 48),
        (NEW, {"thinkingLevel": "LOW"}, 16),
        (NEW, {"thinkingLevel": "MINIMAL"}, None),
        (OLD, {}, 32),
        (OLD, {"thinkingBudget": 0}, None),
        (OLD, {"thinkingBudget": 7}, 7),
        (OLD, {"thinkingBudget": -1}, 32),
        ("gemini-2.5-flash-lite", {}, None),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 512}, 32),
        ("gemini-2.0-flash", {}, None),
    ],
)
async def test_thinking_is_counted_even_when_it_is_not_shown(
    client, to, thinking, thoughts
):
    response = await answer(client, configured("hi", thinkingConfig=thinking), to=to)
    assert response["usageMetadata"].get("thoughtsTokenCount") == thoughts
    assert not any(part.get("thought") for part in parts_of(response))


async def test_shown_thoughts_come_first(client):
    body = configured("hi there", thinkingConfig={"includeThoughts": True})
    thought, text = parts_of(await answer(client, body, to=OLD))
    assert thought["thought"] is True
    assert "hi there" in thought["text"]
    assert "thought" not in text


async def test_the_limit_holds_for_thinking_and_answer_together(client):
    response = await answer(
        client, configured("count to 500", maxOutputTokens=40), to=OLD
    )
    usage = response["usageMetadata"]
    assert finish_of(response) == "MAX_TOKENS"
    assert usage["thoughtsTokenCount"] + usage["candidatesTokenCount"] == 40
    assert text_of(response).startswith("1 2 3 ")


async def test_thinking_may_use_up_the_whole_limit(client):
    body = configured(
        "hi", maxOutputTokens=10, thinkingConfig={"includeThoughts": True}
    )
    response = await answer(client, body)
    assert response["candidates"] == [
        {"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
    ]
    assert response["usageMetadata"]["thoughtsTokenCount"] == 10
    assert "candidatesTokenCount" not in response["usageMetadata"]


async def test_a_cut_never_splits_a_character(client):
    body = configured("repeat: " + "é世" * 50, maxOutputTokens=35)
    text = text_of(await answer(client, body, to=OLD))
    assert text
    assert text != "é世" * 50
    assert ("é世" * 50).startswith(text)


async def test_a_call_that_does_not_fit_is_left_out(client):
    body = with_tools(
        "get_weather in Rome", WEATHER, generationConfig={"maxOutputTokens": 50}
    )
    response = await answer(client, body)
    assert finish_of(response) == "MAX_TOKENS"
    assert parts_of(response) == []


async def test_the_answer_names_its_model_and_tier(client):
    response = await answer(client, asking("hi", serviceTier="flex"))
    assert response["modelVersion"] == NEW
    assert response["usageMetadata"]["serviceTier"] == "flex"
    assert response["responseId"]


@pytest.mark.parametrize("name", ["text", "picture", "call"])
async def test_counting_agrees_with_the_usage(client, name):
    body = BODIES[name]
    nested = {"generateContentRequest": {"model": f"models/{NEW}", **body}}
    counted = await answer(client, nested, method="countTokens")
    usage = (await answer(client, body))["usageMetadata"]
    assert counted["totalTokens"] == usage["promptTokenCount"]
    assert counted["promptTokensDetails"] == usage["promptTokensDetails"]


async def test_bare_contents_can_be_counted(client):
    counted = await answer(client, asking("abcdefgh"), method="countTokens")
    assert counted["totalTokens"] == 2


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "CountTokensRequest.contents: contents is not specified"),
        ({"generateContentRequest": asking("x")}, "model is required"),
        (
            asking("x", generateContentRequest=asking("x", model=f"models/{NEW}")),
            "mutually exclusive",
        ),
        (
            {"generateContentRequest": asking("x", model="models/y")},
            "differs from the model",
        ),
        (
            {"generateContentRequest": {"model": f"models/{NEW}"}},
            "contents is not specified",
        ),
        (asking("x", generationConfig={}), 'Unknown name "generationConfig"'),
    ],
    ids=["empty", "no-model", "both", "other-model", "no-contents", "config"],
)
async def test_a_bad_count_request_is_refused(client, body, text):
    assert text in (await refusal(client, body, method="countTokens"))["message"]
