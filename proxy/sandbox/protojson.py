"""Reads a JSON request strictly, as Google's protobuf transcoder does."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from proxy.sandbox.fields import ENUMS, MESSAGES, ONEOFS, snake, spellings
from proxy.sandbox.refusals import Refusal, field_violations, invalid_argument

_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta."
_WELL_KNOWN = "type.googleapis.com/google.protobuf."
_DEEPEST = 90
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_LIMITS = {"int32": 2**31, "int64": 2**63}
_SHOWN = 200


def decode_json(body: bytes) -> dict[str, Any]:
    """The JSON object in a request body; an empty body is an empty message.

    Raises ``Refusal`` for anything that is not a JSON object.
    """
    if not body.strip():
        return {}
    try:
        data = json.loads(body, parse_constant=_refuse_constant)
        if b"\\u" in body:
            json.dumps(data, ensure_ascii=False).encode()
    except RecursionError as error:
        raise _broken("Message too deep.") from error
    except UnicodeError as error:
        raise _broken("Invalid UTF-8 or unpaired surrogate.") from error
    except ValueError as error:
        raise _broken(_syntax_error(body, error)) from error
    if not isinstance(data, dict):
        raise _broken('Unknown name "": Root element must be a message.')
    return data


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _broken(text: str) -> Refusal:
    return invalid_argument(f"Invalid JSON payload received. {text}")


def _syntax_error(body: bytes, error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return f"Unexpected token.\n{error}\n^"
    if error.pos >= len(error.doc.rstrip()):
        return "Unexpected end of string. Expected a value, an object key or ,.\n\n^"
    return f"Unexpected token.\n{error.doc[error.pos : error.pos + 20]}\n^"


def parse(message: str, data: dict[str, Any]) -> dict[str, Any]:
    """``data`` as ``message``: camelCase names, numbers as numbers, bytes decoded.

    Raises ``Refusal`` with every violation found.
    """
    reader = _Reader()
    parsed = reader.message(message, data, "", 0)
    if reader.violations:
        raise field_violations(reader.violations)
    return parsed


class _Reader:
    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def message(
        self, message: str, data: dict[str, Any], path: str, depth: int
    ) -> dict[str, Any]:
        if depth > _DEEPEST:
            raise _broken("Message too deep. Max recursion depth reached.")
        names, kinds = spellings(message), MESSAGES[message]
        oneofs, taken = ONEOFS.get(message, {}), set()
        parsed: dict[str, Any] = {}
        for key, value in data.items():
            name = names.get(key)
            if name is None:
                self._unknown(key, path, "Cannot find field.")
                continue
            if value is None and kinds[name] != "value":
                continue
            group = oneofs.get(name)
            if group in taken:
                self._already_set(path, group, name)
                continue
            if group:
                taken.add(group)
            parsed[name] = self._field(kinds[name], key, value, path, depth)
        return parsed

    def _field(self, kind: str, key: str, value: Any, parent: str, depth: int) -> Any:
        path = f"{parent}.{snake(key)}" if parent else snake(key)
        if kind.endswith("[]"):
            return self._list(kind[:-2], value, path, depth)
        if isinstance(value, list) and kind != "value":
            problem = "Proto field is not repeating, cannot start list."
            self._unknown(key, parent, problem)
            return None
        if kind.endswith("{}"):
            return self._map(kind[:-2], value, path, depth)
        return self._single(kind, value, path, depth)

    def _list(self, kind: str, value: Any, path: str, depth: int) -> list[Any]:
        # The transcoder takes a lone value for a repeated field as a list of one.
        items = value if isinstance(value, list) else [value]
        return [
            self._single(kind, item, f"{path}[{index}]", depth)
            for index, item in enumerate(items)
        ]

    def _map(self, kind: str, value: Any, path: str, depth: int) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._invalid(path, "Map", value)
            return {}
        return {
            key: self._single(kind, item, f"{path}[{index}].value", depth)
            for index, (key, item) in enumerate(value.items())
        }

    def _single(self, kind: str, value: Any, path: str, depth: int) -> Any:
        if kind == "value":
            return value
        if kind in MESSAGES:
            return self._nested(kind, value, path, depth)
        if kind in ENUMS:
            return self._enum(kind, value, path)
        if isinstance(value, dict) and kind != "struct":
            parent, _, last = path.rpartition(".")
            text = f"Invalid value at '{parent}' ({last}), Starting an object on a"
            self.violations.append((parent, f"{text} scalar field"))
            return None
        return self._scalar(kind, value, path)

    def _nested(self, kind: str, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, dict):
            return self.message(kind, value, path, depth + 1)
        self._invalid(path, _PACKAGE + kind, value)
        return {}

    def _enum(self, kind: str, value: Any, path: str) -> str | None:
        names = ENUMS[kind]
        if isinstance(value, str):
            for name in names:
                if name.lower() == value.lower():
                    return name
        elif _is_index(value, names):
            return names[value]
        self._invalid(path, _PACKAGE + kind, value)
        return None

    def _scalar(self, kind: str, value: Any, path: str) -> Any:
        try:
            return _SCALARS[kind](value)
        except (ValueError, TypeError, OverflowError):
            if kind == "bytes" and isinstance(value, str):
                text = f"(TYPE_BYTES), Base64 decoding failed for {_shown(value)}"
                self.violations.append((path, f"Invalid value at '{path}' {text}"))
            else:
                self._invalid(path, _TYPE_NAMES[kind], value)
            return None

    def _unknown(self, key: str, path: str, problem: str) -> None:
        place = f" at '{path}'" if path else ""
        text = f'Invalid JSON payload received. Unknown name "{key}"{place}: {problem}'
        self.violations.append((path, text))

    def _already_set(self, path: str, group: str | None, name: str) -> None:
        text = (
            f"Invalid value at '{path}' (oneof), oneof field '{group}' is already set."
            f" Cannot set '{name}'"
        )
        self.violations.append((path, text))

    def _invalid(self, path: str, type_name: str, value: Any) -> None:
        text = f"Invalid value at '{path}' ({type_name}), {_shown(value)}"
        self.violations.append((path, text))


def _is_index(value: Any, names: tuple[str, ...]) -> bool:
    return type(value) is int and 0 <= value < len(names)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOWN]


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _integer(bits: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        number = int(value)
        if isinstance(value, float) and number != value:
            raise ValueError
        if not -_LIMITS[bits] <= number < _LIMITS[bits]:
            raise OverflowError
        return number

    return read


def _bytes(value: Any) -> bytes:
    """Standard or URL-safe base64, with or without padding."""
    text = _string(value).replace("-", "+").replace("_", "/")
    if not _BASE64.fullmatch(text):
        raise ValueError
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _struct(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _shaped(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not pattern.fullmatch(_string(value)):
            raise ValueError
        return str(value)

    return read


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "bool": _bool,
    "float": _number,
    "double": _number,
    "int32": _integer("int32"),
    "int64": _integer("int64"),
    "bytes": _bytes,
    "struct": _struct,
    "duration": _shaped(_DURATION),
    "timestamp": _shaped(_TIMESTAMP),
}
_TYPE_NAMES = {
    "string": "TYPE_STRING",
    "bool": "TYPE_BOOL",
    "float": "TYPE_FLOAT",
    "double": "TYPE_DOUBLE",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "bytes": "TYPE_BYTES",
    "struct": _WELL_KNOWN + "Struct",
    "duration": _WELL_KNOWN + "Duration",
    "timestamp": _WELL_KNOWN + "Timestamp",
}
