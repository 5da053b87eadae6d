"""How the surfaces describe themselves in OpenAPI."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request


def body(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON request body for ``extend_schema``."""
    return {"application/json": schema}


class TokenAuthentication(BaseAuthentication):
    """Carries what the one door found; the door itself is asked in ``Surface``."""

    def authenticate(self, request: Request) -> None:
        return None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "proxy.surfaces.schema.TokenAuthentication"
    name = ["bearer", "googleKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
        ]
