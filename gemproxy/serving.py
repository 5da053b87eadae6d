"""One server process: uvicorn or daphne on a socket it was given.

Run by the supervisor as ``python -m gemproxy.serving --fd N --server uvicorn``.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import django
import uvicorn
from django.conf import settings
from uvicorn.importer import import_from_string

from gemproxy.lifeline import orphaned
from gemproxy.serving_http import PatientProtocol

logger = logging.getLogger(__name__)

APPLICATION = "gemproxy.asgi:application"
RUNTIME = "proxy.runtime:runtime"
SERVERS = ("uvicorn", "daphne")
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
# How long cancelled requests get to put their things away.
CANCEL_SECONDS = 3
# Without its supervisor a server is killed within seconds and must hurry.
ORPHAN_GRACE_SECONDS = 1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class PortBusy(Exception):
    """The address cannot be listened on; the message says why."""


class Runtime(Protocol):
    """What starts and stops with the event loop that serves."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, not yet listening; raise PortBusy."""
    try:
        infos = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise PortBusy(f"HOST {host!r} is no address: {error.strerror}.") from error
    family, kind, protocol, _, address = infos[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise PortBusy(_why(host, port, error)) from error
    return sock


def listen(sock: socket.socket) -> None:
    """Let connections come in; raise PortBusy if another process was faster."""
    host, port = sock.getsockname()[:2]
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        raise PortBusy(_why(host, port, error)) from error


def _why(host: str, port: int, error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return (
        f"Cannot listen on {host} port {port}: {reason}. "
        "Stop what uses it, or choose another with PORT=… (or HOST=…)."
    )


class UvicornServer(uvicorn.Server):
    """Starts and stops the runtime inside the serving loop, without lifespan."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._runtime.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if orphaned().is_set():
            self.config.timeout_graceful_shutdown = ORPHAN_GRACE_SECONDS
        try:
            await super().shutdown(sockets)
            # It cancels what outlasts the grace, but does not wait for the result.
            if left := set(self.server_state.tasks):
                await asyncio.wait(left, timeout=CANCEL_SECONDS)
        finally:
            await self._runtime.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal and, unlike uvicorn's own, end with exit code 0."""
        before = {s: signal.signal(s, self.handle_exit) for s in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_uvicorn(
    sock: socket.socket, application: Any, runtime: Runtime, grace: float
) -> None:
    """Serve until SIGTERM; streams get ``grace`` seconds to finish."""
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=PatientProtocol,
        # The other implementation on this library uses an API that it deprecated.
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(grace),
    )
    UvicornServer(config, runtime).run(sockets=[sock])


def run_daphne(
    sock: socket.socket, application: Any, runtime: Runtime, grace: float
) -> None:
    """Serve with daphne in the same way."""
    # Importing it installs a Twisted reactor, which no other process should have.
    from gemproxy.serving_daphne import DaphneServer

    DaphneServer(sock, application, runtime, grace).run()


def raise_file_limit() -> None:
    """Allow this process as many open files as the system lets it have.

    Each connection is one; the usual soft limit of 1024 is for programs that few
    people reach.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        # Some systems call the hard limit infinite and refuse to set it.
        logger.warning("Only %d open files are allowed: %s", soft, error)


def run_server(
    sock: socket.socket,
    server: str,
    *,
    grace: float,
    application: str = APPLICATION,
    runtime: str = RUNTIME,
) -> None:
    """Import the application, then serve it on ``sock`` until SIGTERM.

    ``application`` and ``runtime`` are ``module:attribute``; the runtime is started
    in the serving loop before the first connection is accepted and stopped after
    the last one is done.
    """
    loaded = import_from_string(application)
    running = import_from_string(runtime)
    run: Callable[..., None] = run_daphne if server == "daphne" else run_uvicorn
    logger.info("Serving with %s, process %d", server, os.getpid())
    # What is loaded stays: the collector need not walk it again while streams wait.
    gc.collect()
    gc.freeze()
    run(sock, loaded, running, grace)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on the inherited descriptor that the arguments name."""
    parser = argparse.ArgumentParser(prog="gemproxy.serving")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--server", choices=SERVERS, default="uvicorn")
    parser.add_argument("--application", default=APPLICATION)
    parser.add_argument("--runtime", default=RUNTIME)
    options = parser.parse_args(arguments)
    # A Ctrl-C while modules load is the supervisor's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    django.setup()
    raise_file_limit()
    run_server(
        socket.socket(fileno=options.fd),
        options.server,
        grace=settings.SHUTDOWN_GRACE_SECONDS,
        application=options.application,
        runtime=options.runtime,
    )


if __name__ == "__main__":
    # The instance that others import, so that its names are those in the log.
    from gemproxy.serving import main as serve

    serve()
