"""Logins of Gemini CLI and Code Assist, in every form in which people keep them.

Known are the file of gemini-cli, what gcli2api and google-auth write, the two forms of
CLIProxyAPI, any number of these in one text or list, and a zip of such files.
"""

import binascii
import io
import json
import math
import re
import zipfile
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

MOST_BYTES = 8 * 1024 * 1024
MOST_FILES = 2000
MOST_FILE_BYTES = 256 * 1024
LONGEST_VALUE = 4096

_ZIP = b"PK\x03\x04"
_BETWEEN = re.compile(r"(?:[\s,;]|#[^\n]*)*")
_ASSIGNED = re.compile(r"\s*(?:export\s+)?[A-Za-z_]\w*\s*=\s*(?=['\"]?\s*[{\[])")
_PRINTABLE = re.compile(r"[!-~]+")
_EMAIL = re.compile(r"[^\s@<>\"]{1,120}@[^\s@<>\"]{1,120}")
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{2,61}[a-z0-9]")
_LOGIN_TYPES = frozenset({"", "authorized_user", "gemini", "gemini-cli"})
#: Where Google changes refresh tokens for access tokens, now and formerly.
_TOKEN_HOSTS = ("oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com")
_TOKEN_URI = re.compile(rf"https://(?:{'|'.join(map(re.escape, _TOKEN_HOSTS))})/.*")
#: A larger number counts milliseconds.
_LARGEST_SECONDS = 1e11
_EVERY_PROJECT = "ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CliCredential:
    """One login. ``expires_at`` is when the access token ends, in epoch seconds; 0 if
    there is none or nobody knows. All but the refresh token may be empty."""

    refresh_token: str = field(repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    project_id: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object of what was pasted: a login, or the reason why it is none."""

    name: str
    credential: CliCredential | None = None
    reason: str = ""


def read_many(data: bytes | str) -> list[Found]:
    """Return what a paste, a file or a zip holds, in its order.

    Raises ValueError, with words for a person, if that is nothing at all.
    """
    raw = data.encode() if isinstance(data, str) else data
    if len(raw) > MOST_BYTES:
        raise ValueError(f"That is more than {MOST_BYTES // 2**20} MB.")
    files = _zipped(raw) if raw.startswith(_ZIP) else [("", raw)]
    found = [entry for name, content in files for entry in _entries(name, content)]
    logins = [entry for entry in found if entry is not _NO_LOGIN]
    if not logins:
        raise ValueError("There is no JSON of a login in it.")
    return logins


def read_one(data: bytes | str) -> CliCredential:
    """Return the one login that was pasted; raise ValueError if it is not just one."""
    found = read_many(data)
    if len(found) > 1:
        raise ValueError(f"There are {len(found)} logins in it; give one.")
    if found[0].credential is None:
        raise ValueError(found[0].reason)
    return found[0].credential


def read_object(value: object) -> CliCredential:
    """Return the login that a JSON object stands for.

    Raises ValueError, with words for a person that repeat no secret.
    """
    if not isinstance(value, Mapping):
        raise ValueError("A login is a JSON object.")
    values = _merged(value)
    _check_type(values)
    refresh_token = _secret(values, "refresh_token")
    if not refresh_token:
        raise ValueError(_without_refresh_token(values))
    told = id_claims(_text(values, "id_token"))
    return CliCredential(
        refresh_token=refresh_token,
        client_id=_secret(values, "client_id") or _printable(told.get("azp")),
        client_secret=_secret(values, "client_secret"),
        access_token=_secret(values, "access_token") or _secret(values, "token"),
        expires_at=_expiry(values),
        project_id=_project(values),
        email=_email(values, told),
    )


def dumped(credential: CliCredential) -> str:
    """Return the login as the text that is stored (encrypted) for an account."""
    return json.dumps(asdict(credential), separators=(",", ":"), sort_keys=True)


def loaded(text: str) -> CliCredential:
    """Return a login from the text that ``dumped`` made; raise ValueError otherwise."""
    values = json.loads(text)
    if not isinstance(values, dict) or values.keys() - _FIELDS:
        raise ValueError("This is no stored login.")
    try:
        return CliCredential(**values)
    except TypeError:
        raise ValueError("This is no stored login.") from None


def id_claims(token: str) -> Mapping[str, Any]:
    """Return what an OpenID token claims, unverified; nothing of a malformed one."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


_FIELDS = {entry.name for entry in fields(CliCredential)}
_NO_LOGIN = Found(name="", reason="no login")


def _zipped(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of a zip's JSON files, within bounds."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > MOST_FILES:
                raise ValueError(f"The zip holds more than {MOST_FILES} files.")
            for member in members:
                if member.filename.lower().endswith((".json", ".txt")):
                    with archive.open(member) as file:
                        yield member.filename, file.read(MOST_FILE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError):
        raise ValueError("The zip is damaged or has a password.") from None


def _entries(name: str, content: bytes) -> Iterator[Found]:
    """Yield what one text holds; ``name`` is its file's in a zip, else empty."""
    if name and len(content) > MOST_FILE_BYTES:
        yield Found(name=name, reason="The file is too large for a login.")
        return
    try:
        values = list(_values(content))
    except ValueError as error:
        yield Found(name=name or "the text", reason=str(error))
        return
    for number, value in enumerate(values, 1):
        several = f"{name} object {number}".strip()
        yield _entry(name if name and len(values) == 1 else several, value, bool(name))


def _entry(name: str, value: object, in_zip: bool) -> Found:
    # A whole folder of gemini-cli has settings beside the login.
    if in_zip and isinstance(value, dict) and not _is_about_tokens(value):
        return _NO_LOGIN
    try:
        return Found(name=name, credential=read_object(value))
    except ValueError as error:
        return Found(name=name, reason=str(error))


def _is_about_tokens(value: Mapping[str, Any]) -> bool:
    words = ("refresh_token", "access_token", "token", "client_id", "private_key")
    return any(word in value for word in words)


def _values(content: bytes) -> Iterator[object]:
    """Yield the objects of one or many JSON texts; lists are opened."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("That is no text in UTF-8.") from None
    assigned = _ASSIGNED.match(text)
    if assigned:
        text = text[assigned.end() :].strip().strip("'\"")
    try:
        for value in _decoded(text):
            # A JSON text inside a JSON text, as environments and forms carry it.
            inner = _decoded(value) if isinstance(value, str) else [value]
            for item in inner:
                yield from item if isinstance(item, list) else [item]
    except json.JSONDecodeError as error:
        raise ValueError(
            f"It is not JSON at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise ValueError("Its JSON is nested too deeply.") from None


def _decoded(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    place = _after_gap(text, 0)
    while place < len(text):
        value, place = decoder.raw_decode(text, place)
        yield value
        place = _after_gap(text, place)


def _after_gap(text: str, place: int) -> int:
    gap = _BETWEEN.match(text, place)
    return gap.end() if gap else place


def _merged(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object with the fields of an inner ``token`` object beside its own."""
    inner = value.get("token")
    if not isinstance(inner, Mapping):
        return value
    outer = {key: item for key, item in value.items() if key != "token"}
    return {**inner, **{key: item for key, item in outer.items() if item}}


def _check_type(values: Mapping[str, Any]) -> None:
    kind = _text(values, "type")
    if kind == "service_account" or "private_key" in values:
        raise ValueError(
            "This is the key of a service account; a login of a person is needed."
        )
    if kind not in _LOGIN_TYPES:
        raise ValueError(f"A credential of type {kind[:40]!r} is no Gemini CLI login.")
    if "installed" in values or "web" in values:
        raise ValueError("This is an OAuth client; a login that it made is needed.")
    universe = _text(values, "universe_domain")
    if universe not in ("", "googleapis.com"):
        raise ValueError("The login belongs to another cloud than Google's public one.")
    token_uri = _text(values, "token_uri")
    if token_uri and not _TOKEN_URI.fullmatch(token_uri):
        raise ValueError("Its token_uri is not an address of Google's.")


def _without_refresh_token(values: Mapping[str, Any]) -> str:
    if _text(values, "access_token") or _text(values, "token"):
        return (
            "It has no refresh_token: its access token would end within the hour."
            " Sign in again and take the whole file."
        )
    return "It has no refresh_token, so it is no login."


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value.strip() if isinstance(value, str) else ""


def _secret(values: Mapping[str, Any], name: str) -> str:
    """Return a value that is sent to Google as it is."""
    value = _text(values, name)
    if value and not (_PRINTABLE.fullmatch(value) and len(value) <= LONGEST_VALUE):
        raise ValueError(f"Its {name} is damaged.")
    return value


def _printable(value: object) -> str:
    fits = isinstance(value, str) and _PRINTABLE.fullmatch(value)
    return str(value) if fits and len(str(value)) <= LONGEST_VALUE else ""


def _project(values: Mapping[str, Any]) -> str:
    """Return the first project id that can be one; a wrong one is discovered anew."""
    listed = values.get("project_ids")
    candidates = [_text(values, "project_id"), *_strings(listed)]
    for each in ",".join(candidates).split(","):
        name = each.strip()
        if name != _EVERY_PROJECT and _PROJECT.fullmatch(name):
            return name
    return ""


def _strings(value: object) -> list[str]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


def _email(values: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    for value in (values.get("email"), values.get("account"), told.get("email")):
        if isinstance(value, str) and _EMAIL.fullmatch(value.strip()):
            return value.strip().lower()
    return ""


def _expiry(values: Mapping[str, Any]) -> float:
    """Return when the access token ends; 0 for what cannot be read."""
    for name in ("expires_at", "expiry_date", "expiry"):
        if values.get(name) not in (None, ""):
            return _moment(values[name])
    return 0.0


def _moment(value: object) -> float:
    if isinstance(value, bool):
        return 0.0
    if isinstance(value, (int, float)):
        return _seconds(float(value))
    text = str(value).strip()
    try:
        return _seconds(float(text))
    except ValueError:
        return _iso_seconds(text)


def _seconds(number: float) -> float:
    if not math.isfinite(number) or number < 0:
        return 0.0
    return number / 1000 if number > _LARGEST_SECONDS else number


def _iso_seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    # google-auth writes UTC without saying so.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp())
