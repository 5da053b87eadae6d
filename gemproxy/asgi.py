"""The ASGI entry: API paths to the lean handler, the rest to Django and Channels."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gemproxy.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

from proxy.routing import websocket_urlpatterns
from proxy.runtime import runtime
from proxy.surfaces import entry

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def build() -> ProtocolTypeRouter:
    """Return the application of one server process."""
    pages = get_asgi_application()
    api = entry.application()

    async def http(scope: Scope, receive: Receive, send: Send) -> None:
        """Send API paths to the lean handler and all others to Django."""
        await (api if entry.is_api(scope["path"]) else pages)(scope, receive, send)

    return ProtocolTypeRouter(
        {
            "http": http,
            "websocket": URLRouter(websocket_urlpatterns),
            "lifespan": lifespan,
        }
    )


async def lifespan(_scope: Scope, receive: Receive, send: Send) -> None:
    """For servers that are not ours; ours start and stop the runtime themselves."""
    while True:
        kind = (await receive())["type"]
        if kind == "lifespan.startup":
            await runtime.start()
        else:
            await runtime.stop()
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


application = build()
