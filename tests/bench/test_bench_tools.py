"""The load generator and the mock upstream, run against each other."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.bench import native
from tests.bench.bodies import WHOLE_MARK, chat_body
from tests.bench.errors import BenchError
from tests.bench.native import Mock

STAMP = "%020d word "
HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(text: str) -> str:
    return f'data: {{"text": "{text}"}}\r\n\r\n'


def chunked(*parts: str, end: str = "0\r\n\r\n") -> str:
    return "".join(f"{len(p.encode()):x}\r\n{p}\r\n" for p in parts) + end


def read_request(connection: socket.socket) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return False
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return True


@contextmanager
def scripted(answer: str, *, step: int = 1 << 16, close: bool = True) -> Iterator[str]:
    """A server that sends ``answer`` in pieces of ``step`` bytes to each request."""
    server = socket.create_server(("127.0.0.1", 0))

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while read_request(connection):
                data = answer.encode()
                for start in range(0, len(data), step):
                    connection.sendall(data[start : start + step])
                    if step < 16:
                        time.sleep(0.0005)
                if close:
                    return

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/any"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def test_answers_are_counted_and_timed(load, whole_url) -> None:
    found = load("json", whole_url, connections=16, seconds=1)
    times = found["latency_us"]
    assert found["failures"] == 0
    assert found["requests"] == found["started"] == times["n"] > 2000
    assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"] < 1e6
    assert 0.9 < found["seconds"] < 3
    assert found["rps"] == pytest.approx(found["requests"] / found["seconds"], rel=0.01)
    assert found["peak_open"] == 16


def test_a_number_of_requests_is_kept_exactly(load, whole_url, mock) -> None:
    before = mock.stats()["requests"]
    found = load("json", whole_url, connections=7, requests=100)
    assert (found["started"], found["requests"]) == (100, 100)
    assert mock.stats()["requests"] - before == 100 + 1  # and this look itself


def test_paced_streams_are_read_to_their_end(load, stream_url, mock) -> None:
    mock.pace(chunks=10, interval_us=20_000)
    found = load("stream", stream_url, connections=5, seconds=1, chunks=10)
    assert found["failures"] == 0
    assert found["requests"] >= 10
    assert found["chunks"] == found["events"] == 10 * found["requests"]
    assert found["ttft_us"]["n"] == found["requests"]
    assert found["lag_us"]["n"] == found["chunks"]
    assert found["latency_us"]["p50"] >= 9 * 20_000 > found["ttft_us"]["p50"]
    assert 0 < found["lag_us"]["p50"] < 20_000


def test_a_burst_is_read_whole(load, stream_url, mock) -> None:
    mock.pace(chunks=400, interval_us=0)
    found = load("stream", stream_url, connections=4, rounds=5, chunks=400)
    assert (found["requests"], found["failures"]) == (20, 0)
    assert found["chunks"] == 20 * 400


def test_held_streams_are_open_together_and_begin_one_by_one(
    load, stream_url, mock
) -> None:
    mock.pace(chunks=5, interval_us=200_000)
    found = load("hold", stream_url, connections=100, spread_ms=500, chunks=5)
    assert (found["requests"], found["failures"]) == (100, 0)
    assert found["peak_open"] == 100
    assert found["seconds"] >= 0.8 + 0.5 * 99 / 100
    assert mock.stats()["streams"] == 100


def test_a_cut_stream_is_a_failure(load, stream_url, mock) -> None:
    mock.pace(chunks=50, interval_us=100, cut_after=20)
    found = load("stream", stream_url, connections=2, rounds=2)
    assert found["requests"] == 0
    assert found["failed"]["cut"] == found["failures"] == 4
    assert "20 chunks" in found["first_failure"]
    assert mock.stats()["aborted"] == 4


def test_another_status_is_a_failure_that_shows_the_answer(load, mock) -> None:
    url = f"{mock.url}/v1beta/models/any:other"
    found = load("json", url, connections=2, requests=6)
    assert (found["requests"], found["failed"]["status"]) == (0, 6)
    assert found["first_failure"].startswith("status 404")
    assert "NOT_FOUND" in found["first_failure"]


def test_a_stream_that_is_refused_is_a_failure(load, mock) -> None:
    url = f"{mock.url}/v1beta/models/any:other"
    found = load("stream", url, connections=1, requests=2)
    assert (found["requests"], found["failed"]["status"]) == (0, 2)
    assert "NOT_FOUND" in found["first_failure"]


def test_a_body_without_the_expected_text_is_a_failure(load, whole_url) -> None:
    found = load("json", whole_url, requests=3, expect="something else")
    assert found["failed"]["expected"] == found["failures"] == 3


@pytest.mark.parametrize("expected", [49, 51], ids=["one too many", "one missing"])
def test_another_number_of_chunks_is_a_failure(
    load, stream_url, mock, expected
) -> None:
    mock.pace(chunks=50, interval_us=0)
    found = load("stream", stream_url, requests=3, chunks=expected)
    assert found["failed"]["chunks"] == found["failures"] == 3


def test_a_stream_without_the_final_marker_is_a_failure(load, stream_url, mock) -> None:
    mock.pace(chunks=50, interval_us=0)
    found = load("stream", stream_url, requests=3, final="[DONE]")
    assert found["failed"]["final"] == found["failures"] == 3


def test_a_closed_port_is_a_failure_and_the_run_still_ends(load) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        found = load("json", url, connections=2, seconds=0.2)
    assert found["requests"] == 0
    assert 0 < found["failed"]["connect"] < 200


def test_a_stream_that_hangs_ends_with_the_grace_time(load, stream_url, mock) -> None:
    mock.pace(chunks=2, interval_us=60_000_000)
    found = load("stream", stream_url, connections=3, rounds=1, grace=0.5, chunks=2)
    assert found["failed"]["timeout"] == found["failures"] == 3
    assert found["seconds"] < 2


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_a_stream_is_read_however_it_is_split(load, step) -> None:
    now = time.monotonic_ns()
    text = event("hello") + event(STAMP % now) + ": a comment\n\n" + event("[DONE]")
    answer = HEAD + chunked(text[:9], text[9:50], text[50:])
    with scripted(answer, step=step, close=False) as url:
        found = load("stream", url, rounds=2, chunks=1, final="[DONE]")
    assert (found["requests"], found["failures"]) == (2, 0)
    assert found["events"] == 2 * 3


@pytest.mark.parametrize("step", [1, 1 << 16])
@pytest.mark.parametrize(
    "head",
    ["Content-Length: 16\r\n", "connection: close\r\n"],
    ids=["counted", "until close"],
)
def test_a_whole_answer_is_read_however_it_is_framed(load, head, step) -> None:
    answer = f"HTTP/1.1 200 OK\r\n{head}\r\n{WHOLE_MARK}"
    with scripted(answer, step=step) as url:
        found = load("json", url, rounds=1)
    assert (found["requests"], found["failures"]) == (1, 0)


def test_a_connection_that_the_server_closes_is_opened_again(load) -> None:
    answer = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 16\r\n\r\n{WHOLE_MARK}"
    with scripted(answer) as url:
        found = load("json", url, requests=5)
    assert (found["requests"], found["failures"]) == (5, 0)


DONE = event(STAMP % 1) + event("[DONE]")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("nonsense\r\n\r\n", "broken"),
        (HEAD + "zz\r\n", "broken"),
        (HEAD + "4\r\nabcdef\r\n0\r\n\r\n", "broken"),
        (HEAD + chunked(DONE) + "more", "broken"),
        (HEAD + chunked(DONE, end=""), "cut"),
        (HEAD + chunked(DONE, end="0\r\n"), "cut"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + DONE, "cut"),
        ("", "connect"),
        (HEAD + chunked(DONE.removesuffix("\r\n")), "final"),
        (HEAD + chunked(DONE, event("more")), "final"),
    ],
    ids=[
        "no status line",
        "chunk size is no number",
        "chunk longer than said",
        "bytes after the end",
        "no last chunk",
        "no end of the trailer",
        "shorter than its length",
        "closed without an answer",
        "last event without a blank line",
        "an event after the final one",
    ],
)
def test_a_wrong_answer_is_a_failure_of_its_kind(load, answer, kind) -> None:
    with scripted(answer) as url:
        found = load("stream", url, rounds=1, chunks=1, final="[DONE]")
    assert found["requests"] == 0
    assert found["failed"][kind] == found["failures"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"seconds": 0}, "unbounded"),
        ({"seconds": 1, "url": "https://example.org/"}, "expected http://"),
        ({"seconds": 1, "headers": ["a: b\r\nc: d"]}, "header"),
        ({"seconds": 1, "expect": ""}, "--expect"),
    ],
    ids=["no bound", "not loopback", "line break in a header", "nothing to expect"],
)
def test_an_order_that_makes_no_sense_is_refused(load, words, said) -> None:
    url = words.pop("url", "http://127.0.0.1:1/")
    with pytest.raises(BenchError, match=said):
        load("json", url, **words)


def test_the_body_and_headers_arrive_as_given(load) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/x?y=z"
    seen = bytearray()

    def talk() -> None:
        connection, _ = server.accept()
        with connection, server:
            while not seen.endswith(chat_body(stream=False)):
                seen.extend(connection.recv(65536))

    thread = threading.Thread(target=talk)
    thread.start()
    load("json", url, rounds=1, headers=["Authorization: Bearer t", "X-Two: 2"])
    thread.join(5)
    head = bytes(seen).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /v1/x?y=z HTTP/1.1"
    assert {"Authorization: Bearer t", "X-Two: 2"} < set(head)


def test_the_mock_speaks_gemini(mock, whole_url, stream_url) -> None:
    with urlopen(Request(whole_url, data=b"{}"), timeout=5) as answer:
        whole = json.load(answer)
    assert WHOLE_MARK in whole["candidates"][0]["content"]["parts"][0]["text"]
    assert whole["usageMetadata"]["totalTokenCount"] == 455
    mock.pace(chunks=3, interval_us=1000)
    with urlopen(Request(stream_url, data=b"{}"), timeout=5) as answer:
        events = answer.read().decode().split("\r\n\r\n")
    chunks = [json.loads(text.removeprefix("data: ")) for text in events[:-1]]
    reasons = [chunk["candidates"][0].get("finishReason") for chunk in chunks]
    assert reasons == [None, None, "STOP"]
    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks]
    assert counts == [1, 2, 3]
    assert whole["modelVersion"] == chunks[0]["modelVersion"] == "gemini-2.5-flash"


def test_the_mock_lists_models(mock) -> None:
    names = [
        model["name"]
        for model in native.get_json(f"{mock.url}/v1beta/models")["models"]
    ]
    assert "models/gemini-2.5-flash" in names


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1beta/modelsX", 404),
        ("/other", 404),
        ("/bench/pace?chunks=0&interval_us=1", 400),
        ("/bench/pace?nothing", 400),
    ],
)
def test_the_mock_refuses_what_it_does_not_know(mock, path, code) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(mock.url + path, timeout=5)
    caught.value.close()
    assert caught.value.code == code


def test_the_mock_notices_that_a_client_left(mock, stream_url) -> None:
    mock.pace(chunks=50, interval_us=20_000)
    with urlopen(Request(stream_url, data=b"{}"), timeout=5) as answer:
        answer.readline()
    deadline = time.monotonic() + 2
    while not mock.stats()["aborted"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mock.stats()["aborted"] == 1
    assert mock.stats()["finished"] == 0


def test_a_taken_port_is_told(programs, mock, tmp_path) -> None:
    with pytest.raises(BenchError, match="cannot listen"):
        Mock(programs["mock"], tmp_path / "other.log", core=None, port=mock.port)


def test_programs_are_built_again_only_after_a_change(programs, tmp_path) -> None:
    directory = programs["load"].parent
    before = {name: path.stat().st_mtime_ns for name, path in programs.items()}
    assert native.build(directory) == programs
    assert before == {n: p.stat().st_mtime_ns for n, p in programs.items()}


def test_a_missing_compiler_is_told(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BenchError, match="no C compiler"):
        native.build(tmp_path)


def test_the_body_is_a_usual_chat_request() -> None:
    body = chat_body(stream=False)
    assert 1700 <= len(body) <= 1900
    assert [m["role"] for m in json.loads(body)["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert json.loads(chat_body(stream=True))["stream"] is True
