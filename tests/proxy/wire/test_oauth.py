"""Forms, addresses and answers of Google's sign-in."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
import pytest

from proxy.errors import BadAnswer
from proxy.wire.oauth import (
    SCOPES,
    challenge,
    consent_url,
    exchange_form,
    read_callback,
    read_tokens,
    refresh_form,
    user_url,
)

GOOGLE = "https://oauth2.googleapis.com/token"


def test_a_refresh_names_no_scopes():
    assert dict(parse_qsl(refresh_form("1//a b", "id", "s&t").decode())) == {
        "grant_type": "refresh_token",
        "refresh_token": "1//a b",
        "client_id": "id",
        "client_secret": "s&t",
    }


def test_an_exchange_brings_the_verifier():
    form = exchange_form(
        "4/0A", client_id="i", client_secret="s", redirect_uri="http://l/", verifier="v"
    )
    assert dict(parse_qsl(form.decode())) == {
        "grant_type": "authorization_code",
        "code": "4/0A",
        "client_id": "i",
        "client_secret": "s",
        "redirect_uri": "http://l/",
        "code_verifier": "v",
    }


def test_the_challenge_is_that_of_the_standard():
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_consent_page_is_asked_for_a_refresh_token_and_shown_the_challenge():
    url = consent_url(
        GOOGLE,
        client_id="i",
        redirect_uri="http://localhost:1/x",
        state="s",
        verifier="v",
    )
    assert url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    query = {name: found[0] for name, found in parse_qs(urlsplit(url).query).items()}
    assert query["scope"].split() == list(SCOPES)
    assert (query["access_type"], query["prompt"]) == ("offline", "consent")
    assert query["code_challenge"] == challenge("v")
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == "http://localhost:1/x"
    assert "code_verifier" not in query


def test_the_other_services_are_beside_a_token_endpoint_of_ones_own():
    assert user_url(GOOGLE) == "https://www.googleapis.com/oauth2/v2/userinfo"
    assert user_url("http://box:1/token") == "http://box:1/oauth2/v2/userinfo"
    url = consent_url(
        "http://box:1/token", client_id="i", redirect_uri="r", state="s", verifier="v"
    )
    assert url.startswith("http://box:1/o/oauth2/v2/auth?")


@pytest.mark.parametrize(
    ("seconds", "read"),
    [(3599, 3599.0), ("3599", 0.0), (None, 0.0), (-1, 0.0), (10**9, 0.0)],
)
def test_the_life_of_a_token_is_read_if_it_makes_sense(seconds, read):
    body = {"access_token": "a", "expires_in": seconds, "id_token": 7}
    tokens = read_tokens(orjson.dumps(body))
    assert (tokens.access_token, tokens.seconds) == ("a", read)
    assert (tokens.refresh_token, tokens.id_token) == ("", "")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"access_token": 1}', b"<html>"])
def test_an_answer_without_a_token_makes_no_sense(body):
    with pytest.raises(BadAnswer):
        read_tokens(body)


def test_tokens_are_not_shown_when_printed():
    tokens = read_tokens(b'{"access_token": "hush", "refresh_token": "quiet"}')
    assert "hush" not in repr(tokens)
    assert "quiet" not in repr(tokens)


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ("http://localhost:8085/cb?state=s&code=4%2F0Ab&scope=x", ("4/0Ab", "s")),
        (" ?code=4%2F0Ab&state=s\n", ("4/0Ab", "s")),
        ("code=4/0Ab&state=s", ("4/0Ab", "s")),
        ("4/0Ab", ("4/0Ab", "")),
    ],
)
def test_a_code_is_found_in_whatever_was_copied(pasted, found):
    assert read_callback(pasted) == found


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("", "Paste"),
        ("http://localhost:8085/cb", "no code"),
        ("http://localhost/?error=access_denied&state=s", "access_denied"),
        ("http://localhost/?state=s", "no code"),
    ],
)
def test_what_holds_no_code_is_refused_with_words(pasted, words):
    with pytest.raises(ValueError, match=words):
        read_callback(pasted)


def test_a_code_cut_out_of_an_address_bar_is_decoded():
    assert read_callback("4%2F0Aabc") == ("4/0Aabc", "")
