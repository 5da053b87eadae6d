"""Which parts of a Gemini request xAI's API has no place for.

Tuning knobs are left out and named to the caller; what would change the answer's
nature is refused where the request is written.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, mapping
from proxy.wire.image_models import canvas_of
from proxy.wire.xai_models import efforts, makes_pictures
from proxy.wire.xai_request import TWINS

#: Fields of a request that are heeded, or refused by name, by every model.
_HEEDED = frozenset({"contents", "model", "generationConfig", "cachedContent"})
_OF_CHATS = _HEEDED | {"systemInstruction", "tools", "toolConfig"}
_FORMS = frozenset(
    {
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "_responseJsonSchema",
        "responseModalities",
    }
)
_CHAT_CONFIG = frozenset({*TWINS, *_FORMS, "stopSequences", "thinkingConfig"})
_PICTURE_CONFIG = frozenset({*_FORMS, "candidateCount", "imageConfig"})
_PLAIN = ("text/plain", "application/json")


def dropped_names(body: Mapping[str, Any], model: str) -> list[str]:
    """Return the names of what is left out when a model of xAI's is asked."""
    view = normalise(dict(body))
    config = mapping(view.get("generationConfig"))
    if makes_pictures(model):
        # A picture is made of the last words alone.
        found = [*_unknown(view, _HEEDED | {"tools"}), *_pictures(config, model)]
    else:
        found = [*_unknown(view, _OF_CHATS), *_chats(view, config, model)]
    return list(dict.fromkeys(found))


def _chats(view: Json, config: Json, model: str) -> Iterator[str]:
    yield from _unknown(config, _CHAT_CONFIG)
    if config.get("responseMimeType") not in (None, "", *_PLAIN):
        yield "responseMimeType"
    thinking = mapping(config.get("thinkingConfig"))
    wishes = (thinking.get("thinkingLevel"), thinking.get("thinkingBudget"))
    if any(wish not in (None, -1) for wish in wishes) and not efforts(model):
        yield "thinkingConfig"
    tuned = mapping(view.get("toolConfig"))
    for name in _unknown(tuned, frozenset({"functionCallingConfig"})):
        yield f"toolConfig.{name}"


def _pictures(config: Json, model: str) -> Iterator[str]:
    yield from _unknown(config, _PICTURE_CONFIG)
    image = mapping(config.get("imageConfig"))
    # The older models refuse a request that names a shape.
    heeded = frozenset({"aspectRatio"}) if canvas_of(model).ratios else frozenset()
    for name in _unknown(image, heeded):
        yield f"imageConfig.{name}"


def _unknown(values: Json, known: frozenset[str]) -> Iterator[str]:
    for name, value in values.items():
        if name not in known and value not in (None, [], {}, ""):
            yield name
