"""What a picture model is asked for, with what its route says and its caller did not."""

from collections.abc import Mapping
from typing import Any, Final

from proxy.errors import BadRequest
from proxy.wire.gemini_answer import dicts, mapping
from proxy.wire.image_models import canvas_of

Body = Mapping[str, Any]
#: What is drawn where nobody names a size (ai.google.dev, "Image generation").
_UNNAMED: Final = "1K"


def wanted_size(body: Body, route_size: str) -> str:
    """Return the imageSize that a generateContent body (any casing) asks for, else
    the route's, which is "" where it leaves that to the provider."""
    _, image = _under(_under(body, "generationConfig")[1], "imageConfig")
    return str(image.get("imageSize") or image.get("image_size") or route_size)


def at_own_size(body: Body, route_size: str) -> bool:
    """Tell whether a generateContent body asks for no other size than the route's."""
    own = route_size or _UNNAMED
    return wanted_size(body, own) == own


def fitted(body: Body, model: str, route_size: str) -> Body:
    """Return a generateContent body as an upstream model is to get it.

    The route's size goes into ``imageConfig.imageSize`` unless the caller named one,
    or the model draws at no such size. Raises BadRequest for an aspect ratio that the
    model is known not to draw. ``body`` is left alone.
    """
    outer, config = _under(body, "generationConfig")
    inner, image = _under(config, "imageConfig")
    if not (image or route_size):
        return body
    canvas = canvas_of(model)
    ratio = image.get("aspectRatio") or image.get("aspect_ratio")
    if ratio and canvas.ratios and ratio not in canvas.ratios:
        known = ", ".join(canvas.ratios)
        raise BadRequest(
            f"The aspect ratio {str(ratio)[:20]!r} is not drawn by this model; "
            f"it draws {known}.",
            param="generationConfig.imageConfig.aspectRatio",
        )
    own = image.get("imageSize") or image.get("image_size")
    if own or route_size not in canvas.tiers:
        return body
    return {**body, outer: {**config, inner: {**image, "imageSize": route_size}}}


def words_to_draw(view: Body) -> str:
    """Return the prompt for a model that knows one prompt: the last user's words.

    Raises BadRequest for a turn with pictures, or without words.
    """
    turns = [c for c in dicts(view.get("contents")) if c.get("role") != "model"]
    parts = list(dicts(turns[-1].get("parts"))) if turns else []
    if any("inlineData" in part or "fileData" in part for part in parts):
        raise BadRequest("This model cannot edit pictures: send words only.")
    prompt = "\n".join(str(part["text"]) for part in parts if part.get("text"))
    if not prompt.strip():
        raise BadRequest("The last message has no words to make a picture of.")
    return prompt


def _under(holder: Body, name: str) -> tuple[str, dict[str, Any]]:
    """Return the object under a name, and the spelling in which it stands there."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    spelt = snake if name not in holder and snake in holder else name
    return spelt, mapping(holder.get(spelt))
