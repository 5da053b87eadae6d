"""Google's own API: generateContent and its kin, passed on untouched."""

from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from gemproxy.lib.asgi import StreamResponse
from proxy import delivery
from proxy.errors import BadRequest, Fault, NotFound
from proxy.runtime import runtime
from proxy.surfaces.base import Surface
from proxy.surfaces.dialects import GEMINI, json_response
from proxy.surfaces.predictions import predict
from proxy.surfaces.schema import body
from proxy.surfaces.streams import Opening, remarked
from proxy.wire import gemini
from proxy.wire.error_bodies import gemini_frame, google_error
from proxy.wire.json_schemas import GEMINI_ANSWER, GEMINI_REQUEST
from proxy.wire.repair import repair_signatures

STREAM = "streamGenerateContent"
PREDICT = "predict"
METHODS = ("generateContent", "countTokens", "embedContent", "batchEmbedContents")
OFFERED = (*METHODS, STREAM, PREDICT)
NEEDS = {
    "countTokens": frozenset({"count_tokens"}),
    "embedContent": frozenset({"embeddings"}),
    "batchEmbedContents": frozenset({"embeddings"}),
}
#: The only keep-alive that all of Google's SDKs and gemini-cli read over.
BLANK = b"\r\n"


class ModelMethod(Surface):
    """POST …/models/{model}:{method}."""

    surface = "gemini"
    dialect = GEMINI

    @extend_schema(
        summary="Call a model method",
        description="generateContent, streamGenerateContent (SSE with `alt=sse`, else "
        "a JSON array), countTokens, embedContent, batchEmbedContents, or predict for "
        "pictures, in Google's own dialect.",
        parameters=[
            OpenApiParameter("model", str, OpenApiParameter.PATH),
            OpenApiParameter("method", str, OpenApiParameter.PATH, enum=[*OFFERED]),
            OpenApiParameter("alt", str, enum=["sse"]),
        ],
        request=body(GEMINI_REQUEST),
        responses={200: GEMINI_ANSWER},
    )
    async def post(self, request: Request, model: str, method: str) -> HttpResponseBase:
        if method not in OFFERED:
            raise NotFound(
                f"Method {method[:40]!r} is not offered; there are "
                f"{', '.join(OFFERED)}."
            )
        if method == PREDICT:
            return await predict(self, model)
        asked = self.json()
        if not isinstance(asked, dict):
            raise BadRequest("The request body must be a JSON object.")
        call = self.new_call(**_fields(asked, model, method))
        gateway = runtime.gateway
        if not call.stream:
            event, kept = await delivery.whole(
                gateway, call, lambda: gateway.answer(call)
            )
            return remarked(_raw(event), event.data, kept=kept)
        batches, kept = delivery.stream(gateway, call, lambda: gateway.stream(call))
        opening = Opening(batches)
        await opening.first(settings.STREAM_COMMIT_MS / 1000)
        sse = request.query_params.get("alt") == "sse"
        response = _sse(opening) if sse else _array(opening)
        return remarked(response, opening.head(), kept=kept)


def _fields(asked: dict[str, Any], model: str, method: str) -> dict[str, Any]:
    generates = method in ("generateContent", STREAM)
    return {
        "method": "generateContent" if generates else method,
        "model": model,
        "body": asked,
        "stream": method == STREAM,
        "needs": gemini.needs(asked) if generates else NEEDS[method],
        "keep_empty": True,
        "repair": repair_signatures,
    }


def _raw(event: Any) -> HttpResponse:
    return HttpResponse(event.raw, content_type="application/json; charset=UTF-8")


def _sse(opening: Opening) -> StreamResponse:
    return StreamResponse(
        _sse_events(opening),
        keep_alive=BLANK,
        interval=settings.KEEP_ALIVE_SECONDS,
        release=opening.aclose,
    )


async def _sse_events(opening: Opening) -> AsyncIterator[bytes]:
    try:
        async for batch in opening.batches():
            yield b"".join([b"data: %b\r\n\r\n" % event.raw for event in batch])
    except Fault as fault:
        yield gemini_frame(fault)


def _array(opening: Opening) -> StreamResponse:
    return StreamResponse(
        _array_items(opening),
        keep_alive=BLANK,
        interval=settings.KEEP_ALIVE_SECONDS,
        content_type="application/json; charset=UTF-8",
        release=opening.aclose,
    )


async def _array_items(opening: Opening) -> AsyncIterator[bytes]:
    """One JSON array, item by item; a fault is its last item, as Google does it."""
    mark = b"["
    try:
        async for batch in opening.batches():
            yield mark + b"\n,\r\n".join([event.raw for event in batch])
            mark = b"\n,\r\n"
        yield b"[]" if mark == b"[" else b"\n]"
    except Fault as fault:
        yield mark + json_response(google_error(fault)).content + b"\n]"
