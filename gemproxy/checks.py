"""System checks of the settings, with ids and hints."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from accounts.tokens import weakness
from gemproxy.lib.network import is_local
from gemproxy.lib.secrets import fernet_key

LEAST_SECRET_KEY = 32


@register()
def check_names(**_: Any) -> list[CheckMessage]:
    """Report GEMPROXY_ variables that mean nothing."""
    return [
        Warning(
            f"{name} is not a setting.",
            hint="Look for a typing error; .env.example lists all settings.",
            id="gemproxy.W001",
        )
        for name in settings.ENV.unknown()
    ]


@register()
def check_keys(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for number, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            fernet_key(key)
        except ValueError as error:
            found.append(
                Error(
                    f"ENCRYPTION_KEYS, entry {number}: {error}.",
                    hint="Make one: python -c 'from cryptography.fernet import "
                    "Fernet; print(Fernet.generate_key().decode())'",
                    id="gemproxy.E001",
                )
            )
    token = settings.ADMIN_AUTH_TOKEN
    if token and weakness(token):
        found.append(
            Error(
                f"ADMIN_AUTH_TOKEN is refused: {weakness(token)}.",
                hint="Use a long random text: openssl rand -hex 32",
                id="gemproxy.E002",
            )
        )
    return found


@register()
def check_secret_key(**_: Any) -> list[CheckMessage]:
    """A guessed secret key signs sessions and opens what it protects."""
    if len(settings.SECRET_KEY) >= LEAST_SECRET_KEY:
        return []
    return [
        Error(
            f"SECRET_KEY is shorter than {LEAST_SECRET_KEY} characters.",
            hint="Leave it out and one is made, or use: openssl rand -hex 32",
            id="gemproxy.E007",
        )
    ]


@register()
def check_addresses(**_: Any) -> list[CheckMessage]:
    """Addresses that could never work are told at the start, not by each request."""
    schemes = {
        "GEMINI_BASE_URL": ("http", "https"),
        "XAI_BASE_URL": ("http", "https"),
        "REDIS_URL": ("redis", "rediss", "unix"),
    }
    found: list[CheckMessage] = []
    for name, known in schemes.items():
        value = getattr(settings, name)
        parts = urlsplit(value)
        if value and (parts.scheme not in known or not (parts.netloc or parts.path)):
            found.append(
                Error(
                    # The value may hold a password.
                    f"{name} is no URL with {' or '.join(known)}.",
                    id="gemproxy.E008",
                )
            )
    return found


@register()
def check_processes(**_: Any) -> list[CheckMessage]:
    """More than one server process needs shared live state."""
    found: list[CheckMessage] = []
    if settings.WORKERS > 1 and not settings.REDIS_URL:
        found.append(
            Error(
                f"WORKERS={settings.WORKERS} without REDIS_URL.",
                hint="Several server processes share limits and signatures through "
                "Redis: set REDIS_URL, or WORKERS=1.",
                id="gemproxy.E003",
            )
        )
    if settings.WORKERS > 1 and settings.SERVER == "daphne":
        found.append(Error("daphne runs one worker.", id="gemproxy.E004"))
    if settings.SERVER not in ("uvicorn", "daphne"):
        found.append(
            Error(
                f"SERVER={settings.SERVER!r} is neither uvicorn nor daphne.",
                id="gemproxy.E005",
            )
        )
    return found


@register()
def check_networks(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for network in settings.ADMIN_ALLOWED_IPS:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            found.append(
                Error(
                    f"ADMIN_ALLOWED_IPS: {network!r} is no address or network.",
                    id="gemproxy.E006",
                )
            )
    found += filter(None, map(_listed, settings.WHITELIST_IPS))
    if "*" in settings.CORS_ALLOWED_ORIGINS:
        found.append(
            Warning(
                "CORS_ALLOWED_ORIGINS=* lets any web page use a token it knows.",
                id="gemproxy.W002",
            )
        )
    return found


def _listed(network: str) -> CheckMessage | None:
    """Report what must not stand in WHITELIST_IPS."""
    try:
        local = is_local(network)
    except ValueError:
        text = f"WHITELIST_IPS: {network!r} is no address or network."
        return Error(text, id="gemproxy.E009")
    if network.endswith("/0"):
        text = f"WHITELIST_IPS: {network} lets everybody in without a token."
        return Error(text, id="gemproxy.E012")
    if not local or settings.TRUSTED_PROXY_HOPS or settings.DEBUG:
        return None
    return Error(
        f"WHITELIST_IPS: {network} lets everybody in who comes through a proxy.",
        hint="Set TRUSTED_PROXY_HOPS to the number of proxies before the gateway, or "
        "DEBUG where nobody else can reach it.",
        id="gemproxy.E013",
    )


@register(deploy=True)
def check_hosts(**_: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "Any host name is accepted.",
            hint="Set ALLOWED_HOSTS or PUBLIC_URL to the name people use.",
            id="gemproxy.W003",
        )
    ]
