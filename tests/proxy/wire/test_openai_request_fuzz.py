"""Whatever JSON comes, the answer is a translation or a BadRequest."""

import contextlib
import copy
import random
from typing import Any

import orjson
import pytest

from proxy.errors import BadRequest
from proxy.wire.json_schema import strict_body
from proxy.wire.openai_chat import ChatRequest, missing_signatures, parse_chat, peek
from proxy.wire.openai_embeddings import parse_embeddings
from tests.proxy.wire.chat_samples import PNG, call, calls, data_url, result, said, user

MODELS = ["gemini-2.5-flash", "gemini-3-flash-preview", "gemma-3-27b-it", "other"]
ROUNDS = 1500

#: A request that uses everything once.
EVERYTHING: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "stop": ["a", "b"],
    "n": 2,
    "seed": 5,
    "max_tokens": 100,
    "logprobs": True,
    "logit_bias": {"5": 1},
    "reasoning_effort": "low",
    "reasoning": {"effort": "low", "exclude": True},
    "modalities": ["text", "image"],
    "audio": {"voice": "Kore", "format": "wav"},
    "service_tier": "flex",
    "google": {"cached_content": "c/a"},
    "safety_settings": [{"category": "c", "threshold": "t"}],
    "web_search_options": {"search_context_size": "low", "user_location": {"a": 1}},
    "parallel_tool_calls": False,
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        user(
            [
                {"type": "text", "text": "a"},
                {
                    "type": "image_url",
                    "image_url": {"url": data_url(PNG), "detail": "low"},
                },
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                {
                    "type": "input_audio",
                    "input_audio": {"data": "AAAA", "format": "wav"},
                },
                {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}},
                {"type": "video_url", "video_url": {"url": "https://youtu.be/a"}},
            ]
        ),
        said("x", refusal="no", images=[]),
        calls(
            call("a", "f", '{"a": [1]}', extra_content={"google": {}}),
            call("b__thought__QUJD", "g"),
            {"id": "c", "type": "custom", "custom": {"name": "h", "input": "i"}},
            content=[{"type": "text", "text": "t"}],
        ),
        result("a", [{"type": "text", "text": "[1]"}]),
        result("ghost", "{}", name="f"),
        said(None, function_call={"name": "f", "arguments": "{}"}),
        {"role": "function", "name": "f", "content": "1"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "d",
                "strict": True,
                "parameters": {
                    "type": "object",
                    "properties": {
                        "a": {"$ref": "#/$defs/A"},
                        "b": {"type": ["string", "null"], "enum": ["x", None]},
                        "c": {"type": "array", "prefixItems": [{"type": "string"}]},
                        "d": {"allOf": [{"minimum": 1}, {"exclusiveMinimum": 2}]},
                        "e": {"anyOf": [{"const": 1}, {"type": "null"}]},
                    },
                    "required": ["a"],
                    "additionalProperties": {"type": "string"},
                    "$defs": {"A": {"type": "object", "properties": {}}},
                },
            },
        },
        {"type": "custom", "custom": {"name": "h", "format": {"type": "text"}}},
        {"type": "web_search", "search_context_size": "low"},
        {"googleMaps": {}},
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "auto",
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
    },
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "M", "schema": {"type": "object"}},
    },
}

STRANGE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**15,
    1e300,
    2**63,
    "",
    " ",
    "x",
    "auto",
    "text",
    "function",
    "\x00",
    "天気",
    "data:,",
    "data:image/png;base64,***",
    "http://[",
    "#/$defs/A",
    "[" * 500,
    "[" * 300 + "]" * 300,
    [],
    [None],
    [[]],
    [{}],
    ["x"],
    [1, 2],
    {},
    {"type": "text"},
    {"type": "object"},
    {"a": None},
    {"$ref": "#"},
    {"$ref": "#/properties/a"},
    {"allOf": [{"$ref": "#"}, {}]},
    {"name": "f"},
    {"role": "user"},
]


def positions(value: Any, path: tuple = ()) -> list[tuple]:
    """Return the path of every value inside ``value``."""
    found = [path] if path else []
    if isinstance(value, dict):
        inside: Any = value.items()
    else:
        inside = enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        found += positions(inner, (*path, key))
    return found


def replaced(value: Any, path: tuple, new: Any) -> Any:
    """Return a copy of ``value`` that has ``new`` at ``path``."""
    made = copy.deepcopy(value)
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = new
    return made


def translated(body: Any, model: str) -> ChatRequest | None:
    """Return the translation; None when it is refused."""
    try:
        return parse_chat(body, upstream_model=model, signatures={"a": "QUJD"})
    except BadRequest:
        return None


def attempt(body: Any, model: str) -> bool:
    """Translate; return whether it worked. Anything but a BadRequest fails the test."""
    request = translated(body, model)
    if request is None:
        return False
    orjson.dumps(request.body)
    assert request.body["contents"][0]["role"] == "user"
    assert all(content["parts"] for content in request.body["contents"])
    orjson.dumps(strict_body(request.body))
    return True


@pytest.mark.parametrize("model", MODELS)
def test_the_request_that_uses_everything_is_translated(model):
    assert attempt(EVERYTHING, model)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: repr(value)[:30])
def test_one_strange_value_in_any_place_is_translated_or_refused(strange):
    outcomes = set()
    for number, path in enumerate(positions(EVERYTHING)):
        body = replaced(EVERYTHING, path, strange)
        missing_signatures(body)
        outcomes.add(attempt(body, MODELS[number % 2]))
    assert outcomes == {True, False}


def random_json(source: random.Random, depth: int = 0) -> Any:
    kind = source.randrange(8 if depth < 4 else 5)
    if kind < 5:
        return copy.deepcopy(source.choice(STRANGE))
    if kind == 5:
        return [random_json(source, depth + 1) for _ in range(source.randrange(4))]
    keys = [
        "type",
        "properties",
        "items",
        "enum",
        "content",
        "name",
        "text",
        "x",
        "url",
    ]
    return {
        source.choice(keys): random_json(source, depth + 1)
        for _ in range(source.randrange(4))
    }


def test_random_values_in_random_places_are_translated_or_refused():
    source = random.Random(20261120)
    paths = positions(EVERYTHING)
    worked = 0
    for _ in range(ROUNDS):
        body = EVERYTHING
        for _ in range(source.randrange(1, 4)):
            try:
                body = replaced(body, source.choice(paths), random_json(source))
            except (KeyError, IndexError, TypeError):
                continue
        missing_signatures(body)
        worked += attempt(body, source.choice(MODELS))
    assert 0 < worked < ROUNDS


@pytest.mark.parametrize("body", STRANGE, ids=lambda value: repr(value)[:30])
def test_a_body_that_is_no_request_is_refused(body):
    with pytest.raises(BadRequest):
        parse_chat(body, upstream_model="m", signatures={})
    assert missing_signatures(body) == []
    with contextlib.suppress(BadRequest):
        peek(body)


def nest(levels: int, kind: str) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value] if kind == "array" else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["array", "object"])
@pytest.mark.parametrize("levels", [63, 70, 900, 50_000])
@pytest.mark.parametrize(
    "field",
    ["tools", "response_format", "google", "messages", "reasoning", "metadata", "stop"],
)
def test_deep_nesting_never_breaks_the_translation(field, levels, kind):
    body = {"messages": [user()], field: nest(levels, kind)}
    stays_sendable(body)


@pytest.mark.parametrize("levels", [63, 70, 900, 50_000])
def test_a_deep_schema_or_argument_never_breaks_the_translation(levels):
    deep = nest(levels, "object")
    function = {"name": "f", "parameters": {"type": "object", "properties": deep}}
    stays_sendable(
        {
            "messages": [user(), calls(call("a", "f", deep)), result("a")],
            "tools": [{"type": "function", "function": function}, {"googleMaps": deep}],
        }
    )


def stays_sendable(body: Any) -> None:
    """Translate; what comes of it can be sent."""
    request = translated(body, MODELS[1])
    if request is not None:
        orjson.dumps(request.body)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize(
    "field",
    ["model", "input", "dimensions", "encoding_format", "task_type", "google"],
)
def test_strange_embedding_requests_are_translated_or_refused(field, strange):
    body = {"model": "m", "input": ["a"], field: strange}
    with contextlib.suppress(BadRequest):
        orjson.dumps(parse_embeddings(body).body)
