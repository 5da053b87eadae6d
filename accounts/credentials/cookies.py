"""Cookies of a Google session, in every form in which people paste them.

Read are: JSON (a list of cookies, an object of names and values, a browser's storage
state), a ``Cookie:`` header, a cURL command, Netscape's cookies.txt, and lines of
``NAME=value``. What belongs to other sites than google.com is passed over.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

LONGEST_PASTE = 500_000
LONGEST_VALUE = 4096

_PSID, _PSIDTS, _PSIDCC = "__Secure-1PSID", "__Secure-1PSIDTS", "__Secure-1PSIDCC"
#: Cookies that carry no sign-in but spare the session a consent page.
_KEPT = frozenset({"NID", "AEC", "SOCS", "CONSENT"})
_NAME = re.compile(r"(?:__)?(?:SECURE[_-])?1PSID(TS|CC)?", re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z0-9_.\-]{1,60}")
# The value becomes part of a file's name inside a package that we use.
_PSID_VALUE = re.compile(r"[A-Za-z0-9._\-]{10,2000}")
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_HEADER = re.compile(r"^\s*cookie\s*:\s*", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"""^\s*(?:export\s+|set\s+)?["']?([A-Za-z0-9_.\-]+)["']?\s*[=:]\s*(.*?)\s*[,;]?$"""
)
_NETSCAPE_FIELDS = 7
_HTTP_ONLY = "#HttpOnly_"
_CURL_OPTIONS = ("-H", "--header", "-b", "--cookie")

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCookies:
    """The cookies of one signed-in session; only ``psid`` is always there."""

    psid: str = field(repr=False)
    psidts: str = field(default="", repr=False)
    psidcc: str = field(default="", repr=False)
    others: Mapping[str, str] = field(default_factory=dict, repr=False)

    def named(self) -> dict[str, str]:
        """Return the cookies under the names that the browser knows."""
        own = {_PSID: self.psid, _PSIDTS: self.psidts, _PSIDCC: self.psidcc}
        return {**self.others, **{name: value for name, value in own.items() if value}}


def read_cookies(text: str) -> WebCookies:
    """Return the cookies in what was pasted.

    Raises ValueError with words for the person who pasted it; they quote nothing.
    """
    text = text.strip().removeprefix("\ufeff")
    if not text:
        raise ValueError("Nothing was pasted.")
    if len(text) > LONGEST_PASTE:
        raise ValueError("That is too long to be the cookies of one account.")
    return _checked(_pairs(text))


def read_cookie_object(value: Any) -> WebCookies:
    """Return the cookies in parsed JSON: an object of names and values, or a list.

    Raises ValueError with words for a person.
    """
    return _checked(_of_json(value))


def _pairs(text: str) -> Iterable[Pair]:
    if text[0] in "[{":
        return _of_json(_parsed(text))
    if re.match(r"curl(?:\.exe)?\s", text, re.IGNORECASE):
        return _of_curl(text)
    lines = text.splitlines()
    if any(line.count("\t") >= _NETSCAPE_FIELDS - 1 for line in lines):
        return _of_netscape(lines)
    if _HEADER.match(text) or (len(lines) == 1 and ";" in text):
        return _of_header(_HEADER.sub("", text))
    return _of_lines(lines)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(
            "It looks like JSON but is not complete; copy all of it."
        ) from None


def _of_json(value: Any) -> Iterator[Pair]:
    if isinstance(value, list):
        for item in value:
            yield from _of_json_cookie(item)
        return
    if not isinstance(value, dict):
        raise ValueError("JSON cookies are a list of cookies or an object of names.")
    if isinstance(value.get("cookies"), (list, dict)):
        yield from _of_json(value["cookies"])
        return
    for name, item in value.items():
        if isinstance(item, str):
            yield name, item


def _of_json_cookie(item: Any) -> Iterator[Pair]:
    if not isinstance(item, dict):
        return
    name, value = item.get("name"), item.get("value")
    domain = item.get("domain") or item.get("host") or ""
    if isinstance(name, str) and isinstance(value, str) and _is_google(str(domain)):
        yield name, value


def _of_netscape(lines: Iterable[str]) -> Iterator[Pair]:
    for line in lines:
        fields = line.strip().removeprefix(_HTTP_ONLY).split("\t")
        if line.startswith("#") and not line.startswith(_HTTP_ONLY):
            continue
        if len(fields) >= _NETSCAPE_FIELDS and _is_google(fields[0]):
            yield fields[5], fields[6]


def _of_curl(text: str) -> Iterator[Pair]:
    # Windows' form escapes with ^ and continues lines with it.
    plain = re.sub(r"[\\^]\r?\n", " ", text)
    if '^"' in plain:
        plain = re.sub(r"\^(.)", r"\1", plain)
    try:
        words = shlex.split(plain.replace("$'", "'"))
    except ValueError:
        raise ValueError("The cURL command is not complete; copy all of it.") from None
    for option, value in pairwise(words):
        if option in _CURL_OPTIONS[2:]:
            yield from _of_header(value)
        elif option in _CURL_OPTIONS and _HEADER.match(value):
            yield from _of_header(_HEADER.sub("", value))


def _of_header(text: str) -> Iterator[Pair]:
    for pair in text.replace("\n", " ").split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals:
            yield name.strip(), value.strip()


def _of_lines(lines: Iterable[str]) -> Iterator[Pair]:
    for line in lines:
        if ";" in line and line.count("=") > 1:
            yield from _of_header(_HEADER.sub("", line))
            continue
        match = _ASSIGNMENT.match(line)
        if match:
            yield match[1], match[2]
        elif len(fields := line.split()) >= 2 and _NAME.fullmatch(fields[0]):
            # A row of the browser's own table of cookies.
            yield fields[0], fields[1]


def _is_google(domain: str) -> bool:
    host = domain.strip().lstrip(".").lower()
    return not host or host == "google.com" or host.endswith(".google.com")


def _checked(pairs: Iterable[Pair]) -> WebCookies:
    own: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, value in pairs:
        plain = value.strip().strip("\"'").strip()
        match = _NAME.fullmatch(name.strip())
        if match and plain:
            own[(match[1] or "").upper()] = plain
        elif name in _KEPT and _LABEL.fullmatch(name) and _fits(plain):
            others[name] = plain
    if "" not in own:
        raise ValueError(_missing(own))
    if not _PSID_VALUE.fullmatch(own[""]):
        raise ValueError(f"The value of {_PSID} is damaged; copy it again.")
    for key, name in (("TS", _PSIDTS), ("CC", _PSIDCC)):
        if key in own and not _fits(own[key]):
            raise ValueError(f"The value of {name} is damaged; copy it again.")
    return WebCookies(
        psid=own[""],
        psidts=own.get("TS", ""),
        psidcc=own.get("CC", ""),
        others=others,
    )


def _missing(own: Mapping[str, str]) -> str:
    if own:
        return f"{_PSID} is missing; only one of its companions was pasted."
    return (
        f"No {_PSID} cookie was found. Copy the cookies of google.com while "
        "gemini.google.com is open and signed in."
    )


def _fits(value: str) -> bool:
    return len(value) <= LONGEST_VALUE and _VALUE.fullmatch(value) is not None
