"""The map of the WebSockets."""

from typing import Any

from django.urls import path, re_path

from proxy.consumers import ChatConsumer

NOWHERE = 4404


async def nowhere(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Refuse the handshake of a WebSocket to any other path."""
    await receive()
    await send({"type": "websocket.close", "code": NOWHERE})


websocket_urlpatterns = [path("ws/chat", ChatConsumer.as_asgi()), re_path("", nowhere)]
