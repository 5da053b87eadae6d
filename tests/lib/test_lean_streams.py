"""The lean handler: streams, their pulse, and clients that leave."""

import asyncio
from typing import Any

import pytest
from django.http import HttpResponse

from gemproxy.lib.asgi import StreamResponse
from tests.lib.lean import Client, House, Source, part, scope, settled, until

BEAT = b": ping\n\n"


async def test_a_stream_is_sent_as_it_comes_and_closed() -> None:
    source = Source()
    house = House(source.view())
    client = Client()
    running = house.start(client)
    source.queue.put_nowait(b"one")
    await until(lambda: len(client.sent) == 2)
    assert client.sent[1] == {
        "type": "http.response.body",
        "body": b"one",
        "more_body": True,
    }
    source.queue.put_nowait(b"two")
    source.queue.put_nowait(None)
    await running
    assert client.body == b"onetwo"
    assert client.is_complete
    assert source.closed == 1


async def test_a_stream_is_not_to_be_buffered_or_kept() -> None:
    source = Source()
    source.queue.put_nowait(None)
    client = await House(source.view()).ask(Client())
    assert client.headers["content-type"] == "text/event-stream"
    assert client.headers["cache-control"] == "no-cache"
    assert client.headers["x-accel-buffering"] == "no"
    assert "content-length" not in client.headers


async def test_an_idle_stream_is_kept_alive() -> None:
    source = Source()
    client = Client()
    house = House(source.view(keep_alive=BEAT, interval=0.02))
    running = house.start(client)
    await until(lambda: client.body.count(BEAT) >= 3)
    source.queue.put_nowait(b"end")
    source.queue.put_nowait(None)
    await running
    assert client.body.endswith(b"end")
    sends = client.sends
    await asyncio.sleep(0.05)
    assert client.sends == sends


async def test_a_busy_stream_needs_no_pulse() -> None:
    source = Source()
    client = Client()
    house = House(source.view(keep_alive=BEAT, interval=0.2))
    running = house.start(client)
    for _ in range(20):
        source.queue.put_nowait(b"x")
        await asyncio.sleep(0.015)
    source.queue.put_nowait(None)
    await running
    assert client.body == b"x" * 20


@pytest.mark.parametrize(("beat", "interval"), [(b"", 0.01), (BEAT, 0.0)])
async def test_without_bytes_or_interval_there_is_no_pulse(
    beat: bytes, interval: float
) -> None:
    source = Source()
    client = Client()
    house = House(source.view(keep_alive=beat, interval=interval))
    running = house.start(client)
    await asyncio.sleep(0.05)
    source.queue.put_nowait(None)
    await running
    assert client.body == b""


@pytest.mark.parametrize("block_at", [1, 2], ids=["in a beat", "in a chunk"])
async def test_a_client_that_does_not_read_gathers_no_pulses(block_at: int) -> None:
    # Once: a beat starts another send while the one before it still waits; a stalled
    # reader gathers a task each interval, of which only the last is cancelled.
    source = Source()
    client = Client()
    client.block_at = block_at
    house = House(source.view(keep_alive=BEAT, interval=0.01))
    before = asyncio.all_tasks()
    if block_at == 2:
        source.queue.put_nowait(b"one")
        source.queue.put_nowait(b"two")
    running = house.start(client)
    await asyncio.sleep(0.15)
    waiting = client.sends - len(client.sent)
    client.left.set()
    await running
    await settled(before)
    assert waiting <= 2


async def test_leaving_ends_a_stream_and_closes_its_source() -> None:
    source = Source()
    client = Client()
    house = House(source.view())
    before = asyncio.all_tasks()
    running = house.start(client)
    source.queue.put_nowait(b"one")
    await until(lambda: len(client.sent) == 2)
    client.left.set()
    await running
    assert source.closed == 1
    assert not client.is_complete
    assert house.bodies.held == 0
    await settled(before)


async def test_leaving_while_an_answer_is_made_cancels_the_view() -> None:
    cancelled = []

    async def view(_request: Any) -> HttpResponse:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        raise AssertionError("the view went on")

    client = Client(part(b"body"))
    house = House(view)
    before = asyncio.all_tasks()
    running = house.start(client)
    await asyncio.sleep(0.01)
    assert house.bodies.held == 4
    client.left.set()
    await running
    assert not running.cancelled()
    assert cancelled == [True]
    assert client.sent == []
    assert house.bodies.held == 0
    await settled(before)


async def test_the_servers_own_cancellation_passes_through() -> None:
    async def view(_request: Any) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse()

    house = House(view)
    before = asyncio.all_tasks()
    running = house.start(Client(part(b"body")))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert house.bodies.held == 0
    await settled(before)


async def test_leaving_leaves_no_cancellation_behind_in_the_servers_task() -> None:
    async def view(_request: Any) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse()

    client = Client()
    house = House(view)
    left: list[int] = []

    async def serve() -> None:
        await house.ask(client)
        task = asyncio.current_task()
        assert task is not None
        left.append(task.cancelling())
        await asyncio.sleep(0)

    running = asyncio.ensure_future(serve())
    await asyncio.sleep(0.01)
    client.left.set()
    await running
    assert left == [0]


async def test_messages_after_the_body_that_are_no_goodbye_are_passed_over() -> None:
    async def view(_request: Any) -> HttpResponse:
        await asyncio.sleep(0.02)
        return HttpResponse(b"done")

    client = await House(view).ask(Client(part(b"x"), part(b""), part(b"")))
    assert client.body == b"done"


async def test_a_stream_that_breaks_is_not_ended_as_if_complete() -> None:
    source = Source()
    source.queue.put_nowait(b"one")
    source.queue.put_nowait(RuntimeError("broke"))
    client = Client()
    house = House(source.view(keep_alive=BEAT, interval=0.01))
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="broke"):
        await house.handler(*served(client))
    assert not client.is_complete
    assert house.bodies.held == 0
    await settled(before)


def served(client: Client) -> Any:
    return scope(), client.receive, client.send


async def test_a_send_that_fails_closes_the_source() -> None:
    source = Source()
    source.queue.put_nowait(b"one")

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    house = House(source.view(keep_alive=BEAT, interval=0.01))
    asked, receive, _ = served(Client())
    before = asyncio.all_tasks()
    with pytest.raises(OSError, match="gone"):
        await house.handler(asked, receive, send)
    assert source.closed == 1
    await settled(before)


async def test_leaving_before_the_head_is_out_closes_the_source() -> None:
    # Once: the head is sent outside the `try`, so whatever feeds the source (an open
    # upstream call) is not told. An async generator that has not begun does not run
    # its `finally` either: the response needs a way to close what is behind it.
    client = Client()
    client.block_at = 0
    closed = []

    class Chunks:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            closed.append(True)

    async def view(_request: Any) -> StreamResponse:
        return StreamResponse(Chunks())  # type: ignore[arg-type]

    house = House(view)
    running = house.start(client)
    await until(lambda: client.sends == 1)
    client.left.set()
    await running
    assert closed == [True]
