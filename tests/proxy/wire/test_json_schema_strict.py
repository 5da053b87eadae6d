"""The strict OpenAPI form of schemas, and the body of the second try."""

import pytest

from proxy.errors import BadRequest
from proxy.wire.json_schema import strict_body, to_openapi
from tests.proxy.wire.chat_samples import parse, tool

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def obj(**properties) -> dict:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (STRING, {"type": "STRING"}),
        ({}, {"type": "STRING"}),
        (
            obj(a=INTEGER),
            {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
        ),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"anyOf": [STRING, {"type": "null"}]}, {"type": "STRING", "nullable": True}),
        (
            {"anyOf": [STRING, INTEGER, {"type": "null"}], "description": "d"},
            {
                "description": "d",
                "anyOf": [{"type": "STRING"}, {"type": "INTEGER"}],
                "nullable": True,
            },
        ),
        (
            {"type": ["string", "integer"], "minimum": 3, "enum": ["a", 5]},
            {
                "anyOf": [
                    {"type": "STRING", "enum": ["a"]},
                    {"type": "INTEGER", "minimum": 3, "description": "One of: 5."},
                ]
            },
        ),
        (
            {"oneOf": [STRING, INTEGER]},
            {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
        ),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        (
            {"type": "string", "enum": ["a", "", None]},
            {"type": "STRING", "enum": ["a"], "nullable": True},
        ),
        (
            {"type": "integer", "enum": [1, 2], "description": "Size."},
            {"type": "INTEGER", "description": "Size. One of: 1, 2."},
        ),
        ({"type": "string", "enum": [""]}, {"type": "STRING"}),
        (
            {"type": "integer", "exclusiveMinimum": 0},
            {"type": "INTEGER", "minimum": 1},
        ),
        (
            {"type": "string", "pattern": "^a", "minLength": 1, "maxLength": 9},
            {"type": "STRING", "pattern": "^a", "minLength": 1, "maxLength": 9},
        ),
        (
            {"type": "string", "default": "x", "title": "T"},
            {"type": "STRING", "default": "x", "title": "T"},
        ),
        (
            {"type": "string", "format": "date-time"},
            {"type": "STRING", "format": "date-time"},
        ),
        (
            {"type": "string", "format": "uri", "description": "Link."},
            {"type": "STRING", "description": "Link. Format: uri."},
        ),
        (
            {"type": "integer", "format": "int64"},
            {"type": "INTEGER", "format": "int64"},
        ),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "array", "prefixItems": [STRING, INTEGER]},
            {
                "type": "ARRAY",
                "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (
            {"type": "array", "prefixItems": [STRING], "minItems": 0},
            {
                "type": "ARRAY",
                "items": {"type": "STRING"},
                "minItems": 0,
                "maxItems": 1,
            },
        ),
        ({**obj(), "additionalProperties": False}, {"type": "OBJECT"}),
        (
            {"type": "object", "required": ["x"], "additionalProperties": STRING},
            {"type": "OBJECT"},
        ),
        (
            {**obj(a=STRING, b=STRING), "required": ["a", "z"]},
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}},
                "required": ["a"],
            },
        ),
        (
            {"allOf": [obj(a=STRING), {"minProperties": 1}]},
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING"}},
                "minProperties": 1,
            },
        ),
        (
            {"type": "string", "enum": ["a", 5]},
            {"type": "STRING", "description": "One of: a, 5."},
        ),
        ({"type": "null"}, {"type": "STRING", "nullable": True}),
        ({"anyOf": [{"type": "null"}]}, {"type": "STRING", "nullable": True}),
        (
            {**obj(a=STRING), "anyOf": [obj(b=STRING), obj(c=STRING)]},
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
        ),
        ({"multipleOf": 5, "type": "integer", "not": {}}, {"type": "INTEGER"}),
    ],
)
def test_a_schema_becomes_openapi(given, expected):
    assert to_openapi(given) == expected


def test_references_are_written_out():
    schema = {
        **obj(a={"$ref": "#/$defs/A"}, b={"$ref": "#/$defs/A"}),
        "$defs": {"A": obj(x=INTEGER)},
    }
    made = {"type": "OBJECT", "properties": {"x": {"type": "INTEGER"}}}
    assert to_openapi(schema)["properties"] == {"a": made, "b": made}
    assert "$defs" not in to_openapi(schema)


def test_a_reference_into_itself_becomes_an_object_of_any_shape():
    node = obj(value=STRING, next={"$ref": "#/$defs/Node"})
    schema = {**obj(head={"$ref": "#/$defs/Node"}), "$defs": {"Node": node}}
    head = to_openapi(schema)["properties"]["head"]
    assert head["properties"]["next"] == {"type": "OBJECT"}


def test_a_definition_named_like_a_keyword_is_written_out():
    schema = {
        **obj(a={"type": "array", "items": {"$ref": "#/$defs/items"}}),
        "$defs": {"items": INTEGER},
    }
    assert to_openapi(schema)["properties"]["a"]["items"] == {"type": "INTEGER"}


def test_references_that_multiply_without_bound_are_refused():
    defs = {
        f"d{n}": obj(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"})
        for n in range(30)
    }
    schema = {**obj(a={"$ref": "#/$defs/d0"}), "$defs": {**defs, "d30": STRING}}
    with pytest.raises(BadRequest):
        to_openapi(schema)


def test_a_body_without_schemas_has_nothing_stricter():
    assert strict_body(parse().body) is None
    assert strict_body(parse(tools=[tool("f"), {"type": "web_search"}]).body) is None
    assert strict_body({"tools": "x", "generationConfig": None}) is None
    assert strict_body({"tools": [None, {"functionDeclarations": [5]}]}) is None


def test_a_body_gets_strict_tools_and_a_strict_answer_schema():
    body = parse(
        tools=[
            tool("f", parameters={**obj(a=STRING), "additionalProperties": False}),
            tool("g"),
        ],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "M", "schema": obj(b=INTEGER)},
        },
        temperature=0.5,
    ).body
    strict = strict_body(body)
    assert strict is not None
    assert strict["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"a": {"type": "STRING"}},
                    },
                },
                {"name": "g", "description": ""},
            ]
        }
    ]
    assert strict["generationConfig"] == {
        "temperature": 0.5,
        "responseMimeType": "application/json",
        "responseSchema": {
            "type": "OBJECT",
            "properties": {"b": {"type": "INTEGER"}},
        },
    }
    assert strict["contents"] == body["contents"]


def test_the_body_of_the_first_try_is_not_changed():
    body = parse(
        tools=[{"type": "web_search"}, tool("f", parameters=obj(a=STRING))]
    ).body
    before = repr(body)
    strict = strict_body(body)
    assert repr(body) == before
    assert strict is not None
    assert strict["tools"][0] == {"googleSearch": {}}


def test_only_the_answer_schema_may_need_to_change():
    strict = strict_body({"generationConfig": {"_responseJsonSchema": STRING}})
    assert strict == {"generationConfig": {"responseSchema": {"type": "STRING"}}}
