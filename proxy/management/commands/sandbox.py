"""``manage.py sandbox``: run the local imitation of Google's API."""

from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand

from proxy.sandbox.app import create_sandbox
from proxy.sandbox.keys import sandbox_key


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

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the address and a key, then serve."""
        host, port = options["host"], options["port"]
        self.stdout.write(f"Sandbox on http://{host}:{port}, key {sandbox_key()}")
        uvicorn.run(
            create_sandbox(pace=options["pace"]),
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
        )
