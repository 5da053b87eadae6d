"""The model: simple, predictable answers to a checked request."""

import base64
import hashlib
import json
import operator
import re
from dataclasses import dataclass, field
from typing import Any

from proxy.sandbox import grounding, pictures
from proxy.sandbox.asking import Question
from proxy.sandbox.catalogue import Card
from proxy.sandbox.config_rules import json_schema_of
from proxy.sandbox.schema_values import Words, fill
from proxy.sandbox.signatures import sign_call, sign_text

_SHOWN = 200
_USUAL_THINKING = 32
_LEVELS = {"MINIMAL": 0, "LOW": 16, "MEDIUM": 32, "HIGH": 48}
_SUM = re.compile(r"(\d{1,9})\s*([-+*x])\s*(\d{1,9})")
_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "x": operator.mul,
}


@dataclass
class Reply:
    """One candidate: its parts as JSON, and what goes with them."""

    parts: list[dict[str, Any]]
    finish: str = "STOP"
    thought: str = ""
    signature: str = ""
    word_by_word: bool = False
    extras: dict[str, Any] = field(default_factory=dict)


def thinking_tokens(config: dict[str, Any], card: Card) -> int:
    """How many tokens the model thinks before it answers."""
    if card.thinking is None:
        return 0
    asked = config.get("thinkingConfig", {})
    if "thinkingBudget" in asked:
        budget = asked["thinkingBudget"]
        return _USUAL_THINKING if budget < 0 else min(budget, _USUAL_THINKING)
    if asked.get("thinkingLevel") in _LEVELS:
        return _LEVELS[asked["thinkingLevel"]]
    if not card.thinking.starts_on:
        return 0
    return _LEVELS["HIGH"] if card.thinking.levels else _USUAL_THINKING


def compose(request: dict[str, Any], card: Card, candidate: int = 0) -> Reply:
    """The answer to a request, before any length limit."""
    question = Question(request)
    reply = _answer(question, card)
    thinking = question.config.get("thinkingConfig", {})
    if thinking.get("includeThoughts") and thinking_tokens(question.config, card):
        about = _cut(question.text) or "nothing"
        reply.thought = f"**Reading the request**\n\nThe user says: {about}"
    _finish_texts(reply, question, candidate)
    if card.signs_thoughts:
        _sign(reply, card)
    return reply


def _answer(question: Question, card: Card) -> Reply:
    if question.must_call and question.callable:
        return _calls(question, card, question.named or question.callable[:1])
    if question.results and question.mime_type == "text/plain":
        return Reply([{"text": _told_results(question)}])
    if question.results:
        return Reply([{"text": _structured(question)}])
    if question.named:
        return _calls(question, card, question.named)
    if question.mime_type != "text/plain":
        return Reply([{"text": _structured(question)}])
    if card.draws and "IMAGE" in _modalities(question):
        return _picture(question)
    if question.wants_code:
        return _code(question)
    return _words(question)


def _modalities(question: Question) -> list[str]:
    return question.config.get("responseModalities") or ["TEXT", "IMAGE"]


def _calls(question: Question, card: Card, wanted: list[dict[str, Any]]) -> Reply:
    names = tuple(each["name"] for each in question.callable)
    texts = question.texts_for(wanted)
    parts = []
    for index, each in enumerate(wanted):
        schema = each.get("parametersJsonSchema") or each.get("parameters")
        words = Words(_without(names, texts[index]), avoid=names)
        args = fill(schema, words, optional=False) if schema else {}
        call = {"name": each["name"], "args": args}
        if card.signs_thoughts:
            call["id"] = _call_id(question, each["name"], index)
        parts.append({"functionCall": call})
    return Reply(parts)


def _without(names: tuple[str, ...], text: str) -> str:
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    return text


def _call_id(question: Question, name: str, index: int) -> str:
    turns = len(question.request["contents"])
    seed = f"{turns} {index} {name} {question.text}"
    return hashlib.sha256(seed.encode()).hexdigest()[:8]


def _told_results(question: Question) -> str:
    told = [
        f"{result.get('name')} says {_told(result.get('response', {}))}."
        for result in question.results
    ]
    told += [f"It shows {pictures.describe(each)}." for each in question.pictures]
    return " ".join(told)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_told(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_told(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _structured(question: Question) -> str:
    schema = question.config.get("responseSchema")
    if schema is None:
        schema = json_schema_of(question.config)
    if schema is None:
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    value = fill(schema, Words(question.text))
    if question.mime_type == "text/x.enum":
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _picture(question: Question) -> Reply:
    config = question.config.get("imageConfig", {})
    sources = " ".join(pictures.describe(each) for each in question.pictures)
    drawn = pictures.draw(
        f"{question.text} {sources}".strip(),
        config.get("aspectRatio", ""),
        config.get("imageSize", ""),
    )
    encoded = base64.b64encode(drawn).decode()
    parts: list[dict[str, Any]] = []
    if "TEXT" in _modalities(question):
        parts.append({"text": f"Here is the picture: {_cut(question.text)}"})
    parts.append({"inlineData": {"mimeType": "image/png", "data": encoded}})
    return Reply(parts)


def _code(question: Question) -> Reply:
    match = _SUM.search(question.text)
    left, sign, right = match.groups() if match else ("1", "+", "1")
    result = _OPERATORS[sign](int(left), int(right))
    code = f"print({left} {sign.replace('x', '*')} {right})"
    outcome = {"outcome": "OUTCOME_OK", "output": f"{result}\n"}
    return Reply(
        [
            {"executableCode": {"language": "PYTHON", "code": code}},
            {"codeExecutionResult": outcome},
            {"text": f"The code printed {result}."},
        ]
    )


def _words(question: Question) -> Reply:
    if question.echo is not None:
        return Reply([{"text": question.echo}])
    if question.count is not None:
        numbers = " ".join(str(n) for n in range(1, question.count + 1))
        return Reply([{"text": numbers}], word_by_word=True)
    return Reply([{"text": _said(question)}])


def _said(question: Question) -> str:
    if question.asks_name:
        known = question.name
        return f"Your name is {known}." if known else "You have not told me your name."
    if question.pictures:
        seen = [pictures.describe(each) for each in question.pictures]
        return f"I see {' and '.join(seen)}."
    if question.name and question.name in question.text:
        return f"Nice to meet you, {question.name}. This is the sandbox."
    about = _cut(question.text)
    return (
        f"This is the sandbox. You said: {about}" if about else "This is the sandbox."
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def _finish_texts(reply: Reply, question: Question, candidate: int) -> None:
    """Add what belongs after a text: the wanted ending, sources, the number."""
    last = reply.parts[-1]
    if "text" not in last or question.mime_type != "text/plain":
        return
    if candidate:
        last["text"] += f" (candidate {candidate + 1})"
    if question.ending:
        last["text"] += f" {question.ending}"
    if "googleSearch" in question.built_in:
        if question.shows_tools:
            reply.parts[:0] = grounding.tool_parts(question.text)
        place = len(reply.parts) - 1 + bool(reply.thought)
        reply.extras["groundingMetadata"] = grounding.metadata(
            last["text"], place, question.text
        )
    if question.urls:
        reply.extras["urlContextMetadata"] = grounding.url_metadata(question.urls)


def _sign(reply: Reply, card: Card) -> None:
    for part in reply.parts:
        if "functionCall" in part:
            call = part["functionCall"]
            part["thoughtSignature"] = sign_call(card, call["name"], call["args"])
            return
    drawn = [part for part in reply.parts if "inlineData" in part]
    for part in drawn:
        part["thoughtSignature"] = sign_text(card, part["inlineData"]["data"])
    if not drawn:
        reply.signature = sign_text(card, reply.parts[-1].get("text", ""))
