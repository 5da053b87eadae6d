"""Strict reading of proto JSON: names, types, lists, oneofs."""

import pytest

from proxy.sandbox.fields import ENUMS, MESSAGES, snake
from proxy.sandbox.protojson import parse
from proxy.sandbox.refusals import Refusal
from tests.proxy.sandbox.calling import asking, refusal

SCALARS = {
    "string",
    "bool",
    "float",
    "double",
    "int32",
    "int64",
    "bytes",
    "struct",
    "value",
    "duration",
    "timestamp",
}


def violations(message, data):
    with pytest.raises(Refusal) as caught:
        parse(message, data)
    (detail,) = caught.value.details
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    texts = [each["description"] for each in detail["fieldViolations"]]
    assert caught.value.message == "\n".join(texts)
    return [
        (each.get("field"), each["description"]) for each in detail["fieldViolations"]
    ]


def complaint(message, data):
    (only,) = violations(message, data)
    return only[1]


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_every_kind_of_the_tables_exists(message):
    kinds = {
        kind.removesuffix("[]").removesuffix("{}")
        for kind in MESSAGES[message].values()
    }
    assert kinds <= SCALARS | MESSAGES.keys() | ENUMS.keys()


@pytest.mark.parametrize(
    ("camel", "name"),
    [("thinkingConfig", "thinking_config"), ("topP", "top_p"), ("text", "text")],
)
def test_names_in_paths_are_snake_case(camel, name):
    assert snake(camel) == name


def test_camel_and_snake_case_may_be_mixed():
    parsed = parse(
        "GenerateContentRequest",
        {
            "generation_config": {"thinkingConfig": {"thinking_level": "low"}},
            "systemInstruction": {"parts": [{"inline_data": {"mimeType": "x"}}]},
        },
    )
    assert parsed == {
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}},
        "systemInstruction": {"parts": [{"inlineData": {"mimeType": "x"}}]},
    }


async def test_an_unknown_field_is_named_with_its_place(client):
    body = asking("hi", generationConfig={"x": 1})
    error = await refusal(client, body)
    text = (
        'Invalid JSON payload received. Unknown name "x" at'
        " 'generation_config': Cannot find field."
    )
    assert error["message"] == text
    assert error["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "generation_config", "description": text}],
        }
    ]


async def test_an_unknown_field_at_the_top_has_no_place(client):
    error = await refusal(client, asking("hi", foo=1))
    text = 'Invalid JSON payload received. Unknown name "foo": Cannot find field.'
    assert error["message"] == text
    assert error["details"][0]["fieldViolations"] == [{"description": text}]


def test_all_violations_are_told_at_once():
    found = violations("GenerationConfig", {"a": 1, "topP": "high", "b": 2})
    assert [field for field, _ in found] == [None, "top_p", None]


@pytest.mark.parametrize(
    ("message", "data", "path"),
    [
        ("Tool", {"retrieval": {}}, ""),
        ("Tool", {"enterpriseWebSearch": {}}, ""),
        ("Tool", {"googleSearch": {"excludeDomains": []}}, " at 'google_search'"),
        (
            "GenerationConfig",
            {"imageConfig": {"personGeneration": ""}},
            " at 'image_config'",
        ),
        ("GenerationConfig", {"maxTokens": 5}, ""),
        ("SafetySetting", {"method": "SEVERITY"}, ""),
        ("FunctionCall", {"name": "f", "partialArgs": []}, ""),
        ("Content", {"parts": [{"type": "text", "text": "x"}]}, " at 'parts[0]'"),
        ("Content", {"content": "x"}, ""),
        ("Schema", {"$schema": "x"}, ""),
        ("Schema", {"additionalProperties": False}, ""),
        ("Schema", {"const": 1}, ""),
        ("Schema", {"exclusiveMinimum": 1}, ""),
        ("Schema", {"$ref": "#/$defs/A"}, ""),
        ("Schema", {"oneOf": []}, ""),
        ("Schema", {"items": {"uniqueItems": True}}, " at 'items'"),
        (
            "Schema",
            {"properties": {"a": {"type": "STRING"}, "b": {"not": {}}}},
            " at 'properties[1].value'",
        ),
    ],
)
def test_fields_of_other_services_are_unknown(message, data, path):
    assert complaint(message, data).endswith(f"{path}: Cannot find field.")


@pytest.mark.parametrize(
    ("message", "data", "text"),
    [
        ("Part", {"text": 5}, "Invalid value at 'text' (TYPE_STRING), 5"),
        ("Part", {"text": True}, "Invalid value at 'text' (TYPE_STRING), true"),
        ("Part", {"thought": "yes"}, "Invalid value at 'thought' (TYPE_BOOL), \"yes\""),
        ("Part", {"thought": 1}, "Invalid value at 'thought' (TYPE_BOOL), 1"),
        (
            "GenerationConfig",
            {"maxOutputTokens": 1.5},
            "Invalid value at 'max_output_tokens' (TYPE_INT32), 1.5",
        ),
        (
            "GenerationConfig",
            {"seed": 2**31},
            "Invalid value at 'seed' (TYPE_INT32), 2147483648",
        ),
        (
            "GenerationConfig",
            {"seed": True},
            "Invalid value at 'seed' (TYPE_INT32), true",
        ),
        (
            "GenerationConfig",
            {"temperature": "hot"},
            "Invalid value at 'temperature' (TYPE_FLOAT), \"hot\"",
        ),
        (
            "GenerationConfig",
            {"temperature": True},
            "Invalid value at 'temperature' (TYPE_FLOAT), true",
        ),
        ("Schema", {"minimum": "x"}, "Invalid value at 'minimum' (TYPE_DOUBLE), \"x\""),
        (
            "Schema",
            {"minItems": "x"},
            "Invalid value at 'min_items' (TYPE_INT64), \"x\"",
        ),
        (
            "VideoMetadata",
            {"startOffset": "5"},
            "Invalid value at 'start_offset' (type.googleapis.com/google.protobuf.Duration), \"5\"",
        ),
        (
            "Interval",
            {"startTime": "now"},
            "Invalid value at 'start_time' (type.googleapis.com/google.protobuf.Timestamp), \"now\"",
        ),
        (
            "FunctionResponse",
            {"response": "done"},
            "Invalid value at 'response' (type.googleapis.com/google.protobuf.Struct), \"done\"",
        ),
        (
            "GenerateContentRequest",
            {"systemInstruction": "be brief"},
            (
                "Invalid value at 'system_instruction' (type.googleapis.com/"
                'google.ai.generativelanguage.v1beta.Content), "be brief"'
            ),
        ),
        (
            "Part",
            {"text": {"a": 1}},
            "Invalid value at '' (text), Starting an object on a scalar field",
        ),
        (
            "Part",
            {"thoughtSignature": "not base64!"},
            (
                "Invalid value at 'thought_signature' (TYPE_BYTES), Base64 decoding failed"
                ' for "not base64!"'
            ),
        ),
        (
            "Schema",
            {"type": ["string", "null"]},
            (
                'Invalid JSON payload received. Unknown name "type": Proto field is not'
                " repeating, cannot start list."
            ),
        ),
        (
            "FunctionResponse",
            {"response": [1]},
            (
                'Invalid JSON payload received. Unknown name "response": Proto field is not'
                " repeating, cannot start list."
            ),
        ),
        (
            "Schema",
            {"enum": [1]},
            "Invalid value at 'enum[0]' (TYPE_STRING), 1",
        ),
        (
            "ThinkingConfig",
            {"thinkingLevel": "ULTRA"},
            (
                "Invalid value at 'thinking_level' (type.googleapis.com/"
                'google.ai.generativelanguage.v1beta.ThinkingLevel), "ULTRA"'
            ),
        ),
        (
            "GenerateContentRequest",
            {"labels": {"a": 1}},
            "Invalid value at 'labels[0].value' (TYPE_STRING), 1",
        ),
    ],
)
def test_a_wrong_type_is_refused_in_googles_words(message, data, text):
    assert complaint(message, data) == text


@pytest.mark.parametrize(
    ("message", "data", "parsed"),
    [
        ("GenerationConfig", {"topK": 40.0}, {"topK": 40}),
        ("GenerationConfig", {"topK": "40"}, {"topK": 40}),
        ("GenerationConfig", {"temperature": 1}, {"temperature": 1.0}),
        ("GenerationConfig", {"temperature": "0.5"}, {"temperature": 0.5}),
        ("GenerationConfig", {"seed": None}, {}),
        ("GenerationConfig", {"stopSequences": "x"}, {"stopSequences": ["x"]}),
        ("Content", {"parts": {"text": "x"}}, {"parts": [{"text": "x"}]}),
        ("Schema", {"type": "string"}, {"type": "STRING"}),
        ("Schema", {"type": "Object"}, {"type": "OBJECT"}),
        ("Schema", {"type": 1}, {"type": "STRING"}),
        ("Schema", {"default": None}, {"default": None}),
        ("Schema", {"minItems": "3"}, {"minItems": 3}),
        ("Part", {"thoughtSignature": "-_8="}, {"thoughtSignature": b"\xfb\xff"}),
        ("Part", {"thoughtSignature": "+/8="}, {"thoughtSignature": b"\xfb\xff"}),
        ("Part", {"thoughtSignature": "-_8"}, {"thoughtSignature": b"\xfb\xff"}),
        ("Blob", {"data": ""}, {"data": b""}),
        ("GenerateContentRequest", {"serviceTier": "FLEX"}, {"serviceTier": "flex"}),
        ("VideoMetadata", {"startOffset": "1.5s"}, {"startOffset": "1.5s"}),
        ("Tool", {"google_search": {}}, {"googleSearch": {}}),
        ("FunctionCall", {"args": {"a_b": [1]}}, {"args": {"a_b": [1]}}),
    ],
)
def test_every_form_that_proto_json_allows_is_taken(message, data, parsed):
    assert parse(message, data) == parsed


@pytest.mark.parametrize("text", ["a", "aaaaa", "a=a", "aa===", "é", "a b="])
def test_bad_base64_is_refused(text):
    assert "Base64 decoding failed" in complaint("Blob", {"data": text})


def test_a_second_data_field_in_a_part_cannot_be_set():
    found = complaint("Content", {"parts": [{"text": "a", "inlineData": {}}]})
    assert found == (
        "Invalid value at 'parts[0]' (oneof), oneof field 'data' is already set."
        " Cannot set 'inlineData'"
    )


def test_modifiers_stand_beside_the_data_of_a_part():
    part = {
        "text": "a",
        "thought": True,
        "thoughtSignature": "AAAA",
        "partMetadata": {},
    }
    assert parse("Part", part)["thoughtSignature"] == b"\0\0\0"


def test_names_inside_free_structures_are_left_alone():
    args = {"systemInstruction": 1, "system_instruction": {"inline_data": None}}
    assert parse("FunctionCall", {"args": args}) == {"args": args}


def test_a_null_in_a_list_is_refused():
    assert "stop_sequences[0]" in complaint(
        "GenerationConfig", {"stopSequences": [None]}
    )
