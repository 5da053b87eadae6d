"""Gemini JSON as data: token counts, needed capabilities, progress, folding."""

from collections.abc import Iterator
from typing import Any, Literal

from proxy.wire.gemini_answer import (
    ANSWERED,
    FILTERED,
    Json,
    Usage,
    candidates_of,
    dicts,
    mapping,
    parts_of,
    read_usage,
    reason_of,
    sum_metadata,
)
from proxy.wire.gemini_fold import fold, merge_candidates

__all__ = [
    "Json",
    "Progress",
    "Usage",
    "Verdict",
    "fold",
    "merge_candidates",
    "needs",
    "normalise",
    "read_usage",
    "sum_metadata",
]

Verdict = Literal["content", "wait", "empty", "blocked", "malformed"]

#: What a part may hold that a caller sees (text is judged apart).
_SHOWN = ("functionCall", "inlineData", "fileData", "executableCode")
_DEPTH = 32
_OPAQUE = frozenset(
    {
        "args",
        "partialArgs",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "_responseJsonSchema",
        "schema",
        "labels",
        "partMetadata",
    }
)
_TOOL_WORDS = {
    "computerUse": "tools",
    "mcpServers": "tools",
    "googleSearch": "search",
    "googleSearchRetrieval": "search",
    "urlContext": "search",
    "googleMaps": "search",
    "fileSearch": "search",
    "codeExecution": "code",
}
_MEDIA_WORDS = {"image": "images_in", "audio": "audio_in", "video": "video_in"}
_VIDEO_HOSTS = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")


def _camel(key: str) -> str:
    if "_" not in key or key.startswith("_"):
        return key
    head, *tail = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in tail)


def _canonical(value: Any, depth: int) -> Any:
    if depth > _DEPTH:
        return value
    if isinstance(value, list):
        return [_canonical(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    view: Json = {}
    for key, item in value.items():
        name = _camel(key)
        if name != key and name in value:
            continue
        view[name] = item if name in _OPAQUE else _canonical(item, depth + 1)
    return view


def normalise(body: Json) -> Json:
    """Return a native request with camelCase names, for inspection only.

    SDKs mix snake_case and camelCase in one request. Function arguments, function
    results, schemas and labels belong to the caller and are not looked into; the
    camelCase name wins where both are given. ``body`` is left alone.
    """
    view: Json = _canonical(body, 0)
    return view


def needs(body: Json) -> frozenset[str]:
    """Return the capability words that a native request (any casing) asks for:
    tools, json_schema, images_in, audio_in, video_in, files_in, images_out,
    audio_out, search (every kind of grounding), code, thinking, system."""
    view = normalise(body)
    words = set(_tool_needs(view)) | set(_config_needs(view))
    for content in dicts(view.get("contents")):
        for part in dicts(content.get("parts")):
            words.update(_part_needs(part))
    if any(dicts(mapping(view.get("systemInstruction")).get("parts"))):
        words.add("system")
    return frozenset(words)


def last_user_text(body: Json) -> str:
    """Return the text of the last turn that is the user's, "" if it has none."""
    turns = [t for t in dicts(body.get("contents")) if t.get("role") != "model"]
    parts = dicts(turns[-1].get("parts")) if turns else ()
    return "\n".join(p["text"] for p in parts if isinstance(p.get("text"), str))


def _tool_needs(view: Json) -> Iterator[str]:
    for tool in dicts(view.get("tools")):
        if tool.get("functionDeclarations"):
            yield "tools"
        for name, value in tool.items():
            if value is not None and name in _TOOL_WORDS:
                yield _TOOL_WORDS[name]


def _config_needs(view: Json) -> Iterator[str]:
    config = mapping(view.get("generationConfig"))
    schemas = ("responseSchema", "responseJsonSchema", "_responseJsonSchema")
    structured = config.get("responseMimeType") in ("application/json", "text/x.enum")
    if structured or any(config.get(name) is not None for name in schemas):
        yield "json_schema"
    modalities = config.get("responseModalities")
    words = modalities if isinstance(modalities, list) else [modalities]
    asked = {str(word).upper() for word in words}
    if "IMAGE" in asked or config.get("imageConfig"):
        yield "images_out"
    if "AUDIO" in asked or config.get("speechConfig"):
        yield "audio_out"
    thinking = mapping(config.get("thinkingConfig"))
    asks = ("thinkingBudget", "thinkingLevel", "includeThoughts")
    if any(thinking.get(name) for name in asks):
        yield "thinking"


def _part_needs(part: Json) -> Iterator[str]:
    inline = mapping(part.get("inlineData"))
    if inline:
        kind = str(inline.get("mimeType", "")).partition("/")[0]
        yield _MEDIA_WORDS.get(kind, "files_in")
    file = mapping(part.get("fileData"))
    if str(file.get("fileUri", "")).startswith(_VIDEO_HOSTS):
        yield "video_in"
    elif file:
        kind = str(file.get("mimeType", "")).partition("/")[0]
        yield from {"files_in", _MEDIA_WORDS.get(kind, "files_in")}
    for nested in dicts(mapping(part.get("functionResponse")).get("parts")):
        yield from _part_needs(nested)


def _shows(part: Json) -> bool:
    if part.get("thought"):
        return False
    if part.get("text") or any(part.get(name) is not None for name in _SHOWN):
        return True
    return bool(mapping(part.get("codeExecutionResult")).get("output"))


class Progress:
    """Follows one answer while its chunks pass; a whole answer is one chunk."""

    def __init__(self) -> None:
        self.has_content = False
        self.has_thoughts = False
        self.blocked: str | None = None
        self.model_version = ""
        self.response_id = ""
        self.images = 0
        #: candidate index → its finish reason so far
        self.finishes: dict[int, str | None] = {}
        self._metadata: Json | None = None

    def see(self, data: Json) -> None:
        """Take in one chunk."""
        metadata = data.get("usageMetadata")
        if metadata:
            self._metadata = metadata
        if not self.model_version:
            self.model_version = str(data.get("modelVersion") or "")
            self.response_id = str(data.get("responseId") or "")
        if "promptFeedback" in data:
            feedback = mapping(data["promptFeedback"])
            self.blocked = reason_of(feedback, "blockReason") or self.blocked
        for index, candidate in candidates_of(data):
            self.finishes[index] = reason_of(candidate) or self.finishes.get(index)
            for part in parts_of(candidate):
                self._part(part)

    def _part(self, part: Json) -> None:
        if not self.has_content and _shows(part):
            self.has_content = True
        if part.get("thought"):
            self.has_thoughts = True
        elif "inlineData" in part or "fileData" in part:
            media = mapping(part.get("inlineData") or part.get("fileData"))
            self.images += str(media.get("mimeType", "")).startswith("image/")

    @property
    def usage(self) -> Usage:
        """The counts of the last snapshot: snapshots are cumulative, never summed."""
        metadata = self._metadata
        usage = read_usage(metadata if isinstance(metadata, dict) else None)
        usage.images = self.images
        return usage

    @property
    def finish(self) -> str | None:
        """The finish reason of the first candidate."""
        return self.finishes[min(self.finishes)] if self.finishes else None

    @property
    def complete(self) -> bool:
        """Has every candidate seen a finish reason, or was the prompt blocked?"""
        if not self.finishes:
            return self.blocked is not None
        return None not in self.finishes.values()

    def verdict(self, *, ended: bool = False) -> Verdict:
        """Say whether what has come may be shown.

        ``ended`` tells that no further chunk will come: then "wait" becomes "empty".
        "blocked" is an answer to show (a filter said no); "malformed" means a finish
        reason that promises nothing came with no visible output.
        """
        if self.has_content:
            return "content"
        if self.blocked:
            return "blocked"
        if not self.complete:
            return "empty" if ended else "wait"
        reasons = {reason or "" for reason in self.finishes.values()}
        if reasons & ANSWERED:
            return "content"
        return "blocked" if reasons & FILTERED else "malformed"
