"""The real google-genai SDK against the gateway."""

from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.clients.conftest import Gateway

FLASH, FLASH3 = "gemini-2.5-flash", "gemini-3-flash-preview"


class Person(BaseModel):
    name: str
    age: int


def make(gateway: Gateway, path: str = "", **options: Any) -> genai.Client:
    return genai.Client(
        api_key=gateway.token,
        http_options={"base_url": gateway.url + path, **options},
    )


@pytest.fixture
def client(gateway: Gateway) -> genai.Client:
    return make(gateway)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("", {}),
        ("", {"api_version": "v1beta"}),
        ("", {"api_version": "v1alpha"}),
        ("", {"api_version": ""}),
        ("/gemini/", {}),
        ("/gemini/v1beta", {}),
        ("/gemini/v1beta", {"api_version": "v1beta"}),
    ],
    ids=["v1", "v1beta", "v1alpha", "none", "gemini", "doubled", "same twice"],
)
def test_every_spelling_of_the_path_answers(
    gateway: Gateway, path: str, options: dict[str, str]
) -> None:
    client = make(gateway, path, **options)
    answer = client.models.generate_content(model=FLASH, contents="count to 3")
    assert answer.text == "1 2 3"


def test_a_stream_comes_in_pieces(client: genai.Client) -> None:
    pieces = [
        chunk.text or ""
        for chunk in client.models.generate_content_stream(
            model=FLASH3, contents="count to 5"
        )
    ]
    assert "".join(pieces) == "1 2 3 4 5"
    assert len(pieces) > 1


def test_a_chat_remembers(client: genai.Client) -> None:
    chat = client.chats.create(model=FLASH)
    chat.send_message("my name is Zoe")
    assert "Zoe" in chat.send_message("what is my name?").text


def test_automatic_function_calling_runs_the_function(client: genai.Client) -> None:
    asked = []

    def weather(city: str) -> dict[str, int]:
        """Tell the weather of a city."""
        asked.append(city)
        return {"temp": 17}

    chat = client.chats.create(
        model=FLASH3, config=types.GenerateContentConfig(tools=[weather])
    )
    assert "17" in chat.send_message("call weather for Oslo").text
    assert asked == ["Oslo"]


def test_tokens_are_counted(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=FLASH, contents="hello there")
    assert counted.total_tokens > 0


def test_embeddings_come_for_every_text(client: genai.Client) -> None:
    answer = client.models.embed_content(
        model="gemini-embedding-001", contents=["one", "two"]
    )
    assert [len(item.values) for item in answer.embeddings] == [3072, 3072]


def test_models_are_listed_whole_and_in_pages(client: genai.Client) -> None:
    whole = [model.name for model in client.models.list()]
    paged = [model.name for model in client.models.list(config={"page_size": 3})]
    assert whole == paged
    assert f"models/{FLASH}" in whole


def test_one_model_is_described(client: genai.Client) -> None:
    model = client.models.get(model=FLASH)
    assert model.name == f"models/{FLASH}"
    assert "generateContent" in model.supported_actions


def test_a_response_schema_is_followed(client: genai.Client) -> None:
    answer = client.models.generate_content(
        model=FLASH,
        contents="invent somebody",
        config={"response_mime_type": "application/json", "response_schema": Person},
    )
    assert isinstance(answer.parsed, Person)


def test_unknown_fields_reach_the_provider_untouched(gateway: Gateway) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}], "flux": {"x": 1}}
    answer = gateway.post(f"/v1beta/models/{FLASH}:generateContent", json=body)
    assert answer.status_code == 400
    assert 'Unknown name "flux"' in answer.json()["error"]["message"]
    (request,) = gateway.sandbox.requests(1)
    assert request["body"] == body


def test_an_unknown_model_is_not_found(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="nope", contents="hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_a_wrong_token_is_unauthenticated(gateway: Gateway) -> None:
    client = genai.Client(api_key="wrong", http_options={"base_url": gateway.url})
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=FLASH, contents="hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def test_without_alt_sse_a_stream_is_one_json_array(gateway: Gateway) -> None:
    body = {"contents": [{"parts": [{"text": "count to 4"}]}]}
    answer = gateway.post(f"/v1beta/models/{FLASH}:streamGenerateContent", json=body)
    assert answer.headers["content-type"].startswith("application/json")
    texts = [
        item["candidates"][0]["content"]["parts"][0]["text"] for item in answer.json()
    ]
    assert "".join(texts) == "1 2 3 4"


@pytest.mark.parametrize("header", ["x-goog-api-key", "x-api-key"])
def test_the_token_may_come_in_other_headers(gateway: Gateway, header: str) -> None:
    with gateway.client() as client:
        del client.headers["Authorization"]
        answer = client.get("/v1beta/models", headers={header: gateway.token})
    assert answer.status_code == 200


def test_the_token_may_come_in_the_query_and_goes_no_further(gateway: Gateway) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    with gateway.client() as client:
        del client.headers["Authorization"]
        path = f"/v1beta/models/{FLASH}:generateContent?key={gateway.token}"
        assert client.post(path, json=body).status_code == 200
    (request,) = gateway.sandbox.requests(1)
    assert gateway.token not in str(request)
