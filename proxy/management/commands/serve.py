"""`manage.py serve`: the gateway and its job worker under one supervisor."""

import os
import socket
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.utils import OperationalError

from gemproxy import migrating
from gemproxy.serving import SERVERS, PortBusy, bound_socket, listen
from gemproxy.supervision import Program, become_supervisor
from proxy.first_start import CannotStart, address_of, put_in_order


class Command(BaseCommand):
    """Start the server processes and the job worker, and keep them running."""

    help = "Serve the gateway: server processes and the job worker, supervised."
    # They run below, on the settings as the options change them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument("--workers", type=int, default=settings.WORKERS)
        parser.add_argument("--server", choices=SERVERS, default=settings.SERVER)
        parser.add_argument(
            "--only", choices=["server", "jobs"], help="run half of it on this machine"
        )
        parser.add_argument(
            "--migrate",
            action="store_true",
            default=settings.MIGRATE,
            help="bring an existing database up to date first",
        )

    def handle(self, **options: Any) -> None:
        # Databases and copies of them are nobody else's to read.
        os.umask(0o077)
        # The checks judge what will run, wherever it was chosen.
        settings.WORKERS, settings.SERVER = options["workers"], options["server"]
        self.check()
        sock = None if options["only"] == "jobs" else self._bound(options)
        self._prepare(options)
        if sock is not None:
            self._listen(sock, options)
        programs = list(self._programs(options, sock))
        connections.close_all()
        become_supervisor(programs, grace=settings.SHUTDOWN_GRACE_SECONDS)

    def _bound(self, options: dict[str, Any]) -> socket.socket:
        """Claim the port before any work is done on the database."""
        try:
            return bound_socket(options["host"], options["port"])
        except PortBusy as error:
            raise CommandError(str(error)) from error

    def _listen(self, sock: socket.socket, options: dict[str, Any]) -> None:
        """Accept connections only now; they wait in the kernel for the servers."""
        try:
            listen(sock)
        except PortBusy as error:
            raise CommandError(str(error)) from error
        address = address_of(options["host"], options["port"])
        self._say(f"gemproxy serves on {address}")

    def _prepare(self, options: dict[str, Any]) -> None:
        address = address_of(options["host"], options["port"])
        try:
            migrating.prepare(allowed=options["migrate"], say=self._say)
            with migrating.one_at_a_time():
                put_in_order(address, self._say)
        except (migrating.MigrationsBehind, migrating.LockTaken, CannotStart) as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(f"The database cannot be used: {error}") from error

    def _programs(
        self, options: dict[str, Any], sock: socket.socket | None
    ) -> Iterator[Program]:
        environment = {
            f"GEMPROXY_{name.upper()}": str(options[name])
            for name in ("host", "port", "workers", "server")
        } | {"GEMPROXY_VAR_DIR": str(settings.VAR_DIR)}
        if sock is not None:
            yield from self._servers(options, environment, sock.fileno())
        if options["only"] != "server":
            yield Program(
                name="job worker",
                module="manage",
                arguments=("qcluster",),
                environment=environment,
            )

    def _servers(
        self, options: dict[str, Any], environment: dict[str, str], descriptor: int
    ) -> Iterator[Program]:
        for number in range(1, options["workers"] + 1):
            yield Program(
                name=f"server {number}",
                module="gemproxy.serving",
                arguments=("--fd", str(descriptor), "--server", options["server"]),
                descriptors=(descriptor,),
                environment=environment,
            )

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
