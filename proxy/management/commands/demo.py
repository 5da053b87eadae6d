"""`manage.py demo`: the gateway, its job worker and a sandbox, ready to try."""

import os
import shlex
import socket
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from gemproxy import migrating
from gemproxy.lib import clock
from gemproxy.lib.env import child_environment
from gemproxy.serving import PortBusy, bound_socket, listen
from gemproxy.supervision import Program, Supervisor
from proxy import schedules
from proxy.demonstration import ADMIN, CALLER, Credentials, seed
from proxy.first_start import address_of
from proxy.sandbox.logins import CLIENT_ID, CLIENT_SECRET

SANDBOX_PORT, WEB_PORT = 8199, 8198
HEALTH_SECONDS = 60
# The demo is its own world: nothing of the operator's own settings may leak in.
BLANK = (
    "ADMIN_ALLOWED_IPS",
    "ADMIN_AUTH_TOKEN",
    "ADMIN_AUTH_TOKEN_FILE",
    "ADMIN_PASSWORD",
    "ADMIN_PASSWORD_FILE",
    "ADMIN_USER",
    "ALERT_EMAILS",
    "ALERT_WEBHOOK_URL",
    "ALERT_WEBHOOK_URL_FILE",
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "EMAIL_URL",
    "EMAIL_URL_FILE",
    "ENCRYPTION_KEYS",
    "ENCRYPTION_KEYS_FILE",
    "GEMINI_API_KEYS",
    "GEMINI_API_KEYS_FILE",
    "GEMINI_CLI_CLIENT_SECRET_FILE",
    "HOST_URL",
    "PUBLIC_URL",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "RENDER_EXTERNAL_URL",
    "SECURE_1PSID",
    "SECURE_1PSID_FILE",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SECRET_KEY_FALLBACKS_FILE",
    "SECRET_KEY_FILE",
    "XAI_API_KEYS",
    "XAI_API_KEYS_FILE",
    "WHITELIST_IPS",
    "XAI_CALLER_IPS",
    "XAI_CALLER_KEYS",
    "XAI_RESPONSE_FORMAT",
)


class Command(BaseCommand):
    """Start everything with data of its own, then print how to use it."""

    help = "Run the gateway with a sandbox instead of Google, and show how to use it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument(
            "--sandbox-port", type=int, help="default: 8199 or a free one"
        )
        parser.add_argument(
            "--web-port", type=int, help="of its gemini.google.com; default: a free one"
        )
        parser.add_argument("--inside", action="store_true", help="(used by itself)")

    def handle(self, **options: Any) -> None:
        if not options["inside"]:
            self._enter(options)
        os.umask(0o077)
        self.check()
        sock = self._bound(options["host"], options["port"])
        migrating.prepare(allowed=True, say=self._say)
        schedules.sync()
        credentials = seed(options["web_port"])
        connections.close_all()
        listen(sock)
        address = address_of(options["host"], options["port"])
        self._announce_when_ready(address, credentials)
        ports = options["sandbox_port"], options["web_port"]
        programs = self._programs(sock.fileno(), *ports)
        grace = settings.SHUTDOWN_GRACE_SECONDS
        sys.exit(Supervisor(programs, grace=grace).run())

    def _enter(self, options: dict[str, Any]) -> None:
        """Begin again with the demo's own environment; never returns."""
        self._bound(options["host"], options["port"]).close()
        port = options["sandbox_port"] or _free_port(SANDBOX_PORT)
        web_port = options["web_port"] or _free_port(WEB_PORT)
        environment = child_environment(_environment(options, port))
        script = Path(settings.BASE_DIR) / "manage.py"
        ports = ("--sandbox-port", str(port), "--web-port", str(web_port))
        arguments = ("demo", "--inside", *ports)
        self.stdout.flush()
        # The program is this interpreter with a script of our own.
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, str(script), *arguments], environment
        )

    def _bound(self, host: str, port: int) -> socket.socket:
        try:
            return bound_socket(host, port)
        except PortBusy as error:
            raise CommandError(str(error)) from error

    def _programs(
        self, descriptor: int, sandbox_port: int, web_port: int
    ) -> list[Program]:
        web = ("--web-port", str(web_port), "--web-folder", str(settings.VAR_DIR))
        return [
            Program(
                name="sandbox",
                module="manage",
                arguments=("sandbox", "--port", str(sandbox_port), *web),
            ),
            Program(
                name="server",
                module="gemproxy.serving",
                arguments=("--fd", str(descriptor), "--server", settings.SERVER),
                descriptors=(descriptor,),
            ),
            Program(name="job worker", module="manage", arguments=("qcluster",)),
        ]

    def _announce_when_ready(self, address: str, credentials: Credentials) -> None:
        def announce() -> None:
            if _answers(f"{address}/health"):
                self._say(block(address, credentials))
            else:
                self._say(f"{address}/health does not answer; see the messages above.")

        threading.Thread(target=announce, name="announce", daemon=True).start()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _environment(options: dict[str, Any], sandbox_port: int) -> dict[str, str]:
    folder = Path(settings.VAR_DIR) / "demo"
    values = dict.fromkeys(BLANK, "") | {
        "VAR_DIR": str(folder),
        "GEMINI_WEB_CA_FILE": str(folder / "sandbox-ca.pem"),
        "HOST": options["host"],
        "PORT": str(options["port"]),
        "WORKERS": "1",
        "JOB_WORKERS": "1",
        "GEMINI_BASE_URL": f"http://127.0.0.1:{sandbox_port}",
        "XAI_BASE_URL": f"http://127.0.0.1:{sandbox_port}/api.x.ai",
        "CODE_ASSIST_BASE_URL": f"http://127.0.0.1:{sandbox_port}",
        "OAUTH_TOKEN_URL": f"http://127.0.0.1:{sandbox_port}/token",
        "GEMINI_CLI_CLIENT_ID": CLIENT_ID,
        "GEMINI_CLI_CLIENT_SECRET": CLIENT_SECRET,
    }
    return {f"GEMPROXY_{name}": value for name, value in values.items()}


def _free_port(wanted: int) -> int:
    """Return the wanted port if it is free, else one that the system chooses."""
    for port in (wanted, 0):
        try:
            with bound_socket("127.0.0.1", port) as sock:
                return int(sock.getsockname()[1])
        except PortBusy:
            continue
    raise CommandError("No free port for the sandbox; give one with --sandbox-port.")


def _answers(url: str) -> bool:
    """Wait until the URL answers 200, at most a minute."""
    deadline = clock.monotonic() + HEALTH_SECONDS
    pause = threading.Event()
    while clock.monotonic() < deadline:
        try:
            # The URL is our own address.
            with urlopen(url, timeout=5) as response:  # noqa: S310
                return bool(response.status == 200)
        except (URLError, OSError):
            pause.wait(0.2)
    return False


def block(address: str, credentials: Credentials) -> str:
    """Return what a newcomer needs, with a curl line to paste."""
    body = {
        "model": settings.DEFAULT_MODEL,
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    curl = (
        f"curl -s {address}/v1/chat/completions"
        f" -H 'Authorization: Bearer {credentials.token}'"
        " -H 'Content-Type: application/json'"
        f" -d {shlex.quote(orjson.dumps(body).decode())}"
    )
    return f"""
gemproxy demo is running: the upstream is a sandbox on this machine.

  API base URL   {address}/v1          (OpenAI)
                 {address}             (Gemini)
  API token      {credentials.token}
  Admin          {address}/admin/      {ADMIN} / {credentials.admin_password}
  Portal         {address}/            {CALLER} / {credentials.demo_password}

Try it:

{curl}

Ctrl-C stops everything."""
