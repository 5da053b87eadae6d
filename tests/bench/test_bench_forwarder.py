"""The bare forwarder, served by uvicorn before a mock upstream."""

import json
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.bench.bodies import chat_body
from tests.bench.targets import ROOT, Place, forwarder

SECONDS = 5


@pytest.fixture
def door(mock, tmp_path):
    with forwarder(Place(None, mock, tmp_path)) as opened:
        yield opened


def test_a_whole_answer_passes_unchanged(door, mock, whole_url) -> None:
    with urlopen(Request(whole_url, data=b"{}"), timeout=SECONDS) as answer:
        straight = json.load(answer)
    request = Request(door.whole_url, data=chat_body(stream=False))
    with urlopen(request, timeout=SECONDS) as answer:
        passed = json.load(answer)
        assert answer.headers["content-type"].startswith("application/json")
    del straight["responseId"], passed["responseId"]
    assert passed == straight


def test_streams_pass_as_they_come(door, mock, load, tmp_path) -> None:
    body = tmp_path / "stream.json"
    body.write_bytes(chat_body(stream=True))
    mock.pace(chunks=10, interval_us=20_000)
    found = load(
        "stream", door.stream_url, body=body, connections=5, rounds=2, chunks=10
    )
    assert (found["requests"], found["failures"]) == (10, 0)
    assert found["lag_us"]["p50"] < 20_000
    assert found["ttft_us"]["p50"] < 5 * 20_000 < found["latency_us"]["p50"]


def test_a_header_names_another_path_and_errors_pass(door) -> None:
    request = Request(door.whole_url, data=b"{}", headers={"x-bench-path": "/nowhere"})
    with pytest.raises(HTTPError) as caught:
        urlopen(request, timeout=SECONDS)
    with caught.value as error:
        assert error.code == 404
        assert json.load(error)["error"]["status"] == "NOT_FOUND"


def test_a_client_that_leaves_ends_the_upstream_call(door, mock) -> None:
    mock.pace(chunks=100, interval_us=50_000)
    request = Request(door.stream_url, data=chat_body(stream=True))
    with urlopen(request, timeout=SECONDS) as answer:
        answer.readline()
    deadline = time.monotonic() + 0.5
    while not mock.stats()["aborted"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mock.stats()["aborted"] == 1


def test_it_ends_cleanly(mock, tmp_path) -> None:
    with forwarder(Place(None, mock, tmp_path)) as opened:
        request = Request(opened.whole_url, data=chat_body(stream=False))
        urlopen(request, timeout=SECONDS).close()
    assert (tmp_path / "forwarder.log").read_text() == ""


@pytest.mark.slow
def test_a_quick_run_prints_a_table_and_writes_the_figures(tmp_path) -> None:
    output = tmp_path / "bench.json"
    words = ["--quick", "--skip-gateway", "--rows", "json1,burst", "--output", output]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "JSON, 1 connection" in done.stdout
    rounds = json.loads(output.read_text())["rounds"]
    assert set(rounds) == {"direct", "forwarder"}
    for target in rounds:
        assert rounds[target]["json1"][0]["failures"] == 0
        assert rounds[target]["json1"][0]["cpu_ms"] > 0
    faster, slower = (rounds[name]["json1"][0] for name in ("direct", "forwarder"))
    assert faster["rps"] > slower["rps"]
    assert slower["cpu_ms"] > faster["cpu_ms"]
