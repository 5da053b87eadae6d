"""POST /v1/images/generations, /edits and /variations, and /v1/generate-images."""

from collections.abc import AsyncIterator
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from gemproxy.lib import clock
from gemproxy.lib.asgi import StreamResponse
from imaging import links, threads
from proxy.calls import Call
from proxy.errors import Fault
from proxy.surfaces.base import OPENAI, Surface
from proxy.surfaces.dialects import json_response
from proxy.surfaces.image_answers import Harvest, harvest
from proxy.surfaces.image_requests import Commission, Parse, read_commission
from proxy.surfaces.schema import body
from proxy.surfaces.streams import Opening, remarked
from proxy.wire.json_schemas import (
    IMAGE_EDIT,
    IMAGE_REQUEST,
    IMAGE_VARIATION,
    IMAGES_ANSWER,
    SIMPLE_IMAGE_REQUEST,
    SIMPLE_IMAGES,
)
from proxy.wire.openai_image_answer import ImageStream, render_images
from proxy.wire.openai_images import (
    ImageRequest,
    parse_edit,
    parse_generation,
    parse_simple,
    parse_variation,
)


class Images(Surface):
    """Pictures in OpenAI's dialect; a subclass says how its requests are read."""

    surface = "openai.images"
    dialect = OPENAI
    parse: ClassVar[Parse]
    #: What a stream's request brought, once it is there.
    found: Harvest | None = None

    async def draw(self) -> HttpResponseBase:
        """Answer a request, whole or as a stream."""
        commission = await read_commission(self.request._request, type(self).parse)
        wanted = commission.request
        # A stream waits for whole answers too: providers send a picture in one piece.
        call = self.new_call(
            method="generateContent",
            model=wanted.model,
            body=commission.body,
            copies=wanted.copies,
            needs=wanted.needs,
            keep_empty=True,
            finish=commission.finishing if commission.finishing else None,
        )
        answer = self._stream if wanted.stream else self._whole
        return await answer(call, commission)

    async def _whole(self, call: Call, commission: Commission) -> HttpResponseBase:
        wanted = commission.request
        found = await harvest(call, commission, self._base())
        # Pictures as text are megabytes, too much to write on the event loop.
        response = await threads.run(_rendered, wanted, found)
        for name, value in found.headers(wanted.copies).items():
            response[name] = value
        return response

    async def _stream(self, call: Call, commission: Commission) -> HttpResponseBase:
        wanted = commission.request
        opening = Opening(self._once(call, commission))
        await opening.first(settings.STREAM_COMMIT_MS / 1000)
        response = StreamResponse(
            _events(opening, ImageStream(wanted, _now())),
            keep_alive=ImageStream.keep_alive,
            interval=settings.KEEP_ALIVE_SECONDS,
            release=opening.aclose,
        )
        kept = self.found is not None and self.found.kept
        return remarked(response, {}, wanted.dropped, kept=kept)

    async def _once(
        self, call: Call, commission: Commission
    ) -> AsyncIterator[list[Harvest]]:
        # A stream holds bytes, never links: there is nothing to put before them.
        self.found = await harvest(call, commission, "")
        yield [self.found]

    def _base(self) -> str:
        try:
            return links.base_of(self.request._request)
        except DisallowedHost:
            return ""


def _rendered(wanted: ImageRequest, found: Harvest) -> HttpResponseBase:
    answer = render_images(
        found.pictures,
        wanted,
        created=_now(),
        usage=found.usage,
        missing=found.missing,
        estimated=found.estimated,
    )
    return remarked(json_response(answer), answer, kept=found.kept)


async def _events(opening: Opening, stream: ImageStream) -> AsyncIterator[bytes]:
    try:
        async for batch in opening.batches():
            for found in batch:
                yield await threads.run(
                    stream.finish,
                    found.pictures,
                    found.usage,
                    missing=found.missing,
                    estimated=found.estimated,
                )
    except Fault as fault:
        yield stream.fault(fault)


def _now() -> int:
    return int(clock.now().timestamp())


class Generations(Images):
    """POST /v1/images/generations; with a picture it is an edit."""

    parse = staticmethod(parse_generation)

    @extend_schema(
        summary="Pictures from words",
        description="OpenAI's images.generate request. `n` pictures are drawn side by "
        "side; some missing are named in `x-gemproxy-missing`.",
        request=body(IMAGE_REQUEST),
        responses={200: IMAGES_ANSWER},
    )
    async def post(self, _request: Request) -> HttpResponseBase:
        return await self.draw()


class Edits(Images):
    """POST /v1/images/edits, and /v1/images/edit."""

    parse = staticmethod(parse_edit)

    @extend_schema(
        summary="Pictures from pictures",
        description="OpenAI's images.edit request as a form or as JSON, with data URLs "
        "or base64. What the mask protects stays as it is.",
        request={"multipart/form-data": IMAGE_EDIT, "application/json": IMAGE_EDIT},
        responses={200: IMAGES_ANSWER},
    )
    async def post(self, _request: Request) -> HttpResponseBase:
        return await self.draw()


class Variations(Images):
    """POST /v1/images/variations."""

    parse = staticmethod(parse_variation)

    @extend_schema(
        summary="Variations of a picture",
        request={
            "multipart/form-data": IMAGE_VARIATION,
            "application/json": IMAGE_VARIATION,
        },
        responses={200: IMAGES_ANSWER},
    )
    async def post(self, _request: Request) -> HttpResponseBase:
        return await self.draw()


class SimpleImages(Images):
    """POST /v1/generate-images."""

    surface = "simple.images"
    parse = staticmethod(parse_simple)

    @extend_schema(
        summary="Plain pictures",
        description="`{prompt, count?, response_type?, image?, model?, size?}` → "
        "`{images, model}`.",
        request=body(SIMPLE_IMAGE_REQUEST),
        responses={200: SIMPLE_IMAGES},
    )
    async def post(self, _request: Request) -> HttpResponseBase:
        return await self.draw()
