"""Embeddings: OpenAI's request as batchEmbedContents, and the answers back."""

import base64
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite, sqrt
from typing import Any

from proxy.errors import BadAnswer
from proxy.wire.google_extensions import google_fields
from proxy.wire.model_names import model_name
from proxy.wire.openai_fields import (
    choice,
    either,
    maybe,
    name,
    record,
    text,
    whole_from,
    wrong,
)

MOST_INPUTS = 2048
#: Inputs that one upstream call takes.
BATCH = 100
_MOST_DIMENSIONS = 65_536

_TASKS = (
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
#: This model's vectors have unit length only at full size.
_FULL_SIZE = {"gemini-embedding-001": 3072}
_BYTES_PER_TOKEN = 4

_TOKENS = (
    "holds token ids, which belong to another provider's tokenizer; send text "
    "(with LangChain's OpenAIEmbeddings set check_embedding_ctx_length=False)"
)


@dataclass(slots=True, kw_only=True)
class EmbeddingsRequest:
    """An embeddings request in the middle language.

    ``body`` is for batchEmbedContents, its requests without model names. ``base64``
    tells that vectors are wanted as base64; ``count`` is the number of inputs.
    """

    model: str
    body: dict[str, Any]
    base64: bool
    count: int
    dimensions: int | None = None


def parse_embeddings(body: object) -> EmbeddingsRequest:
    """Translate an OpenAI embeddings request.

    Raises BadRequest for malformed fields, no input, more than 2048 inputs, empty
    texts, and token ids instead of text.
    """
    request = record(body, "")
    model = maybe(request, "model", name) or ""
    form = maybe(request, "encoding_format", text)
    if form is not None:
        choice(form, "encoding_format", ("float", "base64"))
    dimensions = maybe(request, "dimensions", whole_from(1, _MOST_DIMENSIONS))
    task = _task(request)
    texts = _inputs(request.get("input"))
    entries = [_entry(words, dimensions, task) for words in texts]
    return EmbeddingsRequest(
        model=model.strip(),
        body={"requests": entries},
        base64=form == "base64",
        count=len(entries),
        dimensions=dimensions,
    )


def batches(body: Mapping[str, Any], size: int = BATCH) -> list[dict[str, Any]]:
    """Cut a batchEmbedContents body into bodies of at most ``size`` requests."""
    requests = body["requests"]
    starts = range(0, len(requests), size)
    return [{"requests": requests[start : start + size]} for start in starts]


def render_embeddings(
    answers: Sequence[Mapping[str, Any]],
    request: EmbeddingsRequest,
    model: str,
    usage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return OpenAI's answer from those of the batches, in their order.

    ``model`` is the upstream model; the answer shows the name that was asked for,
    and ``model`` where none was. ``usage`` is a usageMetadata to report; without it
    the answers' own are summed, and where Gemini gives none the tokens are estimated
    from the length of the texts. Raises BadAnswer when an answer has no or too few
    vectors.
    """
    vectors = [vector for answer in answers for vector in _vectors(answer)]
    if len(vectors) != request.count:
        raise BadAnswer(
            f"The provider sent {len(vectors)} vectors for {request.count} inputs."
        )
    full = _FULL_SIZE.get(model_name(model).bare)
    made = [_unit(v) if full and len(v) < full else v for v in vectors]
    shown = [_encoded(vector) if request.base64 else vector for vector in made]
    tokens = _tokens(usage, answers, request)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index, embedding in enumerate(shown)
        ],
        "model": request.model or model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _inputs(value: object) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise wrong("input", "must be a string or an array of strings")
    if not value:
        raise wrong("input", "must not be empty")
    if _are_tokens(value):
        raise wrong("input", _TOKENS)
    if len(value) > MOST_INPUTS:
        raise wrong("input", f"takes at most {MOST_INPUTS} texts")
    return [_input(item, f"input[{index}]") for index, item in enumerate(value)]


def _input(item: object, param: str) -> str:
    if isinstance(item, list) and item and _are_tokens(item):
        raise wrong(param, _TOKENS)
    words = text(item, param)
    if not words:
        raise wrong(param, "must not be an empty string")
    return words


def _are_tokens(items: list[Any]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) for item in items)


def _task(request: Mapping[str, Any]) -> str | None:
    google = google_fields(request, [])
    keys = ("task_type", "taskType")
    found = either(google, keys, text, "extra_body.google") or either(
        request, keys, text
    )
    return choice(found.upper(), "task_type", _TASKS) if found else None


def _entry(words: str, dimensions: int | None, task: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"content": {"parts": [{"text": words}]}}
    if dimensions is not None:
        entry["outputDimensionality"] = dimensions
    if task is not None:
        entry["taskType"] = task
    return entry


def _vectors(answer: Mapping[str, Any]) -> Iterator[list[float]]:
    found = answer.get("embeddings")
    if found is None and answer.get("embedding") is not None:
        found = [answer["embedding"]]
    for embedding in found if isinstance(found, list) else []:
        values = embedding.get("values") if isinstance(embedding, dict) else None
        if not isinstance(values, list) or not values or not all(map(_is_real, values)):
            raise BadAnswer("The provider sent an embedding without values.")
        yield values


def _is_real(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and isfinite(value)  # type: ignore[arg-type]


def _unit(vector: list[float]) -> list[float]:
    length = sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


def _encoded(vector: list[float]) -> str:
    """Return the vector as base64 of little-endian 32-bit floats."""
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


def _tokens(
    usage: Mapping[str, Any] | None,
    answers: Sequence[Mapping[str, Any]],
    request: EmbeddingsRequest,
) -> int:
    given = [usage] if usage else [answer.get("usageMetadata") for answer in answers]
    counts = [_prompt_tokens(metadata) for metadata in given]
    known = [count for count in counts if count is not None]
    if known and len(known) == len(counts):
        return sum(known)
    texts = [e["content"]["parts"][0]["text"] for e in request.body["requests"]]
    return sum(ceil(len(words.encode()) / _BYTES_PER_TOKEN) for words in texts)


def _prompt_tokens(metadata: object) -> int | None:
    if not isinstance(metadata, Mapping):
        return None
    count = metadata.get("promptTokenCount", metadata.get("totalTokenCount"))
    return count if isinstance(count, int) else None
