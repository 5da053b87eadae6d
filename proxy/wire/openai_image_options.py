"""The fields of an image request that steer the answer: size, form, tuning."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from imaging.bounds import PictureRefused
from imaging.sizes import WIDE_RATIOS, AskedSize, asked_size
from proxy.wire.image_models import split_size
from proxy.wire.openai_fields import choice, either, maybe, text, whole_from, wrong

MOST_COPIES: Final = 10

Shape = Literal["openai", "extended", "simple"]
OutputFormat = Literal["png", "jpeg", "webp"]

_FORMATS: Final = ("png", "jpeg", "webp")
_QUALITIES: Final = ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")
#: What only other makers' models can do, and why it is refused here.
_REFUSED: Final = {
    "frame_count": "is for animations, which are not made here",
    "frame_duration_ms": "is for animations, which are not made here",
    "svg": "is for SVG, which is not made here",
    "markup": "is not offered here: draw it into the picture itself",
}
#: Fields that a caller can do without; what was asked is named to him.
_TUNING: Final[dict[str, tuple[str | None, ...]]] = {
    "quality": (None, "auto"),
    "style": (None,),
    "moderation": (None, "auto"),
    "input_fidelity": (None,),
    "complexity": (None,),
}
_CHOICES: Final = {
    "quality": _QUALITIES,
    "style": ("vivid", "natural"),
    "moderation": ("low", "auto"),
    "input_fidelity": ("low", "high"),
    "complexity": ("low", "medium", "high"),
}
_KNOWN: Final = frozenset(
    {
        "model",
        "prompt",
        "n",
        "count",
        "size",
        "image",
        "images",
        "mask",
        "background",
        "response_format",
        "response_type",
        "output_format",
        "output_compression",
        "stream",
        "partial_images",
        "user",
        "safety_identifier",
        "aspect_ratio",
        "image_size",
        "extra_body",
        "google",
        "service_tier",
        "safety_settings",
        "safetySettings",
        *_TUNING,
        *_REFUSED,
    }
)
#: Keys of the google object that only image requests have.
GOOGLE_READ: Final = frozenset({"google.aspect_ratio", "google.image_size"})
_PLAIN_NAME = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
_MOST_NAMED = 20


def copies(request: Mapping[str, Any]) -> int:
    """Return how many pictures are wanted: OpenAI's ``n``, or the simple ``count``."""
    return either(request, ("n", "count"), whole_from(1, MOST_COPIES)) or 1


def safety_identifier(request: Mapping[str, Any]) -> str:
    """Return OpenAI's effective safety identifier."""
    return either(request, ("safety_identifier", "user"), text) or ""


def wanted_size(
    request: Mapping[str, Any], google: Mapping[str, Any], model: str
) -> AskedSize:
    """Return the size that is asked for; the model's name decides before the field:
    clients send a size with every request."""
    size = _size(maybe(request, "size", text), "size")
    ratio = either(google, ("aspect_ratio",), text, "google") or maybe(
        request, "aspect_ratio", text
    )
    tier = either(google, ("image_size",), text, "google") or maybe(
        request, "image_size", text
    )
    shape = _size(ratio, "aspect_ratio").ratio or size.ratio
    wanted = split_size(model)[1] or _size(tier, "image_size").tier or size.tier
    return AskedSize(shape, wanted, size.width, size.height)


def _size(words: str | None, param: str) -> AskedSize:
    try:
        return asked_size(words or "", WIDE_RATIOS)
    except PictureRefused as refused:
        raise wrong(param, refused.text.removeprefix("size ").rstrip(".")) from None


def answer_form(
    request: Mapping[str, Any], *, stream: bool, image: bool
) -> tuple[Shape, bool]:
    """Return the shape of the answer and whether it holds links."""
    form = maybe(request, "response_format", _response_format)
    kind = maybe(request, "response_type", _response_type)
    if form and kind and (form == "url") != (kind == "url"):
        raise wrong("response_type", "contradicts response_format")
    as_url = "url" in (form, kind)
    if stream and as_url:
        where = "response_type" if kind else "response_format"
        raise wrong(where, "cannot be url in a stream, whose events hold the bytes")
    return ("extended" if kind or image else "openai"), as_url


def _response_format(value: object, param: str) -> str:
    return choice(value, param, ("url", "b64_json"))


def _response_type(value: object, param: str) -> str:
    return choice(value, param, ("base64", "b64_json", "url"))


def output_of(
    request: Mapping[str, Any],
) -> tuple[OutputFormat | None, int | None]:
    """Return output_format and output_compression; None for what is left open.

    Raises BadRequest for formats that are not made, for a compression that the
    format has not, and for a transparent background, which the models cannot paint.
    """
    asked = maybe(request, "output_format", text)
    asked = "jpeg" if asked == "jpg" else asked
    if asked in ("gif", "svg"):
        raise wrong("output_format", f"{asked} is not made here: png, jpeg or webp")
    known: OutputFormat | None = None
    if asked is not None:
        choice(asked, "output_format", _FORMATS)
        known = "jpeg" if asked == "jpeg" else "webp" if asked == "webp" else "png"
    compression = maybe(request, "output_compression", whole_from(0, 100))
    if compression not in (None, 100) and known not in ("jpeg", "webp"):
        raise wrong("output_compression", "is for jpeg and webp only")
    if maybe(request, "background", _background) == "transparent":
        raise wrong("background", "cannot be transparent: these models paint all of it")
    return known, None if known == "png" else compression


def _background(value: object, param: str) -> str:
    return choice(value, param, ("transparent", "opaque", "auto"))


def ineffective(request: Mapping[str, Any]) -> list[str]:
    """Return the names of fields that have no effect; refuse what would mislead."""
    for key, why in _REFUSED.items():
        if request.get(key) is not None:
            raise wrong(key, why)
    dropped = []
    for key, silent in _TUNING.items():
        value = maybe(request, key, text)
        if value is not None:
            choice(value, key, _CHOICES[key])
        if value not in silent:
            dropped.append(key)
    # Gemini sends no drafts of a picture.
    if maybe(request, "partial_images", whole_from(0, 3)):
        dropped.append("partial_images")
    unknown = [key for key in request if key not in _KNOWN and _is_plain(key)]
    return dropped + unknown[:_MOST_NAMED]


def _is_plain(key: object) -> bool:
    """May this name stand in a header?"""
    return isinstance(key, str) and bool(_PLAIN_NAME.fullmatch(key))
