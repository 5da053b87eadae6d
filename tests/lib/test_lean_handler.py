"""The lean handler: whole answers, bounds of bodies, refusals."""

import asyncio
import logging
from typing import Any

import pytest
from django.http import HttpResponse

from gemproxy.lib import bodies as bodies_module
from tests.lib.lean import Client, House, echo, part, scope

GONE = {"type": "http.disconnect"}


async def test_a_body_in_one_piece_reaches_the_view() -> None:
    client = await House(echo).ask(Client(part(b"hello")), length=5)
    assert (client.status, client.body) == (200, b"hello")
    assert client.headers["content-length"] == "5"
    assert client.is_complete


async def test_a_body_in_pieces_is_put_together() -> None:
    pieces = Client(part(b"he", True), part(b"", True), part(b"ll", True), part(b"o"))
    client = await House(echo).ask(pieces, length=5)
    assert client.body == b"hello"


async def test_a_body_without_a_declared_length_is_read_to_its_end() -> None:
    client = await House(echo).ask(Client(part(b"a", True), part(b"b")))
    assert client.body == b"ab"


async def test_a_message_without_its_optional_fields_is_an_empty_end() -> None:
    client = await House(echo).ask(Client({"type": "http.request"}))
    assert (client.status, client.body) == (200, b"")


async def test_the_path_gives_the_view_its_arguments() -> None:
    async def view(_request: Any, number: int) -> HttpResponse:
        return HttpResponse(str(number * 2))

    house = House(view)
    assert (await house.ask(Client(), path="/item/21")).body == b"42"
    assert (await house.ask(Client(), path="/item/5")).body == b"10"


async def test_each_answer_has_an_id_of_its_own_and_is_decorated() -> None:
    house = House(echo)
    first, second = [await house.ask(Client()) for _ in range(2)]
    assert first.headers["x-request-id"].startswith("req_")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["x-d"] == "1"


async def test_the_view_knows_the_id_of_its_request() -> None:
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(request.request_id)

    client = await House(view).ask(Client())
    assert client.body.decode() == client.headers["x-request-id"]


async def test_head_gets_the_headers_of_the_answer_without_its_body() -> None:
    async def view(_request: Any) -> HttpResponse:
        return HttpResponse(b"twelve bytes")

    client = await House(view).ask(Client(), method="HEAD")
    assert (client.status, client.body) == (200, b"")
    assert client.headers["content-length"] == "12"


async def test_an_unknown_path_goes_to_the_errors_hook() -> None:
    house = House(echo)
    client = await house.ask(Client(), path="/nowhere")
    assert client.status == 404
    assert len(house.errors) == 1
    assert "connection" not in client.headers


async def test_a_failing_view_is_logged_and_goes_to_the_errors_hook(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def view(_request: Any) -> HttpResponse:
        raise RuntimeError("broken inside")

    house = House(view)
    with caplog.at_level(logging.ERROR):
        client = await house.ask(Client(part(b"x")))
    assert client.status == 500
    assert isinstance(house.errors[0], RuntimeError)
    assert b"broken inside" not in client.body
    assert client.headers["x-request-id"] in caplog.text


async def test_a_preflight_is_answered_before_the_view() -> None:
    house = House(echo)
    asked = await house.ask(Client(), method="OPTIONS", headers=[(b"origin", b"o")])
    assert asked.status == 204
    assert (await house.ask(Client(), method="OPTIONS")).status == 200
    post = await house.ask(Client(), headers=[(b"origin", b"o")])
    assert post.status == 200


async def test_an_answer_without_content_has_no_length() -> None:
    # Once: RFC 9110 8.6 forbids Content-Length in a 204.
    client = await House(echo).ask(
        Client(), method="OPTIONS", headers=[(b"origin", b"o")]
    )
    assert "content-length" not in client.headers


async def test_a_body_of_just_the_bound_is_taken() -> None:
    client = await House(echo, each=10).ask(Client(part(b"x" * 10)), length=10)
    assert client.status == 200


@pytest.mark.parametrize(
    "pieces",
    [[part(b"x" * 11)], [part(b"x" * 6, True), part(b"x" * 5)]],
    ids=["at once", "in pieces"],
)
async def test_one_byte_over_the_bound_is_refused(pieces: Any) -> None:
    house = House(echo, each=10)
    client = await house.ask(Client(*pieces))
    assert client.status == 413
    assert client.headers["connection"] == "close"


async def test_a_declared_length_over_the_bound_is_refused_and_drained() -> None:
    house = House(echo, each=10)
    client = Client(part(b"x" * 6, True), part(b"x" * 6, True), part(b"x" * 8))
    await house.ask(client, length=20)
    assert client.status == 413
    assert client.messages == []


async def test_an_undeclared_body_over_the_bound_is_drained_too() -> None:
    # Once: the answer is sent at once; a client that writes all before it reads meets
    # a reset connection instead of the 413.
    house = House(echo, each=10)
    client = Client(part(b"x" * 11, True), part(b"x" * 11, True), part(b"x"))
    await house.ask(client)
    assert client.status == 413
    assert client.messages == []


async def test_draining_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "DRAIN_SECONDS", 0.05)
    house = House(echo, each=10)
    client = Client(part(b"x", True))
    await house.ask(client, length=20)
    assert client.status == 413


async def test_a_client_that_leaves_while_drained_ends_the_request() -> None:
    house = House(echo, each=10)
    client = await house.ask(Client(part(b"x", True), GONE), length=20)
    assert client.sent == []


@pytest.mark.parametrize(("declared", "body"), [(3, b"1234"), (5, b"1234"), (4, b"")])
async def test_a_body_unlike_its_declared_length_is_refused(
    declared: int, body: bytes
) -> None:
    house = House(echo)
    client = await house.ask(Client(part(body)), length=declared)
    assert client.status == 400
    assert isinstance(house.errors[0], bodies_module.BodyMismatch)


@pytest.mark.parametrize("length", [b"-5", b"4.0", b"four", b""])
async def test_a_length_that_is_no_number_does_not_count(length: bytes) -> None:
    client = await House(echo).ask(Client(part(b"1234")), length=length)
    assert client.status == 200


async def test_the_sum_of_bodies_is_bounded_while_requests_run() -> None:
    free = asyncio.Event()

    async def view(request: Any) -> HttpResponse:
        await free.wait()
        return HttpResponse()

    house = House(view, each=100, together=150)
    first = Client(part(b"x" * 100))
    running = house.start(first)
    await asyncio.sleep(0.01)
    assert house.bodies.held == 100
    refused = Client(part(b"x" * 51))
    await house.handler(scope(), refused.receive, refused.send)
    assert refused.status == 503
    assert house.bodies.held == 100
    free.set()
    await running
    assert house.bodies.held == 0


async def test_a_body_refused_in_its_middle_gives_back_what_it_held() -> None:
    house = House(echo, each=100, together=20)
    client = await house.ask(Client(part(b"x" * 15, True), part(b"x" * 15)))
    assert client.status == 503


@pytest.mark.parametrize(
    "messages", [[GONE], [part(b"12", True), GONE]], ids=["before", "within"]
)
async def test_a_client_that_leaves_before_its_body_is_whole_calls_no_view(
    messages: Any,
) -> None:
    async def view(_request: Any) -> HttpResponse:
        raise AssertionError("called")

    house = House(view)
    client = await house.ask(Client(*messages), length=10)
    assert client.sent == []
    assert house.errors == []


@pytest.mark.parametrize("query", [b"key=\xff", b"\xc3("])
async def test_a_query_that_is_no_utf8_is_refused_in_good_order(query: bytes) -> None:
    # Once: ASGIRequest raises UnicodeDecodeError out of the handler: the server
    # answers a bare 500 and logs a traceback, for any stranger.
    client = await House(echo).ask(Client(), query=query)
    assert client.status in (200, 400)


async def test_bodies_count_what_is_held() -> None:
    bodies = bodies_module.Bodies(10, 15)
    bodies.take(10)
    with pytest.raises(bodies_module.NoRoom):
        bodies.take(6)
    bodies.take(5)
    bodies.give_back(15)
    assert bodies.held == 0
