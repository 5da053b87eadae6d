"""When the client goes away the upstream call ends and the usage row says so."""

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from proxy.sandbox.keys import sandbox_key
from tests.clients.conftest import Gateway, eventually

BOUND = 10
OPENAI = "/v1/chat/completions"
NATIVE = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
NATIVE_WHOLE = "/v1beta/models/gemini-2.5-flash:generateContent"


def body_for(path: str, stream: bool) -> dict[str, Any]:
    if path == OPENAI:
        messages = [{"role": "user", "content": "count to 500"}]
        return {"model": "gemini-2.5-flash", "messages": messages, "stream": stream}
    return {"contents": [{"role": "user", "parts": [{"text": "count to 500"}]}]}


def begin(gateway: Gateway, path: str, stream: bool) -> socket.socket:
    """Send a request over a bare socket and leave the answer to the caller."""
    address = urlsplit(gateway.url)
    content = orjson.dumps(body_for(path, stream))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {gateway.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    made = socket.create_connection((address.hostname, address.port), timeout=5)
    made.sendall(head.encode() + content)
    return made


def upstream_ended(gateway: Gateway) -> bool:
    stats = gateway.sandbox.stats()
    return stats["open_streams"] == 0 and stats["cancelled"] == 1


@pytest.mark.parametrize("path", [OPENAI, NATIVE], ids=["openai", "native"])
def test_leaving_in_the_middle_of_a_stream_ends_the_upstream_call(
    gateway: Gateway, path: str
) -> None:
    gateway.sandbox.behave(sandbox_key("ok", 1), "stall")
    client = begin(gateway, path, stream=True)
    received = b""
    while received.count(b"data: ") < 2 - (path == NATIVE):
        received += client.recv(65536)
    eventually(lambda: gateway.sandbox.stats()["open_streams"] == 1, "no stream")
    client.close()
    gone = time.monotonic()
    eventually(lambda: upstream_ended(gateway), "the upstream call went on")
    assert time.monotonic() - gone < BOUND
    row = gateway.row()
    assert (row.outcome, row.cause, row.status) == ("cancelled", "client_closed", 499)
    assert row.first_token_ms is not None


@pytest.mark.parametrize(
    ("path", "stream"),
    [(OPENAI, True), (OPENAI, False), (NATIVE, True), (NATIVE_WHOLE, False)],
    ids=["openai stream", "openai whole", "native stream", "native whole"],
)
def test_leaving_before_the_first_byte_ends_the_upstream_call(
    gateway: Gateway, path: str, stream: bool
) -> None:
    gateway.sandbox.behave(sandbox_key("ok", 1), "slow", seconds=20)
    client = begin(gateway, path, stream)
    eventually(lambda: gateway.sandbox.stats()["requests"] == 1, "nothing was sent")
    client.close()
    gone = time.monotonic()
    eventually(
        lambda: gateway.sandbox.stats()["cancelled"] == 1, "the upstream call went on"
    )
    assert time.monotonic() - gone < BOUND
    row = gateway.row()
    assert (row.outcome, row.status) == ("cancelled", 499)
    assert len(row.attempts) == 1


def test_a_client_that_leaves_gives_its_place_back(gateway: Gateway) -> None:
    from accounts.models import Plan

    plan = Plan.objects.create(name="narrow", concurrency=1)
    gateway.user.plan = plan
    gateway.user.save()
    gateway.sandbox.behave(sandbox_key("ok", 1), "slow", seconds=20, times=1)
    client = begin(gateway, OPENAI, stream=False)
    eventually(lambda: gateway.sandbox.stats()["requests"] == 1, "nothing was sent")
    assert gateway.chat("second").status_code == 429
    client.close()
    eventually(lambda: gateway.chat("third").status_code == 200, "no place came free")
