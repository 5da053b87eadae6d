"""What the adapters of some kinds are made with beside connections and an address."""

from typing import Any

from django.conf import settings

from accounts.models import Account
from proxy.scheduling.credentials import AccountSecrets
from proxy.upstreams.oauth import OAuthClient


def options_of(kind: str) -> dict[str, Any]:
    """Return the keyword arguments that a kind's adapter takes on top."""
    if kind == Account.Kind.GEMINI_WEB:
        return {"ca_file": settings.GEMINI_WEB_CA_FILE}
    if kind != Account.Kind.CODE_ASSIST:
        return {}
    return {
        "token_url": settings.OAUTH_TOKEN_URL,
        "client": OAuthClient(
            settings.GEMINI_CLI_CLIENT_ID, settings.GEMINI_CLI_CLIENT_SECRET
        ),
        "store": AccountSecrets(),
    }
