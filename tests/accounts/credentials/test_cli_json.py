"""Every form in which Gemini CLI logins are kept, and what is refused with words."""

import base64
import io
import json
import zipfile

import pytest

from accounts.credentials import cli_json
from accounts.credentials.cli_json import (
    CliCredential,
    dumped,
    id_claims,
    loaded,
    read_many,
    read_one,
)

REFRESH = "1//0gRefreshTokenThatIsLongEnough_x-Y"
ACCESS = "ya29.a0AccessTokenThatIsLongEnough"
CLIENT = "123-abc.apps.googleusercontent.com"
NEW_YEAR = 1767225600.0  # 2026-01-01T00:00:00Z


def id_token(**claims):
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    return f"e30.{payload.rstrip('=')}.c2ln"


GEMINI_CLI = {
    "access_token": ACCESS,
    "refresh_token": REFRESH,
    "scope": "https://www.googleapis.com/auth/cloud-platform openid",
    "token_type": "Bearer",
    "id_token": id_token(email="Ann@Example.org", azp=CLIENT),
    "expiry_date": 1767225600000,
}
GCLI2API = {
    "client_id": CLIENT,
    "client_secret": "top-secret",
    "token": ACCESS,
    "refresh_token": REFRESH,
    "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    "token_uri": "https://oauth2.googleapis.com/token",
    "project_id": "calm-river-1",
    "expiry": "2026-01-01T00:00:00.000000+00:00",
}
GOOGLE_AUTH = {
    "type": "authorized_user",
    "client_id": CLIENT,
    "client_secret": "top-secret",
    "refresh_token": REFRESH,
    "quota_project_id": "billed-one",
    "account": "ann@example.org",
    "universe_domain": "googleapis.com",
}
PROXY_API = {
    "type": "gemini",
    "email": "ann@example.org",
    "project_id": "calm-river-1,other-river-2",
    "auto": False,
    "checked": True,
    "token": {
        "access_token": ACCESS,
        "refresh_token": REFRESH,
        "token_type": "Bearer",
        "expiry": "2026-01-01T08:00:00.123456789+08:00",
        "client_id": CLIENT,
        "client_secret": "top-secret",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    },
}
PLUGIN = {
    "type": "gemini-cli",
    "email": "ann@example.org",
    "project_id": "",
    "project_ids": ["calm-river-1", "other-river-2"],
    "access_token": ACCESS,
    "refresh_token": REFRESH,
    "expiry": "2026-01-01T00:00:00Z",
    "token": {"access_token": "older", "client_id": CLIENT},
}


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def refused(value):
    with pytest.raises(ValueError) as caught:
        read_one(value if isinstance(value, (str, bytes)) else json.dumps(value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        (
            GEMINI_CLI,
            {"client_id": CLIENT, "email": "ann@example.org", "expires_at": NEW_YEAR},
        ),
        (
            GCLI2API,
            {
                "client_id": CLIENT,
                "client_secret": "top-secret",
                "project_id": "calm-river-1",
                "expires_at": NEW_YEAR,
            },
        ),
        (
            GOOGLE_AUTH,
            {
                "client_id": CLIENT,
                "client_secret": "top-secret",
                "email": "ann@example.org",
                "access_token": "",
            },
        ),
        (
            PROXY_API,
            {
                "client_id": CLIENT,
                "client_secret": "top-secret",
                "email": "ann@example.org",
                "project_id": "calm-river-1",
                "expires_at": NEW_YEAR + 0.123456,
            },
        ),
        (
            PLUGIN,
            {
                "client_id": CLIENT,
                "email": "ann@example.org",
                "project_id": "calm-river-1",
                "expires_at": NEW_YEAR,
            },
        ),
    ],
    ids=["gemini-cli", "gcli2api", "google-auth", "cli-proxy-api", "cpa-plugin"],
)
def test_every_known_form_is_read(form, wanted):
    full = {"refresh_token": REFRESH, "access_token": ACCESS, **wanted}
    assert read_one(json.dumps(form)) == CliCredential(**full)


def test_a_quota_project_never_becomes_the_project():
    assert read_one(json.dumps(GOOGLE_AUTH)).project_id == ""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1767225600000, NEW_YEAR),
        (1767225600, NEW_YEAR),
        (1767225600.5, NEW_YEAR + 0.5),
        ("1767225600000", NEW_YEAR),
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T00:00:00+00:00", NEW_YEAR),
        ("2026-01-01T08:00:00+08:00", NEW_YEAR),
        ("2026-01-01T00:00:00.123456", NEW_YEAR + 0.123456),
        ("next week", 0.0),
        (True, 0.0),
        (-5, 0.0),
        ([], 0.0),
        ("NaN", 0.0),
        ("1969-12-31T00:00:00Z", 0.0),
    ],
)
def test_an_expiry_is_read_and_what_cannot_be_read_has_passed(value, seconds):
    assert read_one(json.dumps({**GCLI2API, "expiry": value})).expires_at == seconds


@pytest.mark.parametrize(
    ("project", "kept"),
    [
        ("calm-river-1", "calm-river-1"),
        (" a-b-c , d-e-f", "a-b-c"),
        ("ALL", ""),
        ("ALL,calm-river-1", "calm-river-1"),
        ("123456789", ""),
        ("example.com:calm-river", "example.com:calm-river"),
        ("../../etc", ""),
        (None, ""),
    ],
)
def test_a_project_is_kept_if_it_can_be_one(project, kept):
    assert read_one(json.dumps({**GCLI2API, "project_id": project})).project_id == kept


def other(number):
    return {**GCLI2API, "refresh_token": f"{REFRESH}{number}"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([other(1), other(2)]),
        json.dumps(other(1)) + "\n" + json.dumps(other(2)),
        json.dumps(other(1), indent=2) + json.dumps(other(2), indent=2),
        f"# mine\n{json.dumps(other(1))},\n# hers\n{json.dumps(other(2))}\n",
        json.dumps([other(1)]) + json.dumps([other(2)]),
        "\ufeff" + json.dumps([other(1), other(2)]),
        json.dumps(json.dumps([other(1), other(2)])),
        "GEMINI_CREDENTIALS='" + json.dumps([other(1), other(2)]) + "'",
        "export X=" + json.dumps([other(1), other(2)]),
    ],
    ids=["list", "lines", "glued", "comments", "lists", "bom", "text", "env", "export"],
)
def test_many_are_read_from_one_text(text):
    found = [entry.credential.refresh_token for entry in read_many(text)]
    assert found == [f"{REFRESH}1", f"{REFRESH}2"]


def test_a_bad_one_among_many_is_named_and_stops_nothing():
    found = read_many(json.dumps([other(1), {"client_id": CLIENT}, other(3)]))
    assert [entry.credential is not None for entry in found] == [True, False, True]
    assert found[1].name == "object 2"
    assert "no refresh_token" in found[1].reason


def test_a_zip_of_files_is_read_by_their_names():
    raw = zipped(
        a__json=json.dumps(GEMINI_CLI),
        settings__json='{"security": {}}',
        google_accounts__json='{"active": "ann@example.org"}',
        b__json=json.dumps([other(1), other(2)]),
        readme__md="no JSON",
        broken__json="{",
    )
    found = read_many(raw)
    names = ["a.json", "b.json object 1", "b.json object 2", "broken.json"]
    assert [entry.name for entry in found] == names
    assert [bool(entry.credential) for entry in found] == [True, True, True, False]


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked():
    raw = zipped(big__json=" " * 10_000_000, good__json=json.dumps(GCLI2API))
    found = read_many(raw)
    assert [entry.reason for entry in found] == [
        "The file is too large for a login.",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "no JSON"),
        ("   \n# only this\n", "no JSON"),
        ("{", "not JSON at line 1"),
        ("AIzaSyNotJson", "not JSON"),
        ("[1]", "JSON object"),
        ("[" * 100_000, "too deeply"),
        (b"\xff\xfe", "UTF-8"),
        (b"PK\x03\x04 nothing", "damaged"),
        ({"client_id": CLIENT}, "no refresh_token"),
        ({"access_token": ACCESS}, "within the hour"),
        ({"token": ACCESS}, "within the hour"),
        ({"type": "service_account", "private_key": "x"}, "service account"),
        ({**GCLI2API, "type": "antigravity"}, "antigravity"),
        ({"installed": {"client_id": CLIENT}}, "OAuth client"),
        ({**GCLI2API, "universe_domain": "cloud.example"}, "another cloud"),
        ({**GCLI2API, "token_uri": "https://evil.example/token"}, "token_uri"),
        (
            {**GCLI2API, "token_uri": "https://oauth2.googleapis.com@evil.example/"},
            "token_uri",
        ),
        ({**GCLI2API, "refresh_token": "two words"}, "refresh_token is damaged"),
        ({**GCLI2API, "refresh_token": "x" * 5000}, "refresh_token is damaged"),
        ({**GCLI2API, "client_secret": "a\u00e9"}, "client_secret is damaged"),
        ([other(1), other(2)], "2 logins"),
        (b" " * (cli_json.MOST_BYTES + 1), "more than 8 MB"),
        (zipped(readme__md="x"), "no JSON"),
    ],
)
def test_what_is_no_login_is_refused_with_words(value, words):
    assert words in refused(value)


def test_a_refusal_repeats_no_secret():
    for value in (
        {"access_token": ACCESS},
        {**GCLI2API, "refresh_token": REFRESH + "\u00e9"},
        {**GCLI2API, "token_uri": "https://x.example", "client_secret": "hush-hush"},
    ):
        words = refused(value)
        assert not any(s in words for s in (ACCESS, REFRESH, "hush-hush"))


def test_a_login_shows_no_secret_when_it_is_printed():
    shown = repr(read_one(json.dumps(GCLI2API)))
    assert not any(s in shown for s in (REFRESH, ACCESS, "top-secret"))


def test_what_is_stored_is_read_again():
    credential = read_one(json.dumps(PROXY_API))
    assert loaded(dumped(credential)) == credential


def test_what_is_stored_may_be_pasted():
    credential = read_one(json.dumps(PROXY_API))
    assert read_one(dumped(credential)) == credential


@pytest.mark.parametrize("text", ["[]", "{}", '{"refresh_token":"a","more":1}', "x"])
def test_what_was_never_stored_is_refused(text):
    with pytest.raises(ValueError):
        loaded(text)


@pytest.mark.parametrize("token", ["", "a.b", "a.!.c", "a.W10.c", "a.bm8.c"])
def test_a_malformed_id_token_claims_nothing(token):
    assert id_claims(token) == {}
