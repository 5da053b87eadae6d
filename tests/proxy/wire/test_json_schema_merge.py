"""Schemas that must hold together, and the bounds of what is looked at."""

import time

import pytest

from proxy.errors import BadRequest
from proxy.wire.json_schema import normalise

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def obj(**properties) -> dict:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"allOf": [obj(a=STRING), obj(b=INTEGER)]}, obj(a=STRING, b=INTEGER)),
        (
            {
                **obj(a=STRING),
                "required": ["a"],
                "allOf": [{**obj(b=INTEGER), "required": ["b"]}],
            },
            {**obj(a=STRING, b=INTEGER), "required": ["a", "b"]},
        ),
        (
            {"allOf": [obj(a=STRING), obj(a={"enum": ["x"]})]},
            obj(a={"type": "string", "enum": ["x"]}),
        ),
        (
            {
                "type": "integer",
                "allOf": [{"minimum": 1}, {"minimum": 5, "maximum": 9}],
            },
            {"type": "integer", "minimum": 5, "maximum": 9},
        ),
        (
            {"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]},
            {"type": "string", "enum": ["b"]},
        ),
        (
            {"description": "x", "allOf": [{"description": "y", "type": "string"}]},
            {"type": "string", "description": "x"},
        ),
        ({"allOf": [STRING, True]}, STRING),
        ({"allOf": []}, {}),
        ({"allOf": [{"allOf": [obj(a=STRING)]}]}, obj(a=STRING)),
    ],
)
def test_schemas_that_hold_together_are_merged(given, expected):
    assert normalise(given) == expected


def test_a_lone_reference_in_all_of_stays_a_reference():
    schema = {
        **obj(
            a={"allOf": [{"$ref": "#/$defs/A"}], "description": "d", "default": None}
        ),
        "$defs": {"A": STRING},
    }
    assert normalise(schema)["properties"]["a"] == {"$ref": "#/$defs/A"}


def test_references_beside_other_schemas_are_merged_in():
    schema = {
        "allOf": [{"$ref": "#/$defs/A"}, obj(b=INTEGER)],
        "$defs": {"A": obj(a=STRING)},
    }
    assert normalise(schema) == obj(a=STRING, b=INTEGER)


def test_a_schema_that_contains_itself_by_all_of_is_refused():
    schema = {
        **obj(a={"$ref": "#/$defs/A"}),
        "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}, obj(b=STRING)]}},
    }
    with pytest.raises(BadRequest):
        normalise(schema)


def test_a_schema_that_grows_without_bound_is_refused():
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 3} for n in range(30)}
    schema = {"allOf": [{"$ref": "#/$defs/d0"}] * 3, "$defs": {**defs, "d30": STRING}}
    with pytest.raises(BadRequest):
        normalise(schema)


def nested(levels: int) -> dict:
    schema: dict = STRING
    for _ in range(levels):
        schema = obj(a=schema)
    return schema


def test_sixty_levels_pass_and_seventy_are_refused():
    assert normalise(nested(60)) == nested(60)
    with pytest.raises(BadRequest) as caught:
        normalise(nested(70), param="tools[0].function.parameters")
    assert caught.value.param == "tools[0].function.parameters"


def test_nesting_far_beyond_the_stack_is_refused():
    with pytest.raises(BadRequest):
        normalise(nested(5000))


def test_too_many_nodes_are_refused():
    with pytest.raises(BadRequest):
        normalise(obj(**{f"p{n}": STRING for n in range(11_000)}))


def test_a_reference_may_count_into_a_list():
    schema = {"anyOf": [STRING, obj(a={"$ref": "#/anyOf/0"})]}
    found = normalise(schema)
    assert found["anyOf"][1]["properties"]["a"] == {"$ref": "#/$defs/0"}
    assert found["$defs"] == {"0": STRING}


@pytest.mark.parametrize("index", ["2", "-1", "01x", "9" * 5000, "²"])
def test_a_reference_past_the_end_of_a_list_is_refused(index):
    with pytest.raises(BadRequest):
        normalise({"anyOf": [STRING, obj(a={"$ref": f"#/anyOf/{index}"})]})


def test_a_reference_to_anything_at_all_adds_nothing_when_merged():
    schema = {"allOf": [{"$ref": "#/$defs/A"}, obj(b=STRING)], "$defs": {"A": True}}
    assert normalise(schema) == obj(b=STRING)


@pytest.mark.parametrize(
    "piece",
    [{"properties": [], "type": "object"}, {"required": "b"}, {"minimum": "x"}],
)
def test_malformed_pieces_of_all_of_do_not_hide_the_first(piece):
    first = {**obj(a=STRING), "required": ["a"], "minimum": 1}
    found = normalise({"allOf": [first, piece]})
    assert found["properties"] == {"a": STRING}
    assert (found["required"], found["minimum"]) == (["a"], 1)


def test_large_lists_are_merged_quickly():
    names = [f"n{number}" for number in range(60_000)]
    piece = {"required": names, "enum": names}
    started = time.perf_counter()
    found = normalise({"allOf": [piece, piece]})
    assert found["enum"] == names
    assert time.perf_counter() - started < 5


def test_thousands_of_references_of_one_name_are_named_quickly():
    spots = {f"k{n}": obj(x=STRING) for n in range(2000)}
    refs = {f"r{n}": {"$ref": f"#/properties/k{n}/properties/x"} for n in range(2000)}
    started = time.perf_counter()
    found = normalise(obj(**spots, **refs))
    assert len(found["$defs"]) == 2000
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(("levels", "passes"), [(60, True), (70, False)])
def test_all_of_inside_all_of_counts_as_nesting(levels, passes):
    schema: dict = obj(a=STRING)
    for _ in range(levels):
        schema = {"allOf": [schema]}
    if passes:
        assert normalise(schema) == obj(a=STRING)
        return
    with pytest.raises(BadRequest):
        normalise(schema)
