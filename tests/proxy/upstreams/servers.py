"""Small servers on loopback for the tests of transports: HTTP, proxies and TLS."""

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Received:
    """One request as it came in; ``nth`` counts those of its connection from 1."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int
    nth: int

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


class Peer(asyncio.Protocol):
    """The server's end of one connection; cuts what arrives into requests."""

    def __init__(self, server: "HTTPServer") -> None:
        self.server = server
        self.buffer = b""
        self.nth = 0
        self.closed = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.server.peers.append(self)
        self.index = len(self.server.peers)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, gap, rest = self.buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (f.split(": ", 1) for f in fields)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self.nth += 1
        received = Received(line, headers, rest[:length], self.index, self.nth)
        self.server.requests.append(received)
        task = asyncio.ensure_future(self.server.respond(self, received))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def send_whole(
        self, body: bytes, status: str = "200 OK", headers: str = ""
    ) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        self.send(head.encode() + body)

    def start_stream(
        self, headers: str = "content-type: text/event-stream\r\n"
    ) -> None:
        self.send(
            f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n".encode()
        )

    def send_chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        """Close with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER, on, 0 seconds
        self.transport.abort()


Respond = Callable[[Peer, Received], Awaitable[None]]


@dataclass
class HTTPServer:
    """An HTTP server whose answers one coroutine writes by hand."""

    respond: Respond
    tls: ssl.SSLContext | None = None
    peers: list[Peer] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)

    async def __aenter__(self) -> "HTTPServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Peer(self), "127.0.0.1", 0, ssl=self.tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for peer in self.peers:
            peer.transport.abort()
            for task in list(peer.tasks):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._server.wait_closed()
        await asyncio.sleep(0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


class StreamServer:
    """Common part of the proxies: an asyncio streams server that counts."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _enter(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hang up; the proxies do better."""

    async def relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
        first: bytes = b"",
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        up_writer.write(first)
        await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))


async def until(condition: Callable[[], object]) -> None:
    """Wait, at most two seconds, until the condition holds."""
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.001)


class HTTPProxy(StreamServer):
    """A forward proxy with CONNECT; wants ``user:pass word`` when ``guarded``."""

    def __init__(self, *, guarded: bool = False, silent: bool = False) -> None:
        super().__init__()
        self.guarded = guarded
        self.silent = silent

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        self.seen.append(line.decode())
        if self.silent:
            await asyncio.sleep(30)
        wanted = base64.b64encode(b"user:pass word")
        if self.guarded and b"Basic " + wanted not in fields:
            writer.write(b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n")
            return
        method, target, _ = line.split(b" ")
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await self.relay(reader, writer, int(target.rpartition(b":")[2]))
            return
        port, _, path = target.removeprefix(b"http://127.0.0.1:").partition(b"/")
        first = b" ".join((method, b"/" + path, b"HTTP/1.1")) + b"\r\n" + fields
        await self.relay(reader, writer, int(port), first)


class SocksProxy(StreamServer):
    """A SOCKS5 proxy that takes any name to be loopback."""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        *_, kind = await reader.readexactly(4)
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        host = await reader.readexactly(size)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        self.seen.append(
            host.decode() if kind == 3 else str(ipaddress.ip_address(host))
        )
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await self.relay(reader, writer, port)


def make_tls(folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context for 127.0.0.1 and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "pair.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))
