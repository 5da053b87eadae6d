"""Cross-origin access to the API paths: closed unless CORS_ALLOWED_ORIGINS opens it.

Cookies are never allowed along: an API token must come in a header.
"""

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase

#: All that any path takes: elsewhere they get their 405, and nothing comes along that
#: a browser would send by itself.
METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
HEADERS = (
    "Authorization, Content-Type, x-goog-api-key, x-goog-api-client, x-api-key,"
    " x-xai-api-key"
)
EXPOSED = (
    "x-request-id, x-gemproxy-dropped, x-gemproxy-missing, x-gemproxy-kept,"
    " retry-after, retry-after-ms, x-should-retry"
)
KEPT_SECONDS = "600"


def allow_origin(request: ASGIRequest, response: HttpResponseBase) -> None:
    """Let an allowed origin read the response."""
    origin = request.META.get("HTTP_ORIGIN")
    if not origin or not settings.CORS_ALLOWED_ORIGINS:
        return
    response["Vary"] = "Origin"
    if is_allowed(origin):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = EXPOSED


def preflight(request: ASGIRequest) -> HttpResponse | None:
    """Answer a browser that asks first; None if this is no such question."""
    meta = request.META
    asks = request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in meta
    if not asks or not is_allowed(meta.get("HTTP_ORIGIN", "")):
        return None
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = METHODS
    response["Access-Control-Allow-Headers"] = meta.get(
        "HTTP_ACCESS_CONTROL_REQUEST_HEADERS", HEADERS
    )
    response["Access-Control-Max-Age"] = KEPT_SECONDS
    return response


def is_allowed(origin: str) -> bool:
    allowed = settings.CORS_ALLOWED_ORIGINS
    return bool(origin) and ("*" in allowed or origin in allowed)
