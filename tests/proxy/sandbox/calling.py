"""How tests call the sandbox, and how they read what it says."""

import base64
import io
import json
from typing import Any

import httpx
from PIL import Image

from proxy.sandbox.keys import sandbox_key

NEW = "gemini-3-flash-preview"
OLD = "gemini-2.5-flash"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
TIME = {
    "name": "get_time",
    "parameters": {
        "type": "OBJECT",
        "properties": {"zone": {"type": "STRING", "enum": ["UTC", "CET"]}},
        "required": ["zone"],
    },
}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [_part(part) for part in parts]}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": [_part(part) for part in parts]}


def _part(part: Any) -> Any:
    return {"text": part} if isinstance(part, str) else part


def asking(text: str, **fields: Any) -> dict[str, Any]:
    return {"contents": [user(text)], **fields}


def configured(text: str = "hello", **config: Any) -> dict[str, Any]:
    return asking(text, generationConfig=config)


def with_tools(text: str, *declarations: Any, **fields: Any) -> dict[str, Any]:
    return asking(text, tools=[{"functionDeclarations": list(declarations)}], **fields)


def picture_part(colour: str, size: tuple[int, int] = (32, 32)) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"inlineData": {"mimeType": "image/png", "data": data}}


async def call(
    client: httpx.AsyncClient,
    body: Any,
    *,
    to: str = NEW,
    method: str = "generateContent",
    key: str | None = None,
    query: str = "",
) -> httpx.Response:
    return await client.post(
        f"/v1beta/models/{to}:{method}{query}",
        headers={"x-goog-api-key": sandbox_key() if key is None else key},
        **({"content": body} if isinstance(body, bytes) else {"json": body}),
    )


async def answer(client: httpx.AsyncClient, body: Any, **how: Any) -> dict[str, Any]:
    response = await call(client, body, **how)
    assert response.status_code == 200, response.text
    return response.json()


async def refusal(client: httpx.AsyncClient, body: Any, **how: Any) -> dict[str, Any]:
    response = await call(client, body, **how)
    assert response.status_code >= 400, response.text
    error = response.json()["error"]
    assert error["code"] == response.status_code
    return error


async def stream(client: httpx.AsyncClient, body: Any, **how: Any) -> list[Any]:
    response = await call(
        client, body, method="streamGenerateContent", query="?alt=sse", **how
    )
    assert response.status_code == 200, response.text
    return events(response.text)


def events(text: str) -> list[Any]:
    assert text.endswith("\r\n\r\n")
    blocks = text.removesuffix("\r\n\r\n").split("\r\n\r\n")
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def parts_of(response: dict[str, Any], index: int = 0) -> list[Any]:
    return response["candidates"][index]["content"].get("parts", [])


def text_of(response: dict[str, Any], index: int = 0) -> str:
    parts = parts_of(response, index)
    return "".join(p.get("text", "") for p in parts if not p.get("thought"))


def finish_of(response: dict[str, Any]) -> str | None:
    return response["candidates"][0].get("finishReason")


def calls_of(response: dict[str, Any]) -> list[Any]:
    return [p["functionCall"] for p in parts_of(response) if "functionCall" in p]
