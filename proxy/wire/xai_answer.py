"""xAI's chat completions, whole and in chunks, in the middle language."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.errors import BadAnswer
from proxy.wire.gemini_answer import Json, dicts, mapping

_FINISHES = {
    "stop": "STOP",
    "end_turn": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


class ChatReader:
    """Reads one chat completion, whole or chunk by chunk.

    ``thoughts``: whether the reasoning is passed on. Calls are passed on when they
    are whole, which is told by the finish reason or by ``rest``.
    """

    def __init__(self, *, thoughts: bool = True) -> None:
        self._thoughts = thoughts
        #: choice → position of the call → what has come of it
        self._calls: dict[int, dict[int, Json]] = {}

    def read(self, data: Json) -> Json:
        """Return a whole answer or one chunk of a stream as a Gemini response.

        A chunk that only counts has no candidates. Raises BadAnswer for calls whose
        arguments are no JSON.
        """
        candidates = [self._candidate(choice) for choice in dicts(data.get("choices"))]
        found: Json = {"candidates": candidates} if candidates else {}
        sources = _grounding(data.get("citations"))
        if sources and candidates:
            candidates[0]["groundingMetadata"] = sources
        usage = usage_metadata(data.get("usage"))
        if usage:
            found["usageMetadata"] = usage
        for name, own in (("modelVersion", "model"), ("responseId", "id")):
            if data.get(own):
                found[name] = str(data[own])
        return found

    def rest(self) -> Json:
        """Return the calls that no finish reason has followed, {} for none."""
        pending = [index for index, calls in self._calls.items() if calls]
        rows = [_row(index, self._finished_calls(index)) for index in pending]
        return {"candidates": rows} if rows else {}

    def _candidate(self, choice: Json) -> Json:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        said = mapping(choice.get("message") or choice.get("delta"))
        finish = choice.get("finish_reason")
        parts = list(self._parts(said))
        self._gather(index, said)
        if finish:
            parts += self._finished_calls(index)
        row = _row(index, parts)
        if finish:
            row["finishReason"] = _FINISHES.get(str(finish), "OTHER")
        return row

    def _parts(self, said: Json) -> Iterable[Json]:
        if self._thoughts and said.get("reasoning_content"):
            yield {"text": str(said["reasoning_content"]), "thought": True}
        for name in ("content", "refusal"):
            if said.get(name):
                yield {"text": str(said[name])}

    def _gather(self, index: int, said: Json) -> None:
        calls = self._calls.setdefault(index, {})
        for position, row in enumerate(dicts(said.get("tool_calls"))):
            place = row.get("index")
            place = place if isinstance(place, int) else position
            known = calls.setdefault(place, {"id": "", "name": "", "arguments": ""})
            function = mapping(row.get("function"))
            known["id"] = row.get("id") or known["id"]
            known["name"] = function.get("name") or known["name"]
            known["arguments"] += str(function.get("arguments") or "")

    def _finished_calls(self, index: int) -> list[Json]:
        calls = self._calls.pop(index, {})
        return [{"functionCall": _call(call)} for _, call in sorted(calls.items())]


def _call(call: Json) -> Json:
    try:
        args = orjson.loads(call["arguments"] or "{}")
    except orjson.JSONDecodeError:
        args = None
    if not isinstance(args, dict):
        raise BadAnswer("The provider's tool call was malformed.")
    found: Json = {"name": call["name"], "args": args}
    return found | ({"id": call["id"]} if call["id"] else {})


def _row(index: int, parts: list[Json]) -> Json:
    content: Json = {"role": "model"}
    if parts:
        content["parts"] = parts
    return {"content": content, "index": index}


def usage_metadata(usage: Any) -> Json:
    """Return the counts of a ``usage`` object as usageMetadata, {} for none.

    Chat completions leave the reasoning out of ``completion_tokens``; the total
    holds everything.
    """
    if not isinstance(usage, Mapping):
        return {}
    sent = mapping(usage.get("prompt_tokens_details"))
    made = mapping(usage.get("completion_tokens_details"))
    counts = {
        "promptTokenCount": usage.get("prompt_tokens"),
        "candidatesTokenCount": usage.get("completion_tokens"),
        "totalTokenCount": usage.get("total_tokens"),
        "cachedContentTokenCount": sent.get("cached_tokens"),
        "thoughtsTokenCount": made.get("reasoning_tokens"),
    }
    found: Json = {
        name: count
        for name, count in counts.items()
        if isinstance(count, int) and count
    }
    modalities = [
        {"modality": name.upper(), "tokenCount": sent[f"{name}_tokens"]}
        for name in ("text", "image", "audio")
        if sent.get(f"{name}_tokens")
    ]
    return found | ({"promptTokensDetails": modalities} if modalities else {})


def _grounding(citations: Any) -> Json:
    if not isinstance(citations, list):
        return {}
    urls = [url for url in citations if isinstance(url, str)]
    return {"groundingChunks": [{"web": {"uri": u, "title": u}} for u in urls]}
