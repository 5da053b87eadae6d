"""Small builders of Gemini answers and readers of rendered streams."""

import json
from typing import Any

from proxy.wire.openai_answer import Style
from proxy.wire.openai_stream import ChatStream

PNG = "iVBORw0KGgo="


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"text": words, **more}


def thought(words: str) -> dict[str, Any]:
    return {"text": words, "thought": True}


def call(name: str, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    signature = more.pop("signature", None)
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args or {}, **more}}
    if signature:
        part["thoughtSignature"] = signature
    return part


def image(data: str = PNG, mime: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": data}}


def chunk(
    *parts: dict[str, Any],
    finish: str | None = None,
    usage: dict[str, Any] | None = None,
    **candidate: Any,
) -> dict[str, Any]:
    """A chunk, or a whole answer, with one candidate."""
    row: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if not parts:
        row = {"content": {"role": "model"}}
    row |= {"index": 0, **candidate}
    if finish:
        row["finishReason"] = finish
    data: dict[str, Any] = {
        "candidates": [row],
        "modelVersion": "gemini-3-flash-002",
        "responseId": "resp-1",
    }
    if usage:
        data["usageMetadata"] = usage
    return data


def style(**more: Any) -> Style:
    base: dict[str, Any] = {
        "id": "chatcmpl-abc",
        "model": "gemini-3-flash",
        "created": 1_700_000_000,
        "tool_names": {},
    }
    return Style(**{**base, **more})


def events(raw: bytes) -> list[Any]:
    """The data of every event; "[DONE]" stays a string."""
    found = []
    for block in raw.decode().split("\n\n"):
        if not block:
            continue
        assert block.startswith("data: ")
        assert "\n" not in block
        body = block.removeprefix("data: ")
        found.append(body if body == "[DONE]" else json.loads(body))
    return found


def stream(chunks: list[dict[str, Any]], **how: Any) -> bytes:
    """The bytes of a stream whose chunks arrived one by one."""
    renderer = ChatStream(style(**how))
    raw = renderer.start()
    for data in chunks:
        raw += renderer.render([data])
    return raw + renderer.finish()


def deltas(raw: bytes, index: int = 0) -> list[dict[str, Any]]:
    """The non-empty deltas of one choice after its role."""
    rows = [
        choice
        for event in events(raw)
        if isinstance(event, dict)
        for choice in event.get("choices", ())
        if choice["index"] == index
    ]
    return [row["delta"] for row in rows if row["delta"] and "role" not in row["delta"]]


def finishes(raw: bytes) -> list[str]:
    return [
        choice["finish_reason"]
        for event in events(raw)
        if isinstance(event, dict)
        for choice in event.get("choices", ())
        if choice["finish_reason"]
    ]
