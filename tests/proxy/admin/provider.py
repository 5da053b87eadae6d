"""A provider on this machine that answers a models list as it is told to."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Provider:
    """``status`` and ``body`` are the next answers; ``keys`` are those it was shown."""

    url: str = ""
    status: int = 200
    body: Any = field(default_factory=lambda: {"models": [{"name": "models/gemini-x"}]})
    delay: float = 0
    keys: list[str] = field(default_factory=list)

    def refuses(self) -> None:
        """Answer as Google does to a key that is none."""
        info = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }
        self.status = 400
        self.body = {
            "error": {
                "code": 400,
                "message": "API key not valid. Please pass a valid API key.",
                "status": "INVALID_ARGUMENT",
                "details": [info],
            }
        }


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider for the length of a test."""
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.keys.append(self.headers.get("x-goog-api-key", ""))
            time.sleep(told.delay)
            payload = json.dumps(told.body).encode()
            self.send_response(told.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(payload)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
