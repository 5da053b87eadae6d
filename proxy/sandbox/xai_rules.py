"""What the imitated xAI takes: every field by name and type, nothing else."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from proxy.sandbox.content_rules import open_picture
from proxy.sandbox.xai_cards import Grok, find_grok
from proxy.sandbox.xai_faults import bad_argument, bad_body, no_model, unsupported

Json = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "flag": bool,
    "whole": int,
    "number": (int, float),
    "list": list,
    "object": dict,
    "any": (str, list, dict),
}
_CHAT = {
    "model": "text",
    "messages": "list",
    "deferred": "flag",
    "frequency_penalty": "number",
    "logit_bias": "object",
    "logprobs": "flag",
    "max_completion_tokens": "whole",
    "max_tokens": "whole",
    "n": "whole",
    "parallel_tool_calls": "flag",
    "presence_penalty": "number",
    "prompt_cache_key": "text",
    "reasoning_effort": "text",
    "response_format": "object",
    "search_parameters": "object",
    "seed": "whole",
    "service_tier": "text",
    "stop": "any",
    "stream": "flag",
    "stream_options": "object",
    "temperature": "number",
    "tool_choice": "any",
    "tools": "list",
    "top_logprobs": "whole",
    "top_p": "number",
    "user": "text",
    "web_search_options": "object",
}
_PICTURES = {
    "model": "text",
    "prompt": "text",
    "n": "whole",
    "response_format": "text",
    "aspect_ratio": "text",
    "resolution": "text",
    "quality": "text",
    "user": "text",
}
_TOKENS = {"model": "text", "text": "text", "user": "text"}
_RESPONSES = {
    "model": "text",
    "input": "any",
    "include": "list",
    "instructions": "text",
    "max_output_tokens": "whole",
    "metadata": "object",
    "parallel_tool_calls": "flag",
    "previous_response_id": "text",
    "prompt_cache_key": "text",
    "reasoning": "object",
    "store": "flag",
    "stream": "flag",
    "temperature": "number",
    "text": "object",
    "tool_choice": "any",
    "tools": "list",
    "top_p": "number",
    "user": "text",
}
_UNKNOWN_TO_THINKERS = {
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "stop": "stop",
}
_ROLES = ("system", "developer", "user", "assistant", "tool")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|jpg|webp);base64,(.+)", re.DOTALL)
_MOST_TOOLS = 128
MOST_PICTURES = 10


def read_chat(body: bytes) -> tuple[Json, Grok]:
    """A checked chat request and its model. Raises ``XaiRefusal``."""
    request = _object(body, _CHAT, required=("messages",))
    grok = _model(request)
    if grok.draws:
        raise bad_argument(f"The model {grok.id} is not a language model.")
    _check_parameters(request, grok)
    _check_ranges(request)
    _check_messages(request["messages"])
    _check_tools(request)
    return request, grok


def read_pictures(body: bytes) -> tuple[Json, Grok]:
    """A checked image generation and its model. Raises ``XaiRefusal``."""
    request = _object(body, _PICTURES, required=("prompt",))
    grok = _model(request)
    if not grok.draws:
        raise bad_argument(f"The model {grok.id} is not an image generation model.")
    if not 1 <= request.get("n", 1) <= MOST_PICTURES:
        raise bad_argument(f"n must be between 1 and {MOST_PICTURES}.")
    if request.get("response_format", "url") not in ("url", "b64_json"):
        raise bad_argument("response_format must be url or b64_json.")
    if not request["prompt"].strip():
        raise bad_argument("Prompt cannot be empty.")
    if grok.rewrites and "aspect_ratio" in request:
        raise bad_argument("Argument not supported: aspect_ratio")
    return request, grok


def read_response(body: bytes) -> tuple[Json, Grok]:
    """A checked request for a response and its model. Raises ``XaiRefusal``."""
    request = _object(body, _RESPONSES, required=("input",))
    return request, _model(request)


def read_text(body: bytes) -> str:
    """The text of a checked request to cut it into tokens. Raises ``XaiRefusal``."""
    request = _object(body, _TOKENS, required=("text",))
    grok = _model(request)
    if grok.draws:
        raise bad_argument(f"The model {grok.id} is not a language model.")
    if not request["text"]:
        raise bad_argument("Text cannot be empty.")
    return str(request["text"])


def _object(body: bytes, fields: Mapping[str, str], required: tuple[str, ...]) -> Json:
    try:
        data = json.loads(body)
    except ValueError as error:
        raise bad_argument(f"Failed to parse the request body as JSON: {error}") from (
            error
        )
    if not isinstance(data, dict):
        raise bad_body("invalid type, expected a struct")
    for name in required:
        if name not in data:
            raise bad_body(f"missing field `{name}`")
    for name, value in data.items():
        if name not in fields:
            raise bad_body(f"unknown field `{name}`")
        _check_type(name, value, fields[name])
    return {name: value for name, value in data.items() if value is not None}


def _check_type(name: str, value: Any, kind: str) -> None:
    if value is None:
        return
    wrong_flag = isinstance(value, bool) and kind != "flag"
    if wrong_flag or not isinstance(value, _TYPES[kind]):
        raise bad_body(f"{name}: invalid type, expected {kind}")


def _model(request: Json) -> Grok:
    if "model" not in request:
        raise bad_body("missing field `model`")
    grok = find_grok(request["model"])
    if grok is None:
        raise no_model(request["model"])
    return grok


def _check_parameters(request: Json, grok: Grok) -> None:
    """Refuse what a model does not know; those that think know the fewest."""
    effort = request.get("reasoning_effort")
    if effort is not None and effort not in grok.efforts:
        raise unsupported(request["model"], "reasoningEffort")
    if grok.card.thinking is None:
        return
    for name, shown in _UNKNOWN_TO_THINKERS.items():
        if name in request:
            raise unsupported(request["model"], shown)


def _check_ranges(request: Json) -> None:
    bounds = {"temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 8)}
    for name, (low, high) in bounds.items():
        if name in request and not low <= request[name] <= high:
            raise bad_argument(f"{name} must be between {low} and {high}.")
    for name in ("n", "max_tokens", "max_completion_tokens"):
        if request.get(name, 1) < 1:
            raise bad_argument(f"{name} must be positive.")
    if "stream_options" in request and not request.get("stream"):
        raise bad_argument("stream_options is only allowed when stream is true.")


def _check_messages(messages: list[Any]) -> None:
    if not messages:
        raise bad_argument("messages must not be empty.")
    known: set[str] = set()
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise bad_body(f"{where}: unknown variant of role")
        _MESSAGES[message["role"]](message, where, known)


def _check_said(message: Json, where: str, _known: set[str]) -> None:
    content = message.get("content")
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not content:
        raise bad_body(f"{where}.content: expected a string or a list of parts")
    for part in content:
        _check_part(part, where)


def _check_part(part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return
    image = part.get("image_url") if kind == "image_url" else None
    if not isinstance(image, dict):
        raise bad_body(f"{where}.content: unknown variant of part")
    picture_bytes(image.get("url"))


def picture_bytes(url: Any) -> bytes | None:
    """The bytes of a data URL, None for an address elsewhere."""
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return None
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise bad_argument("Invalid image url: neither a URL nor a base64 data URL.")
    try:
        data = base64.b64decode(match[1], validate=True)
        open_picture(data)
    except (binascii.Error, OSError, ValueError, SyntaxError) as error:
        raise bad_argument("Unrecognized image format.") from error
    return data


def _check_answered(message: Json, where: str, known: set[str]) -> None:
    calls = message.get("tool_calls") or []
    if not calls and not isinstance(message.get("content"), (str, list)):
        raise bad_body(f"{where}: content or tool_calls expected")
    for call in calls:
        function = call.get("function", {}) if isinstance(call, dict) else {}
        if not isinstance(call.get("id"), str) or call.get("type") != "function":
            raise bad_body(f"{where}.tool_calls: malformed call")
        if not isinstance(function.get("arguments"), str):
            raise bad_body(f"{where}.tool_calls: arguments must be a string")
        known.add(call["id"])


def _check_result(message: Json, where: str, known: set[str]) -> None:
    if message.get("tool_call_id") not in known:
        raise bad_argument(f"{where}: tool_call_id belongs to no call before it.")
    if not isinstance(message.get("content"), (str, list)):
        raise bad_body(f"{where}: content expected")


_MESSAGES: dict[str, Callable[[Json, str, set[str]], None]] = {
    "system": _check_said,
    "developer": _check_said,
    "user": _check_said,
    "assistant": _check_answered,
    "tool": _check_result,
}


def _check_tools(request: Json) -> None:
    tools = request.get("tools", [])
    if len(tools) > _MOST_TOOLS:
        raise bad_argument(f"At most {_MOST_TOOLS} tools are allowed.")
    if "tool_choice" in request and not tools and request["tool_choice"] != "none":
        raise bad_argument("A tool_choice was set on the request but no tools.")
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type") != "function":
            raise bad_body("tools: unknown variant, expected function")
        _check_function(function)


def _check_function(function: Json) -> None:
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise bad_argument(f"Invalid function name: {name!r}")
    schema = function.get("parameters", {"type": "object", "properties": {}})
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise bad_argument(f"The parameters of {name} are no object schema.")
    if not isinstance(schema.get("properties"), dict):
        raise bad_argument(
            "Invalid request content: Schema validation failed: [standard_violation]"
            ' /properties: null is not of type "object"'
        )
