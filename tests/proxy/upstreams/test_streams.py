"""Event streams cut into payloads, and JSON that must be an object."""

import httpx
import pytest

from proxy.errors import BadAnswer, StreamCut
from proxy.upstreams.base import Timeouts
from proxy.upstreams.streams import extensions, parsed, payloads


class Body(httpx.AsyncByteStream):
    """Brings pieces, then raises what is left to raise; knows whether it is closed."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.closed = False

    async def __aiter__(self):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self):
        self.closed = True


def response(*pieces, kind="text/event-stream"):
    return httpx.Response(200, headers={"content-type": kind}, stream=Body(*pieces))


async def read(made):
    return [batch async for batch in payloads(made)]


@pytest.mark.parametrize(
    ("pieces", "batches"),
    [
        ([b"data: 1\n\n", b"data: 2\n\n"], [[b"1"], [b"2"]]),
        ([b"data: 1\r\n\r\ndata: 2\r\n\r\n"], [[b"1", b"2"]]),
        ([b"da", b"ta: 1\n", b"\n"], [[b"1"]]),
        ([b": alive\n\n", b"data: 1\n\n"], [[b"1"]]),
        ([b"data: 1\n\n", b"data: [DONE]\n\n"], [[b"1"]]),
        ([b"data: 1"], [[b"1"]]),
        ([b'{"error": 1}'], [[b'{"error": 1}\n']]),
        ([], []),
    ],
)
async def test_payloads_come_as_they_were_read(pieces, batches):
    made = response(*pieces)
    assert await read(made) == batches
    assert made.stream.closed


async def test_a_web_page_is_no_stream():
    made = response(b"<html>", kind="text/html; charset=utf-8")
    with pytest.raises(BadAnswer, match="web page"):
        await read(made)
    assert made.stream.closed


async def test_a_stream_that_breaks_off_is_cut():
    made = response(b"data: 1\n\n", httpx.ReadError("gone"))
    source = payloads(made)
    assert await anext(source) == [b"1"]
    with pytest.raises(StreamCut):
        await anext(source)
    assert made.stream.closed


async def test_closing_early_closes_the_connection():
    made = response(b"data: 1\n\n", b"data: 2\n\n")
    source = payloads(made)
    await anext(source)
    await source.aclose()
    assert made.stream.closed


@pytest.mark.parametrize(
    ("raw", "data"), [(b'{"a": 1}', {"a": 1}), (b'[{"a": 1}]', {"a": 1})]
)
def test_an_object_may_stand_in_a_list_alone(raw, data):
    assert parsed(raw) == data


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"[1, 2]", b"[{}, {}]", b"3"])
def test_anything_else_makes_no_sense(raw):
    with pytest.raises(BadAnswer):
        parsed(raw)


def test_limits_are_told_in_the_transports_words():
    told = extensions(Timeouts(connect=1, first_byte=2, idle=3, total=4))
    assert told["timeout"] == {"connect": 1, "read": 3, "write": 3, "pool": 1}
    assert (told["first_byte"], told["total"]) == (2, 4)
