"""Paths, methods, query parameters and bodies that are no request."""

import json

import pytest

from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import asking, call, refusal

KEYED = {"x-goog-api-key": sandbox_key()}


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_all_api_versions_are_served(client, version):
    url = f"/{version}/models/gemini-2.5-flash:generateContent"
    response = await client.post(url, json=asking("hi"), headers=KEYED)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/models/gemini-2.5-flash:generateContent"),
        ("POST", "/v2/models/gemini-2.5-flash:generateContent"),
        ("POST", "/v1beta/models/gemini-2.5-flash:chat"),
        ("POST", "/v1beta/models"),
        ("GET", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("PUT", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("POST", "/v1beta/models/google/gemini-2.5-flash:generateContent"),
        ("POST", "/v1beta/chat/completions"),
    ],
)
async def test_an_unknown_path_is_an_html_page(client, method, path):
    response = await client.request(method, path, headers=KEYED)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert "was not found on this server" in response.text


async def test_the_html_page_escapes_the_path(client):
    response = await client.get("/<script>", headers=KEYED)
    assert "<script>" not in response.text


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("gemini-9", "generateContent"),
        ("gemini-embedding-001", "generateContent"),
        ("gemini-2.5-flash", "embedContent"),
        ("gemini-2.5-flash", "batchEmbedContents"),
        ("gemini-embedding-001", "streamGenerateContent"),
    ],
)
async def test_an_unsuitable_model_is_not_found(client, model, method):
    query = "?alt=sse"
    error = await refusal(client, asking("x"), to=model, method=method, query=query)
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["message"] == (
        f"models/{model} is not found for API version v1beta, or is not supported for"
        f" {method}. Call ListModels to see the list of available models and their"
        " supported methods."
    )


async def test_the_version_of_the_path_is_named_in_the_refusal(client):
    response = await client.post(
        "/v1/models/nope:generateContent", json=asking("hi"), headers=KEYED
    )
    assert "for API version v1," in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"contents": [}',
        b"nonsense",
        b'{"contents": NaN}',
        b"\xff\xfe{}",
        b'{"contents":[{"parts":[{"text":"\\ud800"}]}]}',
        b"[1]",
        b'"text"',
        b"[" * 100_000,
    ],
    ids=[
        "open",
        "syntax",
        "word",
        "nan",
        "not-utf8",
        "surrogate",
        "array",
        "string",
        "deep",
    ],
)
async def test_a_broken_body_is_an_invalid_payload(client, body):
    error = await refusal(client, body)
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].startswith("Invalid JSON payload received. ")


async def test_an_empty_body_is_an_empty_message(client):
    error = await refusal(client, b"")
    assert error["message"] == (
        "* GenerateContentRequest.contents: contents is not specified\n"
    )


async def test_a_message_nested_too_deeply_is_refused(client):
    schema: dict = {"type": "STRING"}
    for _ in range(120):
        schema = {"type": "ARRAY", "items": schema}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    error = await refusal(client, asking("x", generationConfig=config))
    assert "too deep" in error["message"]


async def test_an_unknown_query_parameter_cannot_be_bound(client):
    error = await refusal(client, asking("hi"), query="?stream=true")
    assert 'Unknown name "stream": Cannot bind query parameter.' in error["message"]
    violations = error["details"][0]["fieldViolations"]
    assert [list(each) for each in violations] == [["description"]]


async def test_page_parameters_belong_to_the_list_only(client):
    error = await refusal(client, asking("hi"), query="?pageSize=5")
    assert 'Unknown name "pageSize"' in error["message"]


async def test_a_body_over_twenty_mebibytes_is_refused(client):
    response = await call(client, b" " * (20 * 1024 * 1024 + 1))
    assert response.status_code == 400
    assert "payload size exceeds the limit" in response.json()["error"]["message"]


async def test_errors_of_an_array_stream_are_in_an_array(client):
    response = await call(client, {}, method="streamGenerateContent")
    assert response.status_code == 400
    (wrapped,) = response.json()
    assert wrapped["error"]["status"] == "INVALID_ARGUMENT"


async def test_errors_of_an_event_stream_are_plain_objects(client):
    error = await refusal(client, {}, method="streamGenerateContent", query="?alt=sse")
    assert error["status"] == "INVALID_ARGUMENT"


async def test_unary_json_is_indented_and_says_its_charset(client):
    response = await call(client, asking("naïve"))
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    assert (
        response.text
        == json.dumps(response.json(), indent=2, ensure_ascii=False) + "\n"
    )


async def test_responses_bring_no_stray_headers(client):
    response = await call(client, asking("hi"))
    assert set(response.headers) == {"content-type", "content-length"}


async def test_the_lifespan_is_answered(sandbox):
    sent = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message["type"])

    await sandbox({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
