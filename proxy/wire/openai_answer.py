"""Whole Gemini answers as OpenAI chat completions, and how one choice is read."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from proxy.errors import BadAnswer
from proxy.wire.annotations import Transcript
from proxy.wire.answer_media import (
    Audio,
    FenceFilter,
    code_block,
    image_url,
    kept_link,
    read_logprobs,
)
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
)
from proxy.wire.gemini_fold import merge_grounding, merge_lists

#: Where pictures go: a list beside the text, a link in the text to what our library
#: keeps, the picture itself in the text, or the list and the link.
Way = Literal["images", "markdown", "data_url", "both"]
_TIERS = {"standard": "default"}


@dataclass(slots=True, kw_only=True)
class Style:
    """How one caller wants the answer.

    ``id`` ("chatcmpl-…") and ``model`` (the name asked for) stand in every object;
    ``tool_names`` maps names sent upstream to the caller's own; ``json_text`` asks
    for the text without a Markdown fence; ``legacy_functions`` answers with
    ``function_call``; the arguments of ``wrapped_tools`` stand under ``value``
    upstream; ``images`` says where pictures go, and ``absolute`` makes a path of ours
    an address that the caller can open, "" where there is none.
    """

    id: str
    model: str
    created: int
    tool_names: Mapping[str, str]
    json_text: bool = False
    legacy_functions: bool = False
    include_usage: bool = False
    wrapped_tools: frozenset[str] = frozenset()
    images: Way = "images"
    absolute: Callable[[str], str] = str


def new_call_id() -> str:
    """Return a tool call id that no other answer has."""
    return f"call_{secrets.token_hex(12)}"


class Choice:
    """One choice of an answer, read from its Gemini candidates piece by piece.

    Whole answers and streams share it: ``read`` and ``close`` return deltas, which a
    stream sends and a whole answer adds up. ``signatures`` (call id → thought
    signature) and ``call_ids`` belong to the whole answer; ``whole`` tells that only
    one piece will come, so that the positions of its parts mean something.
    """

    def __init__(
        self,
        style: Style,
        signatures: dict[str, str],
        call_ids: set[str],
        *,
        whole: bool = False,
    ) -> None:
        self.native: str | None = None
        self.calls = 0
        self.transcript = Transcript()
        self._style = style
        self._signatures = signatures
        self._call_ids = call_ids
        self._fence = FenceFilter() if style.json_text else None
        self._audio = Audio()
        self._images = 0
        self._whole = whole
        self._blocked = ""
        self._signature = ""
        self._grounding: Json | None = None
        self._citations: Json | None = None

    def read(self, candidate: Json) -> list[Json]:
        """Take in a candidate of one chunk, return the deltas it makes."""
        self.native = reason_of(candidate) or self.native
        grounding = mapping(candidate.get("groundingMetadata"))
        if grounding:
            self._grounding = merge_grounding(self._grounding, grounding)
        citations = mapping(candidate.get("citationMetadata"))
        if citations:
            self._citations = merge_lists(self._citations, citations)
        deltas = []
        for position, part in enumerate(parts_of(candidate)):
            if self._whole:
                self.transcript.mark(position)
            delta = self._part(part)
            if delta:
                deltas.append(delta)
        return deltas

    def block(self, reason: str) -> None:
        """Note that the prompt was refused for this reason."""
        self._blocked = reason

    def close(self) -> list[Json]:
        """Return the deltas that can only be known at the end."""
        deltas: list[Json] = []
        rest = self._fence.flush() if self._fence else ""
        if rest:
            self.transcript.say(rest)
            deltas.append({"content": rest})
        extras = self._extras()
        return [*deltas, extras] if extras else deltas

    @property
    def visible(self) -> bool:
        """Is there anything to show but thoughts?"""
        return bool(self.transcript.pieces or self.calls or self._images or self._audio)

    @property
    def filtered(self) -> str:
        """The reason for which a filter ended this choice, or nothing."""
        if self._blocked:
            return self._blocked
        return self.native if self.native and self.native in FILTERED else ""

    @property
    def malformed(self) -> bool:
        """Did it end with nothing to show and no reason that explains why?"""
        explained = self.native in ANSWERED or bool(self.filtered)
        return not self.visible and not explained

    def finish_reason(self) -> str:
        """Return OpenAI's word, judged from all that was read."""
        if self.filtered:
            return "content_filter"
        if self.native in ("MAX_TOKENS", "CONTINUATION"):
            return "length"
        if self.calls:
            return "function_call" if self._style.legacy_functions else "tool_calls"
        return "stop"

    def _part(self, part: Json) -> Json | None:
        call = part.get("functionCall")
        if isinstance(call, dict):
            return self._call(call, str(part.get("thoughtSignature") or ""))
        if part.get("thoughtSignature"):
            self._signature = str(part["thoughtSignature"])
        text = part.get("text")
        if part.get("thought"):
            return {"reasoning_content": str(text)} if text else None
        if text:
            return self._say(str(text))
        return self._media(part)

    def _say(self, text: str) -> Json | None:
        if self._fence:
            text = self._fence.feed(text)
        if not text:
            return None
        self.transcript.say(text)
        return {"content": text}

    def _insert(self, text: str) -> Json:
        text = f"\n\n{text}" if self.transcript.pieces else text
        self.transcript.insert(text)
        return {"content": text}

    def _media(self, part: Json) -> Json | None:
        url = image_url(part)
        if url:
            return self._image(url, kept_link(part))
        if self._audio.add(part):
            return None
        block = code_block(part)
        return self._insert(block) if block else None

    def _image(self, url: str, link: str) -> Json:
        """Show a picture; what has no link stands in the text itself."""
        delta: Json = {}
        way = self._style.images
        if way != "images":
            kept = link if way != "data_url" else ""
            shown = self._style.absolute(kept) if kept.startswith("/") else kept
            delta |= self._insert(f"![image]({shown or url})\n")
        if way in ("images", "both"):
            image = {"type": "image_url", "image_url": {"url": url}}
            delta["images"] = [{**image, "index": self._images}]
        self._images += 1
        return delta

    def _call(self, call: Json, signature: str) -> Json | None:
        sent = str(call.get("name") or "")
        name = self._style.tool_names.get(sent, sent)
        args: Any = mapping(call.get("args"))
        if sent in self._style.wrapped_tools:
            args = args.get("value", args)
        arguments = orjson.dumps(args).decode()
        index, self.calls = self.calls, self.calls + 1
        if self._style.legacy_functions:
            function = {"name": name, "arguments": arguments}
            return None if index else {"function_call": function}
        row: Json = {
            "index": index,
            "id": self._call_id(call),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        if signature:
            self._signatures[row["id"]] = signature
            row["extra_content"] = {"google": {"thought_signature": signature}}
        return {"tool_calls": [row]}

    def _call_id(self, call: Json) -> str:
        given = str(call.get("id") or "")
        call_id = new_call_id() if not given or given in self._call_ids else given
        self._call_ids.add(call_id)
        return call_id

    def _extras(self) -> Json:
        extras: Json = {}
        annotations = self.transcript.annotations(self._grounding, self._citations)
        if annotations:
            extras["annotations"] = annotations
        if self._grounding:
            extras["grounding_metadata"] = self._grounding
        if self._audio:
            extras["audio"] = self._audio.message(self._style.created)
        if self._signature:
            extras["extra_content"] = {"google": {"thought_signature": self._signature}}
        if self.filtered and not self.visible:
            extras["refusal"] = f"Blocked: {self.filtered}"
        return extras


def read_choices(
    data: Json, style: Style, signatures: dict[str, str]
) -> list[tuple[Json, Choice]]:
    """Return a whole answer's (choice object, reader) pairs in order.

    Raises BadAnswer when the answer holds neither a candidate nor a reason why not,
    or when every candidate ended with nothing to show for no reason of substance.
    """
    call_ids: set[str] = set()
    built = []
    for index, candidate in candidates_of(data):
        choice = Choice(style, signatures, call_ids, whole=True)
        deltas = choice.read(candidate)
        built.append((_choice(index, choice, deltas, candidate), choice))
    if not built:
        built.append(_refusal(data, style))
    if all(choice.malformed for _, choice in built):
        reason = built[0][1].native or "no reason"
        raise BadAnswer(f"The provider ended an answer without output: {reason}.")
    return built


def _refusal(data: Json, style: Style) -> tuple[Json, Choice]:
    reason = reason_of(mapping(data.get("promptFeedback")), "blockReason")
    if not reason:
        raise BadAnswer("The provider's answer was empty.", code="upstream_empty")
    choice = Choice(style, {}, set())
    choice.block(reason)
    return _choice(0, choice, [], {}), choice


def _choice(index: int, choice: Choice, deltas: list[Json], candidate: Json) -> Json:
    message = _message(deltas + choice.close())
    if message["content"] is None and not choice.calls:
        message["content"] = ""
    return {
        "index": index,
        "message": message,
        "logprobs": read_logprobs(candidate),
        "finish_reason": choice.finish_reason(),
        "native_finish_reason": choice.native,
    }


def _message(deltas: list[Json]) -> Json:
    """Add up deltas as an OpenAI SDK does with a stream."""
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    texts: dict[str, list[str]] = {"content": [], "reasoning_content": []}
    for delta in deltas:
        for name, value in delta.items():
            if name in texts:
                texts[name].append(value)
            elif name == "tool_calls":
                rows = [{k: v for k, v in row.items() if k != "index"} for row in value]
                message.setdefault(name, []).extend(rows)
            elif name == "images":
                message.setdefault(name, []).extend(value)
            else:
                message[name] = value
    message.update((name, "".join(text)) for name, text in texts.items() if text)
    return message


def render_chat(data: Json, style: Style) -> tuple[Json, dict[str, str]]:
    """Return (chat.completion object, {call id: thought signature} to remember).

    Raises BadAnswer for an answer that would look like a success and say nothing:
    no candidates and no feedback, or malformed without output.
    """
    signatures: dict[str, str] = {}
    choices = [row for row, _ in read_choices(data, style, signatures)]
    completion = {
        "id": style.id,
        "object": "chat.completion",
        "created": style.created,
        "model": style.model,
        "choices": choices,
        "usage": render_usage(read_usage(mapping(data.get("usageMetadata")))),
        **served_by(data),
    }
    return completion, signatures


def served_by(data: Json) -> Json:
    """Return what an answer says about who made it, in OpenAI's fields."""
    found: Json = {}
    if data.get("modelVersion"):
        found["system_fingerprint"] = str(data["modelVersion"])
    tier = str(mapping(data.get("usageMetadata")).get("serviceTier") or "").lower()
    if tier:
        found["service_tier"] = _TIERS.get(tier, tier)
    return found


def render_usage(usage: Usage) -> Json:
    """Return OpenAI's ``usage``; thoughts count as completion and as reasoning."""
    details = usage.details
    sent = _modalities(details, "promptTokensDetails", "toolUsePromptTokensDetails")
    made = _modalities(details, "candidatesTokensDetails")
    prompt, completion = usage.prompt + usage.tool_use, usage.output + usage.thoughts
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, **sent},
        "completion_tokens_details": {"reasoning_tokens": usage.thoughts, **made},
    }


def _modalities(details: Mapping[str, Any], *names: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        for row in dicts(details.get(name)):
            key = f"{str(row.get('modality') or 'text').lower()}_tokens"
            count = row.get("tokenCount")
            counts[key] = counts.get(key, 0) + (count if isinstance(count, int) else 0)
    return counts
