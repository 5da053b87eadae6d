"""Typed reading of request fields."""

import pytest

from proxy.errors import BadRequest
from proxy.wire import openai_fields as fields


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (fields.record, {"a": 1}, {"a": 1}),
        (fields.sequence, [1], [1]),
        (fields.text, "", ""),
        (fields.name, " a ", " a "),
        (fields.flag, False, False),
        (fields.number, 1.5, 1.5),
        (fields.number, 0, 0),
        (fields.whole, 40.0, 40),
        (fields.whole, -3, -3),
        (fields.whole_from(1, 8), 8, 8),
    ],
)
def test_a_right_value_is_returned(read, value, expected):
    found = read(value, "p")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (fields.record, []),
        (fields.record, None),
        (fields.sequence, {}),
        (fields.sequence, "ab"),
        (fields.text, 5),
        (fields.name, "  "),
        (fields.flag, 1),
        (fields.flag, "true"),
        (fields.number, True),
        (fields.number, "1"),
        (fields.number, float("nan")),
        (fields.whole, 1.5),
        (fields.whole, 2**63),
        (fields.whole, 1e300),
        (fields.whole_from(1, 8), 0),
        (fields.whole_from(1, 8), 9),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(read, value):
    with pytest.raises(BadRequest) as caught:
        read(value, "a.b[3]")
    assert caught.value.param == "a.b[3]"
    assert "a.b[3]" in caught.value.message


def test_the_request_as_a_whole_has_no_param():
    fault = fields.wrong("", "must be an object")
    assert (fault.param, fault.message) == (None, "The request must be an object.")


def test_a_missing_or_null_field_is_none():
    assert fields.maybe({}, "a", fields.text) is None
    assert fields.maybe({"a": None}, "a", fields.text) is None


def test_a_prefix_names_the_place():
    with pytest.raises(BadRequest) as caught:
        fields.maybe({"a": 5}, "a", fields.text, "outer")
    assert caught.value.param == "outer.a"


def test_the_first_present_key_wins_even_when_it_is_zero():
    found = fields.either({"a": None, "b": 0, "c": 5}, ("a", "b", "c"), fields.number)
    assert found == 0


def test_choice_lists_what_is_allowed():
    assert fields.choice("a", "p", ("a", "b")) == "a"
    with pytest.raises(BadRequest, match="a, b"):
        fields.choice("c", "p", ("a", "b"))


@pytest.mark.parametrize(
    ("value", "limit", "deeper"),
    [
        ("x", 0, False),
        ([], 0, False),
        ([1], 0, True),
        ([1], 1, False),
        ({"a": [{"b": 1}]}, 3, False),
        ({"a": [{"b": 1}]}, 2, True),
    ],
)
def test_nesting_is_counted(value, limit, deeper):
    assert fields.nests_deeper(value, limit) is deeper


def test_nesting_too_deep_is_refused():
    with pytest.raises(BadRequest):
        fields.bounded([[[1]]], "p", 2)
