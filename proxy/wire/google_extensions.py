"""Gemini's own fields in an OpenAI request: top-level and ``extra_body.google``."""

from collections.abc import Mapping
from typing import Any

from proxy.wire.openai_fields import either, maybe, name, record, sequence, text

_UNDER_GOOGLE = "extra_body.google"
#: Keys of the google object that are read somewhere, here or in other modules.
_READ = frozenset(
    {
        "cached_content",
        "cachedContent",
        "safety_settings",
        "safetySettings",
        "thinking_config",
        "thinkingConfig",
    }
)
_TIERS = ("flex", "priority")
_DEFAULT_TIERS = (None, "auto", "default", "standard")


def google_fields(body: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    """Return the caller's google object, from ``extra_body`` or the top level.

    Keys that nothing reads are named in ``dropped``. Raises BadRequest when either
    place holds something else than an object.
    """
    outer = maybe(body, "extra_body", record) or {}
    found = maybe(outer, "google", record, "extra_body") or {}
    found = (maybe(body, "google", record) or {}) | found
    dropped += [f"google.{key}" for key in found if key not in _READ]
    return found


def read_extensions(
    body: Mapping[str, Any], google: Mapping[str, Any], dropped: list[str]
) -> dict[str, Any]:
    """Return the generateContent fields for cached content, safety settings and the
    service tier."""
    out: dict[str, Any] = {}
    for key, names, read in (
        ("cachedContent", ("cached_content", "cachedContent"), name),
        ("safetySettings", ("safety_settings", "safetySettings"), _safety),
    ):
        value = either(google, names, read, _UNDER_GOOGLE) or either(body, names, read)
        if value:
            out[key] = value
    tier = maybe(body, "service_tier", text)
    if tier in _TIERS:
        out["serviceTier"] = tier
    elif tier not in _DEFAULT_TIERS:
        dropped.append("service_tier")
    return out


def _safety(value: object, param: str) -> list[dict[str, str]]:
    settings = []
    for index, entry in enumerate(sequence(value, param)):
        where = f"{param}[{index}]"
        given = record(entry, where)
        settings.append(
            {
                key: name(given.get(key), f"{where}.{key}")
                for key in ("category", "threshold")
            }
        )
    return settings
