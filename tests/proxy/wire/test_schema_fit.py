"""Values held against schemas, with jsonschema as the judge."""

import random

import jsonschema
import pytest

from proxy.errors import BadRequest
from proxy.wire.schema_fit import MOST_STEPS, Misfit, fitted, readable
from tests.proxy.wire.random_json import any_value, schema_of

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}


def properties(**given):
    return {"type": "object", "properties": given}


def fit(value, schema):
    return fitted(value, readable(schema, "schema"))


@pytest.mark.parametrize(
    ("value", "schema", "mended"),
    [
        ("5", {"type": "integer"}, 5),
        ("-2.5", {"type": "number"}, -2.5),
        ("true", {"type": "boolean"}, True),
        ("null", {"type": ["integer", "null"]}, None),
        ('["a"]', {"type": "array", "items": {"type": "string"}}, ["a"]),
        ('{"a": "1"}', properties(a={"type": "integer"}), {"a": 1}),
        (5, {"type": "string"}, "5"),
        (True, {"type": "string"}, "true"),
        ({"a": None, "b": 1}, properties(a={"type": "string"}), {"b": 1}),
        (["1", 2], {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ({"x": "1"}, {"additionalProperties": {"type": "integer"}, **properties()},
         {"x": 1}),
        ("7", {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, 7),
        ({"name": "a", "next": {"name": 1}}, TREE, {"name": "a", "next": {"name": "1"}}),
        ("2", {"type": "integer", "enum": [1, 2]}, 2),
        # What fits a choice as it is stays, beside what must be mended.
        ({"a": "5", "b": 7}, properties(
            a={"type": "integer"}, b={"anyOf": [{"type": "string"}, {"type": "integer"}]}
        ), {"a": 5, "b": 7}),
    ],
)  # fmt: skip
def test_small_slips_are_mended(value, schema, mended):
    found = fit(value, schema)
    assert found == mended
    assert type(found) is type(mended)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("5", {"type": "string"}),
        (5, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ("5", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (5.0, {"type": "integer"}),
        ({"a": None}, properties(a={"type": ["string", "null"]})),
        ({"more": [1]}, properties(a={"type": "string"})),
        ({"name": "a", "next": {"name": "b", "next": None}}, TREE),
        ([1, {"x": None}], {}),
        # A pattern is a hint for the model; it is never run.
        ("b", {"type": "string", "pattern": "^(a+)+$"}),
    ],
)
def test_what_fits_is_left_alone(value, schema):
    assert fit(value, schema) == value


@pytest.mark.parametrize(
    ("value", "schema", "told"),
    [
        ("x", {"type": "integer"}, "type does not hold at $"),
        ("{x", properties(), "type does not hold at $"),
        ([1], {"type": "string"}, "type does not hold at $"),
        ({"a": {"b": "x"}}, properties(a=properties(b={"type": "integer"})),
         "type does not hold at $.a.b"),
        ({}, {**properties(a={"type": "string"}), "required": ["a"]},
         "required does not hold at $.a"),
        ({"a": None}, {**properties(a={"type": "integer"}), "required": ["a"]},
         "type does not hold at $.a"),
        ({"x": 1}, {**properties(a={}), "additionalProperties": False},
         "additionalProperties does not hold at $.x"),
        ([{}, {"n": []}], {"type": "array", "items": properties(n={"type": "number"})},
         "type does not hold at $[1].n"),
        (["a", 2], {"type": "array", "prefixItems": [{"type": "integer"}]},
         "type does not hold at $[0]"),
        ("c", {"type": "string", "enum": ["a", "b"]}, "enum does not hold at $"),
        (True, {"enum": [1]}, "type does not hold at $"),
        (0, {"type": "integer", "minimum": 1}, "minimum does not hold at $"),
        (9, {"type": "number", "exclusiveMaximum": 9}, None),
        (10, {"type": "integer", "maximum": 9}, "maximum does not hold at $"),
        ("abc", {"type": "string", "maxLength": 2}, "maxLength does not hold at $"),
        ([], {"type": "array", "minItems": 1}, "minItems does not hold at $"),
        ({}, {"type": "object", "properties": {}, "minProperties": 1},
         "minProperties does not hold at $"),
        ("x", {"anyOf": [{"type": "integer"}, {"type": "null"}]},
         "anyOf does not hold at $"),
        ({"x": {"y": []}}, {"anyOf": [properties(x=properties(y={"type": "integer"})),
         {"type": "null"}]}, "anyOf does not hold at $"),
    ],
)  # fmt: skip
def test_what_does_not_fit_says_where_and_why_but_not_what(value, schema, told):
    if told is None:
        assert fit(value, schema) == value
        return
    with pytest.raises(Misfit) as caught:
        fit(value, schema)
    assert str(caught.value) == told


@pytest.mark.parametrize("seed", range(80))
def test_it_agrees_with_a_full_validator(seed):
    dice = random.Random(seed)
    value, other = any_value(dice), any_value(dice)
    schema = readable(schema_of(value, dice), "schema")
    judge = jsonschema.Draft202012Validator(schema)
    assert judge.is_valid(value)
    assert fitted(value, schema) == value
    try:
        mended = fitted(other, schema)
    except Misfit:
        assert not judge.is_valid(other)
    else:
        assert judge.is_valid(mended)
        assert mended == other or not judge.is_valid(other)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
         "$ref": "#/$defs/a"},
    ],
)  # fmt: skip
def test_a_schema_that_leads_nowhere_ends(schema):
    with pytest.raises(Misfit):
        fit({"a": 1}, schema)


def test_work_without_bound_is_given_up():
    schema = {"type": "array", "items": {"type": "integer"}}
    assert len(fit([1] * (MOST_STEPS - 1), schema)) == MOST_STEPS - 1
    with pytest.raises(Misfit, match="too many ways"):
        fit([1] * MOST_STEPS, schema)


@pytest.mark.parametrize(
    "schema", [[], "x", {"type": 5}, {"$ref": "#/nowhere"}, {"minimum": "x"}]
)
def test_what_is_no_schema_is_the_callers_fault(schema):
    with pytest.raises(BadRequest):
        readable(schema, "schema")


def test_googles_own_spelling_is_read():
    schema = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True}},
    }
    assert fit({"a": None}, schema) == {"a": None}
