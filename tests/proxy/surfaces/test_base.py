"""What every surface shares: bodies, addresses, deadlines."""

from types import SimpleNamespace
from typing import Any

import pytest

from proxy.errors import BadRequest
from proxy.surfaces.base import (
    DEEPEST,
    address_of,
    check_depth,
    deadline_of,
    new_id,
    parse_json,
)


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"{}", {}), (b' {"a": [1, "\xc3\xa9"]} ', {"a": [1, "é"]}), (b"null", None)],
)
def test_json_is_parsed(content: bytes, value: Any) -> None:
    assert parse_json(content) == value


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'"\xff"',
        b"[1,]",
        b'{"a": "\xed\xa0\x80"}',
    ],
)
def test_what_is_no_json_is_a_400_that_says_so(content: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_json(content)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


def test_a_broken_body_is_not_repeated_in_the_message() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_json(b'{"secret": "hush-hush", oops')
    assert "hush" not in caught.value.message
    assert "line 1" in caught.value.message


def test_nesting_up_to_the_bound_is_fine() -> None:
    assert parse_json(nested(DEEPEST))
    assert parse_json(nested(DEEPEST // 2, b'{"a":[', b"]}"))


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900])
def test_deeper_nesting_is_refused(depth: int) -> None:
    with pytest.raises(BadRequest, match="deeper than 200"):
        parse_json(nested(depth))


def test_deep_nesting_is_refused_behind_a_large_text_too() -> None:
    content = b'{"a": "' + b"x" * 1_000_001 + b'", "b": ' + nested(900) + b"}"
    with pytest.raises(BadRequest, match="deeper than 200"):
        parse_json(content)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(parse_json(b"[" + b"[]," * 5000 + b"[]]")) == 5001


def test_brackets_within_texts_are_not_deep() -> None:
    assert parse_json(b'["' + b"[{" * 5000 + b'"]')


@pytest.mark.parametrize("value", [1, "text", None, [], {}])
def test_flat_values_are_not_deep(value: Any) -> None:
    check_depth(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        (None, None),
        ("", None),
        ("0", None),
        ("-1", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
    ],
)
def test_a_deadline_is_a_sensible_number_or_none(
    text: str | None, seconds: float | None
) -> None:
    assert deadline_of(text) == seconds


def test_the_address_is_the_peers_unless_proxies_are_trusted(settings: Any) -> None:
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 1.1.1.1"}
    request: Any = SimpleNamespace(META=meta)
    assert address_of(request) == "10.0.0.1"
    settings.TRUSTED_PROXY_HOPS = 1
    assert address_of(request) == "1.1.1.1"
    request.META = {}
    assert address_of(request) == ""


def test_ids_differ_and_keep_their_prefix() -> None:
    assert new_id("x-").startswith("x-")
    assert len({new_id("x-") for _ in range(100)}) == 100
