"""Endpoints without a dialect of others: health, information, plain generation."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.models import Account
from gemproxy.lib import db
from proxy.errors import BadRequest
from proxy.runtime import runtime
from proxy.surfaces.base import Surface
from proxy.surfaces.dialects import OPENAI, json_response
from proxy.surfaces.models import Listing
from proxy.surfaces.schema import body
from proxy.wire.json_schemas import (
    ANY_OBJECT,
    INFO,
    MODEL_CARDS,
    PLAIN_ANSWER,
    PLAIN_REQUEST,
    STATUS,
)

ENDPOINTS = (
    "POST /v1/chat/completions",
    "POST /v1/embeddings",
    "POST /v1/images/generations",
    "POST /v1/images/edits",
    "POST /v1/images/edit",
    "POST /v1/images/variations",
    "POST /v1/generate-images",
    "GET /v1/models",
    "GET /v1/models/{id}",
    "POST /v1beta/models/{model}:generateContent",
    "POST /v1beta/models/{model}:streamGenerateContent",
    "POST /v1beta/models/{model}:countTokens",
    "POST /v1beta/models/{model}:embedContent",
    "POST /v1beta/models/{model}:batchEmbedContents",
    "GET /v1beta/models",
    "POST /v1/generate",
    "GET /api/info",
    "GET /api/models",
    "WS /ws/chat",
)
FEATURES = {
    "chat": True,
    "streaming": True,
    "tools": True,
    "json_schema": True,
    "embeddings": True,
    "images": True,
    "image_edits": True,
    "native_gemini": True,
    "websocket": True,
}


class Health(Surface):
    """GET /health: is this process able to answer? No secrets, no counts."""

    scope = None
    dialect = OPENAI

    @extend_schema(summary="Health", auth=[], responses={200: STATUS, 503: STATUS})
    async def get(self, _request: Request) -> HttpResponse:
        fine = runtime.gateway.ledger.healthy
        status = {"status": "ok" if fine else "degraded"}
        return json_response(status, status=200 if fine else 503)


class Wake(Surface):
    """GET /wake: something to ask so that a sleeping host wakes."""

    scope = None
    dialect = OPENAI

    @extend_schema(summary="Wake up", auth=[], responses={200: STATUS})
    async def get(self, _request: Request) -> HttpResponse:
        return json_response({"status": "awake"})


class Info(Surface):
    """GET /api/info: what this service is."""

    dialect = OPENAI

    @extend_schema(summary="About this service", responses={200: INFO})
    async def get(self, _request: Request) -> HttpResponse:
        return json_response(
            {
                "service": "gemproxy",
                "version": settings.VERSION,
                "features": FEATURES,
                "endpoints": list(ENDPOINTS),
            }
        )


class ModelCards(Listing):
    """GET /api/models: the models with words for people."""

    dialect = OPENAI

    @extend_schema(summary="Models by category", responses={200: MODEL_CARDS})
    async def get(self, _request: Request) -> HttpResponse:
        offered = self.offered()
        cards = [
            {"id": m.name, "name": m.display_name, "description": m.description}
            for m in offered
        ]
        categories: dict[str, list[str]] = {"text": [], "image": []}
        for model in offered:
            categories.setdefault(model.category, []).append(model.name)
        return json_response(
            {
                "models": cards,
                "categories": categories,
                "default": settings.DEFAULT_MODEL,
            }
        )


class Generate(Surface):
    """POST /v1/generate: a prompt in, text out."""

    surface = "simple.generate"
    dialect = OPENAI

    @extend_schema(
        summary="Plain text generation",
        description="`{prompt, model?}` → `{text, model}`.",
        request=body(PLAIN_REQUEST),
        responses={200: PLAIN_ANSWER},
    )
    async def post(self, _request: Request) -> HttpResponse:
        prompt, model = _prompt(self.json())
        call = self.new_call(
            method="generateContent",
            model=model,
            body={"contents": [{"role": "user", "parts": [{"text": prompt}]}]},
        )
        event = await runtime.gateway.answer(call)
        return json_response({"text": _text(event.data), "model": model})


class OperatorStatus(Surface):
    """GET /api/operator/status: how the gateway is, for operators' programs."""

    scope = "operator"
    dialect = OPENAI

    @extend_schema(summary="Operator's status", responses={200: ANY_OBJECT})
    async def get(self, _request: Request) -> HttpResponse:
        return json_response(
            {
                "version": settings.VERSION,
                "ledger": {"healthy": runtime.gateway.ledger.healthy},
                "accounts": await db.run(_accounts_by_state),
                "models": len(runtime.gateway.catalog.models()),
            }
        )


def _prompt(asked: Any) -> tuple[str, str]:
    if not isinstance(asked, dict):
        raise BadRequest("The request body must be a JSON object.")
    prompt = asked.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadRequest("prompt must be a text that is not empty.", param="prompt")
    model = asked.get("model") or settings.DEFAULT_MODEL
    if not isinstance(model, str):
        raise BadRequest("model must be a text.", param="model")
    return prompt, model


def _text(data: dict[str, Any]) -> str:
    candidates = data.get("candidates") or []
    if not candidates:
        reason = (data.get("promptFeedback") or {}).get("blockReason", "OTHER")
        raise BadRequest(f"The prompt was blocked: {reason}.", code="content_filter")
    parts = (candidates[0].get("content") or {}).get("parts") or []
    return "".join(p.get("text", "") for p in parts if not p.get("thought"))


def _accounts_by_state() -> dict[str, int]:
    counts = dict.fromkeys(Account.State.values, 0)
    for state in Account.objects.values_list("state", flat=True):
        counts[state] += 1
    return counts
