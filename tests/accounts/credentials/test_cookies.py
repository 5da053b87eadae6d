"""Pasted cookies, in every form that people paste."""

import json

import pytest

from accounts.credentials.cookies import (
    WebCookies,
    read_cookie_object,
    read_cookies,
)

PSID = "g.a000SandboxSession-0001_abcdefghijklmnop.QRSTuv"
PSIDTS = "sidts-CjIBabcdefgh_ijklmnopqrstuvwxyz-0123456789ABCDEF"
PSIDCC = "AKEyXzWabcdefghijklmnopqrstuvwxyz0123456789"
WHOLE = WebCookies(psid=PSID, psidts=PSIDTS, psidcc=PSIDCC)
HEADER = f"SID=x; __Secure-1PSID={PSID}; __Secure-1PSIDTS={PSIDTS}; __Secure-1PSIDCC={PSIDCC}"
EXPORT = [
    {"name": "__Secure-1PSID", "value": PSID, "domain": ".google.com"},
    {"name": "__Secure-1PSIDTS", "value": PSIDTS, "domain": ".google.com"},
    {"name": "__Secure-1PSIDCC", "value": PSIDCC, "domain": ".google.com"},
    {"name": "__Secure-1PSID", "value": "g.other-country-0000", "domain": ".google.de"},
]
NETSCAPE = "\n".join(
    [
        "# Netscape HTTP Cookie File",
        "",
        f"#HttpOnly_.google.com\tTRUE\t/\tTRUE\t1800000000\t__Secure-1PSID\t{PSID}",
        f".google.com\tTRUE\t/\tTRUE\t1800000000\t__Secure-1PSIDTS\t{PSIDTS}",
        f".google.com\tTRUE\t/\tTRUE\t1800000000\t__Secure-1PSIDCC\t{PSIDCC}",
        ".example.org\tTRUE\t/\tTRUE\t0\t__Secure-1PSID\tg.elsewhere-0000000",
    ]
)
CURL = (
    "curl 'https://gemini.google.com/app' \\\n  -H 'accept: text/html' \\\n"
    f"  -H 'cookie: {HEADER}' \\\n  -H 'user-agent: x' --compressed"
)
CURL_B = f"curl 'https://gemini.google.com/app' -b '{HEADER}' -H 'accept: */*'"
CURL_CMD = (
    f'curl ^"https://gemini.google.com/app^" ^\r\n  -H ^"cookie: {HEADER}^" ^\r\n'
    "  --compressed"
)
LINES = f"SECURE_1PSID={PSID}\nSECURE_1PSIDTS={PSIDTS}\nSECURE_1PSIDCC={PSIDCC}\n"


@pytest.mark.parametrize(
    "pasted",
    [
        pytest.param(json.dumps(EXPORT), id="an extension's export"),
        pytest.param(
            json.dumps({"cookies": EXPORT, "origins": []}), id="storage state"
        ),
        pytest.param(
            json.dumps(
                {"cookies": {"1PSID": PSID, "1PSIDTS": PSIDTS, "1PSIDCC": PSIDCC}}
            ),
            id="names in an object in an object",
        ),
        pytest.param(
            json.dumps(
                {
                    "__Secure-1PSID": PSID,
                    "__Secure-1PSIDTS": PSIDTS,
                    "__Secure-1PSIDCC": PSIDCC,
                }
            ),
            id="names in an object",
        ),
        pytest.param(f"Cookie: {HEADER}", id="a header"),
        pytest.param(f"cookie:{HEADER};", id="a header in small letters"),
        pytest.param(HEADER, id="a header's value"),
        pytest.param(NETSCAPE, id="cookies.txt"),
        pytest.param(NETSCAPE.replace("\n", "\r\n"), id="cookies.txt of Windows"),
        pytest.param(CURL, id="cURL"),
        pytest.param(CURL_B, id="cURL with -b"),
        pytest.param(CURL_CMD, id="cURL of Windows"),
        pytest.param(LINES, id="lines"),
        pytest.param(
            f"export SECURE_1PSID=\"{PSID}\"\nexport SECURE_1PSIDTS='{PSIDTS}'\n"
            f"set SECURE_1PSIDCC={PSIDCC}",
            id="a shell's lines",
        ),
        pytest.param(
            f"# mine\n__Secure-1PSID: {PSID}\n__Secure-1PSIDTS: {PSIDTS}\n"
            f"__Secure-1PSIDCC: {PSIDCC}",
            id="lines with colons",
        ),
        pytest.param(
            f"__Secure-1PSID  {PSID}  .google.com /\n__Secure-1PSIDTS {PSIDTS}\n"
            f"__Secure-1PSIDCC {PSIDCC} .google.com",
            id="rows of the browser's table",
        ),
        pytest.param(
            f'"1PSID": "{PSID}",\n"1PSIDTS": "{PSIDTS}",\n1psidcc={PSIDCC}',
            id="bare lines",
        ),
        pytest.param("\ufeff" + LINES, id="with a byte order mark"),
    ],
)
def test_cookies_are_read_from_every_form(pasted):
    assert read_cookies(pasted) == WHOLE


def test_only_the_first_cookie_is_needed():
    assert read_cookies(f"SECURE_1PSID={PSID}") == WebCookies(psid=PSID)


def test_cookies_of_other_sites_are_passed_over():
    rows = [{**row, "domain": "gemini.example.org"} for row in EXPORT]
    with pytest.raises(ValueError, match="No __Secure-1PSID"):
        read_cookies(json.dumps(rows))


def test_a_cookie_of_a_subdomain_of_google_counts():
    rows = [{**EXPORT[0], "domain": "gemini.google.com"}]
    assert read_cookies(json.dumps(rows)).psid == PSID


def test_a_domain_that_only_ends_like_googles_does_not_count():
    rows = [{**EXPORT[0], "domain": "evilgoogle.com"}]
    with pytest.raises(ValueError, match="No __Secure-1PSID"):
        read_cookies(json.dumps(rows))


def test_of_all_other_cookies_only_harmless_ones_are_kept():
    found = read_cookies(f"{HEADER}; SAPISID=secret; NID=511=abc; AEC=xyz; HSID=h")
    assert dict(found.others) == {"NID": "511=abc", "AEC": "xyz"}


def test_cookies_go_out_under_the_browsers_names():
    cookies = WebCookies(psid=PSID, psidts=PSIDTS, others={"NID": "1"})
    assert cookies.named() == {
        "NID": "1",
        "__Secure-1PSID": PSID,
        "__Secure-1PSIDTS": PSIDTS,
    }


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("", "Nothing was pasted"),
        ("   \n ", "Nothing was pasted"),
        ("hello", "No __Secure-1PSID cookie was found"),
        (f"SECURE_1PSIDTS={PSIDTS}", "only one of its companions"),
        ('{"cookies": [', "copy all of it"),
        ("[" * 100_000, "copy all of it"),
        ('"just text"', "No __Secure-1PSID"),
        ("[1, null, {}]", "No __Secure-1PSID"),
        ("curl 'https://gemini.google.com/app", "not complete"),
        ("1PSID=../../etc/passwd-0000", "__Secure-1PSID is damaged"),
        ("1PSID=short", "__Secure-1PSID is damaged"),
        (f"1PSID={PSID}\n1PSIDTS=a b", "__Secure-1PSIDTS is damaged"),
        (f"1PSID={PSID}\n1PSIDCC=ümlaut", "__Secure-1PSIDCC is damaged"),
        ("1PSID=" + "a" * 2001, "__Secure-1PSID is damaged"),
        (f"1PSID={PSID}\n1PSIDTS=" + "a" * 5000, "__Secure-1PSIDTS is damaged"),
        ("x" * 500_001, "too long"),
    ],
)
def test_what_is_no_session_is_refused_with_words_for_a_person(pasted, words):
    with pytest.raises(ValueError, match=words) as caught:
        read_cookies(pasted)
    assert PSIDTS not in str(caught.value)


def test_a_refusal_quotes_nothing_of_what_was_pasted():
    with pytest.raises(ValueError) as caught:
        read_cookies("1PSID=bad/but/secret/value")
    assert "secret" not in str(caught.value)


def test_the_same_is_read_from_json_that_is_parsed_already():
    assert read_cookie_object({"SECURE_1PSID": PSID, "SECURE_1PSIDTS": PSIDTS}) == (
        WebCookies(psid=PSID, psidts=PSIDTS)
    )


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, {"1PSID": 5}])
def test_parsed_json_that_is_no_session_is_refused(value):
    with pytest.raises(ValueError):
        read_cookie_object(value)


def test_a_session_shows_no_cookie_by_accident():
    assert PSID not in repr(WHOLE)
    assert PSIDTS not in f"{WHOLE}"
