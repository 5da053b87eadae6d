"""Which dialect a caller speaks, and how a fault looks in it."""

from typing import Any

import orjson
import pytest

from proxy.errors import Internal, LimitReached, ModelNotFound, RateLimited
from proxy.surfaces.dialects import (
    GEMINI,
    OPENAI,
    dialect_of,
    fault_response,
    json_response,
    speaks_google,
)
from proxy.surfaces.entry import is_api


@pytest.mark.parametrize(
    ("path", "headers", "query", "dialect"),
    [
        ("/v1/chat/completions", {}, "", OPENAI),
        ("/v1/chat/completions", {"x-goog-api-key": "k"}, "", OPENAI),
        ("/v1/embeddings", {"x-goog-api-client": "c"}, "key=k", OPENAI),
        ("/v1/models", {}, "", OPENAI),
        ("/v1/models", {"x-goog-api-key": "k"}, "", GEMINI),
        ("/v1/models", {"x-goog-api-client": "c"}, "", GEMINI),
        ("/v1/models", {}, "key=k", GEMINI),
        ("/v1/models/gemini-2.5-flash", {}, "", OPENAI),
        ("/v1/models/m:generateContent", {}, "", GEMINI),
        ("/v1beta/models", {}, "", GEMINI),
        ("/v1alpha/models", {}, "", GEMINI),
        ("/gemini/v1beta/models", {}, "", GEMINI),
        ("/models/m:countTokens", {}, "", GEMINI),
        ("/tunedModels/x:generateContent", {}, "", GEMINI),
        ("/v1/m:generateContent", {}, "", GEMINI),
        ("/health", {}, "", OPENAI),
        ("/api/info", {"x-goog-api-key": "k"}, "", OPENAI),
        ("/v1", {}, "", OPENAI),
        ("/", {}, "", OPENAI),
    ],
)
def test_path_and_headers_tell_the_dialect(
    path: str, headers: dict[str, str], query: str, dialect: str
) -> None:
    assert dialect_of(path, headers, query) == dialect


def test_googles_headers_are_known() -> None:
    assert speaks_google({"x-goog-api-client": "genai"})
    assert not speaks_google({"authorization": "Bearer x", "x-api-key": "y"})


def body(response: Any) -> Any:
    return orjson.loads(response.content)["error"]


def test_a_fault_has_openais_shape() -> None:
    response = fault_response(ModelNotFound("none such", param="model"), OPENAI)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    assert body(response) == {
        "message": "none such",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_a_fault_has_googles_shape() -> None:
    response = fault_response(ModelNotFound("none such"), GEMINI)
    assert response.status_code == 404
    assert body(response) == {
        "code": 404,
        "message": "none such",
        "status": "NOT_FOUND",
    }


@pytest.mark.parametrize("dialect", [OPENAI, GEMINI])
@pytest.mark.parametrize("fault", [RateLimited, LimitReached])
def test_a_wait_is_told_in_headers(dialect: str, fault: Any) -> None:
    response = fault_response(fault(retry_after=1.2), dialect)
    assert response.status_code == 429
    assert response["Retry-After"] == "2"


@pytest.mark.parametrize("dialect", [OPENAI, GEMINI])
def test_an_internal_fault_tells_no_more(dialect: str) -> None:
    response = fault_response(Internal(), dialect)
    assert response.status_code == 500
    assert "request id" in body(response)["message"]


@pytest.mark.parametrize("dialect", [OPENAI, GEMINI])
def test_no_secret_is_repeated(dialect: str) -> None:
    key = "AIzaSyA1234567890abcdefghijklmnopqrstuv"
    response = fault_response(Internal(f"failed with {key}"), dialect)
    assert key.encode() not in response.content


def test_json_keeps_its_status() -> None:
    response = json_response({"é": 1}, status=201)
    assert (response.status_code, response.content) == (201, '{"é":1}'.encode())


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/models", True),
        ("/v1beta/x", True),
        ("/health", True),
        ("/api/info", True),
        ("/models/m:x", True),
        ("/", False),
        ("/admin/", False),
        ("/v1x/models", False),
        ("/sign-in/", False),
        ("//v1/models", False),
    ],
)
def test_the_lean_handler_answers_api_paths_only(path: str, api: bool) -> None:
    assert is_api(path) is api
