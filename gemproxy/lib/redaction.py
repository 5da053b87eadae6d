"""Secret-looking text made safe before it reaches a log."""

import logging
import re

PATTERNS = (
    re.compile(r"\bgp-[0-9A-Za-z]{8,}"),
    re.compile(r"\bAIza[0-9A-Za-z_-]{20,}"),
    re.compile(r"\bAQ\.[0-9A-Za-z_-]{20,}"),
    re.compile(r"\bxai-[0-9A-Za-z_-]{16,}"),
    re.compile(r"\b1//0[0-9A-Za-z_-]{16,}"),
    re.compile(r"\b4(?:/|%2F)0A[0-9A-Za-z_-]{16,}"),
    re.compile(r"\bGOCSPX-[0-9A-Za-z_-]{16,}"),
    re.compile(r"\bya29\.[0-9A-Za-z_.-]{16,}"),
    re.compile(r"\bsk-[0-9A-Za-z_-]{16,}"),
    re.compile(r"\bg\.a[0-9A-Za-z_-]{3,}[0-9A-Za-z._-]{17,}"),
    re.compile(r"\bsidts-[0-9A-Za-z_-]{8,}"),
    re.compile(r"(?<=__Secure-1PSID=)[^;\s\"']+|(?<=1PSIDTS=)[^;\s\"']+"),
    re.compile(r"(?<=1PSIDCC=)[^;\s\"']+"),
)
PARAMETER = re.compile(r"([?&](?:key|token|access_token)=)[^&\s\"']+", re.IGNORECASE)
BEARER = re.compile(r"(?i)\b(bearer\s+)[0-9A-Za-z._~+/=-]{8,}")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace tokens, keys, bearer values and URL passwords by a mark."""
    for pattern in PATTERNS:
        text = pattern.sub("[secret]", text)
    text = PARAMETER.sub(r"\1[secret]", text)
    text = BEARER.sub(r"\1[secret]", text)
    return USERINFO.sub(r"\1[secret]@", text)


class RedactingFormatter(logging.Formatter):
    """Format a record, traceback included, and redact the result.

    Control characters of a message are escaped: what a caller wrote must not look
    like a line of ours.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = CONTROL.sub(_escaped, record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def shorten(secret: str) -> str:
    """Return prefix…suffix of a secret, never more than a third of it."""
    if len(secret) < 24:
        return "…"
    return f"{secret[:4]}…{secret[-4:]}"
