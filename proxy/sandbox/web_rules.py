"""Rules in a prompt of the imitated site that a real model follows.

A model that is told in words how to call tools, or to answer as JSON, does so. This one
must be told as well: it knows tools and schemas only from the text of the prompt.
"""

import json
import re
from typing import Any

from proxy.sandbox.model import Reply

_FENCE = re.compile(r"```(toolcall|toolresult)\n(.*?)\n```\n?", re.DOTALL)
_TOOLS = re.compile(r"^You have tools\..*?```(\w+)\n.*?^The tools, .*?:$", re.M | re.S)
_TOOL = re.compile(r"\n(\{\"name\":.*\})")
_MUST = "must use at least one of the tools"
_JSON = re.compile(r"^Give your final answer as JSON only: .*$", re.MULTILINE)
_SCHEMA = re.compile(r"valid under this JSON Schema:\n(\{.*\})")
_CHOICE = re.compile(
    r"^Give your final answer as exactly one of these words.*:\n((?:.+\n?)+)", re.M
)


def understood(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the rules of its system text taken to heart.

    What earlier turns and results say in blocks is understood too.
    """
    parts = request.get("systemInstruction", {}).get("parts", ())
    text = "\n".join(part.get("text", "") for part in parts)
    made = dict(request)
    config = dict(request.get("generationConfig", {}))
    tools = _TOOLS.search(text)
    if tools is not None and tools[1] == "toolcall":
        text = _learn_tools(text, tools, made)
    text = _learn_form(text, config)
    if config:
        made["generationConfig"] = config
    if parts:
        made["systemInstruction"] = {"parts": [{"text": text.strip()}]}
    return made


def written(reply: Reply, request: dict[str, Any]) -> Reply:
    """Return the reply to an understood request as the site shows it: as text, where
    calls and JSON are blocks of code."""
    form = request.get("generationConfig", {}).get("responseMimeType")
    shown = []
    for part in reply.parts:
        if "functionCall" in part:
            part = _block(part["functionCall"])
        elif "text" in part and form == "application/json":
            part = {"text": f"```json\n{part['text']}\n```"}
        shown.append(part)
    reply.parts = shown
    return reply


def _learn_tools(text: str, rule: re.Match[str], made: dict[str, Any]) -> str:
    """Add the tools that a text describes; return it without them."""
    declared, place = [], rule.end()
    while (line := _TOOL.match(text, place)) is not None:
        told = json.loads(line[1])
        told["parametersJsonSchema"] = told.pop("parameters")
        declared.append(told)
        place = line.end()
    made["tools"] = [{"functionDeclarations": declared}]
    mode = "ANY" if _MUST in rule[0] else "AUTO"
    made["toolConfig"] = {"functionCallingConfig": {"mode": mode}}
    made["contents"] = [_with_parts(content) for content in made["contents"]]
    return text[: rule.start()] + text[place:]


def _learn_form(text: str, config: dict[str, Any]) -> str:
    """Note the form that an answer shall have; return the text without it."""
    choice = _CHOICE.search(text)
    if choice is not None:
        words = choice[1].strip().splitlines()
        config["responseMimeType"] = "text/x.enum"
        config["responseSchema"] = {"type": "STRING", "enum": words}
        return text[: choice.start()] + text[choice.end() :]
    asked = _JSON.search(text)
    if asked is None:
        return text
    config["responseMimeType"] = "application/json"
    schema = _SCHEMA.search(text, asked.start())
    if schema is not None:
        config["responseJsonSchema"] = json.loads(schema[1])
    end = asked.end() if schema is None else schema.end()
    return text[: asked.start()] + text[end:]


def _with_parts(content: dict[str, Any]) -> dict[str, Any]:
    """Return a turn with its blocks understood; what people write is only words."""
    if content["role"] not in ("model", "tool"):
        return content
    parts: list[dict[str, Any]] = []
    for part in content["parts"]:
        parts += _parts_of(part["text"]) if "text" in part else [part]
    return {**content, "parts": parts}


def _parts_of(text: str) -> list[dict[str, Any]]:
    """Split a text at its blocks."""
    parts: list[dict[str, Any]] = []
    place = 0
    for block in _FENCE.finditer(text):
        parts.append({"text": text[place : block.start()]})
        told = json.loads(block[2])
        if block[1] == "toolcall":
            call = {"name": told["name"], "args": told["arguments"]}
            parts.append({"functionCall": call})
        else:
            result = {"name": told["name"], "response": told["result"]}
            parts.append({"functionResponse": result})
        place = block.end()
    parts.append({"text": text[place:]})
    return [part for part in parts if part.get("text", "x").strip()] or parts[-1:]


def _block(call: dict[str, Any]) -> dict[str, Any]:
    told = {"name": call["name"], "arguments": call["args"]}
    return {"text": f"```toolcall\n{json.dumps(told, ensure_ascii=False)}\n```\n"}
