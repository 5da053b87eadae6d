"""The API as one ASGI application, and what it says when no view does."""

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404

from accounts.authentication import credentials
from gemproxy.lib.asgi import LeanHandler
from gemproxy.lib.bodies import (
    Bodies,
    BodyMismatch,
    BodyTooLarge,
    BodyTooSlow,
    NoRoom,
    Stranger,
)
from gemproxy.lib.cors import allow_origin, preflight
from gemproxy.lib.network import client_ip
from proxy.errors import (
    BadRequest,
    Busy,
    Fault,
    Internal,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from proxy.runtime import runtime
from proxy.surfaces.dialects import dialect_of, fault_response
from proxy.surfaces.xai import brings_key, may_bring_key

ROOTS = frozenset(
    {
        "v1",
        "v1beta",
        "v1alpha",
        "gemini",
        "models",
        "tunedModels",
        "upload",
        "api",
        "health",
        "healthz",
        "wake",
        "xai",
    }
)
#: Where a key of the provider's may stand in place of a token.
KEYED = "/xai/"


def is_api(path: str) -> bool:
    """Return whether the lean handler answers this path."""
    return path[1:].split("/", 1)[0] in ROOTS


def application() -> LeanHandler:
    """Return the ASGI application of the API paths."""
    bodies = Bodies(settings.MAX_BODY_BYTES, settings.MAX_BODIES_IN_FLIGHT_BYTES)
    return LeanHandler(
        "proxy.surfaces.urls",
        bodies=bodies,
        errors=answer_error,
        preflight=preflight,
        decorate=allow_origin,
        is_known=is_known,
    )


async def is_known(scope: dict[str, Any]) -> bool:
    """Return whether the sender of a request head is one who may call."""
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    peer, _port = scope["client"] or ("", 0)
    forwarded = headers.get("x-forwarded-for", "")
    address = client_ip(peer, forwarded, settings.TRUSTED_PROXY_HOPS)
    if scope["path"].startswith(KEYED) and brings_key(headers):
        return may_bring_key(address)
    text = credentials(headers, scope["query_string"].decode("latin-1"))
    if text:
        return await runtime.door.open(text) is not None
    return await runtime.door.listed(address, headers.get("origin", "")) is not None


def answer_error(request: ASGIRequest, error: Exception) -> HttpResponseBase:
    """Answer what went wrong before or outside a view, in the caller's dialect."""
    dialect = dialect_of(
        request.path_info, request.headers, request.META["QUERY_STRING"]
    )
    return fault_response(_fault(request, error), dialect)


def _fault(request: ASGIRequest, error: Exception) -> Fault:
    if isinstance(error, Resolver404):
        return NotFound(
            f"There is nothing at {request.method} {request.path_info[:200]}."
        )
    if isinstance(error, BodyTooLarge):
        return TooLarge(
            f"The request body is over the limit of {settings.MAX_BODY_BYTES} bytes."
        )
    if isinstance(error, BodyMismatch):
        return BadRequest("The body is not as long as Content-Length says.")
    if isinstance(error, BodyTooSlow):
        return BadRequest("The request body came too slowly.", status=408)
    if isinstance(error, Stranger):
        return Unauthenticated("A valid API token is needed to send so much.")
    if isinstance(error, NoRoom):
        return Busy(
            "Too many large requests at once; try again shortly.", retry_after=1
        )
    return Internal()
