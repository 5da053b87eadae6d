"""The imitated xAI's responses: whole, as events, and kept for later."""

from collections.abc import Iterator
from typing import Any

from proxy.sandbox.answers import split
from proxy.sandbox.xai_words import usage_of

Json = dict[str, Any]


def as_chat(request: Json) -> Json:
    """The chat request that a request for a response amounts to."""
    given = request["input"]
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    messages = [
        {"role": item["role"], "content": _said(item["content"])}
        for item in given
        if isinstance(item, dict) and "role" in item
    ]
    if request.get("instructions"):
        messages.insert(0, {"role": "system", "content": request["instructions"]})
    return {"model": request["model"], "messages": messages}


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def response(text: str, metadata: Json, model: str, response_id: str) -> Json:
    """The whole object."""
    usage = usage_of(metadata)
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1760000000,
        "status": "completed",
        "error": None,
        "model": model,
        "output": [
            {
                "type": "message",
                "id": f"msg_{response_id}",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": True,
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"]
            + usage["completion_tokens_details"]["reasoning_tokens"],
            "total_tokens": usage["total_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {
                "reasoning_tokens": usage["completion_tokens_details"][
                    "reasoning_tokens"
                ]
            },
        },
    }


def events(whole: Json) -> Iterator[Json]:
    """The events of a stream."""
    item = whole["output"][0]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    text = item["content"][0]["text"]
    rows: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *(
            {"type": "response.output_text.delta", **where, "delta": piece}
            for piece in split(text)
        ),
        {"type": "response.output_text.done", **where, "text": text},
        {"type": "response.completed", "response": whole},
    ]
    for number, row in enumerate(rows):
        yield {**row, "sequence_number": number}
