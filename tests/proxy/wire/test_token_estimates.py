"""A guess at a request's tokens is near enough to keep within a quota."""

from typing import Any

import pytest

from proxy.wire.token_estimates import estimated_tokens


def turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 0),
        ({"contents": [turn({"text": "x" * 400})]}, 104),
        ({"contents": [turn({"text": "x"}), turn({"text": "y"})]}, 10),
        ({"contents": [turn({"text": "你好" * 100})]}, 204),
        ({"contents": [turn({"inlineData": {"data": "A" * 9000}})]}, 262),
        ({"systemInstruction": turn({"text": "x" * 40}), "contents": []}, 14),
        ({"content": turn({"text": "x" * 40})}, 14),
        ({"requests": [{"content": turn({"text": "x" * 40})}] * 3}, 42),
    ],
    ids=["none", "latin", "turns", "dense", "media", "system", "embed", "batch"],
)
def test_text_media_and_turns_count(body: dict[str, Any], tokens: int) -> None:
    assert estimated_tokens(body) == tokens


def test_tools_and_calls_count_as_their_json() -> None:
    call = {"functionCall": {"name": "look", "args": {"at": "x" * 80}}}
    without = {"contents": [turn(call)]}
    with_tools = {**without, "tools": [{"functionDeclarations": [{"name": "look"}]}]}
    assert 24 < estimated_tokens(without) < 50
    assert estimated_tokens(with_tools) > estimated_tokens(without) + 8


@pytest.mark.parametrize(
    "body",
    [{"contents": "hi"}, {"contents": [{"parts": "hi"}]}, {"contents": [7]}],
    ids=["text", "parts", "number"],
)
def test_what_the_provider_will_refuse_counts_nothing(body: dict[str, Any]) -> None:
    assert estimated_tokens(body) == 0
