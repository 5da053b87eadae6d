"""Short ways to write chat requests and to read their translation."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import BadRequest
from proxy.wire.openai_chat import ChatRequest, parse_chat

CAPTURES = Path(__file__).parents[2] / "data" / "captures"

FLASH_25 = "gemini-2.5-flash"
FLASH_3 = "gemini-3-flash-preview"

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(16)
PDF = b"%PDF-1.7\n" + bytes(8)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(16)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{b64(data)}"


def user(content: Any = "hi") -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def said(content: Any, **extra: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **extra}


def call(
    call_id: str | None, name: str = "f", arguments: Any = "{}", **extra: Any
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    made = {"type": "function", "function": function, **extra}
    return made if call_id is None else {"id": call_id, **made}


def calls(*listed: dict[str, Any], content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(listed)}


def result(call_id: str | None, content: Any = "ok", **extra: Any) -> dict[str, Any]:
    made = {"role": "tool", "content": content, **extra}
    return made if call_id is None else {**made, "tool_call_id": call_id}


def tool(name: str = "f", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


def parse(
    *messages: Any,
    model: str = FLASH_3,
    signatures: dict[str, str] | None = None,
    **fields: Any,
) -> ChatRequest:
    """Translate a request of these messages ("hi" when there are none)."""
    body = {"model": "m", "messages": list(messages) or [user()], **fields}
    return parse_chat(body, upstream_model=model, signatures=signatures or {})


def contents(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parse(*messages, **fields).body["contents"]
    return found


def config(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = parse(**fields).body.get("generationConfig", {})
    return found


def refused(*messages: Any, param: str | None, **fields: Any) -> BadRequest:
    """Assert that the request is refused with ``param``; return the fault."""
    with pytest.raises(BadRequest) as caught:
        parse(*messages, **fields)
    assert caught.value.param == param
    assert caught.value.status == 400
    return caught.value


def captured(name: str) -> list[Any]:
    """Return the bodies of a recorded SDK request."""
    lines = (CAPTURES / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line)["body"] for line in lines]
