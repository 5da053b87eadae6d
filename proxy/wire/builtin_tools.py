"""Tools that run at Google: the names clients use for them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.wire.openai_fields import bounded, maybe, record, text, wrong


class Builtin(NamedTuple):
    """A built-in tool: its key in Gemini's ``tools``, its value, the need it makes."""

    key: str
    value: dict[str, Any]
    need: str


#: Gemini's own keys, in both casings, and what an account must be able to do.
_KEYS = {
    "googleSearch": "search",
    "googleSearchRetrieval": "search",
    "urlContext": "search",
    "googleMaps": "search",
    "codeExecution": "code",
    "fileSearch": "tools",
    "computerUse": "tools",
    "mcpServers": "tools",
}
_SNAKE = {
    "google_search": "googleSearch",
    "google_search_retrieval": "googleSearchRetrieval",
    "url_context": "urlContext",
    "google_maps": "googleMaps",
    "code_execution": "codeExecution",
    "file_search": "fileSearch",
    "computer_use": "computerUse",
    "mcp_servers": "mcpServers",
}
#: Names that mean a tool which needs no configuration.
_NAMED = {
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "google_search": "googleSearch",
    "googleSearch": "googleSearch",
    "url_context": "urlContext",
    "urlContext": "urlContext",
    "code_interpreter": "codeExecution",
    "code_execution": "codeExecution",
    "codeExecution": "codeExecution",
}
#: Function names that clients which cannot send other tool types use instead.
_FUNCTION_NAMES = frozenset({"googleSearch", "urlContext", "codeExecution"})


def builtin_of(tool: dict[str, Any], where: str, dropped: list[str]) -> Builtin | None:
    """Return the built-in tool that an entry of ``tools`` means; None for others.

    Understood are OpenAI's hosted types, Gemini's raw ``{"googleSearch": {}}``, and
    functions without parameters that carry a built-in tool's name. What a hosted
    type asks beyond that is refused, or named in ``dropped`` when it only tunes.
    """
    kind = tool.get("type")
    if kind is None:
        return _raw(tool, where)
    if not isinstance(kind, str):
        return None
    if kind == "function":
        return _by_function_name(tool.get("function"))
    base = "web_search" if kind.startswith("web_search") else kind
    if base not in _NAMED:
        return None
    _check_options(tool, where, dropped)
    return _plain(_NAMED[base])


def search_options(body: Mapping[str, Any], dropped: list[str]) -> Builtin | None:
    """Return web search if the request has ``web_search_options``."""
    options = maybe(body, "web_search_options", record)
    if options is None:
        return None
    _check_options(options, "web_search_options", dropped)
    return _plain("googleSearch")


def _raw(tool: dict[str, Any], where: str) -> Builtin | None:
    for given, value in tool.items():
        key = _SNAKE.get(given, given)
        if key in _KEYS:
            bounded(value, f"{where}.{given}")
            return Builtin(key, record(value, f"{where}.{given}"), _KEYS[key])
    return None


def _by_function_name(function: object) -> Builtin | None:
    if not isinstance(function, dict):
        return None
    own, parameters = function.get("name"), function.get("parameters")
    has_properties = isinstance(parameters, dict) and parameters.get("properties")
    if not isinstance(own, str) or own not in _FUNCTION_NAMES or has_properties:
        return None
    return _plain(_NAMED[own])


def _plain(key: str) -> Builtin:
    return Builtin(key, {}, _KEYS[key])


def _check_options(options: dict[str, Any], where: str, dropped: list[str]) -> None:
    if options.get("filters"):
        raise wrong(f"{where}.filters", "is not offered: Gemini cannot limit domains")
    size = maybe(options, "search_context_size", text, where)
    if size not in (None, "medium"):
        dropped.append("web_search.search_context_size")
    if maybe(options, "user_location", record, where):
        dropped.append("web_search.user_location")
