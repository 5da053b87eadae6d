"""System checks of the gateway, with ids and hints."""

import ipaddress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from proxy import schedules


@register()
def check_schedules(**_: Any) -> list[CheckMessage]:
    """Report scheduled jobs that could not run."""
    found: list[CheckMessage] = []
    for job in schedules.JOBS:
        try:
            job.function()
        except (ImportError, TypeError) as error:
            found.append(
                Error(
                    f"The scheduled job {job.name!r} cannot run: {error}.",
                    hint=f"Look at {job.path} and at proxy/schedules.py.",
                    id="gemproxy.E010",
                )
            )
    return found


@register()
def check_xai(**_: Any) -> list[CheckMessage]:
    """Report settings of the xAI surface that cannot work or let everybody in."""
    found: list[CheckMessage] = []
    if settings.XAI_RESPONSE_FORMAT == "b64_json":
        found.append(
            Error(
                "XAI_RESPONSE_FORMAT=b64_json needs an image storage; there is none.",
                hint="Set XAI_RESPONSE_FORMAT=url, or leave it out.",
                id="gemproxy.E020",
            )
        )
    for network in settings.XAI_CALLER_IPS:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            text = f"XAI_CALLER_IPS: {network!r} is no address or network."
            found.append(Error(text, id="gemproxy.E021"))
    if settings.XAI_CALLER_KEYS and not settings.XAI_CALLER_IPS:
        found.append(
            Error(
                "XAI_CALLER_KEYS is on, but XAI_CALLER_IPS lists no address.",
                hint="List the addresses of the clients that know one key only.",
                id="gemproxy.E022",
            )
        )
    return found
