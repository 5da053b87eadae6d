"""What LangChain, litellm and the AI SDK need beyond what OpenAI's own SDK reads."""

import json
from typing import Any

import httpx
import pytest

from tests.clients.conftest import Gateway

MODEL = "gemini-3-flash-preview"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("model", [MODEL, "gemini-2.5-flash"])
def test_several_answers_cost_the_same_streamed_as_whole(
    gateway: Gateway, model: str
) -> None:
    whole = gateway.chat("hi", model, n=2).json()["usage"]
    options = {"n": 2, "stream": True, "stream_options": {"include_usage": True}}
    streamed = events(gateway.chat("hi", model, **options))[-1]["usage"]
    assert streamed == whole
    one = gateway.chat("hi", model).json()["usage"]
    assert streamed["completion_tokens"] > one["completion_tokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refused_token_is_named_as_openai_names_it(
    gateway: Gateway, stream: bool
) -> None:
    # litellm tells a refused key from a bad request by these words of OpenAI.
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": "Bearer gp-none"}
    url = f"{gateway.url}/v1/chat/completions"
    answer = httpx.post(url, json={**body, "stream": stream}, headers=headers)
    error = answer.json()["error"]
    assert answer.status_code == 401
    assert "Incorrect API key provided" in error["message"]
    assert (error["type"], error["code"]) == (
        "invalid_request_error",
        "invalid_api_key",
    )


def test_a_stream_that_begins_with_a_call_says_no_text_before_it(
    gateway: Gateway,
) -> None:
    # The AI SDK opens a text part, which then stays empty, for content "".
    answer = gateway.chat(
        "call weather with city Paris", MODEL, stream=True, tools=[WEATHER]
    )
    deltas = [event["choices"][0]["delta"] for event in events(answer)]
    assert deltas[0] == {"role": "assistant", "content": None}
    assert deltas[1]["tool_calls"][0]["function"]["name"] == "weather"
    assert not any(delta.get("content") for delta in deltas)


def test_a_schema_still_holds_after_the_tools_have_run(gateway: Gateway) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }
    call = {"id": "c1", "type": "function"}
    messages = [
        {"role": "user", "content": "call weather"},
        {
            "role": "assistant",
            "tool_calls": [
                {**call, "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    body = {
        "model": MODEL,
        "messages": messages,
        "tools": [WEATHER],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "report", "schema": schema},
        },
    }
    answer = gateway.post("/v1/chat/completions", json=body).json()
    content = answer["choices"][0]["message"]["content"]
    assert isinstance(json.loads(content)["city"], str)
