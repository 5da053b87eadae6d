"""Requests in the middle language as chat completions of xAI's."""

from typing import Any

import orjson
import pytest

from proxy.errors import BadRequest
from proxy.wire.xai_request import chat_request
from proxy.wire.xai_schema import MOST_LEVELS, plain_schema

PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [_part(part) for part in parts]}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": [_part(part) for part in parts]}


def _part(part: Any) -> Any:
    return {"text": part} if isinstance(part, str) else part


def call(name: str, call_id: str = "", **args: Any) -> dict[str, Any]:
    made = {"name": name, "args": args} | ({"id": call_id} if call_id else {})
    return {"functionCall": made, "thoughtSignature": "c2ln"}


def result(name: str, call_id: str = "", **fields: Any) -> dict[str, Any]:
    made = {"name": name, "response": fields} | ({"id": call_id} if call_id else {})
    return {"functionResponse": made}


def written(*contents: Any, to: str = "grok-4.3", **body: Any) -> dict[str, Any]:
    given = {"contents": list(contents) or [user("hi")], **body}
    before = orjson.dumps(given)
    made = chat_request(given, to, stream=False)
    assert orjson.dumps(given) == before, "the body was changed"
    return made


def messages(*contents: Any, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = written(*contents, **body)["messages"]
    return found


def test_turns_become_messages_and_thoughts_stay_at_home() -> None:
    found = messages(
        user("a", "b"),
        model({"text": "hm", "thought": True}, "c"),
        user("d"),
        systemInstruction={"parts": [{"text": "be"}, {"text": "brief"}]},
    )
    assert found == [
        {"role": "system", "content": "be\nbrief"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]


def test_pictures_go_along_as_data_urls_and_addresses() -> None:
    address = {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a/b.jpg"}}
    (found,) = messages(user("look", PNG, address))
    assert found["content"] == [
        {"type": "text", "text": "look"},
        SHOWN,
        {"type": "image_url", "image_url": {"url": "https://a/b.jpg"}},
    ]


def test_pictures_of_the_models_are_shown_again_by_the_user() -> None:
    found = messages(user("draw"), model("here", PNG), user("redder"))
    assert found[1] == {"role": "assistant", "content": "here"}
    assert SHOWN in found[2]["content"]
    assert found[2]["content"][-1] == {"type": "text", "text": "redder"}
    # Also when nothing follows.
    assert SHOWN in messages(user("draw"), model(PNG))[-1]["content"]


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "application/pdf", "data": "eA=="}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a/b"}},
        {"fileData": {"fileUri": "https://a/b"}},
    ],
)
def test_other_media_are_refused_by_their_type(part: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="xAI models take no"):
        messages(user("see", part))


def test_calls_and_results_are_tied_by_id() -> None:
    found = messages(
        user("go"),
        model(call("f", "one", x=1), call("f", "two", x=2)),
        user(result("f", "two", y=2), result("f", "one", y=1)),
    )
    assert [c["id"] for c in found[1]["tool_calls"]] == ["one", "two"]
    assert found[1]["tool_calls"][0]["function"] == {
        "name": "f",
        "arguments": '{"x":1}',
    }
    answered = [(m["tool_call_id"], m["content"]) for m in found[2:]]
    assert answered == [("two", '{"y":2}'), ("one", '{"y":1}')]


def test_without_ids_names_and_order_tie_them() -> None:
    found = messages(
        user("go"),
        model(call("f"), call("g"), call("f")),
        user(result("f", n=1), result("f", n=2), result("g", n=3)),
    )
    ids = [c["id"] for c in found[1]["tool_calls"]]
    assert len(set(ids)) == 3
    assert [m["tool_call_id"] for m in found[2:]] == [ids[0], ids[2], ids[1]]


def test_a_result_without_a_call_is_refused() -> None:
    with pytest.raises(BadRequest, match="follows no call"):
        messages(user(result("f", y=1)))
    with pytest.raises(BadRequest, match="follows no call"):
        messages(model(call("f", "one")), user(result("f", "other")))


def test_a_result_comes_before_the_words_and_pictures_beside_it() -> None:
    shown = {**result("f"), "extra": 1}
    shown["functionResponse"]["parts"] = [PNG]
    found = messages(model(call("f")), user("thanks", shown))
    assert [m["role"] for m in found] == ["assistant", "tool", "user"]
    assert found[2]["content"] == [{"type": "text", "text": "thanks"}, SHOWN]


def test_settings_have_their_twins() -> None:
    config = {
        "temperature": 0,
        "topP": 0.5,
        "seed": 7,
        "candidateCount": 2,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "presence_penalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "topK": 40,
    }
    made = written(generationConfig=config)
    assert made.pop("messages")
    assert made == {
        "model": "grok-4.3",
        "temperature": 0,
        "top_p": 0.5,
        "seed": 7,
        "n": 2,
        "max_completion_tokens": 9,
        "stop": ["x"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 3,
    }


def test_a_stream_asks_for_usage() -> None:
    made = chat_request({"contents": [user("a")]}, "grok-4.3", stream=True)
    assert made["stream"] is True
    assert made["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({}, None),
        ({"responseMimeType": "application/json"}, {"type": "json_object"}),
        (
            {"responseJsonSchema": {"type": "object"}},
            {"name": "answer", "schema": {"type": "object"}, "strict": True},
        ),
        (
            {"responseSchema": {"type": "OBJECT", "nullable": True}},
            {"name": "answer", "schema": {"type": ["object", "null"]}, "strict": True},
        ),
    ],
)
def test_formats_are_asked_for(config: Any, form: Any) -> None:
    made = written(generationConfig=config).get("response_format")
    if form and "schema" in form:
        form = {"type": "json_schema", "json_schema": form}
    assert made == form


@pytest.mark.parametrize(
    ("to", "thinking", "effort"),
    [
        ("grok-4.7", {"thinkingLevel": "LOW"}, "low"),
        ("grok-4.7", {"thinkingLevel": "MINIMAL"}, "low"),
        ("grok-4.7", {"thinkingLevel": "XHIGH"}, "xhigh"),
        ("grok-4.5", {"thinkingLevel": "XHIGH"}, "high"),
        ("grok-4.3", {"thinkingBudget": 0}, "none"),
        ("grok-4.7", {"thinkingBudget": 0}, "low"),
        ("grok-4.7", {"thinkingBudget": 1024}, "low"),
        ("grok-4.7", {"thinkingBudget": 8192}, "medium"),
        ("grok-3-mini", {"thinkingBudget": 8192}, "high"),
        ("grok-4.7", {"thinkingBudget": 32768}, "xhigh"),
        ("grok-4.7", {"thinkingBudget": -1}, None),
        ("grok-4.7", {"includeThoughts": True}, None),
        ("grok-4.20", {"thinkingLevel": "HIGH"}, None),
    ],
)
def test_thinking_becomes_an_effort_that_the_model_takes(
    to: str, thinking: Any, effort: str | None
) -> None:
    made = written(to=to, generationConfig={"thinkingConfig": thinking})
    assert made.get("reasoning_effort") == effort


def test_functions_are_declared_with_the_schema_that_xai_wants() -> None:
    tools = [
        {
            "functionDeclarations": [
                {"name": "a", "description": "A.", "parameters": {"type": "OBJECT"}},
                {"name": "b", "parametersJsonSchema": {"type": "object", "x": 1}},
            ]
        },
        {"functionDeclarations": [{"name": "c"}]},
    ]
    made = written(tools=tools)
    assert [t["function"] for t in made["tools"]] == [
        {
            "name": "a",
            "description": "A.",
            "parameters": {"type": "object", "properties": {}},
        },
        {"name": "b", "parameters": {"type": "object", "properties": {}, "x": 1}},
        {"name": "c", "parameters": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in made


@pytest.mark.parametrize(
    ("calling", "names", "choice"),
    [
        ({"mode": "AUTO"}, ["a", "b"], "auto"),
        ({"mode": "VALIDATED"}, ["a", "b"], "auto"),
        ({"mode": "NONE"}, ["a", "b"], "none"),
        ({"mode": "ANY"}, ["a", "b"], "required"),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, ["b"], {"name": "b"}),
        ({"mode": "AUTO", "allowed_function_names": ["a"]}, ["a"], "auto"),
    ],
)
def test_the_choice_of_a_function_is_kept(
    calling: Any, names: list[str], choice: Any
) -> None:
    declared = [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]
    made = written(tools=declared, toolConfig={"functionCallingConfig": calling})
    assert [t["function"]["name"] for t in made["tools"]] == names
    if isinstance(choice, dict):
        choice = {"type": "function", "function": choice}
    assert made["tool_choice"] == choice


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "user", "parts": []}]}, "contents"),
        ({"contents": [], "cachedContent": "x"}, "cachedContent"),
        (
            {"contents": [], "generationConfig": {"responseModalities": ["IMAGE"]}},
            "responseModalities",
        ),
    ],
)
def test_what_xai_has_no_words_for_is_refused_by_name(body: Any, param: str) -> None:
    if param != "contents":
        body = {**body, "contents": [user("x")]}
    with pytest.raises(BadRequest) as caught:
        chat_request(body, "grok-4.3", stream=False)
    assert caught.value.param == param


def test_googles_schemas_become_plain_ones() -> None:
    given = {
        "type": "OBJECT",
        "propertyOrdering": ["a"],
        "properties": {
            "a": {"type": "ARRAY", "items": {"type": "STRING"}, "maxItems": "3"},
            "type": {"type": "STRING", "format": "enum", "enum": ["X"]},
            "n": {"type": "STRING", "enum": ["Y"], "nullable": True},
            "o": {"anyOf": [{"type": "NUMBER"}, {"type": "NULL"}]},
        },
        "required": ["a"],
    }
    assert plain_schema(given) == {
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
            "type": {"type": "string", "enum": ["X"]},
            "n": {"type": ["string", "null"], "enum": ["Y", None]},
            "o": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
        "required": ["a"],
    }
    assert plain_schema(True) is True


def test_a_schema_without_end_is_refused() -> None:
    deep: dict[str, Any] = {"type": "STRING"}
    for _ in range(MOST_LEVELS + 1):
        deep = {"type": "ARRAY", "items": deep}
    with pytest.raises(BadRequest, match="nested"):
        plain_schema(deep)


def test_a_picture_in_the_other_alphabet_of_base64_is_respelt() -> None:
    """Google's SDK sends URL-safe base64; a data URL holds the plain one."""
    picture = {"inlineData": {"mimeType": "image/png", "data": "_-8A"}}
    [said] = messages({"role": "user", "parts": [picture]})
    assert said["content"][0]["image_url"]["url"] == "data:image/png;base64,/+8A"
