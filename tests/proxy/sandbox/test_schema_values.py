"""Values for schemas: always valid, and made of the user's words."""

import re

import jsonschema
import pytest

from proxy.sandbox.patterns import matching_text
from proxy.sandbox.refusals import Refusal
from proxy.sandbox.schema_rules import check_json_schema, resolve
from proxy.sandbox.schema_values import Words, fill

NODE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/Node",
}
SCHEMAS = {
    "string": {"type": "string"},
    "long-string": {"type": "string", "minLength": 40, "maxLength": 45},
    "short-string": {"type": "string", "maxLength": 3},
    "integer": {"type": "integer", "minimum": 7, "maximum": 9},
    "fraction-bounds": {"type": "integer", "minimum": 1.2, "maximum": 2.9},
    "negative": {"type": "integer", "maximum": -4},
    "small-number": {"type": "number", "maximum": 0.5},
    "number": {"type": "number", "minimum": 0.25},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "nullable": {"type": ["null", "integer"]},
    "enum": {"enum": [3, "x"]},
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    "no-items": {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "minItems": 2,
    },
    "object": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "c"],
    },
    "nested": {
        "type": "object",
        "properties": {
            "list": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"kind": {"enum": ["x", "y"]}},
                    "required": ["kind"],
                },
                "minItems": 2,
            }
        },
        "required": ["list"],
    },
    "any-of": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 4}]},
    "one-of": {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
    "any-of-with-siblings": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}],
    },
    "recursive": NODE,
    "recursive-choice": {
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {
                    "next": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "string"}]}
                },
                "required": ["next"],
            }
        },
        "$ref": "#/$defs/Tree",
    },
    "untyped": {"properties": {"a": {"items": {"minimum": 2}}}, "required": ["a"]},
    "formats": {
        "type": "object",
        "properties": {
            name: {"type": "string", "format": name}
            for name in ("date-time", "date", "email", "uuid", "ipv4", "ipv6", "uri")
        },
    },
    "anything": {},
}
PATTERNS = [
    r"^\d{4}-\d{2}$",
    r"^[A-Z]{3}[0-9]+$",
    r"^(foo|bar)?baz$",
    r"^[^a-c]x.$",
    r"(\w)\1",
    r"^\+?[1-9]\d{6,14}$",
    r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
    r"\S+@\S+\.\w{2,}",
    r"[^\d]{3}\s\W",
]


def filled(schema, text="", **how):
    return fill(schema, Words(text), **how)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("text", ["", 'Take "Blue Sky" in Paris, 8 of 12 times'])
def test_a_value_satisfies_its_schema(schema, text):
    check_json_schema(schema, "schema")
    checker = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.FormatChecker()
    )
    checker.validate(filled(schema, text))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "prefixItems": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    ],
    ids=["items", "prefix", "branch", "property"],
)
def test_a_schema_without_finite_values_is_refused(schema):
    with pytest.raises(Refusal, match="cyclic"):
        check_json_schema(schema, "schema")
    with pytest.raises(Refusal, match="too deeply"):
        filled(schema)


@pytest.mark.parametrize("names", ["a", [1], [["a"]], {}], ids=repr)
def test_required_must_list_names(names):
    with pytest.raises(Refusal, match=r"list of names|invalid value"):
        check_json_schema({"type": "object", "required": names}, "schema")


def test_optional_properties_are_filled_only_when_wanted():
    schema = SCHEMAS["object"]
    assert set(filled(schema)) == {"a", "b", "c"}
    assert set(filled(schema, optional=False)) == {"a", "c"}


def test_the_wanted_order_of_properties_is_kept():
    properties = {name: {"type": "boolean"} for name in "abc"}
    ordering = ["c", "missing", "a"]
    schema = {"type": "object", "properties": properties, "propertyOrdering": ordering}
    assert list(filled(schema)) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "city"),
    [
        ("weather in Paris please", "Paris"),
        ("what about New York today", "New York"),
        ('it is "São Paulo" I mean, in Rome', "São Paulo"),
        ("tell me: Ωmega", "Ωmega"),
        ("nothing named", "sample city"),
    ],
)
def test_a_string_is_taken_from_the_text(text, city):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert filled(schema, text) == {"city": city}


def test_a_text_property_takes_the_whole_text():
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    assert filled(schema, "how are you") == {"query": "how are you"}


def test_each_word_and_number_is_used_once_and_in_order():
    names = {name: {"type": "string"} for name in ("origin", "target")}
    numbers = {name: {"type": "integer"} for name in ("first", "second", "third")}
    schema = {"type": "object", "properties": {**names, **numbers}}
    found = filled(schema, "from Oslo to Rome, 3 then 5")
    assert found == {
        "origin": "Oslo",
        "target": "Rome",
        "first": 3,
        "second": 5,
        "third": 1,
    }


def test_a_mentioned_choice_wins_over_the_first():
    assert filled({"enum": ["red", "green"]}, "make it Green") == "green"
    assert filled({"enum": ["red", "green"]}, "evergreen") == "red"


def test_function_names_are_no_words():
    words = Words("for Lookup in Rome", avoid=("Lookup",))
    assert words.phrase() == "Rome"
    assert words.phrase() is None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_text_is_made_for_a_pattern(pattern):
    assert re.search(pattern, matching_text(pattern))


@pytest.mark.parametrize("pattern", ["(", "a(?!a)a^", r"(?=x)"])
def test_a_pattern_that_cannot_be_matched_gives_nothing(pattern):
    assert matching_text(pattern) is None


def test_a_pattern_is_followed_in_a_value():
    assert re.fullmatch(
        r"[A-Z]{2}\d{3}", filled({"type": "string", "pattern": r"^[A-Z]{2}\d{3}$"})
    )


@pytest.mark.parametrize("size", [10**9])
def test_absurd_sizes_do_not_exhaust_memory(size):
    assert len(filled({"type": "array", "items": {}, "minItems": size})) == 1000
    assert len(filled({"type": "string", "minLength": size})) == 100_000


@pytest.mark.parametrize(
    ("reference", "root"),
    [
        ("#/$defs/a~1b", {"$defs": {"a/b": {"type": "null"}}}),
        ("#here", {"$defs": {"x": {"$anchor": "here", "type": "null"}}}),
        ("urn:x", {"$defs": {"x": {"$id": "urn:x", "type": "null"}}}),
        ("#/$defs/a", {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}}),
    ],
    ids=["escaped", "anchor", "id", "chain"],
)
def test_references_are_followed(reference, root):
    assert resolve({"$ref": reference}, root)["type"] == "null"


@pytest.mark.parametrize(
    ("reference", "root"),
    [("#/$defs/a", {}), ("#/$defs/a", {"$defs": {"a": {"$ref": "#/$defs/a"}}})],
    ids=["missing", "circle"],
)
def test_a_reference_to_nowhere_is_refused(reference, root):
    with pytest.raises(Refusal):
        resolve({"$ref": reference}, root)
