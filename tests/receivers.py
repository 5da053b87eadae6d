"""Servers that take what the gateway sends: a webhook, and a mailbox."""

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """What came, and which statuses are answered in turn; 200 when they are over."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies]


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """Listen for HTTP requests; every path is good."""
    taken = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            taken.bodies.append(json.loads(self.rfile.read(length)))
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            taken.paths.append(self.path)
            self.send_response(taken.statuses.pop(0) if taken.statuses else 200)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        taken.url = f"http://127.0.0.1:{port}/hooks/hidden-word?token=hidden-word"
        yield taken


@dataclass
class Mailbox:
    """The mails that came; ``refuse`` is answered to recipients, if it is set."""

    port: int = 0
    refuse: str = ""
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp+plain://127.0.0.1:{self.port}"


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Listen for SMTP (RFC 5321, no extensions)."""
    taken = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mailbox")
            for line in self.rfile:
                verb = line.decode().strip().upper()
                if verb.startswith("RCPT"):
                    taken.recipients.append(line.decode().strip()[8:])
                    self._say(taken.refuse or "250 ok")
                elif verb == "DATA":
                    self._say("354 go on")
                    self._take()
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _take(self) -> None:
            lines = list(iter(self.rfile.readline, b".\r\n"))
            taken.mails.append(message_from_bytes(b"".join(lines)))
            self._say("250 taken")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        taken.port = port
        yield taken


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
