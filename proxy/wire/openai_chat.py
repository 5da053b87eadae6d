"""A chat completion request as a generateContent request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.wire import signatures as thought_signatures
from proxy.wire.google_extensions import google_fields, read_extensions
from proxy.wire.model_names import model_name
from proxy.wire.openai_fields import flag, maybe, name, record
from proxy.wire.openai_generation import (
    Generation,
    copies,
    json_by_words,
    read_generation,
)
from proxy.wire.openai_media import Fetch, MediaReader
from proxy.wire.openai_messages import Conversation, read_messages, shaped
from proxy.wire.openai_tools import Toolbox, read_tools
from proxy.wire.thinking import asks_to_think, resolve

__all__ = ["ChatRequest", "Fetch", "missing_signatures", "parse_chat", "peek"]


@dataclass(slots=True, kw_only=True)
class ChatRequest:
    """A chat completion request in the middle language.

    ``model`` is as asked; ``body`` is a generateContent body without the model;
    ``copies`` is OpenAI's ``n``. ``needs`` are the capabilities the answering account
    must have. ``dropped`` names tuning fields that Gemini has no counterpart for.
    ``tool_names`` leads from upstream names back to the client's where they differ,
    and ``wrapped_tools`` are those upstream names whose arguments stand under
    ``value``. ``json_text`` tells that code fences around the answer must go,
    ``legacy_functions`` that it must speak of ``function_call``. ``fetches`` are
    remote media to be inlined before ``body`` is sent.
    """

    model: str
    body: dict[str, Any]
    stream: bool
    include_usage: bool
    copies: int
    needs: frozenset[str]
    dropped: list[str]
    tool_names: dict[str, str]
    wrapped_tools: frozenset[str]
    json_text: bool
    legacy_functions: bool
    fetches: list[Fetch]


def peek(body: object) -> tuple[str, bool]:
    """Return (model, stream) of a request; the model is "" when it names none.

    Raises BadRequest when the body is not an object, or either has a wrong type.
    """
    request = record(body, "")
    model = maybe(request, "model", name) or ""
    return model.strip(), maybe(request, "stream", flag) or False


def missing_signatures(body: object) -> list[str]:
    """Return the ids of current tool calls whose thought signature is not in the
    request, for the caller to look up and hand to ``parse_chat``."""
    messages = body.get("messages") if isinstance(body, dict) else None
    return thought_signatures.missing(messages)


def parse_chat(
    body: object, *, upstream_model: str, signatures: Mapping[str, str]
) -> ChatRequest:
    """Translate a chat completion request for ``upstream_model``.

    ``signatures`` gives thought signatures by tool call id, where the client did not
    send them. Raises BadRequest with the field's name for everything malformed; a
    field that is unknown is ignored, as clients send many. Field meanings are those
    of OpenAI's API reference and Google's generateContent and OpenAI compatibility
    documents.
    """
    request = record(body, "")
    model, stream = peek(request)
    include_usage = _include_usage(request)
    media = MediaReader(gemini3=model_name(upstream_model).gemini3)
    box = read_tools(request, upstream_model)
    made = read_generation(request)
    talk = read_messages(request.get("messages"), box.names, media)
    dropped = [*made.dropped, *box.dropped, *media.dropped]
    google = google_fields(request, dropped)
    thinking, unheard = resolve(request, google, upstream_model)
    if thinking:
        made.config["thinkingConfig"] = thinking
    dropped += unheard
    _settle_format(made, box, talk, upstream_model)
    out = _body(talk, made, box, upstream_model)
    thought_signatures.restore(out["contents"], signatures, upstream_model)
    out |= read_extensions(request, google, dropped)
    return ChatRequest(
        model=model,
        body=out,
        stream=stream,
        include_usage=include_usage,
        copies=copies(request),
        needs=_needs(made, box, talk, media, out),
        dropped=list(dict.fromkeys(dropped)),
        tool_names=box.names.renamed,
        wrapped_tools=frozenset(box.wrapped),
        json_text=made.json,
        legacy_functions=box.legacy,
        fetches=media.fetches,
    )


def _include_usage(request: Mapping[str, Any]) -> bool:
    options = maybe(request, "stream_options", record) or {}
    return maybe(options, "include_usage", flag, "stream_options") or False


def _settle_format(
    made: Generation, box: Toolbox, talk: Conversation, model: str
) -> None:
    """Ask for JSON in words where the model refuses the format beside tools."""
    if made.json and box.tools and not model_name(model).json_beside_tools:
        talk.system.append(json_by_words(made))


def _body(
    talk: Conversation, made: Generation, box: Toolbox, model: str
) -> dict[str, Any]:
    system, contents = shaped(talk, model)
    out: dict[str, Any] = {"contents": contents}
    if system is not None:
        out["systemInstruction"] = system
    if box.tools:
        out["tools"] = box.tools
    if box.config is not None:
        out["toolConfig"] = box.config
    if made.config:
        out["generationConfig"] = made.config
    return out


def _needs(
    made: Generation,
    box: Toolbox,
    talk: Conversation,
    media: MediaReader,
    out: dict[str, Any],
) -> frozenset[str]:
    needs = made.needs | box.needs | media.needs
    if talk.has_calls:
        needs.add("tools")
    if "systemInstruction" in out:
        needs.add("system")
    if asks_to_think(made.config.get("thinkingConfig")):
        needs.add("thinking")
    if made.json and "responseMimeType" not in made.config:
        needs.discard("json_schema")
    return frozenset(needs)
