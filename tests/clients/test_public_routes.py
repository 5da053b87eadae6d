"""No URL answers a stranger, except those declared to."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from gemproxy.public_routes import PUBLIC_ROUTES, is_public
from tests.clients.conftest import Gateway

REFUSALS = {401, 403, 404}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SIGN_IN = re.compile(r"^(/admin/login/|/sign-in/)")


def walk(urlconf: str | None) -> list[str]:
    """Return a path for every URL pattern, its parameters filled in."""
    return sorted(set(_paths(get_resolver(urlconf), "/")))


def _paths(resolver: Any, prefix: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = prefix + _filled(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from _paths(entry, path)
        else:
            assert isinstance(entry, URLPattern)
            yield path


def _filled(pattern: str) -> str:
    """Return a text that the pattern matches."""
    text = re.sub(r"\(\?:\(\?:v1\|v1beta\|v1alpha\)/\)[*+]", "v1beta/", pattern)
    text = text.replace("(?:gemini/)?", "gemini/")
    text = re.sub(r"\(\?P<method>[^)]*\)", "generateContent", text)
    text = re.sub(r"\(\?P<model>tunedModels[^)]*\)", "tunedModels/foo", text)
    text = re.sub(r"\(\?P<app_label>[^)]*\)", "accounts", text)
    text = re.sub(r"\(\?P<\w+>[^)]*\)", "gemini-2.5-flash", text)
    text = re.sub(r"<(?:\w+:)?\w+>", "1", text).replace(r"\Z", "")
    return text.lstrip("^").rstrip("$").replace("/?", "/").replace("\\", "")


@pytest.mark.parametrize("urlconf", [None, "proxy.surfaces.urls"], ids=["pages", "api"])
def test_a_stranger_is_refused_everywhere_else(
    gateway: Gateway, urlconf: str | None
) -> None:
    open_to_all = []
    with httpx.Client(base_url=gateway.url, timeout=20) as stranger:
        for path in walk(urlconf):
            for method in METHODS:
                answer = stranger.request(method, path)
                if answer.status_code == 405 and is_public("OPTIONS", path):
                    continue
                if not _is_refusal(answer) and not is_public(method, path):
                    open_to_all.append((method, path, answer.status_code))
    assert not open_to_all, open_to_all


def _is_refusal(answer: httpx.Response) -> bool:
    if answer.is_redirect:
        return bool(SIGN_IN.match(httpx.URL(answer.headers["location"]).path))
    return answer.status_code in REFUSALS


@pytest.mark.parametrize(
    "route",
    PUBLIC_ROUTES,
    ids=[f"{route.method} {route.path}" for route in PUBLIC_ROUTES],
)
def test_every_declared_route_exists_and_says_why(gateway: Gateway, route: Any) -> None:
    path = route.path.replace("*", "gemproxy.css")
    with httpx.Client(base_url=gateway.url, timeout=20) as stranger:
        status = stranger.request(route.method, path).status_code
    assert status < 500
    assert status != 405
    assert route.reason


def test_the_walk_sees_the_paths_that_matter() -> None:
    pages, api = walk(None), walk("proxy.surfaces.urls")
    assert {"/admin/", "/sign-in/", "/tokens/"} <= set(pages)
    assert "/v1/chat/completions" in api
    assert any("generateContent" in path for path in api)
    assert not [path for path in pages + api if set(path) & set("<>()?*|")]
