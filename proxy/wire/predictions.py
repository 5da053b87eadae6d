"""The native ``:predict`` of picture models, for callers (ai.google.dev, "Imagen").

Open WebUI asks so for pictures, with one instance that is no list. What comes in
becomes an image request; what was drawn becomes predictions.
"""

from collections.abc import Iterable
from typing import Any, Final

from proxy.wire.gemini_answer import Json
from proxy.wire.image_models import is_imagen
from proxy.wire.openai_fields import choice, maybe, record, text, whole_from, wrong
from proxy.wire.openai_image_answer import Delivered
from proxy.wire.openai_image_options import MOST_COPIES
from proxy.wire.openai_images import ImageRequest, parse_generation

_FORMS: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}
_SIZES: Final = ("sampleImageSize", "imageSize")
_READ: Final = frozenset(
    {
        "sampleCount",
        "aspectRatio",
        "outputOptions",
        "personGeneration",
        # Reasons are always told.
        "includeRaiReason",
        *_SIZES,
    }
)


def parse_prediction(
    body: object, *, default_model: str, upstream_model: str
) -> ImageRequest:
    """Translate a prediction for the model that will draw. Raises BadRequest.

    Shape and size go on as they are: what the model does not draw is refused.
    """
    request = record(body, "")
    parameters = maybe(request, "parameters", record) or {}
    if parameters.get("storageUri"):
        raise wrong("parameters.storageUri", "is not offered: pictures come inline")
    made = parse_generation(
        _instance(request.get("instances"))
        | _output(maybe(parameters, "outputOptions", record) or {})
        | {"n": maybe(parameters, "sampleCount", whole_from(1, MOST_COPIES))},
        default_model=default_model,
        upstream_model=upstream_model,
    )
    made.config, dropped = _image_config(parameters, is_imagen(upstream_model))
    made.dropped += dropped
    return made


def _image_config(parameters: Json, predicts: bool) -> tuple[dict[str, str], list[str]]:
    """Return the imageConfig, and the names of what has no place in it."""
    dropped = [name for name, value in parameters.items() if _lost(name, value)]
    ratio = maybe(parameters, "aspectRatio", text)
    found = {"aspectRatio": ratio} if ratio else {}
    for name in _SIZES:
        if size := maybe(parameters, name, text):
            found["imageSize"] = size.upper()
    people = maybe(parameters, "personGeneration", text)
    if people and predicts:
        found["personGeneration"] = people
    elif people:
        dropped.append("personGeneration")
    return found, dropped


def _lost(name: str, value: object) -> bool:
    return name not in _READ and value not in (None, "", [], {})


def _output(options: Json) -> dict[str, Any]:
    """Return outputOptions as OpenAI's fields; PNG knows no quality."""
    kind = maybe(options, "mimeType", text)
    if not kind:
        return {}
    choice(kind, "parameters.outputOptions.mimeType", tuple(_FORMS))
    quality = maybe(options, "compressionQuality", whole_from(0, 100))
    form = {"output_format": _FORMS[kind]}
    return form if kind == "image/png" else form | {"output_compression": quality}


def _instance(instances: object) -> dict[str, Any]:
    rows = instances if isinstance(instances, list) else [instances]
    if len(rows) != 1:
        raise wrong("instances", "must hold one prompt")
    instance = record(rows[0], "instances")
    prompt = maybe(instance, "prompt", text, "instances") or ""
    if not prompt.strip():
        raise wrong("instances.prompt", "is required")
    if not instance.get("image"):
        return {"prompt": prompt}
    picture = record(instance["image"], "instances.image")
    data = maybe(picture, "bytesBase64Encoded", text, "instances.image")
    if not data:
        raise wrong("instances.image.bytesBase64Encoded", "is required")
    return {"prompt": prompt, "image": data}


def prediction_answer(pictures: Iterable[Delivered], missing: Iterable[str]) -> Json:
    """Return pictures as predictions, and after them why others are missing."""
    rows = [_row(picture) for picture in pictures]
    return {"predictions": rows + [{"raiFilteredReason": why} for why in missing]}


def _row(picture: Delivered) -> dict[str, str]:
    row = {"mimeType": picture.media_type, "bytesBase64Encoded": picture.base64}
    return row | ({"prompt": picture.revised_prompt} if picture.revised_prompt else {})
