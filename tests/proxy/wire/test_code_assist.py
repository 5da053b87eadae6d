"""The envelope of Code Assist: what goes in, what is refused, what comes out."""

import copy

import pytest

from proxy.errors import UpstreamFault
from proxy.wire.code_assist import (
    bare_model,
    count_request,
    generate_request,
    unwrapped,
)
from proxy.wire.verdicts import judge
from tests.proxy.wire.error_samples import NOON

HELLO = {"role": "user", "parts": [{"text": "hello"}]}


def sent(**body):
    return generate_request(
        {"contents": [HELLO], **body},
        model="models/gemini-x",
        project="p-1",
        prompt_id="u",
    )


def request(**body):
    return sent(**body)["request"]


def test_the_envelope_has_the_bare_model_and_the_project():
    assert sent() == {
        "model": "gemini-x",
        "project": "p-1",
        "user_prompt_id": "u",
        "request": {"contents": [HELLO]},
    }
    assert bare_model("gemini-x") == "gemini-x"


def test_the_callers_body_is_left_alone():
    body = {"contents": [HELLO], "system_instruction": {"parts": [{"text": "s"}]}}
    before = copy.deepcopy(body)
    generate_request(body, model="m", project="p", prompt_id="u")
    assert body == before


def test_any_casing_goes_out_in_camel_case():
    made = request(
        system_instruction={"parts": [{"text": "s"}]},
        generation_config={
            "max_output_tokens": 5,
            "thinking_config": {"thinking_budget": 0},
        },
        safety_settings=[{"category": "c", "threshold": "t"}],
        tool_config={"function_calling_config": {"mode": "AUTO"}},
    )
    assert made["systemInstruction"] == {"role": "user", "parts": [{"text": "s"}]}
    assert made["generationConfig"] == {
        "maxOutputTokens": 5,
        "thinkingConfig": {"thinkingBudget": 0},
    }
    assert made["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert made["safetySettings"] == [{"category": "c", "threshold": "t"}]


def test_both_names_of_a_json_schema_become_one():
    schema = {"type": "object", "properties": {"a_b": {"type": "string"}}}
    made = request(generationConfig={"_responseJsonSchema": schema})
    assert made["generationConfig"] == {"responseJsonSchema": schema}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"serviceTier": "flex"}, "serviceTier"),
        ({"store": True}, "store"),
        ({"brand_new": 1}, "brandNew"),
        (
            {"generationConfig": {"imageConfig": {"a": 1}}},
            "generationConfig.imageConfig",
        ),
        ({"generationConfig": {"zap": 1}}, "generationConfig.zap"),
        (
            {"tools": [{"fileSearch": {"fileSearchStoreNames": ["s"]}}]},
            "tools.fileSearch",
        ),
        ({"tools": [{"mcpServers": [{"name": "m"}]}]}, "tools.mcpServers"),
        (
            {"toolConfig": {"includeServerSideToolInvocations": True}},
            "toolConfig.includeServerSideToolInvocations",
        ),
        (
            {
                "tools": [
                    {"functionDeclarations": [{"name": "f"}]},
                    {"googleSearch": {}},
                ]
            },
            "functions together",
        ),
        (
            {"contents": [{"parts": [{"fileData": {"fileUri": "files/abc"}}]}]},
            "uploaded file",
        ),
        (
            {
                "contents": [
                    {
                        "parts": [
                            {
                                "file_data": {
                                    "file_uri": "https://generativelanguage.googleapis.com/v1beta/files/a"
                                }
                            }
                        ]
                    }
                ]
            },
            "uploaded file",
        ),
    ],
)
def test_what_the_backend_does_not_take_is_named_and_left_to_others(body, named):
    with pytest.raises(UpstreamFault) as caught:
        sent(**body)
    assert named in caught.value.message
    verdict = judge(caught.value, now=NOON)
    assert verdict.elsewhere
    assert (verdict.scope, verdict.until, verdict.strike) == ("nothing", None, False)


@pytest.mark.parametrize("empty", [None, [], {}])
def test_fields_that_hold_nothing_are_left_out(empty):
    made = request(cachedContent=empty, tools=empty, generationConfig={"zap": empty})
    assert made.keys() <= {"contents", "generationConfig"}


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ({"parts": [{"text": "a"}]}, {"role": "user", "parts": [{"text": "a"}]}),
        (
            {"role": "function", "parts": [{"functionResponse": {"name": "f"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
        ),
        (
            {
                "role": "model",
                "parts": [{}, {"text": "a"}, {"text": "t", "thought": True}],
            },
            {"role": "model", "parts": [{"text": "a"}]},
        ),
        (
            {
                "role": "model",
                "parts": [{"text": "t", "thought": True, "thoughtSignature": "eA=="}],
            },
            {
                "role": "model",
                "parts": [{"text": "t", "thought": True, "thoughtSignature": "eA=="}],
            },
        ),
        ({"role": "user", "parts": []}, None),
        ({"role": "user", "parts": [{}]}, None),
        ({"role": "user"}, None),
    ],
)
def test_contents_have_known_roles_and_no_empty_parts(content, kept):
    made = generate_request(
        {"contents": [HELLO, content]}, model="m", project="p", prompt_id="u"
    )
    assert made["request"]["contents"] == [HELLO, *([kept] if kept else [])]


def test_signatures_go_out_as_they_came():
    part = {
        "functionCall": {"name": "f", "args": {"a_b": 1}},
        "thoughtSignature": "YWI=",
    }
    content = {"role": "model", "parts": [part]}
    assert request(contents=[HELLO, content])["contents"][1] == content


def test_counting_names_the_model_inside_and_nothing_at_the_top():
    made = count_request({"contents": [HELLO]}, model="gemini-x")
    assert made == {"request": {"model": "models/gemini-x", "contents": [HELLO]}}


def test_counting_puts_all_that_the_model_would_read_into_the_contents():
    nested = {
        "model": "models/other",
        "contents": [HELLO],
        "system_instruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    }
    made = count_request({"generate_content_request": nested}, model="gemini-x")
    texts = [c["parts"][0]["text"] for c in made["request"]["contents"]]
    assert texts[1:] == ["s", "hello"]
    assert '"name":"f"' in texts[0]


@pytest.mark.parametrize(
    ("data", "inner"),
    [
        ({"response": {"a": 1}, "traceId": "t"}, {"a": 1, "responseId": "t"}),
        ({"response": {"responseId": "r"}, "traceId": "t"}, {"responseId": "r"}),
        ({"response": {"a": 1}}, {"a": 1}),
        ({"traceId": "t"}, {}),
        ({"response": None}, {}),
    ],
)
def test_an_answer_comes_out_of_its_envelope(data, inner):
    assert unwrapped(data) == inner


def test_a_search_model_is_the_model_with_googles_search():
    made = generate_request(
        {"contents": [HELLO]}, model="gemini-x-search", project="p", prompt_id="u"
    )
    assert made["model"] == "gemini-x"
    assert made["request"]["tools"] == [{"googleSearch": {}}]
    counted = count_request({"contents": [HELLO]}, model="gemini-x-search")
    assert counted["request"]["model"] == "models/gemini-x"


def test_a_search_model_leaves_the_callers_tools_alone():
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    body = {"contents": [HELLO], "tools": tools}
    made = generate_request(body, model="x-search", project="p", prompt_id="u")
    assert made["request"]["tools"] == tools
