"""Tokens of a request to xAI: its words as xAI cuts them, all else guessed."""

from typing import Any

import pytest

from proxy.wire.remarks import ESTIMATED, KEY
from proxy.wire.token_estimates import estimated_tokens
from proxy.wire.xai_tokens import token_count, token_request

PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AA"}}
ASKED: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "one"}, PICTURE]},
        {"role": "model", "parts": [{"text": "two"}]},
    ],
}


@pytest.mark.parametrize(
    "body",
    [ASKED, {"generateContentRequest": ASKED}, {"generate_content_request": ASKED}],
    ids=["plain", "wrapped", "snake"],
)
def test_all_words_are_given_to_xai(body: dict[str, Any]) -> None:
    assert token_request(body, "grok-4.3") == {
        "model": "grok-4.3",
        "text": "Be brief.\none\ntwo",
    }


@pytest.mark.parametrize(
    "body", [{}, {"contents": []}, {"contents": [{"parts": [PICTURE]}]}]
)
def test_without_words_nobody_is_asked(body: dict[str, Any]) -> None:
    assert token_request(body, "grok-4.3") == {}


def test_words_are_counted_by_xai_and_the_rest_is_guessed() -> None:
    found = token_count(ASKED, {"token_ids": [{}] * 100})
    rest = {"contents": [{"parts": []}, {"parts": [PICTURE]}, {"parts": []}]}
    assert found["totalTokens"] == 100 + estimated_tokens(rest)
    assert found["totalTokens"] > 300


def test_declared_tools_count() -> None:
    tools = [{"functionDeclarations": [{"name": "weather", "description": "x" * 400}]}]
    more = token_count({**ASKED, "tools": tools}, {"token_ids": []})["totalTokens"]
    assert more >= token_count(ASKED, {"token_ids": []})["totalTokens"] + 100


@pytest.mark.parametrize("counted", [None, {}, {"token_ids": "x"}])
def test_what_xai_cannot_count_is_guessed(counted: Any) -> None:
    assert token_count(ASKED, counted)["totalTokens"] == estimated_tokens(ASKED)


@pytest.mark.parametrize("counted", [None, {"token_ids": [{}]}])
def test_every_count_says_that_it_is_an_estimate(counted: Any) -> None:
    assert token_count(ASKED, counted)[KEY] == {"usage": ESTIMATED}
