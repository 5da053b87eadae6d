"""Who may bring a key of xAI's in place of a token, and where a relay's path leads."""

from typing import Any

import pytest

from proxy import relay
from proxy.catalog import Catalog
from proxy.errors import NotFound
from proxy.models import Route
from proxy.surfaces.entry import is_api, is_known
from proxy.surfaces.xai import _checked, _query, brings_key, may_bring_key
from proxy.wire.xai_relay import NO_MODEL

KEY = "xai-" + "k" * 80


@pytest.mark.parametrize(
    ("on", "header", "found"),
    [
        (True, f"Bearer {KEY}", KEY),
        (True, f"bearer  {KEY} ", ""),
        (True, f"BEARER {KEY}", KEY),
        (True, "Bearer gp-0123", ""),
        (True, f"Basic {KEY}", ""),
        (True, "", ""),
        (False, f"Bearer {KEY}", ""),
    ],
)
def test_a_key_counts_only_where_it_is_allowed(
    settings: Any, on: bool, header: str, found: str
) -> None:
    settings.XAI_CALLER_KEYS = on
    assert brings_key({"authorization": header}) == found


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.1", False),
        ("", False),
    ],
)
def test_only_listed_addresses_bring_keys(
    settings: Any, address: str, allowed: bool
) -> None:
    settings.XAI_CALLER_IPS = ["192.0.2.0/24"]
    assert may_bring_key(address) is allowed


@pytest.mark.parametrize(
    ("path", "peer", "known"),
    [
        ("/xai/v1/chat/completions", "192.0.2.7", True),
        ("/xai/v1/chat/completions", "192.0.3.7", False),
        ("/v1/chat/completions", "192.0.2.7", False),
    ],
)
async def test_large_bodies_are_taken_from_those_who_may_bring_a_key(
    settings: Any, path: str, peer: str, known: bool
) -> None:
    settings.XAI_CALLER_KEYS = True
    settings.XAI_CALLER_IPS = ["192.0.2.0/24"]
    headers = [(b"authorization", f"Bearer {KEY}".encode())]
    scope = {
        "path": path,
        "headers": headers,
        "client": (peer, 1),
        "query_string": b"",
    }
    assert await is_known(scope) is known


def test_the_relay_is_part_of_the_api() -> None:
    assert is_api("/xai/v1/models")
    assert not is_api("/xai-imgen/a.png")


@pytest.mark.parametrize("path", ["v1/models", "v1/responses/a-b_c/input_items"])
def test_paths_of_the_api_pass(path: str) -> None:
    assert _checked(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "v2/models", "v1/", "v1//x", "v1/../x", "v1/./x", "v1/a\\b", "v1/é", "/v1/x"],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(NotFound):
        _checked(path)


@pytest.fixture
def catalog(db: None) -> Catalog:
    Route.objects.all().delete()
    route = Route.objects.create(name="grok-4")
    route.targets.create(kind="xai", upstream_model="grok-4.3")
    Route.objects.create(name="flash").targets.create(upstream_model="flash-3")
    found = Catalog()
    found.load()
    return found


@pytest.mark.parametrize(
    ("model", "name", "counted"),
    [
        ("grok-4.3", "grok-4.3", "grok-4.3"),
        ("grok-99", "grok-99", NO_MODEL),
        ("flash-3", "flash-3", NO_MODEL),
        ("flash", "flash", NO_MODEL),
        ("grok-4", "grok-4", "grok-4.3"),
        ("", NO_MODEL, NO_MODEL),
    ],
)
def test_models_that_no_route_names_are_counted_together(
    catalog: Catalog, model: str, name: str, counted: str
) -> None:
    plan = relay.plan_of(model, catalog)
    assert plan.name == name
    (target,) = plan.targets
    assert (target.kind, target.upstream_model) == ("xai", counted)


def test_models_are_listed_by_the_kinds_that_serve_them(catalog: Catalog) -> None:
    def names(kinds: set[str] | None) -> list[str]:
        return [info.name for info in catalog.models(kinds)]

    assert names(None) == ["flash", "grok-4"]
    assert names({"xai"}) == ["grok-4"]
    assert names({"gemini_api", "xai"}) == ["flash", "grok-4"]
    assert names({"code_assist"}) == []


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("v1/models/", "v1/models"),
        ("v1/chat/completions/", "v1/chat/completions"),
    ],
)
def test_a_slash_at_the_end_says_nothing(path: str, meant: str) -> None:
    assert _checked(path) == meant


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        ("", ""),
        ("limit=2&after=a%20b", "limit=2&after=a%20b"),
        ("key=gp-token", ""),
        ("limit=2&key=gp-token&order=asc", "limit=2&order=asc"),
        ("%6Bey=gp-token", ""),
        ("k%65y=gp-token&keys=1&x=key", "keys=1&x=key"),
        ("a&b=&&c", "a&b=&&c"),
    ],
)
def test_a_token_in_the_query_stays_here(query: str, passed: str) -> None:
    assert _query(query) == passed
