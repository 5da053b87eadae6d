"""xAI's image generation in the middle language."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.errors import BadAnswer, BadRequest
from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, candidates_of, dicts, mapping, parts_of
from proxy.wire.image_models import canvas_of
from proxy.wire.image_orders import words_to_draw

MOST_PICTURES = 10
#: xAI's pictures are JPEG unless it says otherwise.
_USUAL_TYPE = "image/jpeg"


def image_request(body: Mapping[str, Any], model: str) -> Json:
    """Return the image generation that a generateContent body asks for.

    The words of the last turn of the user are the prompt, ``candidateCount`` the
    number of pictures; they come back as addresses. Raises BadRequest where nothing
    is said, and for pictures to edit, tools and schemas, which cannot be heeded.
    """
    view = normalise(dict(body))
    config = mapping(view.get("generationConfig"))
    if view.get("tools") or config.get("responseMimeType") == "application/json":
        raise BadRequest("This model makes pictures only: no tools, no JSON.")
    count = config.get("candidateCount") or 1
    if not isinstance(count, int) or not 1 <= count <= MOST_PICTURES:
        raise BadRequest(
            f"This model makes 1 to {MOST_PICTURES} pictures at a time.", param="n"
        )
    request = {"model": model, "prompt": words_to_draw(view), "n": count}
    ratio = mapping(config.get("imageConfig")).get("aspectRatio")
    heeded = ratio and canvas_of(model).ratios
    return request | ({"aspect_ratio": ratio} if heeded else {})


def image_answer(data: Json, model: str) -> Json:
    """Return a Gemini response with a candidate for each picture.

    A picture's address becomes ``fileData``, its bytes ``inlineData``; the prompt as
    xAI rewrote it stands before it. Raises BadAnswer for an answer without pictures.
    """
    rows = [list(_picture(row)) for row in dicts(data.get("data"))]
    candidates = [
        {
            "content": {"role": "model", "parts": parts},
            "finishReason": "STOP",
            "index": index,
        }
        for index, parts in enumerate(parts for parts in rows if parts)
    ]
    if not candidates:
        raise BadAnswer("The provider's answer was empty.", code="upstream_empty")
    return {"candidates": candidates, "modelVersion": model}


def _picture(row: Json) -> Iterator[Json]:
    kind = str(row.get("mime_type") or _USUAL_TYPE)
    if row.get("url"):
        part = {"fileData": {"mimeType": kind, "fileUri": str(row["url"])}}
    elif row.get("b64_json"):
        part = {"inlineData": {"mimeType": kind, "data": str(row["b64_json"])}}
    else:
        return
    if row.get("revised_prompt"):
        yield {"text": str(row["revised_prompt"])}
    yield part


def joined(data: Json) -> Json:
    """Return an answer with all its pictures in one candidate, after the first text."""
    parts = [part for _, row in candidates_of(data) for part in parts_of(row)]
    texts = [part for part in parts if "text" in part][:1]
    pictures = [part for part in parts if "text" not in part]
    first = {"role": "model", "parts": texts + pictures}
    return {
        **data,
        "candidates": [{"content": first, "finishReason": "STOP", "index": 0}],
    }
