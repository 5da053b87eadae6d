"""The real openai SDK against the gateway."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.conftest import Gateway

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
FLASH, FLASH3 = "gemini-2.5-flash", "gemini-3-flash-preview"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=gateway.token, base_url=f"{gateway.url}/v1", max_retries=0
    ) as made:
        yield made


def ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_a_whole_answer_carries_text_usage_and_reason(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=FLASH, messages=ask("count to 4"))
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("1 2 3 4", "stop")
    assert answer.model == FLASH
    assert answer.usage is not None
    total = answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.total_tokens == total > 0


def test_a_stream_adds_up_to_the_whole_answer(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=FLASH,
        messages=ask("count to 6"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    texts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(texts) == "1 2 3 4 5 6"
    assert len([text for text in texts if text]) > 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert {c.id for c in chunks} == {chunks[0].id}


def test_a_system_message_reaches_the_model(client: openai.OpenAI) -> None:
    messages = [{"role": "system", "content": "always end with OVER"}, *ask("hello")]
    answer = client.chat.completions.create(model=FLASH, messages=messages)
    assert answer.choices[0].message.content.rstrip(".").endswith("OVER")


@pytest.mark.parametrize("model", [FLASH, FLASH3])
@pytest.mark.parametrize("keeps_signature", [True, False], ids=["kept", "dropped"])
def test_a_tool_call_goes_there_and_back(
    client: openai.OpenAI, model: str, keeps_signature: bool
) -> None:
    messages: list[Any] = ask("please get_weather for Paris")
    first = client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER]
    )
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message.model_dump(exclude_none=True)
    (call,) = message["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    if not keeps_signature:
        call.pop("extra_content", None)
    result = {"role": "tool", "tool_call_id": call["id"], "content": '{"temp": 21}'}
    second = client.chat.completions.create(
        model=model, messages=[*messages, message, result], tools=[WEATHER]
    )
    assert "21" in second.choices[0].message.content


def test_streamed_tool_calls_accumulate(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=FLASH3, messages=ask("please get_weather for Rome"), tools=[WEATHER]
    ) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.arguments == '{"city":"Rome"}'


def test_parse_returns_the_object(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        model=FLASH3, messages=ask("invent somebody"), response_format=Person
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


@pytest.mark.parametrize("model", [FLASH, FLASH3], ids=["together", "apart"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_n_answers_come_under_n_indexes(
    client: openai.OpenAI, model: str, stream: bool
) -> None:
    answer = client.chat.completions.create(
        model=model, messages=ask("hello"), n=3, stream=stream
    )
    choices = [c for part in answer for c in part.choices] if stream else answer.choices
    finished = [c.index for c in choices if c.finish_reason]
    assert sorted(finished) == [0, 1, 2]


def test_reasoning_effort_brings_reasoning_content(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=FLASH, messages=ask("hello"), reasoning_effort="low"
    )
    assert answer.choices[0].message.reasoning_content


def test_a_knob_gemini_lacks_is_named_in_a_header(client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=FLASH, messages=ask("hello"), frequency_penalty=0.5
    )
    assert answer.headers["x-gemproxy-dropped"] == "frequency_penalty"


def test_an_image_goes_in_and_one_comes_out(client: openai.OpenAI) -> None:
    drawn = client.chat.completions.create(
        model="gemini-2.5-flash-image",
        messages=ask("draw a red cat"),
        extra_headers={"x-gemproxy-images": "images"},
    )
    (image,) = drawn.choices[0].message.images
    url = image["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    parts = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    seen = client.chat.completions.create(
        model=FLASH, messages=[{"role": "user", "content": parts}]
    )
    assert "1024x1024" in seen.choices[0].message.content


@pytest.mark.parametrize("count", [1, 2, 250])
def test_embeddings_come_for_every_input(client: openai.OpenAI, count: int) -> None:
    answer = client.embeddings.create(
        model="gemini-embedding-001", input=[f"text {i}" for i in range(count)]
    )
    assert [item.index for item in answer.data] == list(range(count))
    assert {len(item.embedding) for item in answer.data} == {3072}


def test_short_embeddings_are_unit_vectors(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(
        model="gemini-embedding-001", input="one", dimensions=256
    )
    vector = answer.data[0].embedding
    assert len(vector) == 256
    assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-5)


def test_models_are_listed_and_found_by_encoded_names(client: openai.OpenAI) -> None:
    assert FLASH in {model.id for model in client.models.list()}
    assert client.models.retrieve("google/gemini-2.5-pro").id == "gemini-2.5-pro"


def test_an_unknown_model_is_not_found_and_never_another(
    client: openai.OpenAI,
) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gemini-2.5-flsh", messages=ask("hi"))
    assert caught.value.code == "model_not_found"
    assert FLASH in caught.value.message
    assert caught.value.request_id.startswith("req_")


@pytest.mark.parametrize("key", ["gp-" + "0" * 47, "sk-123", "AIzaSyFoo"])
def test_a_wrong_token_is_refused(gateway: Gateway, key: str) -> None:
    with (
        openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0) as made,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        made.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_tool_whose_schema_is_no_object_gets_plain_arguments(
    client: openai.OpenAI,
) -> None:
    parameters = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    tool = {
        "type": "function",
        "function": {"name": "tag_it", "parameters": parameters},
    }
    answer = client.chat.completions.create(
        model=FLASH, messages=ask("please tag_it"), tools=[tool]
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.arguments.startswith("[")
