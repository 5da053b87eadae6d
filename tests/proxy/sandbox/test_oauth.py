"""The sandbox's sign-in: strict about forms, clients, codes and verifiers."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from proxy.sandbox.logins import (
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPES,
    Logins,
    refresh_token,
    sandbox_login,
)
from proxy.sandbox.oauth import NAMES

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
BACK = "http://localhost:8085/oauth2callback"


def form(**fields):
    usual = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": refresh_token(),
    }
    return {k: v for k, v in {**usual, **fields}.items() if v is not None}


async def token(client, **fields):
    return await client.post("/token", data=form(**fields))


async def consent(client, **fields):
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": BACK,
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        "prompt": "consent",
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **fields,
    }
    return await client.get("/o/oauth2/v2/auth", params=query)


async def code(client):
    response = await consent(client)
    assert response.status_code == 200, response.text
    query = parse_qs(urlsplit(response.text.strip()).query)
    assert query["state"] == ["s-1"]
    return query["code"][0]


def exchange(code, **fields):
    return {
        "grant_type": "authorization_code",
        "refresh_token": None,
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **fields,
    }


async def test_a_refresh_gives_an_access_token_and_keeps_the_refresh_token(client):
    response = await token(client)
    body = response.json()
    assert response.status_code == 200
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3599
    assert body["access_token"].startswith("ya29.")
    assert "refresh_token" not in body


async def test_each_refresh_gives_another_token(client):
    first, second = [(await token(client)).json()["access_token"] for _ in range(2)]
    assert first != second


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "unsupported_grant_type"),
        ({"client_secret": None}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"scope": "email"}, 400, "restricted_client"),
        ({"more": "x"}, 400, "invalid_request"),
        ({"refresh_token": "1//nonsense"}, 400, "invalid_grant"),
        ({"refresh_token": None}, 400, "invalid_grant"),
    ],
)
async def test_a_wrong_form_is_refused(client, fields, status, error):
    response = await token(client, **fields)
    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_a_body_that_is_no_form_is_refused(client):
    response = await client.post("/token", json=form())
    assert response.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "name", sorted(NAMES - {"rotating", "grantstall", "rotatingstall"})
)
async def test_every_refusal_can_be_had(client, name):
    response = await token(client, refresh_token=refresh_token(name))
    assert response.status_code >= 400
    assert response.json()["error"]


async def test_a_rotated_token_takes_the_place_of_the_old_one(client):
    old = refresh_token("rotating")
    new = (await token(client, refresh_token=old)).json()["refresh_token"]
    assert (await token(client, refresh_token=new)).status_code == 200
    assert (await token(client, refresh_token=old)).status_code == 400


async def test_a_code_is_exchanged_once_for_a_login(client):
    made = await code(client)
    first = await token(client, **exchange(made))
    assert first.status_code == 200
    assert (await token(client, **exchange(made))).json()["error"] == "invalid_grant"
    renewed = await token(client, refresh_token=first.json()["refresh_token"])
    assert renewed.status_code == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"code_verifier": "wrong"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:1/"}, "redirect_uri_mismatch"),
        ({"code": "4/0Anonsense"}, "invalid_grant"),
        ({"scope": "email"}, "restricted_client"),
    ],
)
async def test_a_wrong_exchange_is_refused(client, fields, error):
    made = await code(client)
    response = await token(client, **{**exchange(made), **fields})
    assert response.json()["error"] == error


@pytest.mark.parametrize(
    "fields",
    [
        {"response_type": "token"},
        {"client_id": "other"},
        {"access_type": "online"},
        {"prompt": "none"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
        {"scope": "email"},
        {"scope": " ".join([*SCOPES, "https://www.googleapis.com/auth/drive"])},
        {"redirect_uri": "https://gateway.example/callback"},
        {"redirect_uri": "https://localhost/"},
    ],
)
async def test_a_wrong_consent_is_refused(client, fields):
    assert (await consent(client, **fields)).status_code == 400


async def test_userinfo_tells_the_address_behind_a_token(client):
    access = (await token(client)).json()["access_token"]
    headers = {"authorization": f"Bearer {access}"}
    response = await client.get("/oauth2/v2/userinfo", headers=headers)
    assert response.json()["email"] == "ok1@sandbox.example"
    headers = {"authorization": "Bearer ya29.other"}
    response = await client.get("/oauth2/v2/userinfo", headers=headers)
    assert response.status_code == 401


async def test_other_methods_are_refused(client):
    assert (await client.get("/token")).status_code == 405


@pytest.mark.parametrize(("name", "n"), [("", 1), ("Has Blank", 1), ("ok", 10**7)])
def test_a_login_that_cannot_be_made_is_refused(name, n):
    with pytest.raises(ValueError):
        sandbox_login(name, n)


def test_access_tokens_end():
    now = [0.0]
    logins = Logins(lambda: now[0])
    access = logins.grant(refresh_token())
    assert logins.login_of(access) == refresh_token()
    now[0] = 3600.0
    assert logins.login_of(access) is None


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"login": refresh_token(), "behaviour": "license"}, 200),
        ({"login": refresh_token(), "expire": True}, 200),
        ({"login": refresh_token(), "behaviour": "nonsense"}, 400),
        ({"login": refresh_token(), "times": -1}, 400),
        ({"login": "1//x"}, 400),
        ({"expire": True}, 400),
        ([], 400),
    ],
)
async def test_what_a_login_does_is_told_by_the_control(client, wish, status):
    response: httpx.Response = await client.post("/sandbox/logins", json=wish)
    assert response.status_code == status
