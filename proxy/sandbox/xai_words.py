"""Chat requests of xAI's for the sandbox's model, and its answers in xAI's words."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from proxy.sandbox.answers import Answer
from proxy.sandbox.xai_cards import Grok
from proxy.sandbox.xai_rules import picture_bytes

Json = dict[str, Any]

_BUDGETS = {"none": 0, "low": 16, "medium": 32, "high": 32, "xhigh": 32}
_FINISHES = {"STOP": "stop", "MAX_TOKENS": "length"}
_CREATED = 1760000000


def pieces(text: str) -> list[Json]:
    """A text cut into tokens: here simply its words, each with the blank before it."""
    return [
        {
            "token_id": sum(word.encode()) % 100_000,
            "string_token": word,
            "token_bytes": list(word.encode()),
        }
        for word in re.findall(r"\s?\S+|\s+", text)
    ]


def question_of(request: Json, grok: Grok) -> Json:
    """The request as the sandbox's model reads it."""
    system, contents = [], []
    names: dict[str, str] = {}
    for message in request["messages"]:
        if message["role"] in ("system", "developer"):
            system += _parts(message["content"])
        else:
            contents.append(_turn(message, names))
    found: Json = {"contents": contents, "generationConfig": _config(request, grok)}
    if system:
        found["systemInstruction"] = {"parts": system}
    if request.get("tools"):
        found["tools"] = [{"functionDeclarations": _declared(request["tools"])}]
        found["toolConfig"] = {"functionCallingConfig": _calling(request)}
    return found


def _config(request: Json, grok: Grok) -> Json:
    config: Json = {"candidateCount": request.get("n", 1)}
    most = request.get("max_completion_tokens", request.get("max_tokens"))
    if most is not None:
        config["maxOutputTokens"] = most
    stop = request.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    form = request.get("response_format", {})
    if form.get("type", "text") != "text":
        config["responseMimeType"] = "application/json"
    if form.get("type") == "json_schema":
        config["responseJsonSchema"] = form["json_schema"].get("schema", {})
    if grok.card.thinking is not None:
        budget = _BUDGETS[request.get("reasoning_effort", "high")]
        config["thinkingConfig"] = {"thinkingBudget": budget, "includeThoughts": True}
    return config


def _turn(message: Json, names: dict[str, str]) -> Json:
    if message["role"] == "assistant":
        parts = _parts(message.get("content") or "")
        for call in message.get("tool_calls") or []:
            function = call["function"]
            names[call["id"]] = function["name"]
            args = json.loads(function["arguments"] or "{}")
            parts.append({"functionCall": {"name": function["name"], "args": args}})
        return {"role": "model", "parts": parts}
    if message["role"] == "tool":
        name = names[message["tool_call_id"]]
        result = {"name": name, "response": _result(message["content"])}
        return {"role": "user", "parts": [{"functionResponse": result}]}
    return {"role": "user", "parts": _parts(message["content"])}


def _result(content: Any) -> Json:
    text = content if isinstance(content, str) else json.dumps(content)
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {"result": value}


def _parts(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"text": content}] if content else []
    return [_part(part) for part in content]


def _part(part: Json) -> Json:
    if part["type"] == "text":
        return {"text": part["text"]}
    data = picture_bytes(part["image_url"]["url"])
    if data is None:
        return {"text": f"[{part['image_url']['url']}]"}
    return {"inlineData": {"mimeType": "image/png", "data": data}}


def _declared(tools: Sequence[Json]) -> list[Json]:
    return [
        {
            "name": tool["function"]["name"],
            "parametersJsonSchema": tool["function"].get("parameters", {}),
        }
        for tool in tools
    ]


def _calling(request: Json) -> Json:
    choice = request.get("tool_choice", "auto")
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    return {"mode": {"none": "NONE", "required": "ANY"}.get(choice, "AUTO")}


def completion(answer: Answer, model: str, answer_id: str) -> Json:
    """A whole chat completion."""
    response = answer.whole()
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": [_choice(row, answer_id) for row in response["candidates"]],
        "usage": usage_of(response["usageMetadata"]),
        "system_fingerprint": "fp_sandbox",
    }


def _choice(candidate: Json, answer_id: str) -> Json:
    message: Json = {"role": "assistant", "content": "", "refusal": None}
    delta = _delta(candidate, answer_id)
    message |= {"content": "", **delta}
    return {
        "index": candidate["index"],
        "message": message,
        "finish_reason": _finish(candidate, delta),
    }


def _delta(candidate: Json, answer_id: str) -> Json:
    parts = candidate["content"].get("parts", [])
    said = "".join(p.get("text", "") for p in parts if not p.get("thought"))
    thought = "".join(p.get("text", "") for p in parts if p.get("thought"))
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    delta: Json = {}
    if said:
        delta["content"] = said
    if thought:
        delta["reasoning_content"] = thought
    if calls:
        delta["tool_calls"] = [
            _call(call, place, answer_id) for place, call in enumerate(calls)
        ]
    return delta


def _call(call: Json, place: int, answer_id: str) -> Json:
    arguments = json.dumps(call["args"], ensure_ascii=False)
    return {
        "id": f"call_{call['name']}_{place}_{answer_id[-8:]}",
        "type": "function",
        "index": place,
        "function": {"name": call["name"], "arguments": arguments},
    }


def _finish(candidate: Json, delta: Json) -> str | None:
    if "finishReason" not in candidate:
        return None
    if "tool_calls" in delta:
        return "tool_calls"
    return _FINISHES.get(candidate["finishReason"], "stop")


def chunks(answer: Answer, model: str, answer_id: str) -> Iterator[Json]:
    """The chunks of a stream; a call comes whole, usage in a chunk of its own."""
    head = {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": model,
        "system_fingerprint": "fp_sandbox",
    }
    usage: Json = {}
    called: set[int] = set()
    for response in answer.chunks():
        usage = response["usageMetadata"]
        for candidate in response["candidates"]:
            delta = _delta(candidate, answer_id)
            called |= {candidate["index"]} if "tool_calls" in delta else set()
            finish = _finish(candidate, delta)
            if finish == "stop" and candidate["index"] in called:
                finish = "tool_calls"
            row = {
                "index": candidate["index"],
                "delta": {"role": "assistant", **delta},
                "finish_reason": finish,
            }
            yield {**head, "choices": [row]}
    yield {**head, "choices": [], "usage": usage_of(usage)}


def usage_of(metadata: Json) -> Json:
    """Counts as xAI gives them: what was thought is not in the completion."""
    thoughts = metadata.get("thoughtsTokenCount", 0)
    sent = {
        row["modality"]: row["tokenCount"] for row in metadata["promptTokensDetails"]
    }
    return {
        "prompt_tokens": metadata["promptTokenCount"],
        "completion_tokens": metadata.get("candidatesTokenCount", 0),
        "total_tokens": metadata["totalTokenCount"],
        "prompt_tokens_details": {
            "text_tokens": sent.get("TEXT", 0),
            "audio_tokens": 0,
            "image_tokens": sent.get("IMAGE", 0),
            "cached_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": thoughts,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
    }
