"""Nothing secret-looking leaves through a log."""

import logging
import sys

import pytest

from accounts import tokens
from gemproxy.lib.redaction import (
    RedactingFormatter,
    redact,
    shorten,
)

SECRETS = {
    "our token": tokens.make(),
    "google key": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "newer google key": "AQ.Ab8RN6KabcdefghijklmnopQRSTUV",
    "xai key": "xai-abcdefghij0123456789",
    "oauth token": "ya29.a0AfH6SMBabcdefgh-ijkl",
    "refresh token": "1//0gAbCdEfGhIjKlMnOp-qrst",
    "sign-in code": "4/0AbCdEfGhIjKlMnOpQrSt",
    "sign-in code in a URL": "4%2F0AbCdEfGhIjKlMnOpQrSt",
    "oauth client": "GOCSPX-AbCdEfGhIjKlMnOpQ",
    "web session": "g.a000AbCdEfGhIjKlMnOpQr.StUv",
    "web session's second": "sidts-CjIBAbCdEfGhIjKl",
    "openai key": "sk-proj-abcdefghijklmnop",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "around",
    ["{}", "key {}.", '{{"key": "{}"}}', "x-goog-api-key: {}", "gp-token.{}"],
    ids=["alone", "sentence", "json", "header", "subprotocol"],
)
def test_a_known_form_of_secret_is_replaced(secret: str, around: str) -> None:
    shown = redact(around.format(secret))
    assert secret not in shown
    assert secret[8:] not in shown
    assert "[secret]" in shown


@pytest.mark.parametrize("name", ["key", "token", "access_token", "KEY"])
def test_a_query_parameter_is_replaced_and_the_rest_stays(name: str) -> None:
    shown = redact(f"GET /v1?a=1&{name}=hush-hush&b=2")
    assert shown == f"GET /v1?a=1&{name}=[secret]&b=2"


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_value_is_replaced(word: str) -> None:
    assert redact(f"Authorization: {word} abc.def-123") == (
        f"Authorization: {word} [secret]"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://ann:pw@db:5432/x", "postgres://[secret]@db:5432/x"),
        ("socks5://u:p%40ss@proxy:1080", "socks5://[secret]@proxy:1080"),
        ("redis://:only-a-password@cache:6379/0", "redis://[secret]@cache:6379/0"),
    ],
    ids=["postgres", "socks", "redis without a user"],
)
def test_a_password_in_a_url_is_replaced(url: str, shown: str) -> None:
    assert redact(f"connect {url} failed") == f"connect {shown} failed"


@pytest.mark.parametrize(
    "text",
    [
        "req_0123456789abcdef openai.chat t1 gemini-2.5-flash status=200",
        "https://example.org/path?page=2",
        "12:30:01 user@example.org",
        "gp-chat",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_log_line_is_redacted_with_its_arguments() -> None:
    token = tokens.make()
    record = logging.LogRecord("x", logging.INFO, "", 1, "got %s", (token,), None)
    assert RedactingFormatter("%(message)s").format(record) == "got [secret]"


def test_a_traceback_is_redacted() -> None:
    token = tokens.make()
    try:
        raise ValueError(f"bad {token}")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "", 1, "failed", (), error)
    line = RedactingFormatter("%(message)s").format(record)
    assert "ValueError: bad [secret]" in line
    assert token not in line


@pytest.mark.parametrize("length", [0, 1, 15, 16, 23, 24, 39, 200])
def test_a_shortened_secret_shows_at_most_a_third(length: int) -> None:
    secret = "".join(chr(ord("a") + i % 26) for i in range(length))
    shown = shorten(secret).replace("…", "")
    assert len(shown) * 3 <= length
    assert shown == "" or secret.startswith(shown[:4])


def test_a_long_secret_keeps_its_ends() -> None:
    assert shorten("abcd" + "x" * 30 + "wxyz") == "abcd…wxyz"


@pytest.mark.parametrize(
    "text",
    ["a\n2026-01-01 INFO forged", "a\rb", "a\x1b[2Jb", "a\x00b", "a\x85b", "a\u2028b"],
)
def test_what_a_caller_wrote_cannot_look_like_another_line(text: str) -> None:
    formatter = RedactingFormatter("%(levelname)s %(message)s")
    record = logging.LogRecord("x", logging.INFO, "", 0, "model %s", (text,), None)
    line = formatter.format(record)
    assert line.isprintable()
    assert line.startswith("INFO model a")


def test_a_traceback_keeps_its_lines() -> None:
    formatter = RedactingFormatter("%(message)s")
    try:
        raise ValueError("one\ntwo")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), info)
    assert "failed\nTraceback" in formatter.format(record)
