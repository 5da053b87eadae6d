"""A tiny ASGI application and runtime for tests of the serving process."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any


def note(word: str) -> None:
    """Append a word to the file that the test watches."""
    path = os.environ.get("STUB_LOG")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{word} {os.getpid()}\n")


class Runtime:
    """Writes down when it was started and stopped."""

    def __init__(self) -> None:
        self.running = False

    async def start(self) -> None:
        asyncio.get_running_loop()
        self.running = True
        note("started")

    async def stop(self) -> None:
        self.running = False
        note("stopped")


runtime = Runtime()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo a WebSocket; answer /slow by a stream, /peer by who asks, /root by where it
    is mounted, /size by the length of the body, else who serves."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        while message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
            message = await receive()
        note("websocket closed")
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/slow":
        await _stream(send)
        return
    told = {"/peer": scope["client"][0], "/root": scope["root_path"], "/size": size}
    if scope["path"] in told:
        body = str(told[scope["path"]]).encode()
        await send({"type": "http.response.body", "body": body})
        return
    body = f"{os.getpid()} {runtime.running} {'twisted' in sys.modules}".encode()
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Any) -> None:
    try:
        for _ in range(int(os.environ.get("STUB_CHUNKS", "10"))):
            await send(
                {"type": "http.response.body", "body": b"tick\n", "more_body": True}
            )
            await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b"end\n"})
    except asyncio.CancelledError:
        note("cancelled")
        raise
