"""Gemini answers put together: from stream chunks, from parallel answers."""

from collections.abc import Callable, Iterable
from typing import Any

from proxy.wire.gemini_answer import (
    FILTERED,
    Json,
    candidates_of,
    dicts,
    indices_of,
    mapping,
    parts_of,
    reason_of,
    sum_metadata,
)


def _extend(old: list[Any], new: list[Any]) -> list[Any]:
    """Join two snapshots of a list; the newer one may repeat the older."""
    if new[: len(old)] == old:
        return new
    return old + [item for item in new if item not in old]


def merge_grounding(old: Json | None, new: Json) -> Json:
    """Join the groundingMetadata of two chunks; the newer may repeat the older.

    Support indices stay right: those of a chunk that lists only its own sources are
    shifted behind the sources already known.
    """
    if not old:
        return new
    known = list(dicts(old.get("groundingChunks")))
    fresh = list(dicts(new.get("groundingChunks")))
    supports = list(dicts(new.get("groundingSupports")))
    if fresh and fresh[: len(known)] != known:
        indices = [index for support in supports for index in indices_of(support)]
        if all(index < len(fresh) for index in indices):
            supports = [_shifted(support, len(known)) for support in supports]
        fresh = known + fresh
    merged = {**old, **new}
    if fresh or known:
        merged["groundingChunks"] = fresh or known
    if supports or old.get("groundingSupports"):
        seen = list(dicts(old.get("groundingSupports")))
        merged["groundingSupports"] = _extend(seen, supports)
    for name in ("webSearchQueries", "imageSearchQueries"):
        if old.get(name):
            merged[name] = _extend(old[name], new.get(name) or [])
    return merged


def _shifted(support: Json, by: int) -> Json:
    indices = [index + by for index in indices_of(support)]
    return {**support, "groundingChunkIndices": indices}


def merge_lists(old: Json | None, new: Json) -> Json:
    """Join two objects whose lists are to be appended (citations, log probabilities)."""
    merged = {**(old or {}), **new}
    for name, items in (old or {}).items():
        if isinstance(items, list):
            merged[name] = items + [
                item for item in new.get(name) or () if item not in items
            ]
    return merged


def _merge_logprobs(old: Json | None, new: Json) -> Json:
    merged = {**(old or {}), **new}
    for name in ("chosenCandidates", "topCandidates"):
        rows = [*dicts(mapping(old).get(name)), *dicts(new.get(name))]
        if rows:
            merged[name] = rows
    return merged


_MERGERS: dict[str, Callable[[Json | None, Json], Json]] = {
    "groundingMetadata": merge_grounding,
    "citationMetadata": merge_lists,
    "urlContextMetadata": merge_lists,
    "logprobsResult": _merge_logprobs,
}


class _Candidate:
    """One candidate put together from its chunks."""

    def __init__(self) -> None:
        self._fields: Json = {}
        self._content: Json | None = None
        self._parts: list[Json] = []
        self._run: list[str] = []
        self._like: Json = {}

    def add(self, candidate: Json) -> None:
        for name, value in candidate.items():
            if name == "content" and isinstance(value, dict):
                self._content = {**(self._content or {}), **value}
            elif name in _MERGERS and isinstance(value, dict):
                self._fields[name] = _MERGERS[name](self._fields.get(name), value)
            elif name != "finishReason" or reason_of(candidate):
                self._fields[name] = value
        for part in parts_of(candidate):
            self._add_part(part)

    def _add_part(self, part: Json) -> None:
        if not part.keys() <= {"text", "thought"} or "text" not in part:
            self._close_run()
            self._parts.append(part)
            return
        if bool(part.get("thought")) != bool(self._like.get("thought")):
            self._close_run()
        self._like = part
        self._run.append(str(part["text"]))

    def _close_run(self) -> None:
        text = "".join(self._run)
        if text:
            self._parts.append({**self._like, "text": text})
        self._run, self._like = [], {}

    def result(self, index: int) -> Json:
        self._close_run()
        whole: Json = {}
        if self._content is not None:
            whole["content"] = {**self._content, "role": "model"}
            whole["content"].pop("parts", None)
            if self._parts:
                whole["content"]["parts"] = self._parts
        return {**whole, **self._fields, "index": index}


def fold(chunks: Iterable[Json]) -> Json:
    """Return the whole GenerateContentResponse that these stream chunks make.

    Neighbouring texts are joined only when neither is signed and both are thoughts
    or both are not; calls, signatures and every other part stay as they are. The
    last usageMetadata counts. The chunks are not changed.
    """
    whole: Json = {}
    folded: dict[int, _Candidate] = {}
    for chunk in chunks:
        for index, candidate in candidates_of(chunk):
            folded.setdefault(index, _Candidate()).add(candidate)
        whole.update((k, v) for k, v in chunk.items() if k != "candidates")
    if folded:
        ordered = sorted(folded.items())
        whole["candidates"] = [candidate.result(i) for i, candidate in ordered]
    return whole


def merge_candidates(answers: list[Json]) -> Json:
    """Return parallel answers as one, candidates numbered from 0, usage summed.

    An answer whose prompt was blocked becomes a filtered candidate, unless all were:
    then the block itself is the answer.
    """
    merged: Json = dict(answers[0]) if answers else {}
    choices: list[Json] = []
    for answer in answers:
        choices += [c for _, c in candidates_of(answer)] or _refused(answer)
    if any(candidates_of(answer) for answer in answers):
        merged.pop("promptFeedback", None)
        merged["candidates"] = [{**c, "index": i} for i, c in enumerate(choices)]
    usage = [a["usageMetadata"] for a in answers if a.get("usageMetadata")]
    if usage:
        merged["usageMetadata"] = sum_metadata(usage)
    return merged


def _refused(answer: Json) -> list[Json]:
    reason = reason_of(mapping(answer.get("promptFeedback")), "blockReason")
    if not reason:
        return []
    return [{"finishReason": reason if reason in FILTERED else "SAFETY"}]
