"""OpenAI's image requests, and the simple ones, as generateContent requests.

A surface peeks at the model, resolves it, parses the request for the upstream model,
fetches and checks the pictures, sends ``gemini_body``, and hands what came to
``openai_image_answer``.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from imaging.sizes import AskedSize
from proxy.wire import media_types
from proxy.wire.google_extensions import google_fields, read_extensions
from proxy.wire.image_models import image_config
from proxy.wire.model_names import model_name
from proxy.wire.openai_fields import (
    either,
    flag,
    maybe,
    name,
    record,
    text,
    wrong,
)
from proxy.wire.openai_image_forms import FormFile
from proxy.wire.openai_image_options import (
    GOOGLE_READ,
    OutputFormat,
    Shape,
    answer_form,
    copies,
    ineffective,
    output_of,
    safety_identifier,
    wanted_size,
)
from proxy.wire.openai_media import Fetch, MediaReader

MOST_PICTURES: Final = 16

Operation = Literal["generation", "edit", "variation"]

_VARIATION: Final = (
    "Make a variation of this picture: the same subject, style and mood, "
    "with a new composition and new details."
)
_MASKED: Final = (
    "The last picture is a mask of the first one. Change the first picture only where "
    "the mask is white, leave everything else exactly as it is, and keep its size."
)


@dataclass(slots=True, kw_only=True)
class ImageRequest:
    """An image request in the middle language.

    ``model`` is as asked, or the default. ``pictures`` are Gemini parts, in order;
    those of ``fetches`` have no data until it is fetched. ``mask`` is such a part too:
    it goes upstream only as a guide that the caller draws from it. ``copies`` is how
    many pictures are wanted; each is a call of its own. ``as_url`` tells that links
    are wanted instead of bytes, ``shape`` which answer. ``output_format`` is None
    where the picture stays as it was drawn; ``compression`` is OpenAI's, 0 to 100.
    ``dropped`` names what was asked and cannot be followed, ``needs`` what the
    answering account must be able to do.
    """

    operation: Operation
    shape: Shape
    model: str
    prompt: str
    copies: int
    stream: bool
    as_url: bool
    asked: AskedSize
    config: dict[str, str]
    output_format: OutputFormat | None
    compression: int | None
    quality: str
    safety_identifier: str
    pictures: list[dict[str, Any]]
    mask: dict[str, Any] | None
    fetches: list[Fetch]
    needs: frozenset[str]
    dropped: list[str]
    extensions: dict[str, Any] = field(default_factory=dict)


def peek_model(body: object, default: str) -> str:
    """Return the model that a request names, or the default one.

    Raises BadRequest when the body is no object or the model no name.
    """
    return (maybe(record(body, ""), "model", name) or default).strip()


def parse_generation(
    body: object, *, default_model: str, upstream_model: str
) -> ImageRequest:
    """Translate the body of /v1/images/generations; with a picture it is an edit."""
    request = record(body, "")
    maker = _Maker(request, default_model, upstream_model)
    return maker.drawing(_required(request, "prompt"))


def parse_edit(
    body: object, *, default_model: str, upstream_model: str
) -> ImageRequest:
    """Translate an edit: JSON, or a form that ``read_form`` has read.

    Pictures are data URLs, bare base64, http(s) URLs, or files of the form.
    """
    request = record(body, "")
    maker = _Maker(request, default_model, upstream_model)
    prompt = _required(request, "prompt")
    maker.read_pictures()
    return maker.made("edit", prompt)


def parse_variation(
    body: object, *, default_model: str, upstream_model: str
) -> ImageRequest:
    """Translate a variation: one picture and no words."""
    request = record(body, "")
    for key in ("prompt", "mask"):
        if request.get(key) is not None:
            raise wrong(key, "is for edits; send it to /v1/images/edits")
    maker = _Maker(request, default_model, upstream_model)
    maker.read_pictures(most=1)
    return maker.made("variation", _VARIATION)


def parse_simple(
    body: object, *, default_model: str, upstream_model: str
) -> ImageRequest:
    """Translate the body of /v1/generate-images: ``{prompt, count, response_type,
    image?, model?, size?}``; with a picture it is an edit."""
    request = record(body, "")
    maker = _Maker(request, default_model, upstream_model)
    made = maker.drawing(_required(request, "prompt"))
    made.shape = "simple"
    if made.stream:
        raise wrong("stream", "is not offered here; use /v1/images/generations")
    return made


def gemini_body(
    request: ImageRequest, guide: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the generateContent body for one picture.

    ``guide`` is a part with the mask as black and white, which models can see; it is
    needed where the request has a mask, together with compositing afterwards.
    """
    words = [request.prompt]
    parts = list(request.pictures)
    if guide is not None:
        parts.append(guide)
        words.append(_MASKED)
    parts.append({"text": "\n\n".join(words)})
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if request.config:
        config["imageConfig"] = request.config
    return {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": config,
        **request.extensions,
    }


def _required(request: Mapping[str, Any], key: str) -> str:
    found = maybe(request, key, name)
    if found is None:
        raise wrong(key, "is required")
    return found


class _Maker:
    """Reads what all image requests have in common, and the pictures."""

    def __init__(self, request: dict[str, Any], default: str, upstream: str) -> None:
        self._request = request
        self._upstream = upstream
        self._model = peek_model(request, default)
        self._media = MediaReader(gemini3=model_name(upstream).gemini3)
        self._pictures: list[dict[str, Any]] = []
        self._mask: dict[str, Any] | None = None
        self._json_image = False

    def read_pictures(self, most: int = MOST_PICTURES) -> None:
        """Read ``image`` or ``images``, and the mask."""
        given = self._given()
        if not given:
            raise wrong("image", "is required")
        if len(given) > most:
            raise wrong(given[most][0], f"is one too many: at most {most} are taken")
        self._pictures = [self._picture(value, param) for param, value in given]
        self._json_image = not any(isinstance(value, FormFile) for _, value in given)
        mask = self._request.get("mask")
        if mask is not None:
            self._mask = self._picture(mask, "mask")

    def drawing(self, prompt: str) -> ImageRequest:
        """Return a generation, or an edit where there is a picture to begin with."""
        if self._given():
            self.read_pictures()
            return self.made("edit", prompt)
        if self._request.get("mask") is not None:
            raise wrong("mask", "needs an image to edit")
        return self.made("generation", prompt)

    def made(self, operation: Operation, prompt: str) -> ImageRequest:
        """Return the whole request."""
        request = self._request
        dropped = ineffective(request)
        google = google_fields(request, dropped)
        extensions = read_extensions(request, google, dropped)
        dropped = [key for key in dropped if key not in GOOGLE_READ]
        asked = wanted_size(request, google, self._model)
        config, followed = image_config(asked, self._upstream)
        if not followed:
            dropped.append("size")
        stream = maybe(request, "stream", flag) or False
        shape, as_url = answer_form(request, stream=stream, image=self._json_image)
        output, compression = output_of(request)
        needs = {"images_out", *self._media.needs}
        return ImageRequest(
            operation=operation,
            shape=shape,
            model=self._model,
            prompt=prompt,
            copies=copies(request),
            stream=stream,
            as_url=as_url,
            asked=asked,
            config=config,
            output_format=output,
            compression=compression,
            quality=maybe(request, "quality", text) or "auto",
            safety_identifier=safety_identifier(request),
            pictures=self._pictures,
            mask=self._mask,
            fetches=self._media.fetches,
            needs=frozenset(needs),
            dropped=list(dict.fromkeys(dropped)),
            extensions=extensions,
        )

    def _given(self) -> list[tuple[str, Any]]:
        """Return (field, picture) for each picture of the request."""
        for key in ("image", "images"):
            value = self._request.get(key)
            if isinstance(value, list) and len(value) == 1:
                return [(key, value[0])]
            if isinstance(value, list):
                return [(f"{key}[{index}]", one) for index, one in enumerate(value)]
            if value is not None and value != "":
                return [(key, value)]
        return []

    def _picture(self, value: object, param: str) -> dict[str, Any]:
        if isinstance(value, FormFile):
            return self._file(value, param)
        if isinstance(value, dict):
            if value.get("file_id") is not None:
                raise wrong(f"{param}.file_id", "names an upload; send the picture")
            found = either(value, ("image_url", "url", "b64_json"), text, param)
            if found is None:
                raise wrong(f"{param}.image_url", "is missing")
            value, param = found, f"{param}.image_url"
        url = text(value, param).strip()
        if ":" not in url[:16]:
            url = f"data:;base64,{url}"
        part = self._media.picture(url, param)
        if "inlineData" in part and not _is_picture(part["inlineData"]["mimeType"]):
            raise wrong(param, "is not a picture")
        return part

    def _file(self, file: FormFile, param: str) -> dict[str, Any]:
        if not file.content:
            raise wrong(param, "is an empty file")
        seen = media_types.sniffed(file.content[:64])
        if seen is None or not _is_picture(seen):
            raise wrong(param, "is not a picture")
        self._media.needs.add("images_in")
        data = base64.b64encode(file.content).decode()
        return {"inlineData": {"mimeType": seen, "data": data}}


def _is_picture(media_type: str) -> bool:
    return media_type.startswith("image/")
