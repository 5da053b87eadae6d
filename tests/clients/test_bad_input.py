"""Bad input gets a clear 4xx in the caller's dialect, and the server stays up."""

import base64
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import Gateway

CHAT = "/v1/chat/completions"
NATIVE = "/v1beta/models/gemini-2.5-flash:generateContent"
MESSAGES = [{"role": "user", "content": "hi"}]


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'{"model": "gemini-2.5-flash", "messages": "hi"}',
        b'{"model": 5, "messages": []}',
        b'{"model": "gemini-2.5-flash", "messages": []}',
        b'{"model": "gemini-2.5-flash"}',
        b'{"model": "gemini-2.5-flash", "messages": [5]}',
        b'{"model": "gemini-2.5-flash", "messages": [{"role": "elf", "content": 1}]}',
        deep(300),
        deep(5000),
        b"[" * 100_000,
    ],
    ids=lambda content: content[:24].decode("latin-1"),
)
def test_a_malformed_chat_is_a_400_with_a_message(
    gateway: Gateway, content: bytes
) -> None:
    answer = gateway.post(CHAT, content=content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert answer.headers["x-request-id"].startswith("req_")
    assert gateway.chat("hello").status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe{}", b'{"contents": 5}', deep(5000)],
    ids=lambda content: content[:24].decode("latin-1"),
)
def test_a_malformed_native_request_is_a_400_in_googles_shape(
    gateway: Gateway, content: bytes
) -> None:
    answer = gateway.post(NATIVE, content=content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405),
        ("GET", NATIVE, 405),
        ("POST", "/v1/nothing", 404),
        ("POST", "/v1beta/models/gemini-2.5-flash:sing", 404),
        ("GET", "/v1/models/none-such", 404),
    ],
)
def test_wrong_paths_and_methods_say_so(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    with gateway.client() as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def picture(size: int) -> dict[str, Any]:
    data = base64.b64encode(b"\0" * size).decode()
    part = {"inlineData": {"mimeType": "application/pdf", "data": data}}
    return {"contents": [{"role": "user", "parts": [part, {"text": "what is it?"}]}]}


def test_twenty_megabytes_of_media_go_through(gateway: Gateway) -> None:
    # 20 MB on the wire: Google itself refuses requests over 20 MiB.
    answer = gateway.post(NATIVE, json=picture(15_000_000))
    assert answer.status_code == 200, answer.text[:300]


def test_what_the_provider_finds_too_large_is_the_providers_400(
    gateway: Gateway,
) -> None:
    answer = gateway.post(NATIVE, json=picture(20_000_000))
    assert answer.status_code == 400
    assert "payload size" in answer.json()["error"]["message"]


@pytest.fixture
def small_bodies(settings: Any) -> int:
    settings.MAX_BODY_BYTES = 4096
    return 4096


def padded(size: int) -> bytes:
    head = b'{"contents":[{"role":"user","parts":[{"text":"'
    tail = b'"}]}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


@pytest.mark.usefixtures("small_bodies")
class TestBodyLimit:
    """MAX_BODY_BYTES, with the limit set low before the gateway starts."""

    @pytest.fixture
    def gateway(self, small_bodies: int, gateway: Gateway) -> Gateway:
        return gateway

    def test_a_body_of_just_the_limit_passes(self, gateway: Gateway) -> None:
        assert gateway.post(NATIVE, content=padded(4096)).status_code == 200

    def test_one_byte_more_is_413(self, gateway: Gateway) -> None:
        answer = gateway.post(NATIVE, content=padded(4097))
        assert answer.status_code == 413
        assert "4096" in answer.json()["error"]["message"]

    def test_a_chunked_body_is_counted_while_it_is_read(self, gateway: Gateway) -> None:
        def pieces() -> Any:
            for _ in range(64):
                yield b"x" * 1024

        assert gateway.post(NATIVE, content=pieces()).status_code == 413


def test_the_sum_of_bodies_is_bounded(settings: Any, gateway: Gateway) -> None:
    from gemproxy.lib.bodies import Bodies, NoRoom

    bodies = Bodies(each=100, together=150)
    bodies.take(100)
    with pytest.raises(NoRoom):
        bodies.take(51)
    bodies.give_back(100)
    bodies.take(100)


@pytest.mark.parametrize("declared", [10, 5000], ids=["too short", "too long"])
def test_a_lying_content_length_does_not_pass(gateway: Gateway, declared: int) -> None:
    address = urlsplit(gateway.url)
    content = padded(200)
    head = (
        f"POST {NATIVE} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {gateway.token}\r\n"
        f"Content-Length: {declared}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), 5) as client:
        client.sendall(head.encode() + content)
        client.shutdown(socket.SHUT_WR)
        received = client.recv(65536)
    assert b" 200 " not in received.split(b"\r\n")[0]
    assert gateway.sandbox.stats()["requests"] == 0
    assert gateway.get("/health").status_code == 200


def test_nothing_secret_is_logged(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    from gemproxy.lib.redaction import RedactingFormatter

    gateway.post(CHAT, content=b'{"model": "x", "key": "' + gateway.token.encode())
    gateway.get(f"/v1/models?key={gateway.token}")
    formatter = RedactingFormatter("%(message)s")
    logged = "\n".join(formatter.format(record) for record in caplog.records)
    assert gateway.token not in logged
