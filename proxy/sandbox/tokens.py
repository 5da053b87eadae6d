"""A deterministic stand-in for a tokenizer: counts by modality that add up."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

IMAGE_TOKENS = 258
DRAWN_IMAGE_TOKENS = 1290
_MEDIA_TOKENS = {"AUDIO": 320, "VIDEO": 2630, "DOCUMENT": 258, "IMAGE": IMAGE_TOKENS}
_PAYLOADS = (
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)


def text_tokens(text: str) -> int:
    """Tokens of a text: a quarter of its UTF-8 bytes, rounded up."""
    return -(-len(text.encode()) // 4)


def modality_of(mime_type: str) -> str:
    """The modality under which a media type is counted."""
    kind = mime_type.partition("/")[0]
    if kind in {"image", "audio", "video"}:
        return kind.upper()
    return "TEXT" if kind == "text" else "DOCUMENT"


def _plain(value: Any) -> Any:
    return None if isinstance(value, bytes) else str(value)


def _json_tokens(value: Any) -> int:
    return text_tokens(json.dumps(value, default=_plain, ensure_ascii=False))


def _media_tokens(media: dict[str, Any]) -> tuple[str, int]:
    modality = modality_of(media.get("mimeType", ""))
    if modality == "TEXT":
        return modality, -(-len(media.get("data", b"")) // 4)
    return modality, _MEDIA_TOKENS[modality]


def part_tokens(part: dict[str, Any]) -> Counter[str]:
    """Tokens of one parsed part, by modality."""
    counted: Counter[str] = Counter()
    if "text" in part:
        counted["TEXT"] += text_tokens(part["text"])
    for name in ("inlineData", "fileData"):
        if name in part:
            modality, tokens = _media_tokens(part[name])
            counted[modality] += tokens
    for name in _PAYLOADS:
        if name in part:
            payload = {k: v for k, v in part[name].items() if k != "parts"}
            counted["TEXT"] += _json_tokens(payload)
            for nested in part[name].get("parts", ()):
                counted += part_tokens(nested)
    return counted


def prompt_tokens(request: dict[str, Any]) -> Counter[str]:
    """Tokens of a parsed request: contents, system instruction and tools."""
    counted: Counter[str] = Counter()
    contents = [*request.get("contents", ()), request.get("systemInstruction") or {}]
    for content in contents:
        for part in content.get("parts", ()):
            counted += part_tokens(part)
    for tool in request.get("tools", ()):
        for declaration in tool.get("functionDeclarations", ()):
            counted["TEXT"] += _json_tokens(declaration)
    return counted


def details(counted: Counter[str]) -> list[dict[str, Any]]:
    """The ``ModalityTokenCount`` list for a count."""
    return [
        {"modality": modality, "tokenCount": tokens}
        for modality, tokens in sorted(counted.items(), key=_text_first)
        if tokens
    ]


def _text_first(item: tuple[str, int]) -> tuple[bool, str]:
    return item[0] != "TEXT", item[0]


def total(counted: Counter[str] | Iterable[Counter[str]]) -> int:
    """All tokens of one count or of several."""
    if isinstance(counted, Counter):
        return sum(counted.values())
    return sum(sum(each.values()) for each in counted)
