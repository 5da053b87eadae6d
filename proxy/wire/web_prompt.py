"""From a Gemini request to what can be typed into gemini.google.com: text and files.

The site knows no roles, no settings and no tools. A conversation becomes one text with
role tags, which models know from their training; a single question stays as it is.
Tools and forms of answers are asked for in words, where a route wants them imitated.
"""

import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson

from proxy.errors import Fault, UpstreamFault, UpstreamRefused
from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.web_errors import fault_of
from proxy.wire.web_schema import WebSchema, read_schema
from proxy.wire.web_tools import WebTools, read_tools, shown_call, shown_result

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
#: What is asked for in words: how large a picture becomes depends on the account's
#: plan, so the answer tells its true size.
_WISHES = frozenset({"aspectRatio", "imageSize"})
_LARGE = ("2K", "4K")
_DROPPED_FIELDS = ("safetySettings", "labels", "serviceTier")
_SCHEMA_FIELDS = frozenset(
    {"responseSchema", "responseJsonSchema", "_responseJsonSchema"}
)
#: Tools that are not functions of the caller's own, though they are tools to him.
_OTHER_TOOLS = ("computerUse", "mcpServers")
_DEEP_BUDGET = 8192
#: A budget by which the model thinks as long as it likes.
_OWN_CHOICE = -1


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
    ``tools`` and ``schema`` are asked for in the text and read from the answer.
    """

    text: str
    files: tuple[WebFile, ...] = ()
    dropped: tuple[str, ...] = ()
    extended: bool = False
    thoughts: bool = False
    stops: tuple[str, ...] = ()
    tools: WebTools | None = None
    schema: WebSchema | None = None

    @property
    def emulated(self) -> tuple[str, ...]:
        """The capabilities that this prompt imitates."""
        found = {"tools": self.tools, "json_schema": self.schema}
        return tuple(name for name, used in found.items() if used is not None)

    @property
    def is_judged(self) -> bool:
        """Whether an answer may be of no use: it is shown only when it is complete, so
        that another account can still be asked."""
        must_call = self.tools is not None and self.tools.required
        return must_call or self.schema is not None


def read_prompt(
    body: Mapping[str, Any], model: str, emulates: Set[str] = frozenset()
) -> WebPrompt:
    """Return the prompt for a generateContent body (any casing).

    ``model`` is the upstream model; one that ends in ``-image`` is asked for a
    picture. ``emulates`` may name "tools" and "json_schema", which are then put into
    words. Raises UpstreamRefused for what nobody could answer, and a fault that
    lets other kinds of account try for what the site cannot do.
    """
    view = normalise(dict(body))
    config = mapping(view.get("generationConfig"))
    if view.get("cachedContent"):
        raise _elsewhere("cached content")
    if _whole(config.get("candidateCount")) > 1:
        raise UpstreamRefused("Multiple candidates are not made by web accounts.")
    thinking = mapping(config.get("thinkingConfig"))
    tools = _tools(view) if "tools" in emulates else None
    schema = read_schema(config) if "json_schema" in emulates else None
    files = _Files()
    rules = [each.instructions for each in (tools, schema) if each is not None]
    text = _flattened(view, files, _wish(config, model), rules, blocks=bool(tools))
    if not text.strip():
        raise fault_of("empty_prompt")
    stops = tuple(s for s in config.get("stopSequences") or () if _is_text(s))
    return WebPrompt(
        text=text,
        files=tuple(files.found),
        dropped=tuple(_dropped(view, config, emulates, cuts=schema is None)),
        extended=_is_deep(thinking),
        thoughts=thinking.get("includeThoughts") is True,
        stops=stops if schema is None else (),
        tools=tools,
        schema=schema,
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
        suffix = _SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or ".bin"
        name = f"file-{len(self.found) + 1}{suffix}"
        self.found.append(WebFile(name=name, data=str(inline.get("data") or "")))
        return f"[attached: {name}]"


def _tools(view: Json) -> WebTools | None:
    for tool in dicts(view.get("tools")):
        for name in _OTHER_TOOLS:
            if tool.get(name) is not None:
                raise _elsewhere(name)
    return read_tools(view)


def _flattened(
    view: Json, files: _Files, wish: str, rules: list[str], *, blocks: bool
) -> str:
    """Return all turns as one text; ``rules`` come after the system's own words.

    With ``blocks`` earlier calls look as the model is to write them.
    """
    instruction = mapping(view.get("systemInstruction"))
    said = _said(dicts(instruction.get("parts")), files, blocks=blocks)
    system = "\n\n".join(filter(None, [said, *rules]))
    turns = list(_turns(view, files, blocks=blocks))
    if wish and turns:
        tag, text = turns[-1]
        turns[-1] = tag, f"{wish}\n\n{text}"
    if not system and len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    if system:
        turns.insert(0, ("system", system))
    tagged = [f"{_START}{tag}\n{_untagged(text)}\n{_END}" for tag, text in turns]
    return "\n".join([*tagged, f"{_START}assistant\n"]) if turns else ""


def _turns(view: Json, files: _Files, *, blocks: bool) -> Iterator[tuple[str, str]]:
    """Yield (role tag, text); results of tools are turns of their own."""
    for content in dicts(view.get("contents")):
        tag = _TAGS.get(str(content.get("role") or "user"), "user")
        parts = dicts(content.get("parts"))
        for is_result, some in groupby(parts, lambda p: "functionResponse" in p):
            text = _said(some, files, blocks=blocks)
            if text:
                yield "tool" if is_result else tag, text


def _said(parts: Iterable[Json], files: _Files, *, blocks: bool) -> str:
    return "\n".join(text for text in _words(parts, files, blocks) if text)


def _words(parts: Iterable[Json], files: _Files, blocks: bool) -> Iterator[str]:
    for part in parts:
        if part.get("thought"):
            continue
        if isinstance(part.get("text"), str):
            yield part["text"]
        elif inline := mapping(part.get("inlineData")):
            yield files.add(inline)
        elif part.get("fileData"):
            raise _elsewhere("files by their address")
        elif blocks and (call := mapping(part.get("functionCall"))):
            yield shown_call(call)
        elif blocks and (response := mapping(part.get("functionResponse"))):
            yield shown_result(response)
            yield from _words(dicts(response.get("parts")), files, blocks)
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
    ratio, size = image.get("aspectRatio"), image.get("imageSize")
    shape = f" with an aspect ratio of {ratio}" if _is_text(ratio) else ""
    # The usual size needs no words.
    scale = f" in {size} resolution" if size in _LARGE else ""
    return f"Generate an image{shape}{scale}:"


def _dropped(
    view: Json, config: Json, emulates: Set[str], *, cuts: bool
) -> Iterator[str]:
    """Yield the names of what is not followed; ``cuts`` if stop sequences end text."""
    heard = _HEARD if cuts else _HEARD - {"stopSequences"}
    if "json_schema" in emulates:
        heard |= _SCHEMA_FIELDS
    for name, value in config.items():
        if value is not None and name not in heard:
            yield name
    for name, value in mapping(config.get("imageConfig")).items():
        if value and name not in _WISHES:
            yield f"imageConfig.{name}"
    yield from _other_depths(mapping(config.get("thinkingConfig")))
    yield from (name for name in _DROPPED_FIELDS if view.get(name))
    for name, value in mapping(view.get("toolConfig")).items():
        if value and not (name == "functionCallingConfig" and "tools" in emulates):
            yield f"toolConfig.{name}"


def _other_depths(thinking: Json) -> Iterator[str]:
    """Yield what asks for another depth than the site's two; it decides itself."""
    budget = thinking.get("thinkingBudget")
    if budget not in (None, _OWN_CHOICE) and not _is_deep(thinking):
        yield "thinkingConfig.thinkingBudget"
    if thinking.get("thinkingLevel") not in (None, "", "HIGH"):
        yield "thinkingConfig.thinkingLevel"


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
