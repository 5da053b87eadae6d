"""POST /v1/embeddings."""

import asyncio
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from proxy.calls import Call
from proxy.errors import BadRequest
from proxy.runtime import runtime
from proxy.surfaces.base import Surface
from proxy.surfaces.dialects import json_response
from proxy.surfaces.schema import body
from proxy.tasks import gather
from proxy.wire.json_schemas import EMBEDDINGS_ANSWER, EMBEDDINGS_REQUEST
from proxy.wire.openai_embeddings import batches, parse_embeddings, render_embeddings

AT_ONCE = 4


class Embeddings(Surface):
    """Embeddings in OpenAI's dialect."""

    surface = "openai.embeddings"

    @extend_schema(
        summary="Embeddings",
        description="OpenAI's embeddings request; long lists are split for Google.",
        request=body(EMBEDDINGS_REQUEST),
        responses={200: EMBEDDINGS_ANSWER},
    )
    async def post(self, _request: Request) -> HttpResponse:
        wanted = parse_embeddings(self.json())
        route = runtime.gateway.catalog.resolve(wanted.model)
        if route.category != "embedding":
            raise BadRequest(
                f"{route.name} makes no embeddings; GET /api/models lists those that do.",
                param="model",
            )
        call = self.new_call(
            method="batchEmbedContents",
            model=wanted.model,
            body=wanted.body,
            needs=frozenset({"embeddings"}),
        )
        answers = await _in_batches(call)
        return json_response(render_embeddings(answers, wanted, route.upstream_model))


async def _in_batches(call: Call) -> list[dict[str, Any]]:
    """Ask for each batch, a few at a time; later ones are calls of their own."""
    bodies = batches(call.body)
    if len(bodies) == 1:
        return [(await runtime.gateway.answer(call)).data]
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int, part: dict[str, Any]) -> dict[str, Any]:
        one = replace(
            call,
            body=part,
            request_id=f"{call.request_id}-{number}",
            is_part=number > 1,
        )
        async with gate:
            return (await runtime.gateway.answer(one)).data

    # The first is admitted for all of them; a refusal must come before the others.
    first = await ask(1, bodies[0])
    rest = enumerate(bodies[1:], 2)
    return [first, *await gather(*(ask(number, part) for number, part in rest))]
