"""The imitated site's model knows tools and schemas only from its prompt."""

import json

import pytest

from proxy.sandbox.model import Reply
from proxy.sandbox.web_accounts import People, sandbox_psid
from proxy.sandbox.web_prompts import Prompt, reply_to, text_in
from proxy.sandbox.web_rules import understood, written
from proxy.wire.web_prompt import read_prompt

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOLS = [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": CITY}]}]


def body(text="look at Paris", system="", **fields):
    made = {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}
    if system:
        made["systemInstruction"] = {"parts": [{"text": system}]}
    return made


def asked(given, *emulates):
    """What the site's model says to the prompt that the gateway makes of a request."""
    prompt = read_prompt(given, "gemini-flash", frozenset(emulates))
    who = People().person(sandbox_psid())
    return text_in(reply_to(Prompt(text=prompt.text), who))


def test_a_tool_that_the_prompt_describes_is_called_in_a_block():
    said = asked(body(tools=TOOLS), "tools")
    assert (
        said == '```toolcall\n{"name": "look", "arguments": {"city": "Paris"}}\n```\n'
    )


def test_a_tool_that_it_does_not_describe_is_not():
    assert "toolcall" not in asked(body(tools=TOOLS))


def test_results_in_blocks_are_understood():
    call = {"functionCall": {"name": "look", "args": {"city": "Paris"}}}
    result = {"functionResponse": {"name": "look", "response": {"seen": "a tower"}}}
    given = body(tools=TOOLS)
    given["contents"] += [
        {"role": "model", "parts": [call]},
        {"role": "user", "parts": [result]},
    ]
    assert asked(given, "tools") == "look says seen: a tower."


def test_json_is_given_in_a_code_block_if_asked_for():
    config = {"responseMimeType": "application/json", "responseJsonSchema": CITY}
    said = asked(body("I am in Oslo", generationConfig=config), "json_schema")
    assert said == '```json\n{"city": "Oslo"}\n```'
    assert "json" not in asked(body("I am in Oslo", generationConfig=config))


def test_one_of_some_words_is_given_bare():
    config = {
        "responseMimeType": "text/x.enum",
        "responseSchema": {"type": "STRING", "enum": ["blue", "red"]},
    }
    said = asked(body("pick red", generationConfig=config), "json_schema")
    assert said == "red"


@pytest.mark.parametrize("emulates", [(), ("tools",), ("tools", "json_schema")])
def test_the_systems_own_words_still_hold(emulates):
    given = body("Hi", "Always end with over.", tools=TOOLS)
    given["generationConfig"] = {"responseMimeType": "application/json"}
    said = asked(given, *emulates)
    assert said.endswith("over") is ("json_schema" not in emulates)


def test_rules_alone_leave_no_system_text():
    prompt = read_prompt(body(tools=TOOLS), "gemini-flash", frozenset({"tools"}))
    system = prompt.text.split("<|im_end|>")[0].removeprefix("<|im_start|>system\n")
    request = {"contents": [], "systemInstruction": {"parts": [{"text": system}]}}
    made = understood(request)
    assert made["systemInstruction"]["parts"] == [{"text": ""}]
    assert made["tools"][0]["functionDeclarations"][0]["name"] == "look"
    mode = made["toolConfig"]["functionCallingConfig"]["mode"]
    assert mode == "AUTO"


def test_only_calls_and_json_are_put_in_code():
    call = {"functionCall": {"name": "f", "args": {"x": "é"}}}
    shown = written(Reply([{"text": "Hm."}, call]), {}).parts
    assert shown[0] == {"text": "Hm."}
    assert json.loads(shown[1]["text"].split("\n")[1]) == {
        "name": "f",
        "arguments": {"x": "é"},
    }
