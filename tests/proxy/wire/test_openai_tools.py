"""Tools, functions and tool_choice."""

import pytest

from tests.proxy.wire.chat_samples import FLASH_3, FLASH_25, parse, refused, tool

OBJECT = {"type": "object", "properties": {"city": {"type": "string"}}}


def declared(*tools: dict, **fields) -> list[dict]:
    """Return the function declarations that tools become."""
    made = parse(tools=list(tools), **fields).body["tools"]
    return made[-1]["functionDeclarations"]


def calling(choice, *tools: dict, **fields) -> dict | None:
    """Return the functionCallingConfig that a tool_choice becomes."""
    listed = list(tools) or [tool("f", parameters=OBJECT), tool("g")]
    body = parse(tools=listed, tool_choice=choice, **fields).body
    return body.get("toolConfig", {}).get("functionCallingConfig")


def test_a_function_keeps_name_description_and_parameters():
    assert declared(tool("f", description="does f", parameters=OBJECT)) == [
        {"name": "f", "description": "does f", "parametersJsonSchema": OBJECT}
    ]


def test_all_functions_share_one_tool_entry():
    body = parse(tools=[tool("f"), tool("g")]).body
    assert [len(entry["functionDeclarations"]) for entry in body["tools"]] == [2]


def test_a_missing_description_is_empty():
    assert declared(tool("f"))[0]["description"] == ""
    assert declared(tool("f", description=None))[0]["description"] == ""


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
    ],
)
def test_a_tool_without_parameters_declares_none(parameters):
    assert "parametersJsonSchema" not in declared(tool("f", parameters=parameters))[0]


def test_an_object_of_free_keys_is_not_a_tool_without_parameters():
    free = {"type": "object", "additionalProperties": {"type": "string"}}
    assert declared(tool("f", parameters=free))[0]["parametersJsonSchema"] == free


def test_schema_marks_are_removed_and_closed_objects_stay_closed():
    given = {
        **OBJECT,
        "$schema": "http://json-schema.org/draft-07/schema#",
        "additionalProperties": False,
    }
    found = declared(tool("f", parameters=given))[0]["parametersJsonSchema"]
    assert found == {**OBJECT, "additionalProperties": False}


@pytest.mark.parametrize("strict", [True, False, None])
def test_strict_is_not_sent(strict):
    assert set(declared(tool("f", strict=strict, parameters=OBJECT))[0]) == {
        "name",
        "description",
        "parametersJsonSchema",
    }


def test_parameters_that_are_no_object_are_wrapped_and_named():
    given = {
        "type": "array",
        "items": {"$ref": "#/$defs/A"},
        "$defs": {"A": {"type": "string"}},
    }
    request = parse(tools=[tool("f", parameters=given), tool("g", parameters=OBJECT)])
    found = request.body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert found == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
        "required": ["value"],
        "$defs": {"A": {"type": "string"}},
    }
    assert request.wrapped_tools == {"f"}


def test_a_custom_tool_is_a_function_with_one_text():
    custom = {"type": "custom", "custom": {"name": "sql", "description": "run"}}
    assert declared(custom) == [
        {
            "name": "sql",
            "description": "run",
            "parametersJsonSchema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
            },
        }
    ]


def test_the_grammar_of_a_custom_tool_is_told_in_its_description():
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    custom = {"type": "custom", "custom": {"name": "sql", "format": form}}
    description = declared(custom)[0]["description"]
    assert "lark" in description and "start: A" in description


def test_the_same_tool_twice_is_declared_once():
    assert len(declared(tool("f"), tool("f"))) == 1


def test_two_different_tools_of_one_name_are_refused():
    refused(
        tools=[tool("f"), tool("f", description="other")],
        param="tools[1].function.name",
    )


def test_legacy_functions_become_tools():
    request = parse(
        functions=[{"name": "f", "description": "d", "parameters": OBJECT}],
        function_call="auto",
    )
    assert request.body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": OBJECT}
            ]
        }
    ]
    assert request.legacy_functions is True


def test_a_request_with_tools_is_not_legacy():
    assert parse(tools=[tool("f")]).legacy_functions is False
    assert parse(tools=[tool("f")], function_call="auto").legacy_functions is False


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ({"name": "f"}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_the_legacy_function_call_is_a_choice(choice, expected):
    body = parse(functions=[{"name": "f"}], function_call=choice).body
    assert body["toolConfig"] == {"functionCallingConfig": expected}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("any", {"mode": "ANY"}),
        ({"type": "auto"}, {"mode": "AUTO"}),
        ({"type": "none"}, {"mode": "NONE"}),
        (
            {"type": "function", "function": {"name": "g"}},
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
        (
            {"type": "function", "name": "g"},
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
        (
            {"type": "custom", "custom": {"name": "g"}},
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [tool("f"), tool("g")]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [tool("g")]},
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, {"mode": "NONE"}),
    ],
)
def test_a_tool_choice_becomes_a_calling_mode(choice, expected):
    assert calling(choice) == expected


def test_a_choice_uses_the_upstream_name():
    found = calling({"type": "function", "name": "a/b"}, tool("a/b"))
    assert found == {"mode": "ANY", "allowedFunctionNames": ["a_b"]}


@pytest.mark.parametrize(
    ("choice", "model", "expected"),
    [
        (None, FLASH_3, {"mode": "VALIDATED"}),
        ("auto", FLASH_25, {"mode": "VALIDATED"}),
        ("required", FLASH_3, {"mode": "ANY"}),
        ("none", FLASH_3, {"mode": "NONE"}),
        ("auto", "gemini-2.0-flash", {"mode": "AUTO"}),
        (None, "gemini-2.0-flash", None),
    ],
)
def test_a_strict_tool_has_its_calls_validated_where_nothing_else_is_asked(
    choice, model, expected
):
    assert calling(choice, tool("f", strict=True), tool("g"), model=model) == expected


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "whatever"}, 5])
def test_a_choice_without_tools_is_not_looked_at(choice):
    assert "toolConfig" not in parse(tool_choice=choice).body
    assert "toolConfig" not in parse(tool_choice=choice, tools=[]).body


def test_calls_one_by_one_cannot_be_asked_for_and_that_is_said():
    assert parse(tools=[tool("f")], parallel_tool_calls=False).dropped == [
        "parallel_tool_calls"
    ]
    assert parse(tools=[tool("f")], parallel_tool_calls=True).dropped == []
    assert parse(parallel_tool_calls=False).dropped == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].function"),
        ({"tools": [{"type": 5}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": "f"}]}, "tools[0].function"),
        ({"tools": [tool("")]}, "tools[0].function.name"),
        ({"tools": [tool(None)]}, "tools[0].function.name"),
        ({"tools": [tool("f", description=5)]}, "tools[0].function.description"),
        ({"tools": [tool("f", strict="yes")]}, "tools[0].function.strict"),
        ({"tools": [tool("f", parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [{"type": "image_generation"}]}, "tools[0].type"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "mcp"}]}, "tools[0].type"),
        ({"tools": [{"googleSearch": 5}]}, "tools[0].googleSearch"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
        ({"functions": [5]}, "functions[0]"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"web_search_options": True}, "web_search_options"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_malformed_tools_are_refused_with_their_place(fields, param):
    refused(param=param, **fields)


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("sometimes", "tool_choice"),
        (5, "tool_choice"),
        ({}, "tool_choice.type"),
        ({"type": "web_search"}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.name"),
        ({"type": "function", "function": {}}, "tool_choice.function.name"),
        ({"type": "function", "name": "ghost"}, "tool_choice"),
        ({"type": "allowed_tools"}, "tool_choice.tools"),
        ({"type": "allowed_tools", "mode": "x", "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "mode": 5, "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "tools": [5]}, "tool_choice.tools[0]"),
        (
            {"type": "allowed_tools", "tools": [{"type": "function"}]},
            "tool_choice.tools[0].name",
        ),
        ({"type": "allowed_tools", "tools": [tool("ghost")]}, "tool_choice"),
    ],
)
def test_malformed_choices_are_refused(choice, param):
    refused(tools=[tool("f")], tool_choice=choice, param=param)
