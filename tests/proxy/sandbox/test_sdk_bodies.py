"""Bodies as Google's SDKs send them: mixed spellings, URL-safe base64, odd floats."""

import json

import pytest

from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    answer,
    call,
    calls_of,
    picture_part,
    refusal,
    text_of,
    user,
)

WEATHER = {
    "description": "Get weather.\n    ",
    "name": "weather",
    "parameters_json_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["c", "f"], "type": "string", "default": "c"},
            "n": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["city"],
    },
    "response_json_schema": {"additionalProperties": True, "type": "object"},
}
HISTORY = [
    {"parts": [{"text": "weather in Paris and Quito"}], "role": "user"},
    {
        "parts": [
            {
                "functionCall": {
                    "id": "abc1",
                    "args": {"city": "Paris"},
                    "name": "weather",
                },
                "thoughtSignature": "skip_thought_signature_validator",
            },
            {"functionCall": {"args": {"city": "Quito"}, "name": "weather"}},
        ],
        "role": "model",
    },
    {
        "parts": [
            {"functionResponse": {"name": "weather", "response": {"result": {"t": 1}}}},
            {"functionResponse": {"name": "weather", "response": {"result": {"t": 2}}}},
        ],
        "role": "user",
    },
]
PROTO_SCHEMA = {
    "properties": {
        "name": {
            "description": "nm",
            "min_length": 1,
            "title": "Name",
            "type": "STRING",
        },
        "inner": {
            "items": {
                "properties": {
                    "a": {"nullable": True, "title": "A", "type": "INTEGER"},
                    "kind": {"enum": ["x", "y"], "title": "Kind", "type": "STRING"},
                },
                "property_ordering": ["a", "kind"],
                "required": ["kind"],
                "title": "Inner",
                "type": "OBJECT",
            },
            "title": "Inner",
            "type": "ARRAY",
        },
        "u": {"any_of": [{"type": "INTEGER"}, {"type": "STRING"}], "title": "U"},
    },
    "property_ordering": ["name", "inner", "u"],
    "required": ["name", "inner", "u"],
    "title": "M",
    "type": "OBJECT",
}
FULL_CONFIG = {
    "temperature": 0.1,
    "topP": 0.9,
    "topK": 40.0,
    "maxOutputTokens": 200,
    "stopSequences": ["x"],
    "seed": 1,
    "responseModalities": ["TEXT"],
    "mediaResolution": "MEDIA_RESOLUTION_LOW",
    "speechConfig": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
    "thinkingConfig": {"include_thoughts": True, "thinking_level": "LOW"},
}


async def test_a_declaration_in_snake_case_is_called(client):
    body = {
        "contents": [user("what is the weather in Paris?")],
        "tools": [{"functionDeclarations": [WEATHER]}],
        "generationConfig": {},
    }
    (made,) = calls_of(await answer(client, body, to=NEW))
    assert made["args"] == {"city": "Paris"}


@pytest.mark.parametrize("to", [NEW, OLD])
async def test_automatic_calling_sends_an_acceptable_history(client, to):
    body = {"contents": HISTORY, "tools": [{"functionDeclarations": [WEATHER]}]}
    said = text_of(await answer(client, body, to=to))
    assert said == "weather says result: t: 1. weather says result: t: 2."


async def test_a_schema_in_snake_case_is_followed(client):
    body = {
        "contents": [user("for Ada")],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseSchema": PROTO_SCHEMA,
        },
    }
    value = json.loads(text_of(await answer(client, body)))
    assert list(value) == ["name", "inner", "u"]
    assert value["name"] == "Ada"
    assert list(value["inner"][0]) == ["a", "kind"]


async def test_a_full_configuration_is_taken(client):
    body = {
        "contents": [user("t", picture_part("red"))],
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"},
        "safetySettings": [
            {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
        ],
        "tools": [{"googleSearch": {}}, {"urlContext": {}}, {"codeExecution": {}}],
        "toolConfig": {"includeServerSideToolInvocations": True},
        "labels": {"a": "b"},
        "serviceTier": "flex",
        "store": False,
        "generationConfig": FULL_CONFIG,
    }
    response = await call(client, body, to=NEW)
    assert response.is_success, response.text


async def test_media_in_results_comes_in_snake_case(client):
    blob = picture_part("blue")["inlineData"]
    data = blob["data"].replace("+", "-").replace("/", "_")
    nested = {"inline_data": {"mime_type": "image/png", "data": data}}
    result = {"parts": [nested], "name": "f", "response": {"output": "x"}}
    contents = [
        user("q"),
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        user({"functionResponse": result}),
    ]
    said = text_of(await answer(client, {"contents": contents}, to=OLD))
    assert said == "f says output: x. It shows a 32x32 blue image."


async def test_what_an_sdk_cannot_know_is_still_refused(client):
    error = await refusal(client, {"contents": [user("t")], "foo": 1})
    assert 'Unknown name "foo"' in error["message"]
    config = {"candidateCount": 2, "presencePenalty": 0.1}
    error = await refusal(client, {"contents": [user("t")], "generationConfig": config})
    assert "is not enabled for models/" in error["message"]


async def test_parameters_in_the_loose_form_of_other_clients_are_taken(client):
    body = {
        "contents": [{"role": "user", "parts": [{"text": "use look"}]}],
        "system_instruction": {"parts": [{"text": "x"}]},
        "tools": [
            {
                "function_declarations": [
                    {
                        "name": "look",
                        "parameters": {
                            "type": "object",
                            "properties": {"where": {"type": "string"}},
                        },
                    }
                ]
            }
        ],
        "tool_config": {"function_calling_config": {"mode": "AUTO"}},
        "safetySettings": [],
        "generationConfig": {"response_mime_type": "text/plain"},
    }
    assert calls_of(await answer(client, body))[0]["name"] == "look"
