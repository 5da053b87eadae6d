"""Model lists, for OpenAI's and for Google's SDKs."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from proxy import limits
from proxy.runtime import runtime
from proxy.surfaces.base import Surface
from proxy.surfaces.dialects import GEMINI, json_response, speaks_google
from proxy.wire.json_schemas import MODEL, MODEL_LIST
from proxy.wire.model_lists import ModelInfo, gemini_model, openai_model, union_list


class Listing(Surface):
    """What the caller may use."""

    def offered(self) -> list[ModelInfo]:
        assert self.caller is not None  # noqa: S101
        gateway = runtime.gateway
        # Models that nobody could serve would only fill the lists; without any
        # account at all they show what is to come.
        models = gateway.catalog.models(gateway.pool.kinds() or None)
        return [model for model in models if limits.may_use(self.caller, model.name)]


class UnionModels(Listing):
    """GET /v1/models: one list that both worlds read."""

    @extend_schema(
        operation_id="list_models",
        summary="Models",
        description="`data` is OpenAI's list, `models` Google's page.",
        responses={200: MODEL_LIST},
    )
    async def get(self, request: Request) -> HttpResponse:
        return json_response(self._listed(request))

    def _listed(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        return union_list(
            self.offered(),
            page_size=query.get("pageSize") or query.get("page_size"),
            page_token=query.get("pageToken") or query.get("page_token"),
        )


class NativeModels(UnionModels):
    """GET /v1beta/models: Google's page alone."""

    dialect = GEMINI
    schema = None

    def _listed(self, request: Request) -> dict[str, Any]:
        listed = super()._listed(request)
        return {k: v for k, v in listed.items() if k not in ("object", "data")}


class TunedModels(Listing):
    """GET …/tunedModels: we offer none, and say so in Google's shape."""

    dialect = GEMINI
    schema = None

    async def get(self, _request: Request) -> HttpResponse:
        return json_response({"tunedModels": []})


class UnionModel(Listing):
    """GET /v1/models/{id}: in the dialect that the caller's headers tell."""

    @extend_schema(
        operation_id="get_model",
        summary="One model",
        parameters=[OpenApiParameter("model", str, OpenApiParameter.PATH)],
        responses={200: MODEL},
    )
    async def get(self, request: Request, model: str) -> HttpResponse:
        info = runtime.gateway.catalog.resolve(model).info
        google = self.dialect == GEMINI or speaks_google(request.headers)
        google = google or "key" in request.query_params
        return json_response(gemini_model(info) if google else openai_model(info))


class NativeModel(UnionModel):
    """GET /v1beta/models/{model}."""

    dialect = GEMINI
    schema = None
