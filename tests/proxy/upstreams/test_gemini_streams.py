"""The Gemini API adapter's streams against a real server."""

import asyncio
import time

import orjson
import pytest

from proxy.errors import (
    BadAnswer,
    Overloaded,
    RateLimited,
    StreamCut,
    UpstreamTimeout,
)
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.gemini_api import GeminiAPI
from tests.proxy.upstreams.servers import HTTPServer, until


def account():
    return AccountConfig(id=1, kind="gemini_api", secret="AIza" + "x" * 35)


def order(**timeouts):
    return Order(
        method="generateContent",
        model="gemini-x",
        body={"contents": []},
        timeouts=Timeouts(**timeouts),
    )


def event(data, end=b"\r\n\r\n"):
    return b"data: " + orjson.dumps(data) + end


def error(code, **fields):
    return {"error": {"code": code, "message": "m", **fields}}


def sending(*pieces, headers="content-type: text/event-stream\r\n", end=True):
    """Stream the pieces; a number is a pause in seconds."""

    async def respond(peer, _received):
        peer.start_stream(headers)
        for piece in pieces:
            if isinstance(piece, bytes):
                peer.send_chunk(piece)
            else:
                await asyncio.sleep(piece)
        if end:
            peer.end_stream()

    return respond


async def collect(clients, respond, **timeouts):
    """Return the data of all events by read, and the fault that ended them."""
    batches, fault = [], None
    async with HTTPServer(respond) as server:
        adapter = GeminiAPI(clients, server.url)
        try:
            async for events in adapter.stream(account(), order(**timeouts)):
                batches += [[event.data for event in events]]
        except Exception as raised:  # noqa: BLE001 - it is what the test looks at
            fault = raised
        await clients.aclose()
    return batches, fault


async def test_a_stream_is_asked_for_as_sse(clients):
    async with HTTPServer(sending(event({"a": 1}))) as server:
        adapter = GeminiAPI(clients, server.url)
        chunks = [
            e async for events in adapter.stream(account(), order()) for e in events
        ]
    (request,) = server.requests
    assert request.target == "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == b'{"contents":[]}'
    assert chunks[0].raw == b'{"a":1}'
    assert chunks[0].data == {"a": 1}


async def test_events_of_one_read_come_together_and_of_two_apart(clients):
    respond = sending(event({"a": 1}) + event({"a": 2}), 0.05, event({"a": 3}))
    assert await collect(clients, respond) == ([[{"a": 1}, {"a": 2}], [{"a": 3}]], None)


async def test_an_event_in_pieces_is_put_together(clients):
    whole = event({"text": "hé"})
    pieces = [part for i in range(len(whole)) for part in (whole[i : i + 1], 0.001)]
    assert await collect(clients, sending(*pieces)) == ([[{"text": "hé"}]], None)


async def test_the_last_event_may_lack_its_blank_line(clients):
    respond = sending(event({"a": 1}), 0.02, event({"a": 2}, end=b""))
    assert await collect(clients, respond) == ([[{"a": 1}], [{"a": 2}]], None)


async def test_heartbeats_and_a_done_mark_are_no_events(clients):
    respond = sending(
        b"\r\n", 0.02, b": ping\n\n", event({"a": 1}), b"data: [DONE]\n\n"
    )
    batches, fault = await collect(clients, respond)
    assert [data for batch in batches for data in batch] == [{"a": 1}]
    assert fault is None


async def test_a_stream_of_nothing_ends_without_a_fault(clients):
    assert await collect(clients, sending()) == ([], None)


async def test_an_error_event_is_raised_after_what_came_before_it(clients):
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    ]
    respond = sending(event({"a": 1}) + event(error(429, details=details)))
    batches, fault = await collect(clients, respond)
    assert batches == [[{"a": 1}]]
    assert isinstance(fault, RateLimited)
    assert fault.retry_after == 7


@pytest.mark.parametrize(
    "pieces",
    [
        [orjson.dumps(error(503)) + b"\n"],
        [orjson.dumps(error(503))],
        [b"[" + orjson.dumps(error(503), option=orjson.OPT_INDENT_2) + b"]\n"],
        [event({"a": 1}), 0.02, orjson.dumps(error(503)) + b"\n"],
    ],
    ids=["line", "bare end", "indented array", "after an event"],
)
async def test_an_error_without_data_is_raised_too(clients, pieces):
    _, fault = await collect(clients, sending(*pieces))
    assert isinstance(fault, Overloaded)


async def test_an_error_line_is_raised_before_the_stream_ends(clients):
    respond = sending(orjson.dumps(error(503)) + b"\n", 60.0)
    start = time.monotonic()
    _, fault = await collect(clients, respond)
    assert isinstance(fault, Overloaded)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("pieces", "headers"),
    [
        ([b"data: {oops\n\n"], "content-type: text/event-stream\r\n"),
        ([b"data: [1]\n\n"], "content-type: text/event-stream\r\n"),
        ([b"<p>sign in</p>\n"], "content-type: text/event-stream\r\n"),
        ([event({"a": 1})], "content-type: text/html\r\n"),
    ],
    ids=["broken", "array", "stray", "page"],
)
async def test_what_is_no_stream_of_objects_is_a_bad_answer(clients, pieces, headers):
    batches, fault = await collect(clients, sending(*pieces, headers=headers))
    assert batches == []
    assert isinstance(fault, BadAnswer)


async def test_a_stream_that_is_cut_is_a_fault_after_its_events(clients):
    async def cut(peer, _received):
        peer.start_stream()
        peer.send_chunk(event({"a": 1}))
        await asyncio.sleep(0.05)
        peer.transport.abort()

    batches, fault = await collect(clients, cut)
    assert batches == [[{"a": 1}]]
    assert isinstance(fault, StreamCut)


async def test_a_head_that_does_not_come_is_a_timeout(clients):
    async def hold(_peer, _received):
        await asyncio.sleep(10)

    batches, fault = await collect(clients, hold, first_byte=0.1)
    assert (batches, type(fault)) == ([], UpstreamTimeout)


async def test_silence_between_chunks_is_a_timeout(clients):
    respond = sending(event({"a": 1}), 10.0)
    batches, fault = await collect(clients, respond, idle=0.1)
    assert (batches, type(fault)) == ([[{"a": 1}]], UpstreamTimeout)


async def test_the_whole_stream_has_a_limit(clients):
    respond = sending(*[event({"a": 1}), 0.05] * 40)
    start = time.monotonic()
    batches, fault = await collect(clients, respond, total=0.3)
    assert batches
    assert isinstance(fault, UpstreamTimeout)
    assert time.monotonic() - start < 10


async def test_a_slow_consumer_is_no_silence(clients):
    async with HTTPServer(sending(event({"a": 1}), 0.02, event({"a": 2}))) as server:
        stream = GeminiAPI(clients, server.url).stream(account(), order(idle=0.1))
        assert len(await anext(stream)) == 1
        await asyncio.sleep(0.3)
        assert len(await anext(stream)) == 1
        await stream.aclose()


async def assert_closed_soon(server):
    await asyncio.wait_for(server.peers[0].closed.wait(), 20)


async def test_closing_the_generator_closes_the_connection(clients):
    async with HTTPServer(sending(event({"a": 1}), 10.0)) as server:
        stream = GeminiAPI(clients, server.url).stream(account(), order())
        await anext(stream)
        await stream.aclose()
        await assert_closed_soon(server)


@pytest.mark.parametrize("pieces", [[], [event({"a": 1})]], ids=["no event", "event"])
async def test_cancelling_the_consumer_closes_the_connection(clients, pieces):
    async with HTTPServer(sending(*pieces, 10.0)) as server:
        seen = []

        async def consume():
            async for events in GeminiAPI(clients, server.url).stream(
                account(), order()
            ):
                seen.extend(events)

        task = asyncio.ensure_future(consume())
        await until(lambda: server.requests and len(seen) == len(pieces))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_closed_soon(server)


async def test_cancelling_before_the_head_closes_the_connection(clients):
    async def hold(_peer, _received):
        await asyncio.sleep(10)

    async with HTTPServer(hold) as server:
        stream = GeminiAPI(clients, server.url).stream(account(), order())
        task = asyncio.ensure_future(anext(stream))
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_closed_soon(server)


async def test_a_finished_stream_leaves_its_connection_for_the_next(clients):
    async with HTTPServer(sending(event({"a": 1}))) as server:
        adapter = GeminiAPI(clients, server.url)
        for _ in range(3):
            async for _events in adapter.stream(account(), order()):
                pass
    assert [r.connection for r in server.requests] == [1, 1, 1]
