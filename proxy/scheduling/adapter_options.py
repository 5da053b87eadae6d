"""How adapters are made, and what some kinds take beside connections and an address."""

from typing import Any

from django.conf import settings

from accounts.models import Account
from proxy.scheduling.credentials import AccountSecrets
from proxy.scheduling.web_chats import LiveChats
from proxy.upstreams.base import Adapter
from proxy.upstreams.http import Clients
from proxy.upstreams.kinds import KINDS
from proxy.upstreams.oauth import OAuthClient


def make_adapter(kind: str, clients: Clients) -> Adapter:
    """Return a new adapter of a kind, on the operator's default base URL."""
    entry = KINDS[kind]
    base = getattr(settings, entry.base_url_setting, "")
    made: Adapter = entry.adapter_class()(
        clients,
        base or entry.default_base_url,
        version=settings.VERSION,
        **options_of(kind),
    )
    return made


def options_of(kind: str) -> dict[str, Any]:
    """Return the keyword arguments that a kind's adapter takes on top."""
    if kind == Account.Kind.GEMINI_WEB:
        chats = LiveChats() if settings.GEMINI_WEB_REUSE_CHATS else None
        return {"ca_file": settings.GEMINI_WEB_CA_FILE, "chats": chats}
    if kind == Account.Kind.XAI:
        return {"pictures": settings.XAI_RESPONSE_FORMAT}
    if kind != Account.Kind.CODE_ASSIST:
        return {}
    return {
        "token_url": settings.OAUTH_TOKEN_URL,
        "client": OAuthClient(
            settings.GEMINI_CLI_CLIENT_ID, settings.GEMINI_CLI_CLIENT_SECRET
        ),
        "store": AccountSecrets(),
    }
