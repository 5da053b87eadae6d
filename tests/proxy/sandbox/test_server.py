"""Behind a real server: separate writes, clients that leave, cut connections."""

import contextlib
import time
from itertools import pairwise

import httpx
import pytest

from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import asking
from tests.proxy.sandbox.serving import serve

PATH = "/v1beta/models/gemini-2.5-flash:"


@pytest.fixture(scope="module")
def served():
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(served):
    httpx.post(f"{served.url}/sandbox/reset")


def streaming(served, text="count to 50", behaviour="ok", key=None):
    url = f"{served.url}{PATH}streamGenerateContent?alt=sse"
    headers = {"x-goog-api-key": key or sandbox_key(behaviour)}
    return httpx.stream("POST", url, json=asking(text), headers=headers, timeout=20)


def test_chunks_are_written_one_by_one():
    with serve(pace=0.15) as slow, streaming(slow, "count to 4") as response:
        times = [time.monotonic() for piece in response.iter_raw() if piece]
    assert len(times) == 4
    assert all(b - a > 0.08 for a, b in pairwise(times))


def test_a_stalled_stream_stays_open_until_the_client_leaves(served):
    with streaming(served, behaviour="stall") as response:
        pieces = response.iter_raw()
        first = next(pieces)
        assert first.startswith(b"data: ")
        served.wait_for(open_streams=1, cancelled=0)
    served.wait_for(open_streams=0, cancelled=1)


def test_a_client_that_leaves_a_long_stream_is_noticed():
    with serve(pace=0.05) as slow:
        with streaming(slow, "count to 2000") as response:
            pieces = response.iter_raw()
            next(pieces)
            slow.wait_for(open_streams=1, cancelled=0)
        slow.wait_for(open_streams=0, cancelled=1)


@pytest.mark.parametrize("behaviour", ["slow", "stall"])
def test_a_client_that_gives_up_waiting_is_noticed(served, behaviour):
    url = f"{served.url}{PATH}generateContent"
    headers = {"x-goog-api-key": sandbox_key(behaviour)}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=asking("hi"), headers=headers, timeout=0.3)
    served.wait_for(open_streams=0, cancelled=1)


def test_a_finished_stream_is_not_a_cancelled_one(served):
    with streaming(served) as response:
        response.read()
    assert served.stats()["cancelled"] == 0
    assert served.stats()["open_streams"] == 0


def test_a_cut_stream_ends_without_its_proper_end(served):
    key = served.tell(sandbox_key("cut"), "cut", chunks=2)
    received = b""
    with contextlib.ExitStack() as stack:
        response = stack.enter_context(streaming(served, key=key))
        stack.enter_context(pytest.raises(httpx.RemoteProtocolError))
        for piece in response.iter_raw():
            received += piece
    assert response.status_code == 200
    assert received.count(b"data: ") == 2
    assert b"finishReason" not in received
    assert served.wait_for(open_streams=0)["cancelled"] == 0


def test_a_cut_answer_is_shorter_than_announced(served):
    url = f"{served.url}{PATH}generateContent"
    headers = {"x-goog-api-key": sandbox_key("cut")}
    with pytest.raises(httpx.RemoteProtocolError, match="without sending"):
        httpx.post(url, json=asking("hi"), headers=headers)


def test_a_connection_is_used_again(served):
    headers = {"x-goog-api-key": sandbox_key()}
    with httpx.Client(base_url=served.url, headers=headers) as client:
        for _ in range(3):
            answer = client.post(f"{PATH}generateContent", json=asking("hi"))
            assert answer.status_code == 200
    assert served.stats()["requests"] == 3
