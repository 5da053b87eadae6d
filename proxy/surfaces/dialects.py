"""Which dialect a caller speaks, and how a fault looks in it."""

from collections.abc import Mapping

import orjson
from django.http import HttpResponse

from proxy.errors import Fault
from proxy.wire import error_bodies

GEMINI, OPENAI = "gemini", "openai"
GOOGLE_HEADERS = ("x-goog-api-key", "x-goog-api-client")
NATIVE_ROOTS = frozenset(
    {"v1beta", "v1alpha", "gemini", "models", "tunedModels", "upload"}
)
#: What only OpenAI's clients ask for below /v1.
OPENAI_PATHS = frozenset(
    {"chat", "embeddings", "images", "responses", "generate", "generate-images"}
)


def dialect_of(path: str, headers: Mapping[str, str], query: str = "") -> str:
    """Tell the dialect of a request by its path and, where both share it, headers.

    google-genai 3 uses version v1, so `/v1/models` belongs to both.
    """
    segments = path.strip("/").split("/")
    if segments[0] in NATIVE_ROOTS or ":" in segments[-1]:
        return GEMINI
    if segments[0] != "v1" or (segments[1:2] and segments[1] in OPENAI_PATHS):
        return OPENAI
    return GEMINI if speaks_google(headers) or "key=" in query else OPENAI


def speaks_google(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in GOOGLE_HEADERS)


def fault_response(fault: Fault, dialect: str) -> HttpResponse:
    """Return the answer that reports a fault in a dialect."""
    if dialect == GEMINI:
        body = error_bodies.google_error(fault)
    else:
        body = error_bodies.openai_error(fault)
    response = json_response(body, status=fault.status)
    for name, value in error_bodies.headers(fault).items():
        response[name] = value
    return response


def json_response(body: object, *, status: int = 200) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(body), status=status, content_type="application/json"
    )
