"""Google's error objects without what names our accounts, keys and projects."""

import re
from collections.abc import Mapping
from typing import Any

_GONE = "…"
_DROPPED_METADATA = {"consumer", "containerInfo", "apiKey", "email", "activationUrl"}
_SECRET_TEXT = re.compile(
    r"""
      \bAIza[\w-]{8,}
    | \bAQ\.[\w.-]{8,}
    | \bya29\.[\w.-]{8,}
    | \bapi_key:[^\s'"]+
    | [\w.+-]+@[\w-]+\.[\w.-]+
    | \bgen-lang-client-\d+
    """,
    re.VERBOSE,
)
_PROJECT_TEXT = re.compile(
    r"""
    \b(projects?(?:_?(?:number|id))?)      # the word
    ( / | \s*[:=]\s* | \s(?=[\w-]*\d) )    # what binds a name to it
    ['"]?[\w.:-]+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DEPTH_LIMIT = 12


def cleaned_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy that may be shown to callers.

    DebugInfo is dropped; keys, projects, mail addresses and the consumer metadata of
    ErrorInfo are removed; keys that arrived with stray spaces (``" @type"``) are
    trimmed.
    """
    shown = _cleaned(error, _DEPTH_LIMIT)
    details = shown.get("details")
    if isinstance(details, list):
        shown["details"] = [d for d in details if not _is_debug(d)]
    return shown


def redacted_text(text: str) -> str:
    """Return the text without keys, projects and mail addresses."""
    return _PROJECT_TEXT.sub(rf"\1\2{_GONE}", _SECRET_TEXT.sub(_GONE, text))


def _is_debug(detail: object) -> bool:
    return isinstance(detail, dict) and str(detail.get("@type", "")).endswith(
        ".DebugInfo"
    )


def _cleaned(value: Mapping[str, Any], depth: int) -> dict[str, Any]:
    return {
        name: _cleaned_value(item, depth - 1)
        for name, item in ((str(key).strip(), item) for key, item in value.items())
        if name not in _DROPPED_METADATA
    }


def _cleaned_value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, (Mapping, list)) and depth <= 0:
        return None
    if isinstance(value, Mapping):
        return _cleaned(value, depth)
    if isinstance(value, list):
        return [_cleaned_value(item, depth - 1) for item in value]
    return value
