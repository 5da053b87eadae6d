"""Imagen's ``predict``: its rules, and the pictures it answers with."""

import base64
from typing import Any

from proxy.sandbox.catalogue import Card
from proxy.sandbox.pictures import draw
from proxy.sandbox.protojson import decode_json
from proxy.sandbox.refusals import field_violations, invalid_argument

_MOST = 4
_REQUEST = frozenset({"instances", "parameters"})
_PARAMETERS = frozenset(
    {
        "sampleCount",
        "aspectRatio",
        "sampleImageSize",
        "personGeneration",
        "includeRaiReason",
        "outputOptions",
    }
)
_PEOPLE = ("dont_allow", "allow_adult", "allow_all")
#: Words for which the filter takes the last picture, and those for which it takes all.
_ONE, _ALL = "one filtered", "all filtered"
_REASON = (
    "Unable to show generated images. All images were filtered out because they violated"
    " Google's Responsible AI practices. Support codes: 42876398"
)


def read_predict(body: bytes, card: Card) -> dict[str, Any]:
    """A checked request: prompt, and parameters with defaults. Raises ``Refusal``."""
    request = decode_json(body)
    _refuse_unknown(request, _REQUEST, "")
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise invalid_argument("`parameters` must be an object.")
    _refuse_unknown(parameters, _PARAMETERS, "parameters.")
    _check(parameters, card)
    return {"sampleCount": 1, **parameters, "prompt": _prompt(request)}


def _prompt(request: dict[str, Any]) -> str:
    instances = request.get("instances")
    if not isinstance(instances, list) or len(instances) != 1:
        raise invalid_argument("Exactly one instance is required.")
    instance = instances[0] if isinstance(instances[0], dict) else {}
    _refuse_unknown(instance, frozenset({"prompt"}), "instances[0].")
    prompt = instance.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise invalid_argument("Text prompt is required.")
    return prompt


def _check(parameters: dict[str, Any], card: Card) -> None:
    count = parameters.get("sampleCount", 1)
    if type(count) is not int or not 1 <= count <= _MOST:
        raise invalid_argument(f"`sampleCount` must be between 1 and {_MOST}.")
    ratio = parameters.get("aspectRatio", "1:1")
    if ratio not in card.aspect_ratios:
        known = ", ".join(card.aspect_ratios)
        raise invalid_argument(f"aspectRatio {ratio!r} is not one of {known}.")
    size = parameters.get("sampleImageSize", "1K")
    if size != "1K" and size not in card.picture_sizes:
        raise invalid_argument(f"sampleImageSize {size!r} is not supported.")
    if "sampleImageSize" in parameters and len(card.picture_sizes) < 2:
        raise invalid_argument("`sampleImageSize` isn't supported by this model.")
    people = parameters.get("personGeneration", "allow_adult")
    if not isinstance(people, str) or people.lower() not in _PEOPLE:
        raise invalid_argument(f"personGeneration {people!r} is not supported.")


def _refuse_unknown(values: dict[str, Any], known: frozenset[str], prefix: str) -> None:
    unknown = [name for name in values if name not in known]
    if unknown:
        raise field_violations((prefix + name, _unknown(name)) for name in unknown)


def _unknown(name: str) -> str:
    return f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'


def predict(request: dict[str, Any]) -> dict[str, Any]:
    """The response to a checked request."""
    prompt, count = request["prompt"], request["sampleCount"]
    filtered = count if _ALL in prompt else min(count, 1) if _ONE in prompt else 0
    rows = [_row(request, number) for number in range(count - filtered)]
    if filtered and request.get("includeRaiReason"):
        rows.append({"raiFilteredReason": _REASON})
    return {"predictions": rows} if rows else {}


def _row(request: dict[str, Any], number: int) -> dict[str, str]:
    words = f"{request['prompt']} #{number}" if number else request["prompt"]
    ratio, size = request.get("aspectRatio", ""), request.get("sampleImageSize", "")
    drawn = draw(words, ratio, size)
    return {
        "mimeType": "image/png",
        "bytesBase64Encoded": base64.b64encode(drawn).decode(),
    }
