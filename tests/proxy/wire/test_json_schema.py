"""JSON Schema as clients write it, made into what Gemini's JSON Schema fields take."""

import pytest

from proxy.errors import BadRequest
from proxy.wire.json_schema import normalise, tool_parameters

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def obj(**properties) -> dict:
    return {"type": "object", "properties": properties}


def test_a_plain_schema_stays_as_it_is():
    schema = {
        "type": "object",
        "title": "M",
        "description": "d",
        "properties": {
            "a": {"type": "integer", "minimum": 1, "maximum": 9},
            "b": {"type": "array", "items": STRING, "minItems": 1, "maxItems": 3},
            "c": {"type": "string", "enum": ["x", "y"], "format": "date-time"},
            "d": {"type": ["string", "null"]},
            "e": {"anyOf": [STRING, INTEGER]},
        },
        "required": ["a", "b"],
        "propertyOrdering": ["b", "a"],
        "additionalProperties": False,
    }
    assert normalise(schema) == schema


@pytest.mark.parametrize(
    "keyword",
    [
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"$id": "https://x.example/s"},
        {"$comment": "c"},
        {"examples": ["a"]},
        {"discriminator": {"propertyName": "kind"}},
        {"contentEncoding": "base64"},
        {"contentMediaType": "image/png"},
        {"not": {"const": "x"}},
        {"if": {}, "then": {}, "else": {}},
        {"dependentRequired": {"a": ["b"]}},
        {"dependentSchemas": {}},
        {"patternProperties": {"^x": STRING}},
        {"propertyNames": STRING},
        {"unevaluatedProperties": False},
        {"contains": STRING},
        {"uniqueItems": True},
        {"multipleOf": 5},
        {"pattern": "^a"},
        {"minLength": 1, "maxLength": 5},
        {"default": "x"},
        {"readOnly": True},
        {"x-order": 3},
    ],
    ids=lambda keyword: next(iter(keyword)),
)
def test_what_gemini_does_not_know_is_left_out(keyword):
    assert normalise({"type": "string", **keyword}) == STRING


def test_a_property_may_have_the_name_of_a_keyword():
    names = ("pattern", "not", "default", "$ref", "title", "enum", "const")
    schema = obj(**dict.fromkeys(names, STRING))
    assert normalise(schema) == schema


def test_definitions_are_kept_under_defs_and_references_follow():
    schema = {**obj(a={"$ref": "#/definitions/A"}), "definitions": {"A": STRING}}
    assert normalise(schema) == {
        **obj(a={"$ref": "#/$defs/A"}),
        "$defs": {"A": STRING},
    }


def test_unused_definitions_go():
    schema = {**obj(a={"$ref": "#/$defs/A"}), "$defs": {"A": STRING, "B": INTEGER}}
    assert normalise(schema)["$defs"] == {"A": STRING}


def test_what_stands_beside_a_reference_goes():
    schema = {
        **obj(a={"$ref": "#/$defs/A", "description": "d", "default": 1}),
        "$defs": {"A": STRING},
    }
    assert normalise(schema)["properties"]["a"] == {"$ref": "#/$defs/A"}


def test_a_recursive_definition_stays_recursive():
    node = obj(children={"type": "array", "items": {"$ref": "#/$defs/Node"}})
    schema = {**obj(root={"$ref": "#/$defs/Node"}), "$defs": {"Node": node}}
    assert normalise(schema) == schema


def test_a_reference_into_the_document_becomes_a_definition():
    schema = obj(a=obj(x=STRING), b={"$ref": "#/properties/a"})
    found = normalise(schema)
    assert found["properties"]["b"] == {"$ref": "#/$defs/a"}
    assert found["$defs"] == {"a": obj(x=STRING)}


def test_a_reference_to_the_whole_document_becomes_a_definition():
    schema = obj(next={"$ref": "#"})
    found = normalise(schema)
    assert found["properties"]["next"] == {"$ref": "#/$defs/root"}
    assert found["$defs"]["root"] == obj(next={"$ref": "#/$defs/root"})


def test_definitions_of_one_name_in_two_places_stay_apart():
    schema = {
        **obj(a={"$ref": "#/$defs/A"}, b={"$ref": "#/definitions/A"}),
        "$defs": {"A": STRING},
        "definitions": {"A": INTEGER},
    }
    found = normalise(schema)
    refs = [found["properties"][key]["$ref"].split("/")[-1] for key in "ab"]
    assert [found["$defs"][name] for name in refs] == [STRING, INTEGER]


def test_escaped_references_are_followed():
    schema = {**obj(a={"$ref": "#/$defs/a~1b%20c"}), "$defs": {"a/b c": STRING}}
    found = normalise(schema)
    assert list(found["$defs"].values()) == [STRING]


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/Ghost", "https://x.example/s.json", "#anchor", "other", "", 5, "#/a/²"],
)
def test_a_reference_that_leads_nowhere_is_refused(reference):
    with pytest.raises(BadRequest):
        normalise(obj(a={"$ref": reference}), param="p")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": 1}, {"type": "integer", "enum": [1]}),
        ({"const": 1.5}, {"type": "number", "enum": [1.5]}),
        ({"type": "string", "const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": None}, {"type": "null"}),
        ({"const": True}, {"type": "boolean", "description": "Must be true."}),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"enum": ["a", "", None]}, {"type": ["string", "null"], "enum": ["a"]}),
        (
            {"type": "string", "enum": ["a", None]},
            {"type": ["string", "null"], "enum": ["a"]},
        ),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
        ({"enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
        ({"type": "string", "enum": [""]}, STRING),
        ({"type": "string", "enum": []}, STRING),
        ({"enum": ["a", "a"]}, {"type": "string", "enum": ["a"]}),
        ({"enum": [True, False]}, {"type": "boolean"}),
        ({"enum": [1, 1.0]}, {"type": ["integer", "number"], "enum": [1, 1.0]}),
    ],
)
def test_choices_are_strings_and_numbers_with_a_type(given, expected):
    assert normalise(given) == expected


def test_choices_that_cannot_be_listed_are_told_in_words():
    found = normalise({"enum": [{"a": 1}, True], "description": "Pick."})
    assert "enum" not in found
    assert found["description"] == 'Pick. Must be one of {"a": 1}, true.'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, {"minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 10}, {"maximum": 9}),
        ({"type": "integer", "exclusiveMinimum": 0.5}, {"minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 9.5}, {"maximum": 9}),
        ({"type": ["integer", "null"], "exclusiveMinimum": 0}, {"minimum": 1}),
        ({"type": "number", "exclusiveMinimum": 0}, {"minimum": 0}),
        ({"type": "number", "exclusiveMaximum": 1}, {"maximum": 1}),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": 0}, {"minimum": 5}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": 5}, {"minimum": 6}),
        ({"type": "integer", "maximum": 5, "exclusiveMaximum": 3}, {"maximum": 2}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"minimum": 1}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": False}, {"minimum": 0}),
        ({"type": "integer", "exclusiveMinimum": True}, {}),
    ],
)
def test_exclusive_bounds_are_folded_into_inclusive_ones(given, expected):
    assert normalise(given) == {"type": given["type"], **expected}


def test_a_bound_beyond_whole_floats_stays():
    assert normalise({"type": "integer", "exclusiveMinimum": 1e300})["minimum"] == 1e300


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": ["string", "string"]}, {"type": "string"}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "date"}, {}),
        ({"type": ["string", "date"]}, {"type": "string"}),
        ({"properties": {"a": STRING}}, obj(a=STRING)),
        ({"items": STRING}, {"type": "array", "items": STRING}),
        ({"oneOf": [STRING, INTEGER]}, {"anyOf": [STRING, INTEGER]}),
        ({"anyOf": [STRING, False]}, {"anyOf": [STRING]}),
        ({"anyOf": [STRING, True]}, {}),
        ({"anyOf": []}, {}),
        ({"type": "array"}, {"type": "array", "items": STRING}),
        ({"type": "array", "items": {}}, {"type": "array", "items": STRING}),
        ({"type": "array", "items": False}, {"type": "array", "items": STRING}),
        (
            {"type": "array", "prefixItems": [STRING, INTEGER]},
            {"type": "array", "prefixItems": [STRING, INTEGER]},
        ),
        (
            {"type": "array", "items": [STRING], "additionalItems": INTEGER},
            {"type": "array", "prefixItems": [STRING], "items": INTEGER},
        ),
        (obj(a=True, b=False), obj(a={})),
        ({**obj(a=False), "required": ["a"]}, obj()),
        ({"type": "string", "properties": {"a": STRING}, "required": ["a"]}, STRING),
        (
            {**obj(a=STRING), "required": ["a", "x", "a"]},
            {**obj(a=STRING), "required": ["a"]},
        ),
        ({"type": "object", "required": ["x"]}, {"type": "object"}),
        ({"type": "string", "required": True}, STRING),
        (obj(), obj()),
        (True, {}),
        (False, {}),
        ({}, {}),
        (
            {
                "type": "object",
                "additionalProperties": {"type": "string", "default": 1},
            },
            {"type": "object", "additionalProperties": STRING},
        ),
        (
            {"type": "object", "additionalProperties": True},
            {"type": "object", "additionalProperties": True},
        ),
        (
            {"type": "object", "additionalProperties": {}},
            {"type": "object", "additionalProperties": {}},
        ),
        ({"type": "string", "title": None, "description": None}, STRING),
    ],
)
def test_shapes_are_made_regular(given, expected):
    assert normalise(given) == expected


def test_an_any_of_that_only_requires_says_nothing_and_goes():
    schema = {
        **obj(a=STRING, b=STRING),
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    assert normalise(schema) == obj(a=STRING, b=STRING)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        5,
        "string",
        [],
        {"type": 5},
        {"type": [5]},
        {"type": {"a": 1}},
        {"type": "object", "properties": []},
        {"properties": {"a": 5}},
        {"type": "object", "required": "a", "properties": {}},
        {"enum": "a"},
        {"anyOf": {}, "oneOf": 5},
        {"anyOf": ["x"]},
        {"allOf": {}},
        {"allOf": [5]},
        {"type": "array", "items": 5},
        {"type": "array", "prefixItems": 5},
        {"type": "integer", "minimum": "1"},
        {"type": "integer", "exclusiveMinimum": "1"},
        {"type": "array", "minItems": 1.5},
        {"type": "string", "description": 5},
        {"type": "string", "title": []},
        {"type": "string", "format": 5},
        {"type": "object", "additionalProperties": 5},
    ],
)
def test_wrong_types_in_a_schema_are_refused(schema):
    with pytest.raises(BadRequest) as caught:
        normalise(schema, param="p")
    assert (caught.value.param or "").startswith("p")


def test_the_given_schema_is_not_changed():
    schema = {
        **obj(a={"$ref": "#/definitions/A"}),
        "definitions": {"A": {"const": "x"}},
        "allOf": [obj(b=STRING)],
    }
    before = repr(schema)
    normalise(schema)
    assert repr(schema) == before


@pytest.mark.parametrize("choice", ["anyOf", "$ref"])
def test_tool_parameters_without_a_type_are_left_alone(choice):
    schema = {"anyOf": [obj(a=STRING), obj(b=STRING)]}
    if choice == "$ref":
        schema = {"$ref": "#/$defs/A", "$defs": {"A": obj(a=STRING)}}
    assert tool_parameters(schema, "p") == (schema, False)
