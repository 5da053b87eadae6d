"""What a Gemini answer holds: candidates, parts, finish reasons, token counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: Finish reasons of an answer that is whole or was cut by a length.
ANSWERED = frozenset({"STOP", "MAX_TOKENS", "CONTINUATION"})
#: Finish reasons that mean a filter stopped the answer.
FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
        "ESCALATION",
    }
)
_UNSET = frozenset({"", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED"})


@dataclass(slots=True)
class Usage:
    """What one answer used. ``prompt`` holds the cached tokens, ``output`` excludes
    the thoughts, ``details`` is the usageMetadata as received."""

    prompt: int = 0
    cached: int = 0
    output: int = 0
    thoughts: int = 0
    tool_use: int = 0
    total: int = 0
    images: int = 0
    details: Json = field(default_factory=dict)


def _count(metadata: Mapping[str, Any], name: str) -> int:
    value = metadata.get(name)
    if isinstance(value, int | float):
        return max(int(value), 0)
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        return int(value)
    return 0


def read_usage(metadata: Mapping[str, Any] | None) -> Usage:
    """Return the counts of a usageMetadata; missing ones are 0.

    The API reference defines total = prompt + candidates + thoughts + tool use, so
    what is generated is total minus what was sent: that also holds for answers
    without candidates and for models whose candidates already hold the thoughts.
    """
    if not metadata:
        return Usage()
    prompt = _count(metadata, "promptTokenCount")
    tool_use = _count(metadata, "toolUsePromptTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount")
    output = _count(metadata, "candidatesTokenCount")
    total = _count(metadata, "totalTokenCount")
    if tool_use <= prompt and prompt + output + thoughts == total:
        prompt -= tool_use  # already counted inside the prompt
    generated = total - prompt - tool_use
    if total and generated >= 0:
        thoughts = min(thoughts, generated)
        output = generated - thoughts
    return Usage(
        prompt=prompt,
        cached=_count(metadata, "cachedContentTokenCount"),
        output=output,
        thoughts=thoughts,
        tool_use=tool_use,
        total=prompt + tool_use + output + thoughts,
        details=dict(metadata),
    )


def sum_metadata(items: Iterable[Json]) -> Json:
    """Return the usageMetadata of several separate answers as one."""
    total: Json = {}
    for metadata in items:
        for name, value in metadata.items():
            if isinstance(value, int):
                total[name] = total.get(name, 0) + value
            elif isinstance(value, list):
                total[name] = _sum_modalities([*total.get(name, ()), *value])
            else:
                total.setdefault(name, value)
    return total


def _sum_modalities(rows: list[Json]) -> list[Json]:
    counts: dict[str, int] = {}
    for row in rows:
        name = str(row.get("modality", ""))
        counts[name] = counts.get(name, 0) + _count(row, "tokenCount")
    return [{"modality": name, "tokenCount": count} for name, count in counts.items()]


def dicts(value: Any) -> Iterator[Json]:
    """Yield the objects of a list, or the one object given; nothing else."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield item


def mapping(value: Any) -> Json:
    """Return the object given, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def indices_of(support: Mapping[str, Any]) -> list[int]:
    """Return the sources that a grounding support names."""
    given = support.get("groundingChunkIndices")
    rows = given if isinstance(given, list) else []
    return [index for index in rows if isinstance(index, int)]


def candidates_of(data: Mapping[str, Any]) -> list[tuple[int, Json]]:
    """Return (index, candidate) for each candidate of an answer or chunk.

    Google leaves ``index`` out where it is 0; then the position counts.
    """
    found = []
    for position, candidate in enumerate(dicts(data.get("candidates"))):
        index = candidate.get("index", position)
        found.append((index if isinstance(index, int) else position, candidate))
    return found


def parts_of(candidate: Mapping[str, Any]) -> list[Json]:
    """Return the parts of a candidate; none where ``content`` or ``parts`` is absent."""
    return list(dicts(mapping(candidate.get("content")).get("parts")))


def reason_of(holder: Mapping[str, Any], name: str = "finishReason") -> str | None:
    """Return a finish or block reason, None where it is absent or unspecified."""
    reason = holder.get(name)
    return reason if isinstance(reason, str) and reason not in _UNSET else None
