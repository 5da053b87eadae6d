"""Imagen's ``:predict`` in the middle language (ai.google.dev, "Imagen")."""

from collections.abc import Mapping
from typing import Any, Final

from proxy.errors import BadRequest
from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.image_models import canvas_of
from proxy.wire.image_orders import words_to_draw

MOST_PICTURES: Final = 4
_HEEDED: Final = frozenset({"contents", "model", "generationConfig", "tools"})
_HEEDED_CONFIG: Final = frozenset(
    {"candidateCount", "imageConfig", "responseModalities", "responseMimeType"}
)
_HEEDED_SHAPE: Final = frozenset({"aspectRatio", "imageSize", "personGeneration"})
_USUAL_TYPE: Final = "image/png"


def predict_request(body: Mapping[str, Any], model: str) -> Json:
    """Return the prediction that a generateContent body asks for.

    The words of the last turn of the user are the prompt, ``candidateCount`` the
    number of pictures. Raises BadRequest where nothing is said, for shapes that the
    model lacks, and for pictures to edit, tools and schemas, which cannot be heeded.
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
    parameters: Json = {"sampleCount": count, "includeRaiReason": True}
    parameters |= _shape(mapping(config.get("imageConfig")), model)
    return {"instances": [{"prompt": words_to_draw(view)}], "parameters": parameters}


def dropped_names(body: Mapping[str, Any]) -> list[str]:
    """Return the names of what a prediction has no place for."""
    view = normalise(dict(body))
    config = mapping(view.get("generationConfig"))
    image = mapping(config.get("imageConfig"))
    return [
        *_unheeded(view, _HEEDED, ""),
        *_unheeded(config, _HEEDED_CONFIG, ""),
        *_unheeded(image, _HEEDED_SHAPE, "imageConfig."),
    ]


def _unheeded(values: Json, heeded: frozenset[str], prefix: str) -> list[str]:
    return [
        prefix + name
        for name, value in values.items()
        if name not in heeded and value not in (None, [], {}, "")
    ]


def _shape(image: Json, model: str) -> Json:
    canvas = canvas_of(model)
    shape: Json = {}
    ratio, size = image.get("aspectRatio"), image.get("imageSize")
    if ratio:
        if ratio not in canvas.ratios:
            known = ", ".join(canvas.ratios)
            raise BadRequest(f"This model draws these shapes: {known}.", param="size")
        shape["aspectRatio"] = ratio
    if size and size in canvas.tiers:
        shape["sampleImageSize"] = size
    elif size and size != "1K":
        raise BadRequest(f"This model does not draw at {size}.", param="size")
    if image.get("personGeneration"):
        shape["personGeneration"] = image["personGeneration"]
    return shape


def predict_answer(data: Json, model: str) -> Json:
    """Return a Gemini response with a candidate for each prediction.

    A prompt that Imagen has rewritten stands before its picture. A picture that was
    filtered becomes a candidate with IMAGE_SAFETY and Google's reason; with nothing
    at all, which is how filters that give no reason look, NO_IMAGE.
    """
    candidates = [
        {**_candidate(row), "index": index}
        for index, row in enumerate(dicts(data.get("predictions")))
    ]
    if not candidates:
        candidates = [{"finishReason": "NO_IMAGE", "index": 0}]
    return {"candidates": candidates, "modelVersion": model}


def _candidate(row: Json) -> Json:
    if not row.get("bytesBase64Encoded"):
        reason = str(row.get("raiFilteredReason") or "")
        finish = "IMAGE_SAFETY" if reason else "NO_IMAGE"
        return {"finishReason": finish, "finishMessage": reason}
    media_type = str(row.get("mimeType") or _USUAL_TYPE)
    picture = {"mimeType": media_type, "data": str(row["bytesBase64Encoded"])}
    parts: list[Json] = [{"inlineData": picture}]
    if row.get("prompt"):
        parts.insert(0, {"text": str(row["prompt"])})
    return {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
