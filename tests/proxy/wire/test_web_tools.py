"""Tools put into words, and calls read from an answer."""

import json
import random
import re

import pytest

from proxy.errors import BadAnswer, UpstreamFault, UpstreamRefused
from proxy.wire.web_blocks import CAUSE
from proxy.wire.web_prompt import read_prompt
from proxy.wire.web_tools import read_tools, shown_call, shown_result
from tests.proxy.wire.random_json import any_object, schema_of

WEATHER = {
    "name": "get_weather",
    "description": "The weather.\nIn a city.",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "maximum": 9},
        },
        "required": ["city"],
    },
}
ADD = {
    "name": "add",
    "parameters": {"type": "OBJECT", "properties": {"a": {"type": "NUMBER"}}},
}
NOW = {"name": "now"}


def view(*declared, **calling):
    made = {"tools": [{"functionDeclarations": list(declared or (WEATHER, ADD, NOW))}]}
    if calling:
        made["toolConfig"] = {"functionCallingConfig": calling}
    return made


def block(name, arguments="missing"):
    told = {"name": name} | ({} if arguments == "missing" else {"arguments": arguments})
    return f"```toolcall\n{json.dumps(told)}\n```"


def listed(tools):
    """The tools that the instructions describe."""
    lines = tools.instructions.splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"name":"')]


def calls(text, **calling):
    return read_tools(view(**calling)).read(text, "r-1")[1]


def user(*parts):
    return {"role": "user", "parts": list(parts)}


def test_every_tool_is_described_in_one_line():
    told = listed(read_tools(view()))
    assert [each["name"] for each in told] == ["get_weather", "add", "now"]
    assert told[0]["description"] == "The weather.\nIn a city."
    assert told[0]["parameters"] == WEATHER["parametersJsonSchema"]
    assert told[1]["parameters"]["properties"]["a"]["type"] == "number"
    assert told[2] == {
        "name": "now",
        "description": "",
        "parameters": {"type": "object"},
    }


@pytest.mark.parametrize(
    ("calling", "names", "required"),
    [
        ({}, ["get_weather", "add", "now"], False),
        ({"mode": "AUTO"}, ["get_weather", "add", "now"], False),
        ({"mode": "any"}, ["get_weather", "add", "now"], True),
        ({"mode": "ANY", "allowedFunctionNames": ["now"]}, ["now"], True),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["add"]}, ["add"], False),
    ],
)
def test_the_mode_says_who_may_be_called_and_whether_one_must(calling, names, required):
    tools = read_tools(view(**calling))
    assert [each["name"] for each in listed(tools)] == names
    assert tools.required is required
    assert ("must use at least one" in tools.instructions) is required


@pytest.mark.parametrize("given", [view(mode="NONE"), {}, {"tools": [{}]}])
def test_without_callable_functions_there_are_no_tools(given):
    assert read_tools(given) is None


@pytest.mark.parametrize(
    "given",
    [
        view(mode="SOMETIMES"),
        view(mode="ANY", allowedFunctionNames=["gone"]),
        view(mode="ANY", allowedFunctionNames="add"),
        view({"description": "no name"}),
        view({"name": "x", "parametersJsonSchema": {"type": 7}}),
        view({"name": "x", "parameters": {"$ref": "https://x.example/schema"}}),
    ],
)
def test_what_nobody_could_use_is_refused(given):
    with pytest.raises(UpstreamRefused):
        read_tools(given)


def test_calls_become_function_calls_and_words_stay():
    text = f"Let me look.\n{block('get_weather', {'city': 'Oslo'})}\n{block('now')}"
    words, made = read_tools(view()).read(text, "r-1")
    assert words == "Let me look."
    assert [(call["name"], call["args"]) for call in made] == [
        ("get_weather", {"city": "Oslo"}),
        ("now", {}),
    ]


def test_ids_are_stable_and_each_calls_own():
    text = block("now") * 1 + "\n" + block("now")
    first, again = calls(text), calls(text)
    assert first == again
    assert len({call["id"] for call in first}) == 2
    assert re.fullmatch(r"call_[0-9a-f]{24}", first[0]["id"])
    other = read_tools(view()).read(text, "r-2")[1]
    assert not {call["id"] for call in other} & {call["id"] for call in first}


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ({"city": "Oslo", "days": "3"}, {"city": "Oslo", "days": 3}),
        ({"city": "Oslo", "days": None}, {"city": "Oslo"}),
        ('{"city": "Oslo"}', {"city": "Oslo"}),
        ({"city": 5}, {"city": "5"}),
    ],
)
def test_arguments_are_mended_after_their_schema(arguments, args):
    assert calls(block("get_weather", arguments))[0]["args"] == args


@pytest.mark.parametrize("key", ["arguments", "args", "parameters"])
def test_arguments_are_found_under_the_names_that_models_use(key):
    text = f'```toolcall\n{{"name": "add", "{key}": {{"a": 1}}}}\n```'
    assert calls(text)[0]["args"] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (block("gone", {}), "not declared"),
        ("```toolcall\n[1]\n```", "not declared"),
        (block("get_weather", {}), "required does not hold at $.city"),
        (block("get_weather", {"city": "x", "days": 10}), "maximum"),
        (block("get_weather", [1]), "no object"),
        (block("get_weather", "{broken"), "no JSON"),
        ("```toolcall\nget_weather('Oslo')\n```", "no JSON"),
    ],
)
def test_a_call_that_cannot_be_used_may_be_asked_of_another_account(text, told):
    with pytest.raises(BadAnswer) as caught:
        calls(text)
    assert told in caught.value.message
    assert caught.value.cause == CAUSE
    assert caught.value.elsewhere
    assert "Oslo" not in caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        {"name": "add", "arguments": {}, "more": 1},
        {"name": "gone", "arguments": {}},
        {"name": "add"},
        {"name": [], "arguments": {}},
    ],
)
def test_json_that_only_resembles_a_call_stays_words(value):
    text = json.dumps(value)
    assert read_tools(view()).read(text, "r") == (text, [])
    called = json.dumps({"name": "add", "arguments": {}, "id": "x"})
    assert read_tools(view()).read(called, "r")[0] == ""


def test_an_answer_in_words_is_none_where_a_call_is_required():
    assert calls("No.") == []
    with pytest.raises(BadAnswer, match="called no tool"):
        calls("No.", mode="ANY")


def test_a_tool_that_is_not_allowed_now_is_not_called():
    with pytest.raises(BadAnswer, match="not declared"):
        calls(block("now"), mode="ANY", allowedFunctionNames=["add"])


@pytest.mark.parametrize("seed", range(60))
def test_arguments_of_any_schema_come_back_as_they_were(seed):
    dice = random.Random(seed)
    args = any_object(dice)
    schema = schema_of(args, dice)
    tools = read_tools(view({"name": "f", "parametersJsonSchema": schema}))
    text = shown_call({"name": "f", "args": args})
    assert tools.read(text, "r")[1][0]["args"] == args
    assert tools.words_so_far(text) == ""


class TestPrompt:
    """Where the words for tools stand in the prompt."""

    CALL = {"functionCall": {"name": "now", "args": {"z": "a\nb"}, "id": "call_1"}}
    DATA = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    RESULT = {
        "functionResponse": {"name": "now", "response": {"t": 1}, "parts": [DATA]}
    }

    def prompt(self, *contents, emulates=frozenset({"tools"}), **fields):
        return read_prompt(
            {"contents": list(contents), **view(), **fields}, "gemini-flash", emulates
        )

    def test_they_follow_the_systems_own(self):
        made = self.prompt(
            user({"text": "Hi"}), systemInstruction={"parts": [{"text": "Be kind."}]}
        )
        system, asked = made.text.split("<|im_end|>")[:2]
        assert system.startswith("<|im_start|>system\nBe kind.\n\nYou have tools.")
        assert asked == "\n<|im_start|>user\nHi\n"
        assert made.emulated == ("tools",)
        assert made.dropped == ()

    def test_earlier_calls_look_as_the_model_should_write_them(self):
        made = self.prompt(
            user({"text": "Time?"}),
            {"role": "model", "parts": [{"text": "Well."}, self.CALL]},
            user(self.RESULT, {"text": "And now?"}),
        )
        call = '```toolcall\n{"name":"now","arguments":{"z":"a\\nb"}}\n```'
        result = '```toolresult\n{"name":"now","result":{"t":1}}\n```'
        assert f"<|im_start|>assistant\nWell.\n{call}\n<|im_end|>" in made.text
        said = f"<|im_start|>tool\n{result}\n[attached: file-1.png]\n<|im_end|>"
        assert f"{said}\n<|im_start|>user\nAnd now?\n" in made.text
        assert shown_result(self.RESULT["functionResponse"]) == result
        assert len(made.files) == 1

    @pytest.mark.parametrize(
        "fields",
        [
            {"emulates": frozenset()},
            {"emulates": frozenset({"json_schema"})},
            {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
        ],
    )
    def test_without_them_nothing_speaks_of_blocks(self, fields):
        made = self.prompt(
            user({"text": "a"}), {"role": "model", "parts": [self.CALL]}, **fields
        )
        assert "toolcall" not in made.text
        assert made.tools is None

    @pytest.mark.parametrize(
        ("config", "dropped"),
        [
            ({"functionCallingConfig": {"mode": "ANY"}}, ()),
            ({"retrievalConfig": {"languageCode": "de"}}, ("toolConfig.retrievalConfig",)),
        ],
    )  # fmt: skip
    def test_what_is_not_followed_is_named(self, config, dropped):
        assert self.prompt(user({"text": "a"}), toolConfig=config).dropped == dropped

    @pytest.mark.parametrize("name", ["computerUse", "mcpServers"])
    def test_tools_that_are_no_functions_go_to_other_kinds(self, name):
        with pytest.raises(UpstreamFault) as caught:
            self.prompt(user({"text": "a"}), tools=[{name: {}}])
        assert not isinstance(caught.value, UpstreamRefused)
        assert name in caught.value.message
