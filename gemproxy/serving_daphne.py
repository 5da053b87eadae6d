"""The daphne form of a server process. Importing this installs Twisted's reactor."""

import asyncio
import logging
import signal
import socket
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.server import Server, twisted_loop
from daphne.ws_protocol import WebSocketProtocol
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.endpoints import AdoptedStreamServerEndpoint

from gemproxy.lib import clock
from gemproxy.lifeline import orphaned
from gemproxy.serving import CANCEL_SECONDS, ORPHAN_GRACE_SECONDS

logger = logging.getLogger(__name__)

# A kept-alive connection may bring one more request meanwhile.
LOOK_SECONDS = 0.5


class BoundedRequest(WebRequest):
    """A request whose body is not stored beyond the bound, and whose sender does not
    choose where the application is mounted."""

    _dropped = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 (Twisted)  # noqa: N802
        """Store one byte more than allowed: so much tells that it is too large."""
        room = settings.MAX_BODY_BYTES + 1 - self.content.tell()
        if room > 0:
            super().handleContentChunk(data[:room])
        self._dropped += max(0, len(data) - max(0, room))
        if self._dropped > settings.MAX_BODY_BYTES:
            self.channel.forceAbortClient()

    def process(self) -> Any:
        # daphne believes this header from anybody, and paths that a guard looks at
        # would no longer be those that are served.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        return super().process()


class Factory(HTTPFactory):
    """Makes connections whose requests are bounded."""

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 (Twisted)  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol


class DaphneServer(Server):
    """daphne on an inherited socket, with a stop that lets streams finish."""

    def __init__(
        self, sock: socket.socket, application: Any, runtime: Any, grace: float
    ) -> None:
        super().__init__(
            application,
            endpoints=["given"],
            signal_handlers=False,
            application_close_timeout=10,
            ready_callable=self._listen,
            server_name="gemproxy",
            verbosity=0,
        )
        # The socket's own family is known only to an endpoint made by hand.
        self.endpoints = []
        self._sock = sock
        self._runtime = runtime
        self._grace = grace
        self._ports: list[Any] = []
        self._stopping: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        asyncio.set_event_loop(twisted_loop)
        twisted_loop.run_until_complete(self._runtime.start())
        for number in (signal.SIGTERM, signal.SIGINT):
            twisted_loop.add_signal_handler(number, self._begin_stop)
        super().run()

    def _listen(self) -> None:
        self.http_factory = Factory(self)
        endpoint = AdoptedStreamServerEndpoint(
            reactor, self._sock.fileno(), self._sock.family
        )
        listening = endpoint.listen(self.http_factory)
        listening.addCallback(self._ports.append)
        listening.addErrback(self.listen_error)

    def _begin_stop(self) -> None:
        if self._stopping is None:
            self._stopping = twisted_loop.create_task(self._finish())

    async def _finish(self) -> None:
        """Stop accepting, let applications end, cancel the rest, stop the runtime."""
        try:
            for port in self._ports:
                port.stopListening()
            self._close_websockets()
            await self._wait_for_active()
            await self._cancel_active()
            await self._runtime.stop()
        finally:
            reactor.stop()

    def _close_websockets(self) -> None:
        # They may be open for days; uvicorn closes them at once as well.
        for protocol in list(self.connections):
            if isinstance(protocol, WebSocketProtocol):
                protocol.serverClose()

    async def _wait_for_active(self) -> None:
        grace = ORPHAN_GRACE_SECONDS if orphaned().is_set() else self._grace
        deadline = clock.monotonic() + grace
        while left := self._active():
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                return
            await asyncio.wait(left, timeout=min(remaining, LOOK_SECONDS))

    async def _cancel_active(self) -> None:
        left = self._active()
        if not left:
            return
        logger.warning("Cancelling %d requests that outlasted the grace", len(left))
        for application in left:
            application.cancel()
        await asyncio.wait(left, timeout=CANCEL_SECONDS)

    def _active(self) -> list["asyncio.Future[Any]"]:
        found = (d.get("application_instance") for d in self.connections.values())
        return [instance for instance in found if instance and not instance.done()]

    def kill_all_applications(self) -> None:
        """Nothing is left to kill: the stop above has waited for all of them."""
