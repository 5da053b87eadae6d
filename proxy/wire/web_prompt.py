"""From a Gemini request to what can be typed into gemini.google.com: text and files.

The site knows no roles, no settings and no tools. A conversation becomes one text with
role tags, which models know from their training; a single question stays as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.errors import Fault, UpstreamFault, UpstreamRefused
from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.web_errors import fault_of

#: At the end of an upstream model's name: pictures are wanted.
PICTURES = "-image"

_TAGS = {"user": "user", "model": "assistant", "function": "tool"}
_START, _END = "<|im_start|>", "<|im_end|>"
_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/bmp": ".bmp",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/css": ".css",
    "text/xml": ".xml",
    "text/rtf": ".rtf",
    "text/javascript": ".js",
    "text/x-python": ".py",
}
#: Settings that are followed, or that say what happens anyway.
_HEARD = frozenset(
    {
        "stopSequences",
        "thinkingConfig",
        "responseModalities",
        "responseMimeType",
        "candidateCount",
        "imageConfig",
    }
)
_DROPPED_FIELDS = ("safetySettings", "labels", "serviceTier", "toolConfig")
_DEEP_BUDGET = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    """A file to upload: its name, and its content in base64."""

    name: str
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPrompt:
    """A prompt for the site.

    ``dropped`` names settings that cannot be followed. ``extended`` asks for longer
    thinking, ``thoughts`` to be shown it. ``stops`` end the answer where they occur.
    """

    text: str
    files: tuple[WebFile, ...] = ()
    dropped: tuple[str, ...] = ()
    extended: bool = False
    thoughts: bool = False
    stops: tuple[str, ...] = ()


def read_prompt(body: Mapping[str, Any], model: str) -> WebPrompt:
    """Return the prompt for a generateContent body (any casing).

    ``model`` is the upstream model; one that ends in ``-image`` is asked for a
    picture. Raises UpstreamRefused for what nobody could answer, and a fault that
    lets other kinds of account try for what the site cannot do.
    """
    view = normalise(dict(body))
    config = mapping(view.get("generationConfig"))
    if view.get("cachedContent"):
        raise _elsewhere("cached content")
    if _whole(config.get("candidateCount")) > 1:
        raise UpstreamRefused("Multiple candidates are not made by web accounts.")
    thinking = mapping(config.get("thinkingConfig"))
    files = _Files()
    text = _flattened(view, files, _wish(config, model))
    if not text.strip():
        raise fault_of("empty_prompt")
    return WebPrompt(
        text=text,
        files=tuple(files.found),
        dropped=tuple(_dropped(view, config)),
        extended=_is_deep(thinking),
        thoughts=thinking.get("includeThoughts") is True,
        stops=tuple(s for s in config.get("stopSequences") or () if _is_text(s)),
    )


def site_model(model: str) -> str:
    """Return the site's own name in an upstream model's name."""
    return model.removesuffix(PICTURES)


class _Files:
    """The files of a request, named in the order in which they come."""

    def __init__(self) -> None:
        self.found: list[WebFile] = []

    def add(self, inline: Json) -> str:
        """Take a file in; return the words that stand in its place."""
        kind = str(inline.get("mimeType") or "").partition(";")[0].strip().lower()
        name = f"file-{len(self.found) + 1}{_SUFFIXES.get(kind, '.bin')}"
        self.found.append(WebFile(name=name, data=str(inline.get("data") or "")))
        return f"[attached: {name}]"


def _flattened(view: Json, files: _Files, wish: str) -> str:
    system = _said(mapping(view.get("systemInstruction")), files)
    turns = [
        (_TAGS.get(str(content.get("role") or "user"), "user"), _said(content, files))
        for content in dicts(view.get("contents"))
    ]
    turns = [(tag, text) for tag, text in turns if text]
    if wish and turns:
        tag, text = turns[-1]
        turns[-1] = tag, f"{wish}\n\n{text}"
    if not system and len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    if system:
        turns.insert(0, ("system", system))
    tagged = [f"{_START}{tag}\n{_untagged(text)}\n{_END}" for tag, text in turns]
    return "\n".join([*tagged, f"{_START}assistant\n"]) if turns else ""


def _said(content: Json, files: _Files) -> str:
    return "\n".join(text for text in _words(content, files) if text)


def _words(content: Json, files: _Files) -> Iterator[str]:
    for part in dicts(content.get("parts")):
        if part.get("thought"):
            continue
        if isinstance(part.get("text"), str):
            yield part["text"]
        elif inline := mapping(part.get("inlineData")):
            yield files.add(inline)
        elif part.get("fileData"):
            raise _elsewhere("files by their address")
        else:
            yield _used_tool(part)


def _used_tool(part: Json) -> str:
    """Return in words what an earlier turn did with a tool."""
    for name, verb in (
        ("functionCall", "called"),
        ("functionResponse", "answered"),
        ("executableCode", "ran"),
        ("codeExecutionResult", "printed"),
    ):
        if used := mapping(part.get(name)):
            return f"[{verb}: {orjson.dumps(used).decode()}]"
    return ""


def _untagged(text: str) -> str:
    """Keep a turn's text from ending its turn."""
    return text.replace(_START, "< |im_start|>").replace(_END, "< |im_end|>")


def _wish(config: Json, model: str) -> str:
    """Return the words that ask for a picture, if one is wanted."""
    words = config.get("responseModalities")
    words = words if isinstance(words, list) else [words]
    asked = "IMAGE" in {str(word).upper() for word in words}
    image = mapping(config.get("imageConfig"))
    if not (asked or image or model.endswith(PICTURES)):
        return ""
    ratio = image.get("aspectRatio")
    shape = f" with an aspect ratio of {ratio}" if _is_text(ratio) else ""
    return f"Generate an image{shape}:"


def _dropped(view: Json, config: Json) -> Iterator[str]:
    for name, value in config.items():
        if value is not None and name not in _HEARD:
            yield name
    if mapping(config.get("imageConfig")).get("imageSize"):
        yield "imageConfig.imageSize"
    yield from (name for name in _DROPPED_FIELDS if view.get(name))


def _is_deep(thinking: Json) -> bool:
    budget = _whole(thinking.get("thinkingBudget"))
    return thinking.get("thinkingLevel") == "HIGH" or budget > _DEEP_BUDGET


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _elsewhere(what: str) -> Fault:
    """Return the fault that sends a request to an account of another kind."""
    return UpstreamFault(
        f"Web accounts cannot use {what}.",
        status=400,
        code="invalid_argument",
        blame="account",
        cause="entity_missing",
    )
