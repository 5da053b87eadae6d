"""Callers ask as real clients do, and say how their connection ended."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from proxy.faultlab.callers import ask, leave_early, leave_late
from proxy.faultlab.row import FORMS, GEMINI_STREAM, OPENAI, OPENAI_STREAM, Form

Answering = Callable[[httpx.Request], httpx.Response]
CHAT = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
NATIVE = {"candidates": [{"content": {"parts": [{"text": "hi"}]}}]}
CHUNK = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'


class Pieces(httpx.SyncByteStream):
    """A body in pieces, which may break off, and knows that it was closed."""

    def __init__(self, *pieces: str, error: Exception | None = None) -> None:
        self.pieces = [piece.encode() for piece in pieces]
        self.error = error
        self.sent = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.sent += 1
            yield piece
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


def client(answering: Answering) -> httpx.Client:
    transport = httpx.MockTransport(answering)
    return httpx.Client(base_url="http://gateway.test", transport=transport)


@pytest.mark.parametrize(
    ("form", "path", "query"),
    [
        (FORMS[0], "/v1/chat/completions", b""),
        (FORMS[1], "/v1/chat/completions", b""),
        (FORMS[2], "/v1beta/models/m:generateContent", b""),
        (FORMS[3], "/v1beta/models/m:streamGenerateContent", b"alt=sse"),
    ],
    ids=[form.name for form in FORMS],
)
def test_each_form_asks_in_its_dialect(form: Form, path: str, query: bytes) -> None:
    asked: list[httpx.Request] = []

    def answering(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503, json={"error": {"code": "x"}})

    with client(answering) as made:
        ask(made, form, "m", "hello")
    [request] = asked
    body: dict[str, Any] = json.loads(request.content)
    assert (request.url.path, request.url.query) == (path, query)
    if form.dialect == "openai":
        assert body["messages"] == [{"role": "user", "content": "hello"}]
        assert (body["model"], body["stream"]) == ("m", form.stream)
    else:
        assert body["contents"][0]["parts"] == [{"text": "hello"}]


@pytest.mark.parametrize(("form", "body"), [(OPENAI, CHAT), (FORMS[2], NATIVE)])
def test_a_whole_answer_is_read(form: Form, body: dict[str, Any]) -> None:
    with client(lambda _: httpx.Response(200, json=body)) as made:
        seen = ask(made, form, "m", "hello")
    assert (seen.status, seen.text, seen.broken) == (200, "hi", "")


def test_an_error_instead_of_a_stream_is_read_as_a_body() -> None:
    error = {"error": {"status": "UNAVAILABLE"}}
    with client(lambda _: httpx.Response(503, json=error)) as made:
        seen = ask(made, GEMINI_STREAM, "m", "hello")
    assert (seen.status, seen.code, seen.odd) == (503, "UNAVAILABLE", "")


def test_a_stream_that_breaks_off_says_how() -> None:
    pieces = Pieces(CHUNK, error=httpx.RemoteProtocolError("gone"))
    with client(lambda _: httpx.Response(200, stream=pieces)) as made:
        seen = ask(made, OPENAI_STREAM, "m", "hello")
    assert (seen.text, seen.broken) == ("a", "RemoteProtocolError")
    assert pieces.closed


def test_a_gateway_that_is_away_is_a_broken_answer() -> None:
    def answering(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with client(answering) as made:
        seen = ask(made, OPENAI, "m", "hello")
    assert (seen.status, seen.broken) == (0, "ConnectError")


def test_who_leaves_early_goes_when_nothing_comes() -> None:
    waits: list[float] = []

    def answering(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"]["read"])
        raise httpx.ReadTimeout("silence", request=request)

    with client(answering) as made:
        seen = leave_early(made, OPENAI, "m", "hello")
    assert seen.broken == "left before the first byte"
    assert 0 < waits[0] <= 1


def test_who_was_answered_before_has_not_left() -> None:
    with client(lambda _: httpx.Response(200, json=CHAT)) as made:
        seen = leave_early(made, OPENAI, "m", "hello")
    assert (seen.status, seen.broken) == (200, "")
    assert seen.odd


def test_who_leaves_late_goes_at_the_first_content() -> None:
    role = 'data: {"choices": [{"delta": {"content": ""}}]}\n\n'
    pieces = Pieces(": ping\n\n", role, CHUNK, CHUNK, CHUNK)
    with client(lambda _: httpx.Response(200, stream=pieces)) as made:
        seen = leave_late(made, OPENAI_STREAM, "m", "hello")
    assert (seen.text, seen.broken) == ("a", "left after the first content")
    assert pieces.sent == 3
    assert pieces.closed


def test_a_stream_without_content_is_not_left_late() -> None:
    pieces = Pieces(": ping\n\n", "data: [DONE]\n\n")
    with client(lambda _: httpx.Response(200, stream=pieces)) as made:
        seen = leave_late(made, OPENAI_STREAM, "m", "hello")
    assert (seen.broken, seen.done) == ("", True)
