"""``manage.py sandbox``: run the local imitation of Google's API."""

from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand

from proxy.sandbox.app import create_sandbox
from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.sandbox.web_proxy import web_sandbox


class Command(BaseCommand):
    """Serves the sandbox until it is interrupted."""

    help = "Run a local imitation of Google's Generative Language API."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and how fast streams are."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8199)
        parser.add_argument(
            "--pace",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="pause between two chunks of a stream",
        )

        parser.add_argument(
            "--web-port",
            type=int,
            help="also imitate gemini.google.com, behind an HTTP proxy on this port",
        )
        parser.add_argument(
            "--web-folder",
            type=Path,
            default=Path(),
            metavar="FOLDER",
            help="where its certificate goes, as sandbox-ca.pem",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the address and a key, then serve."""
        with ExitStack() as stack:
            if options["web_port"] is not None:
                self._serve_web(stack, options)
            self._serve(options)

    def _serve_web(self, stack: ExitStack, options: dict[str, Any]) -> None:
        web = stack.enter_context(
            web_sandbox(
                options["web_folder"],
                host=options["host"],
                port=options["web_port"],
                pace=options["pace"],
            )
        )
        psid = sandbox_psid()
        self.stdout.write(
            f"gemini.google.com behind the proxy http://{options['host']}:{web.port},"
            f" SECURE_1PSID={psid} SECURE_1PSIDTS={sandbox_psidts(psid)}"
        )

    def _serve(self, options: dict[str, Any]) -> None:
        host, port = options["host"], options["port"]
        self.stdout.write(f"Sandbox on http://{host}:{port}, key {sandbox_key()}")
        uvicorn.run(
            create_sandbox(pace=options["pace"]),
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
        )
