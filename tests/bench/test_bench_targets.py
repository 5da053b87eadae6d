"""How the benchmark sets up and starts the gateway, tried on a stand-in."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.bench import targets
from tests.bench.bodies import WHOLE_MARK
from tests.bench.errors import BenchError
from tests.bench.processes import cores, tree
from tests.bench.rows import Bench, Row
from tests.bench.targets import Gateway, Place, direct, running

# Takes the same commands as the gateway's manage.py, notes them, serves JSON.
MANAGE = f'''
import json, os, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
words = sys.argv[1:]
given = "" if words[0] == "serve" else sys.stdin.read()
if words[0] == os.environ.get("LANG"):
    sys.exit("this command fails")
with pathlib.Path("commands.jsonl").open("a") as notes:
    env = {{k: v for k, v in os.environ.items() if k.startswith("GEMPROXY_")}}
    notes.write(json.dumps([words, given, env]) + "\\n")
if words[0] == "create_token":
    print("user bench created")
    print("gp-stand-in")
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        known = self.headers["authorization"] == "Bearer gp-stand-in"
        self.send_response(200 if known else 401)
        body = b"{WHOLE_MARK}"
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
if words[0] == "serve":
    port = int(words[words.index("--port") + 1])
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()
'''
WHOLE = Row(name="w", title="", mode="json", connections=1, seconds=0.3)


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "manage.py").write_text(MANAGE)
    monkeypatch.setattr(targets, "ROOT", root)
    return root


@pytest.fixture
def place(mock, tmp_path) -> Place:
    return Place(None, mock, tmp_path)


@pytest.fixture
def bench(programs, mock, tmp_path) -> Bench:
    return Bench(programs["load"], mock, tmp_path, core=cores()[1])


def test_the_gateway_is_set_up_once_and_measured(checkout, place, bench, mock) -> None:
    gateway = Gateway(place)
    for _ in range(2):
        with gateway.open() as door:
            found = bench.measure(WHOLE, door)
            idle = bench.idle(door)
            process = door.processes
        assert tree(process) == []
        assert found["failures"] == 0
        assert found["requests"] > 10
        assert found["cpu_ms"] > 0.02
        assert idle["pss_mb"] > 3
    lines = (checkout / "commands.jsonl").read_text().splitlines()
    notes = [json.loads(line) for line in lines]
    names = [words[0] for words, _, _ in notes]
    assert names == ["migrate", "import_accounts", "create_token", "serve", "serve"]
    keys = notes[1][1].split()
    assert len(keys) == 4
    assert all(re.fullmatch(r"AIzaSy[A-Za-z0-9]{33}", key) for key in keys)
    assert len({json.dumps(env) for _, _, env in notes}) == 1
    assert notes[0][2]["GEMPROXY_GEMINI_BASE_URL"] == mock.url


@pytest.mark.parametrize("command", ["migrate", "import_accounts", "create_token"])
def test_a_command_that_fails_is_told(checkout, place, monkeypatch, command) -> None:
    monkeypatch.setenv("LANG", command)
    with pytest.raises(BenchError, match=rf"{command} failed:\s+this command fails"):
        Gateway(place)


def test_no_token_in_the_output_is_told(checkout, place) -> None:
    manage = checkout / "manage.py"
    manage.write_text(manage.read_text().replace('print("gp-', 'print("x-'))
    with pytest.raises(BenchError, match="printed no token"):
        Gateway(place)


class Answers(BaseHTTPRequestHandler):
    """Answers every POST with the text that the benchmark expects."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(WHOLE_MARK)))
        self.end_headers()
        self.wfile.write(WHOLE_MARK.encode())

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    running_server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=running_server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running_server.server_port}/"
    running_server.shutdown()
    thread.join()
    running_server.server_close()


def test_a_running_server_is_found_by_its_port(server, bench) -> None:
    with running(server, "secret") as door:
        assert door.headers == ("Authorization: Bearer secret",)
        assert door.whole_url == server + "v1/chat/completions"
        found = bench.measure(WHOLE, door)
    assert found["failures"] == 0
    assert found["cpu_ms"] > 0


def test_held_streams_show_how_many_were_open(place, bench) -> None:
    row = Row(
        name="h", title="", mode="hold", connections=20, chunks=3, interval_us=100_000
    )
    with direct(place) as door:
        found = bench.measure(row, door)
    assert (found["requests"], found["failures"], found["peak_open"]) == (20, 0, 20)
    assert "pss_kb_per_stream" not in found  # the mock is not new in each round


def test_a_target_that_answers_nothing_stops_the_benchmark(place, bench) -> None:
    with (
        running(f"{place.mock.url}/nowhere", "") as door,
        pytest.raises(BenchError, match="status 404"),
    ):
        bench.warm_up(door)
