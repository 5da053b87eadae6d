"""A server process: both servers start, stream, stop and flush in the same way."""

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from gemproxy.serving import PortBusy, bound_socket, listen
from tests.running import Started, eventually, get, started

BOTH = pytest.mark.parametrize("server", ["uvicorn", "daphne"])
Serve = Callable[..., contextlib.AbstractContextManager["Served"]]


class Served:
    """A server process with the port it listens on and what its stub wrote down."""

    def __init__(self, running: Started, port: int, log: Path) -> None:
        self.running = running
        self.port = port
        self.log = log
        self.connections: list[http.client.HTTPConnection] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def words(self) -> list[str]:
        if not self.log.exists():
            return []
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    def ask(self, path: str, **headers: str) -> http.client.HTTPResponse:
        """Return the head of an answer; its connection is closed with the test."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.connections.append(connection)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def stop(self) -> int:
        self.running.process.terminate()
        return self.running.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @contextlib.contextmanager
    def start(server: str, grace: float = 10, chunks: int = 5) -> Iterator[Served]:
        log = tmp_path / "log"
        with bound_socket("127.0.0.1", 0) as sock:
            listen(sock)
            arguments = ["-m", "gemproxy.serving", "--fd", str(sock.fileno())]
            arguments += ["--server", server]
            arguments += ["--application", "tests.served_stub:application"]
            arguments += ["--runtime", "tests.served_stub:runtime"]
            environment = {
                "VAR_DIR": str(tmp_path),
                "SHUTDOWN_GRACE_SECONDS": str(grace),
                "STUB_LOG": str(log),
                "STUB_CHUNKS": str(chunks),
            }
            output = tmp_path / "output"
            with started(arguments, output, environment, (sock.fileno(),)) as running:
                served = Served(running, sock.getsockname()[1], log)
                sock.close()
                yield served
                for connection in served.connections:
                    connection.close()

    return start


@BOTH
def test_the_runtime_runs_before_the_first_answer_and_ends_with_the_server(
    serve: Serve, server: str
) -> None:
    with serve(server) as served:
        _, body = eventually(lambda: _good(served.url("/health")))
        pid, running, _ = body.split()
        assert (int(pid), running) == (served.running.pid, "True")
        assert served.words() == ["started"]
        assert served.stop() == 0
        assert served.words() == ["started", "stopped"]


def _good(url: str) -> tuple[int, str] | None:
    status, body = get(url)
    return (status, body) if status == 200 else None


@pytest.mark.parametrize(
    ("server", "twisted"), [("uvicorn", "False"), ("daphne", "True")]
)
def test_only_daphne_pays_for_twisted(serve: Serve, server: str, twisted: str) -> None:
    with serve(server) as served:
        _, body = eventually(lambda: _good(served.url("/health")))
        assert body.split()[2] == twisted


@BOTH
def test_a_stream_finishes_after_the_stop_signal(serve: Serve, server: str) -> None:
    with serve(server) as served:
        response = served.ask("/slow")
        assert response.read(5) == b"tick\n"
        served.running.process.terminate()
        assert response.read().endswith(b"tick\nend\n")
        assert served.running.wait() == 0
        assert served.words() == ["started", "stopped"]


@BOTH
def test_a_stream_that_outlasts_the_grace_is_cancelled_before_the_runtime_stops(
    serve: Serve, server: str
) -> None:
    with serve(server, grace=1, chunks=300) as served:
        response = served.ask("/slow")
        assert response.read(5) == b"tick\n"
        began = time.monotonic()
        assert served.stop() == 0
        assert 1 <= time.monotonic() - began < 60
        assert served.words() == ["started", "cancelled", "stopped"]


@BOTH
def test_nothing_new_is_accepted_while_streams_finish(
    serve: Serve, server: str
) -> None:
    with serve(server, chunks=15) as served:
        response = served.ask("/slow")
        assert response.read(5) == b"tick\n"
        served.running.process.terminate()
        eventually(lambda: get(served.url("/health"), 0.3)[0] == 0)
        assert response.read().endswith(b"end\n")


@BOTH
def test_websockets_work_and_are_closed_at_the_stop(serve: Serve, server: str) -> None:
    with serve(server, grace=8) as served:
        eventually(lambda: _good(served.url("/health")))
        url = f"ws://127.0.0.1:{served.port}/ws"
        with websockets.sync.client.connect(url) as client:
            client.send("hello")
            assert client.recv(5) == "hello"
            began = time.monotonic()
            served.running.process.terminate()
            with pytest.raises(ConnectionClosed):
                client.recv(60)
        assert served.running.wait() == 0
        assert time.monotonic() - began < 20, "it does not wait for open sockets"
        assert served.words()[-1] == "stopped"


@BOTH
def test_answers_do_not_name_the_server_software_version(
    serve: Serve, server: str
) -> None:
    with serve(server) as served:
        eventually(lambda: _good(served.url("/health")))
        response = served.ask("/health")
        response.read()
        name = response.headers.get("server", "")
        assert "uvicorn" not in name
        assert "/" not in name


@BOTH
def test_a_header_of_a_stranger_does_not_change_the_peer_address(
    serve: Serve, server: str
) -> None:
    with serve(server) as served:
        eventually(lambda: _good(served.url("/health")))
        response = served.ask("/peer", **{"X-Forwarded-For": "203.0.113.9"})
        assert response.read() == b"127.0.0.1"


def test_a_busy_port_is_named_with_what_to_do() -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        listen(taken)
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy, match=rf"port {port}: .*in use.*PORT="):
            bound_socket("127.0.0.1", port)


def test_two_who_were_bound_to_one_port_cannot_both_listen() -> None:
    with (
        bound_socket("127.0.0.1", 0) as first,
        bound_socket("127.0.0.1", first.getsockname()[1]) as second,
    ):
        listen(first)
        with pytest.raises(PortBusy, match="in use"):
            listen(second)


def test_a_host_that_is_no_address_is_refused_by_name() -> None:
    with pytest.raises(PortBusy, match=r"'no\.such\.host\.invalid' is no address"):
        bound_socket("no.such.host.invalid", 8100)


@BOTH
def test_a_client_does_not_choose_where_the_application_is_mounted(
    serve: Serve, server: str
) -> None:
    with serve(server) as served:
        eventually(lambda: _good(served.url("/health")))
        answer = served.ask("/root", **{"Daphne-Root-Path": "/elsewhere"})
        assert (answer.status, answer.read()) == (200, b"")


def test_daphne_stores_no_more_of_a_body_than_tells_that_it_is_too_large(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_BODY_BYTES", "100000")
    with serve("daphne") as served:
        eventually(lambda: _good(served.url("/health")))
        assert _size(served, [b"x" * 100_000]) == b"100000"
        assert _size(served, [b"x" * 60_000] * 3) == b"100001"
        with pytest.raises(OSError):
            _size(served, [b"x" * 100_000] * 1000)
        assert _good(served.url("/health"))


def _size(served: Served, pieces: list[bytes]) -> bytes:
    """Send a chunked body; return how much of it the application was given."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request("POST", "/size", iter(pieces), encode_chunked=True)
        return connection.getresponse().read()
    finally:
        connection.close()
