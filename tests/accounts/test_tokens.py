"""API tokens as text."""

import pytest

from accounts import tokens
from accounts.callers import Caller, Limits


def test_a_token_has_the_documented_form() -> None:
    token = tokens.make()
    assert token.startswith("gp-")
    assert len(token) == 3 + 43 + 4
    assert set(token[3:]) <= set(tokens.ALPHABET)
    assert tokens.is_well_formed(token)


def test_tokens_differ() -> None:
    assert len({tokens.make() for _ in range(200)}) == 200


def test_a_typing_error_is_noticed() -> None:
    token = tokens.make()
    for place in (3, 20, 45, 46, 49):
        other = "1" if token[place] == "0" else "0"
        assert not tokens.is_well_formed(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "gp-", "gp-short", "sk-" + "0" * 47, "gp-" + "0" * 47, "gp-" + "é" * 47],
)
def test_what_is_no_token_is_not_well_formed(text: str) -> None:
    assert not tokens.is_well_formed(text)


def test_a_token_with_something_around_it_is_not_well_formed() -> None:
    token = tokens.make()
    assert not tokens.is_well_formed(token + "0")
    assert not tokens.is_well_formed(" " + token)
    assert not tokens.is_well_formed(token[:-1])
    assert not tokens.is_well_formed(token.upper())


def test_the_hash_depends_on_token_and_key_and_shows_neither() -> None:
    token = tokens.make()
    digest = tokens.digest(token, "key")
    assert digest == tokens.digest(token, "key")
    assert len(digest) == 64
    assert digest != tokens.digest(token, "other")
    assert digest != tokens.digest(tokens.make(), "key")
    assert token[3:] not in digest


def test_a_hash_can_be_made_of_any_text() -> None:
    assert len(tokens.digest("ключ", "é")) == 64


def test_the_prefix_is_a_small_part() -> None:
    token = tokens.make()
    assert token.startswith(tokens.prefix(token))
    assert len(tokens.prefix(token)) == 11


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("admin1", "shorter than 24"),
        ("x" * 30, "too few characters"),
        ("abababababababababababababab", "too few characters"),
        ("my-Password-is-very-long-1234", "known default"),
        ("your-admin-token-goes-here-1", "known default"),
        ("CHANGEME-0123456789-abcdefgh", "known default"),
    ],
)
def test_a_weak_token_is_told_why(token: str, reason: str) -> None:
    assert reason in tokens.weakness(token)
    assert token not in tokens.weakness(token)


def test_a_random_token_is_not_weak() -> None:
    assert tokens.weakness(tokens.make()) == ""
    assert tokens.weakness("4f0c2a9e7b1d8365aa9c3e5f") == ""


def test_use_is_counted_by_token_or_by_person() -> None:
    assert Caller(user_id=7, username="ann", token_id=3).key == "t3"
    assert Caller(user_id=7, username="ann").key == "u7"


def test_a_caller_without_a_plan_has_no_limits() -> None:
    limits = Caller(user_id=7, username="ann").limits
    assert limits == Limits(requests_per_minute=None, concurrency=None, models=())
