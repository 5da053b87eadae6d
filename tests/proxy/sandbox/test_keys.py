"""API keys: their form, what they mean, and who is refused."""

import re

import pytest

from proxy.sandbox.keys import behaviour_in, is_well_formed, label, sandbox_key
from tests.proxy.sandbox.calling import asking, call

REAL_LOOKING = "AIzaSy" + "Ab3_-" * 6 + "xyz"


@pytest.mark.parametrize("behaviour", ["ok", "perminute", "cutclean", "errormid"])
def test_a_made_key_has_the_form_of_a_real_one(behaviour):
    key = sandbox_key(behaviour, 7)
    assert re.fullmatch(r"AIzaSy[A-Za-z0-9_-]{33}", key)
    assert is_well_formed(key)
    assert behaviour_in(key) == behaviour


def test_made_keys_differ_by_their_number():
    assert len({sandbox_key(n=n) for n in range(50)}) == 50


@pytest.mark.parametrize(
    ("behaviour", "n"),
    [("a" * 30, 1), ("Upper", 1), ("", 1), ("ok", 10**9)],
    ids=["too-long", "upper", "empty", "large-number"],
)
def test_a_key_that_cannot_hold_its_text_is_not_made(behaviour, n):
    with pytest.raises(ValueError, match="no key"):
        sandbox_key(behaviour, n)


def test_a_real_looking_key_names_no_behaviour():
    assert is_well_formed(REAL_LOOKING)
    assert behaviour_in(REAL_LOOKING) is None


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (sandbox_key("flaky", 3), "Sandbox-flaky-000003"),
        (REAL_LOOKING, "AIzaSy…-xyz"),
        ("short", "…"),
        ("", ""),
    ],
    ids=["made", "real", "short", "none"],
)
def test_a_label_does_not_give_a_real_key_away(key, shown):
    assert label(key) == shown


@pytest.mark.parametrize(
    "key",
    [
        "nonsense",
        "AIzaSy",
        REAL_LOOKING[:-1],
        REAL_LOOKING + "x",
        "AIzaSy" + "!" * 33,
        "aizasy" + "x" * 33,
    ],
    ids=["word", "prefix", "short", "long", "characters", "case"],
)
async def test_a_malformed_key_is_a_400_as_with_google(client, key):
    response = await call(client, asking("hi"), key=key)
    error = response.json()["error"]
    assert response.status_code == error["code"] == 400
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["message"] == "API key not valid. Please pass a valid API key."
    info, localized = error["details"]
    assert info["@type"].endswith("google.rpc.ErrorInfo")
    assert (info["reason"], info["domain"]) == ("API_KEY_INVALID", "googleapis.com")
    assert localized["@type"].endswith("google.rpc.LocalizedMessage")
    assert localized["message"] == error["message"]


async def test_a_call_without_key_is_forbidden(client):
    response = await call(client, asking("hi"), key="")
    error = response.json()["error"]
    assert (response.status_code, error["status"]) == (403, "PERMISSION_DENIED")
    assert error["message"].startswith("Method doesn't allow unregistered callers")


async def test_the_key_may_be_in_the_query(client):
    url = f"/v1beta/models/gemini-2.5-flash:generateContent?key={REAL_LOOKING}"
    response = await client.post(url, json=asking("hi"))
    assert response.status_code == 200


async def test_an_empty_header_leaves_the_key_to_the_query(client):
    url = f"/v1beta/models?key={REAL_LOOKING}"
    response = await client.get(url, headers={"x-goog-api-key": ""})
    assert response.status_code == 200


async def test_a_bearer_token_is_unauthenticated_even_beside_a_key(client):
    headers = {"authorization": "Bearer abc", "x-goog-api-key": REAL_LOOKING}
    response = await client.get("/v1beta/models", headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["status"]) == (401, "UNAUTHENTICATED")


async def test_the_key_is_checked_before_the_body(client):
    response = await call(client, b"{broken", key="nonsense")
    assert "API key not valid" in response.text
