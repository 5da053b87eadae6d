"""Answers of xAI that pass untouched: what the gateway must know of them.

A relay order's body is plain JSON: ``verb``, ``path`` below the host, ``query``,
``headers``, and ``content``, the bytes of the request body read as Latin-1.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.xai_answer import usage_metadata

RELAY = "relay"
#: The name under which plans, quotas and rests know what names no model, such as the
#: list of models, or a model that no route names.
NO_MODEL = "xai"
#: Events of a response that show nothing yet.
_OPENING = frozenset({"response.created", "response.in_progress", "response.queued"})
_ENDED = {"completed": "STOP", "incomplete": "MAX_TOKENS", "failed": "OTHER"}


def relay_body(
    verb: str, path: str, *, query: str, headers: dict[str, str], content: bytes
) -> Json:
    """Return the body of a relay order; see the module."""
    return {
        "verb": verb,
        "path": path,
        "query": query,
        "headers": headers,
        "content": content.decode("latin-1"),
    }


def content_of(body: Any) -> bytes:
    """Return the request's bytes as they came."""
    return str(body["content"]).encode("latin-1")


def whole_view(raw: bytes) -> Json:
    """Return what a whole answer holds, as far as it can be read: never fails."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return view_of(data) if isinstance(data, dict) else {}


def view_of(data: Json) -> Json:
    """Return a chat completion, chunk, response, response event or list of pictures
    as a Gemini response of the same progress, usage and id."""
    response = mapping(data.get("response"))
    if not response and data.get("object") == "response":
        response = data
    found: Json = {"candidates": list(_candidates(data, response))}
    usage = usage_of(response.get("usage") or data.get("usage"))
    if usage:
        found["usageMetadata"] = usage
    if response.get("id") or data.get("id"):
        found["responseId"] = str(response.get("id") or data["id"])
    return found


def done_view() -> Json:
    """Return what the mark at a stream's end means."""
    return {"candidates": [{"finishReason": "STOP", "index": 0}]}


def usage_of(usage: Any) -> Json:
    """Return either dialect's counts as usageMetadata."""
    if "input_tokens" not in mapping(usage) or usage.get("prompt_tokens"):
        return usage_metadata(usage)
    chat = {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens_details": usage.get("output_tokens_details"),
    }
    return usage_metadata(chat)


def _candidates(data: Json, response: Json) -> Iterator[Json]:
    if "choices" in data:
        yield from map(_choice, dicts(data["choices"]))
    elif isinstance(data.get("data"), list):
        yield from _pictures(data)
    elif response:
        yield from _response(data, response)
    elif "type" in data:
        yield _row(0, [{"text": " ", "thought": True}], None)


def _choice(choice: Json) -> Json:
    said = mapping(choice.get("message") or choice.get("delta"))
    parts: list[Json] = []
    if said.get("reasoning_content"):
        parts.append({"text": " ", "thought": True})
    if said.get("content") or said.get("refusal"):
        parts.append({"text": " "})
    if said.get("tool_calls"):
        parts.append({"functionCall": {}})
    finish = choice.get("finish_reason")
    index = choice.get("index")
    reason = "MAX_TOKENS" if finish == "length" else "STOP"
    return _row(index if isinstance(index, int) else 0, parts, finish and reason)


def _pictures(data: Json) -> Iterator[Json]:
    drawn = [r for r in dicts(data["data"]) if r.get("url") or r.get("b64_json")]
    if drawn:
        part = {"fileData": {"mimeType": "image/jpeg"}}
        yield _row(0, [part for _ in drawn], "STOP")


def _response(data: Json, response: Json) -> Iterator[Json]:
    finish = _ENDED.get(str(response.get("status")))
    if finish:
        yield _row(0, [{"text": " "}], finish)
    elif data.get("type") not in _OPENING:
        yield _row(0, [{"text": " ", "thought": True}], None)


def _row(index: int, parts: list[Json], finish: Any) -> Json:
    row: Json = {"index": index, "content": {"role": "model", "parts": parts}}
    return row | ({"finishReason": finish} if finish else {})
