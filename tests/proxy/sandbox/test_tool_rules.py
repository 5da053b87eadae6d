"""Tool declarations, their combination, and how a call is forced."""

import pytest

from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    TIME,
    WEATHER,
    answer,
    asking,
    call,
    calls_of,
    refusal,
    with_tools,
)

SEARCH = {"googleSearch": {}}
JSON_MODE = {"responseMimeType": "application/json"}


def forced(mode, *allowed):
    config = {"mode": mode}
    if allowed:
        config["allowedFunctionNames"] = list(allowed)
    return {"functionCallingConfig": config}


def declared(**fields):
    return with_tools("x", {"name": "f", **fields})


@pytest.mark.parametrize(
    "name",
    ["", "1st", "-a", "a b", "a:b", "a/b", "é", "a" * 65, "$f", None],
)
async def test_a_bad_function_name_is_refused(client, name):
    error = await refusal(client, with_tools("x", {"name": name}))
    path = "* GenerateContentRequest.tools[0].function_declarations[0].name: "
    assert error["message"].startswith(f"{path}Invalid function name. Must start with")


@pytest.mark.parametrize("name", ["_a", "a.b-c_d", "a" * 64, "Z9"])
async def test_a_good_function_name_is_taken(client, name):
    assert (await call(client, with_tools("x", {"name": name}))).is_success


async def test_a_function_may_be_declared_once(client):
    error = await refusal(client, with_tools("x", WEATHER, TIME, WEATHER))
    assert error["message"] == "Duplicate function declaration found: get_weather"


async def test_names_are_unique_across_tools(client):
    tools = [{"functionDeclarations": [TIME]}, {"functionDeclarations": [TIME]}]
    error = await refusal(client, asking("x", tools=tools))
    assert error["message"] == "Duplicate function declaration found: get_time"


@pytest.mark.parametrize("kind", ["parameters", "response"])
async def test_the_two_kinds_of_schema_exclude_each_other(client, kind):
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    body = declared(**{kind: schema, f"{kind}JsonSchema": {"type": "object"}})
    assert "mutually exclusive" in (await refusal(client, body))["message"]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "STRING"}, "parameters.type: schema should be of type OBJECT."),
        (
            {"type": "OBJECT", "properties": {}, "title": "t"},
            "parameters.properties: should be non-empty",
        ),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}},
            "parameters.properties[a].items: missing field.",
        ),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "OBJECT"}}},
            "parameters.properties[a].properties: should be non-empty for OBJECT type",
        ),
        (
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING"}},
                "required": ["b"],
            },
            "parameters.required[0]: property is not defined",
        ),
        (
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING", "enum": ["x", ""]}},
            },
            "parameters.properties[a].enum[1]: cannot be empty",
        ),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "enum": ["1"]}}},
            "parameters.properties[a].enum: only allowed for STRING type",
        ),
        (
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING", "format": "uri"}},
            },
            "parameters.properties[a].format: only 'enum' and 'date-time'",
        ),
        (
            {"type": "OBJECT", "properties": {"a": {"description": "?"}}},
            "parameters.properties[a].type: schema didn't specify the schema type field",
        ),
        (
            {"type": "OBJECT", "properties": {"a": {"anyOf": [{"type": "ARRAY"}]}}},
            "parameters.properties[a].any_of[0].items: missing field.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_schema_outside_the_subset_is_refused(client, schema, text):
    error = await refusal(client, declared(parameters=schema))
    assert f"tools[0].function_declarations[0].{text}" in error["message"]


async def test_a_function_without_parameters_is_called_with_none(client):
    body = with_tools("use ping", {"name": "ping", "parameters": {"type": "OBJECT"}})
    assert calls_of(await answer(client, body, to=OLD)) == [
        {"name": "ping", "args": {}}
    ]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "object", "patternProperties": {}}, "keyword 'patternProperties'"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, "keyword 'not'"),
        ({"allOf": []}, "keyword 'allOf'"),
        ({"definitions": {}}, "keyword 'definitions'"),
        ({"properties": {"a": {"const": 1}}}, "keyword 'const'"),
        ({"properties": {"a": {"exclusiveMinimum": 1}}}, "keyword 'exclusiveMinimum'"),
        (
            {"properties": {"a": {"$ref": "#/$defs/A", "description": "x"}}},
            "next to $ref",
        ),
        ({"properties": {"a": {"type": "text"}}}, "'text' is not a JSON schema type"),
        ({"properties": {"a": {"enum": [None]}}}, "only strings and numbers"),
        (
            {"properties": {"a": {"enum": "x"}}},
            "properties.a.enum: invalid value",
        ),
        ({"properties": []}, "properties: invalid value"),
        ({"properties": {"a": 5}}, "a: a JSON schema must be an object"),
        ({"type": "array"}, "schema should be of type object."),
        ("object", "a JSON schema must be an object"),
    ],
)
async def test_json_schema_outside_the_documented_list_is_refused(client, schema, text):
    error = await refusal(client, declared(parametersJsonSchema=schema))
    assert text in error["message"]


async def test_what_googles_own_sdk_sends_is_taken(client):
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1},
            "unit": {"enum": ["c", "f"], "type": "string", "default": "c"},
            "n": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["city"],
    }
    body = declared(
        parameters_json_schema=schema,
        response_json_schema={"type": "object", "additionalProperties": True},
    )
    assert (await call(client, body)).is_success


async def test_a_cycle_through_required_properties_is_refused(client):
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/N"}},
        "required": ["next"],
    }
    body = declared(
        parametersJsonSchema={
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/N"}},
            "required": ["a"],
            "$defs": {"N": node},
        }
    )
    assert "cyclic references" in (await refusal(client, body))["message"]


@pytest.mark.parametrize(
    "tool", [{}, {"functionDeclarations": []}], ids=["empty", "no-functions"]
)
async def test_an_empty_tool_is_refused(client, tool):
    error = await refusal(client, asking("x", tools=[tool]))
    assert "tools[0].tool_type: required one_of 'tool_type'" in error["message"]


async def test_built_in_tools_beside_functions_need_a_flag_on_new_models(client):
    body = with_tools("x", WEATHER)
    body["tools"].append(SEARCH)
    error = await refusal(client, body, to=NEW)
    assert error["message"] == (
        "Please enable tool_config.include_server_side_tool_invocations to use"
        " Built-in tools with Function calling."
    )
    body["toolConfig"] = {"includeServerSideToolInvocations": True}
    assert (await call(client, body, to=NEW)).is_success


async def test_older_models_take_neither_the_mix_nor_the_flag(client):
    body = with_tools("x", WEATHER)
    body["tools"].append(SEARCH)
    assert "cannot be combined" in (await refusal(client, body, to=OLD))["message"]
    body["toolConfig"] = {"includeServerSideToolInvocations": True}
    assert "is not supported by" in (await refusal(client, body, to=OLD))["message"]


@pytest.mark.parametrize(
    ("tools", "text"),
    [
        (
            [{"functionDeclarations": [WEATHER]}],
            "Function calling with a response mime type: 'application/json' is unsupported",
        ),
        (
            [SEARCH],
            "Tool use with a response mime type: 'application/json' is unsupported",
        ),
    ],
    ids=["functions", "search"],
)
async def test_tools_and_json_exclude_each_other_on_older_models(client, tools, text):
    body = asking("x", tools=tools, generationConfig=JSON_MODE)
    assert (await refusal(client, body, to=OLD))["message"] == text
    assert (await call(client, body, to=NEW)).is_success


async def test_the_retired_search_tool_is_refused(client):
    body = asking("x", tools=[{"googleSearchRetrieval": {}}])
    assert "please use google_search field" in (await refusal(client, body))["message"]


async def test_gemma_does_not_search(client):
    error = await refusal(client, asking("x", tools=[SEARCH]), to="gemma-4-31b-it")
    assert error["message"].startswith("Search as tool is not enabled for")


@pytest.mark.parametrize(
    ("tools", "config", "text"),
    [
        ([], forced("ANY"), "is set without function_declarations."),
        ([SEARCH], forced("VALIDATED"), "is set without function_declarations."),
        (
            [{"functionDeclarations": [TIME]}],
            forced("AUTO", "get_time"),
            "only allowed when mode is ANY",
        ),
        (
            [{"functionDeclarations": [TIME]}],
            forced("ANY", "other"),
            "other is not a declared function.",
        ),
    ],
    ids=["no-functions", "only-search", "auto", "unknown"],
)
async def test_a_choice_that_makes_no_sense_is_refused(client, tools, config, text):
    body = asking("x", tools=tools, toolConfig=config)
    assert text in (await refusal(client, body))["message"]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (forced("ANY"), ["get_weather"]),
        (forced("ANY", "get_time"), ["get_time"]),
        (forced("VALIDATED", "get_time"), []),
        (forced("AUTO"), []),
        (forced("NONE"), []),
        ({}, []),
    ],
    ids=["any", "any-of", "validated", "auto", "none", "nothing"],
)
async def test_a_call_can_be_forced(client, config, names):
    body = with_tools("hello", WEATHER, TIME, toolConfig=config)
    made = calls_of(await answer(client, body))
    assert [each["name"] for each in made] == names


async def test_none_forbids_even_a_named_function(client):
    body = with_tools("use get_weather", WEATHER, toolConfig=forced("NONE"))
    assert calls_of(await answer(client, body)) == []
