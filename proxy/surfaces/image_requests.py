"""Image requests as they come in: a form or JSON, pictures that must be looked at."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from gemproxy.lib.multipart import BadForm, Part, is_form, read_parts
from imaging import threads, transforms
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import Picture, opened
from imaging.finishing import Finishing
from imaging.sizes import nearest_ratio
from proxy.catalog import RoutePlan
from proxy.errors import BadRequest
from proxy.models import Route
from proxy.runtime import runtime
from proxy.surfaces.base import parse_json
from proxy.surfaces.openai_chat import MOST_FETCHES, inline
from proxy.tasks import gather
from proxy.wire import media_types
from proxy.wire.openai_image_forms import FormFile, read_form
from proxy.wire.openai_images import ImageRequest, gemini_body, peek_model

Parse = Callable[..., ImageRequest]
#: Larger bodies are read beside the event loop.
SMALL = 64 * 1024
#: What Gemini's models look at; other pictures become PNG.
SEEN = frozenset({"png", "jpeg", "webp"})
INVALID = "invalid_image"
PICTURES = ("image", "mask")


@dataclass(slots=True, kw_only=True)
class Commission:
    """A request whose pictures have been fetched and checked.

    ``body`` asks for one picture, ``finishing`` makes of it what the caller gets;
    ``transparent`` tells that the picture to edit is so where the mask protects it.
    """

    request: ImageRequest
    upstream_model: str
    body: dict[str, Any]
    finishing: Finishing
    transparent: bool = False


async def read_commission(
    request: ASGIRequest, parse: Parse, model: str = ""
) -> Commission:
    """Read an image request; ``model`` is given where the path names it.

    Raises BadRequest, and Busy for too much to fetch.
    """
    body = await _beside(request, _body, request)
    asked = model or peek_model(body, settings.DEFAULT_IMAGE_MODEL)
    route = runtime.gateway.catalog.resolve(asked)
    if route.category != Route.Category.IMAGE:
        raise BadRequest(_no_pictures(route), param="model", code="model_not_supported")
    wanted = await _beside(
        request,
        parse,
        body,
        default_model=settings.DEFAULT_IMAGE_MODEL,
        upstream_model=route.upstream_model,
    )
    if len(wanted.fetches) > MOST_FETCHES:
        raise BadRequest(
            f"A request may link to at most {MOST_FETCHES} pictures; "
            "send the others themselves.",
            param=wanted.fetches[MOST_FETCHES].param,
        )
    await gather(*(inline(fetch, request.hold) for fetch in wanted.fetches))
    return await _checked(wanted, route.upstream_model)


async def _beside(
    request: ASGIRequest, work: Callable[..., Any], *args: Any, **named: Any
) -> Any:
    if len(request.content) <= SMALL:
        return work(*args, **named)
    return await threads.run(work, *args, **named)


def _body(request: ASGIRequest) -> Any:
    content_type = request.META.get("CONTENT_TYPE", "")
    if not is_form(content_type):
        return parse_json(request.content)
    try:
        parts = read_parts(request.content, content_type)
    except BadForm as error:
        raise BadRequest(
            f"The form cannot be read: {error}.", code="invalid_form"
        ) from None
    files = [part for part in parts if _is_file(part)]
    fields = [part for part in parts if not _is_file(part)]
    return read_form(
        [(part.name, _text(part)) for part in fields],
        [(part.name, FormFile(part.content, part.content_type)) for part in files],
    )


def _is_file(part: Part) -> bool:
    """Tell files from texts; a client may leave out a file's name."""
    if part.filename is not None:
        return bool(part.filename or part.content)
    if not part.name.startswith(PICTURES):
        return False
    return media_types.sniffed(part.content[:64]) is not None


def _text(part: Part) -> str:
    try:
        return part.content.decode()
    except UnicodeDecodeError:
        raise BadRequest(
            f"The field {part.name[:64]} is no text in UTF-8.", param=part.name[:64]
        ) from None


def _no_pictures(route: RoutePlan) -> str:
    names = runtime.gateway.catalog.categories()[Route.Category.IMAGE]
    if not names:
        return f"{route.name} draws no pictures, and no model here does."
    return f"{route.name} draws no pictures. Models that do: {', '.join(names)}."


async def _checked(wanted: ImageRequest, upstream_model: str) -> Commission:
    """Look at all pictures, one at a time, and make the body of them."""
    pictures = wanted.pictures
    for index, part in enumerate(pictures):
        param = "image" if len(pictures) == 1 else f"image[{index}]"
        await threads.run(_settle, part, param)
    finishing = Finishing(form=wanted.output_format, quality=wanted.compression)
    if wanted.mask is None:
        body = gemini_body(wanted)
        return Commission(
            request=wanted,
            upstream_model=upstream_model,
            body=body,
            finishing=finishing,
        )
    return await threads.run(_masked, wanted, upstream_model)


def _masked(wanted: ImageRequest, upstream_model: str) -> Commission:
    """Check a mask against its picture, and draw what the model is shown of it."""
    assert wanted.mask is not None  # noqa: S101
    original, mask = _opened(wanted.pictures[0], "image"), _opened(wanted.mask, "mask")
    width, height = original.shown_size
    if mask.shown_size != (width, height):
        raise BadRequest(
            f"mask must have the size of image, {width}x{height}.",
            param="mask",
            code=INVALID,
        )
    try:
        guide = transforms.mask_guide(mask)
    except PictureRefused as refused:
        raise BadRequest(refused.text, param="mask", code=INVALID) from None
    _keep_shape(wanted, width, height)
    return Commission(
        request=wanted,
        upstream_model=upstream_model,
        body=gemini_body(wanted, _part(guide)),
        finishing=Finishing(
            form=wanted.output_format,
            quality=wanted.compression,
            original=original.data,
            mask=mask.data,
            limits=_limits(),
        ),
        transparent=_shows_through(original),
    )


def _keep_shape(wanted: ImageRequest, width: int, height: int) -> None:
    """Let a masked edit have the size of its picture, on which it is laid."""
    wanted.config.pop("aspectRatio", None)
    asked = wanted.asked
    if asked.width is not None:
        is_other = (asked.width, asked.height) != (width, height)
    else:
        shape = nearest_ratio(width, height)
        is_other = asked.tier is not None or asked.ratio not in (None, shape)
    others = [name for name in wanted.dropped if name != "size"]
    wanted.dropped = [*others, "size"] if is_other else others


def _shows_through(picture: Picture) -> bool:
    if not picture.image.has_transparency_data:
        return False
    return picture.image.convert("RGBA").getchannel("A").getextrema()[0] < 255


def _settle(part: dict[str, Any], param: str) -> None:
    """Look at a picture; what models cannot see, or what follows it, is taken off."""
    picture = _opened(part, param)
    if picture.format not in SEEN:
        try:
            picture = transforms.transcoded(picture, "png")
        except PictureRefused as refused:
            raise BadRequest(refused.text, param=param, code=INVALID) from None
        part |= _part(picture)
    elif picture.cut:
        part |= _part(picture)
    part["inlineData"]["mimeType"] = picture.media_type


def _opened(part: dict[str, Any], param: str) -> Picture:
    inline_data = part.get("inlineData")
    if inline_data is None:
        raise BadRequest(
            "Files that were uploaded elsewhere are not taken; send the picture.",
            param=param,
        )
    try:
        return opened(base64.b64decode(inline_data["data"]), _limits())
    except PictureRefused as refused:
        raise BadRequest(refused.text, param=param, code=INVALID) from None


def _limits() -> Limits:
    return Limits(bytes=settings.MAX_MEDIA_BYTES)


def _part(picture: Picture) -> dict[str, Any]:
    data = base64.b64encode(picture.data).decode()
    return {"inlineData": {"mimeType": picture.media_type, "data": data}}
