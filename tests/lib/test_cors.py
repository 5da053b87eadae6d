"""Browsers of other origins read the API only where the operator opened it."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from gemproxy.lib.cors import allow_origin, is_allowed, preflight

ORIGIN = "https://chat.example"


def ask(method: str = "OPTIONS", **headers: str) -> Any:
    meta = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return RequestFactory().generic(method, "/v1/models", **meta)


def question(origin: str = ORIGIN, **headers: str) -> Any:
    return ask(origin=origin, access_control_request_method="POST", **headers)


def test_nothing_is_said_while_no_origin_is_allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = []
    response = HttpResponse()
    allow_origin(ask("GET", origin=ORIGIN), response)
    assert not response.has_header("Access-Control-Allow-Origin")
    assert not response.has_header("Vary")
    assert preflight(question()) is None


@pytest.mark.parametrize("allowed", [[ORIGIN], ["*"]], ids=["named", "any"])
def test_an_allowed_origin_may_read(settings: Any, allowed: list[str]) -> None:
    settings.CORS_ALLOWED_ORIGINS = allowed
    response = HttpResponse()
    allow_origin(ask("GET", origin=ORIGIN), response)
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "x-request-id" in response["Access-Control-Expose-Headers"]
    assert response["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", ORIGIN + ".evil.example", "http://chat.example"],
)
def test_another_origin_may_not_read_but_caches_are_told(
    settings: Any, origin: str
) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    response = HttpResponse()
    allow_origin(ask("GET", origin=origin), response)
    assert not response.has_header("Access-Control-Allow-Origin")
    assert response["Vary"] == "Origin"


def test_a_request_without_origin_is_left_alone(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["*"]
    response = HttpResponse()
    allow_origin(ask("GET"), response)
    assert not response.has_header("Access-Control-Allow-Origin")
    assert not is_allowed("")


def test_cookies_are_never_allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    response = preflight(question())
    assert response is not None
    allow_origin(question(), response)
    assert not response.has_header("Access-Control-Allow-Credentials")


def test_a_browser_that_asks_first_is_told_methods_and_headers(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    response = preflight(question())
    assert response is not None
    assert response.status_code == 204
    methods = set(response["Access-Control-Allow-Methods"].split(", "))
    assert methods == {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert "x-xai-api-key" in response["Access-Control-Allow-Headers"]
    assert "Authorization" in response["Access-Control-Allow-Headers"]
    assert response["Access-Control-Max-Age"] == "600"


def test_the_headers_a_browser_names_are_allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    named = "authorization,x-stainless-lang"
    response = preflight(question(access_control_request_headers=named))
    assert response is not None
    assert response["Access-Control-Allow-Headers"] == named


def test_other_questions_go_on_to_the_view(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    assert preflight(ask(origin=ORIGIN)) is None
    assert preflight(question("https://evil.example")) is None
    assert preflight(question("")) is None
