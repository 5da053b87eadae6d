"""Small servers on a thread: requests are handled by a function, and remembered."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Said:
    """An answer as it goes out."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Handler = Callable[[Asked], Said]


@contextlib.contextmanager
def serving(handler: Handler) -> Iterator[str]:
    """Serve until the end of the block; yield host:port."""

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {k.lower(): v for k, v in self.headers.items()}
            said = handler(Asked(self.command, self.path, headers, body))
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield "127.0.0.1:%d" % server.server_address[1]  # noqa: UP031
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ranged(asked: Asked, data: bytes) -> Said:
    """Answer a GET with the range it asks for, as object storages do."""
    wanted = asked.headers.get("range", "")
    if not wanted:
        return Said(body=data)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    stop = int(last) + 1 if last else len(data)
    if int(first) >= len(data):
        return Said(416)
    told = f"bytes {first}-{min(stop, len(data)) - 1}/{len(data)}"
    return Said(206, {"Content-Range": told}, data[int(first) : stop])
