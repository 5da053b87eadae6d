"""How bytes leave the sandbox: in pieces, late, or not at all."""

import asyncio
import json

import pytest

from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.sending import between_bytes
from tests.proxy.sandbox.calling import OLD, asking, events, text_of

LETTERS = "Grüße 日本 🎉!"
SSE = "streamGenerateContent"


async def pieces_of(sandbox, behaviour, method="generateContent", wait=20.0, **params):
    """Call the application itself; the pieces of the body as they were sent."""
    key = sandbox_key(behaviour)
    if params:
        wish = {"key": key, "behaviour": behaviour, **params}
        sandbox.state.behaviours.tell(wish)
    sent = []
    gone = asyncio.Event()
    body = json.dumps(asking(f"repeat: {LETTERS}")).encode()
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if received:
            return received.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/v1beta/models/{OLD}:{method}",
        "query_string": b"alt=sse" if method == SSE else b"",
        "headers": [(b"x-goog-api-key", key.encode())],
    }
    task = asyncio.ensure_future(sandbox(scope, receive, send))
    await asyncio.wait({task}, timeout=wait)
    gone.set()
    await task
    return sent


def bodies(sent):
    return [m["body"] for m in sent if m["type"] == "http.response.body" and m["body"]]


@pytest.mark.parametrize("text", ["", "plain", "ü", "aüb", LETTERS, "🎉🎉"])
def test_a_text_is_cut_between_all_bytes_of_its_characters(text):
    pieces = list(between_bytes(text))
    data = text.encode()
    assert b"".join(pieces) == data
    ends = set()
    for piece in pieces[:-1]:
        ends.add(len(piece) + (max(ends) if ends else 0))
    inside = {place for place in range(1, len(data)) if data[place] & 0xC0 == 0x80}
    assert inside <= ends


@pytest.mark.parametrize("method", [SSE, "generateContent"])
async def test_characters_may_be_split_between_pieces(sandbox, method):
    sent = await pieces_of(sandbox, "split", method)
    pieces = bodies(sent)
    broken = 0
    for piece in pieces:
        try:
            piece.decode()
        except UnicodeDecodeError:
            broken += 1
    assert broken >= 2 * sum(len(letter.encode()) > 1 for letter in LETTERS)
    text = b"".join(pieces).decode()
    chunks = events(text) if method == SSE else [json.loads(text)]
    assert "".join(text_of(chunk) for chunk in chunks) == LETTERS


async def test_a_drip_is_slow_and_steady_and_whole(sandbox):
    pieces = bodies(await pieces_of(sandbox, "drip", SSE, seconds=0))
    assert len(pieces) > 20
    assert all(len(piece) <= 8 for piece in pieces)
    chunks = events(b"".join(pieces).decode())
    assert "".join(text_of(chunk) for chunk in chunks) == LETTERS


async def test_the_pause_of_a_drip_can_be_chosen(sandbox):
    sent = await pieces_of(sandbox, "drip", SSE, wait=0.3, seconds=60)
    assert len(bodies(sent)) == 1


@pytest.mark.parametrize("method", [SSE, "generateContent"])
async def test_a_head_may_never_come(sandbox, method):
    assert await pieces_of(sandbox, "headstall", method, wait=0.2) == []
    assert sandbox.state.cancelled == 1


@pytest.mark.parametrize(
    ("method", "kind"), [(SSE, b"text/event-stream"), ("generateContent", b"app")]
)
async def test_a_200_may_have_no_body(sandbox, method, kind):
    start, end = await pieces_of(sandbox, "emptybody", method)
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"].startswith(kind)
    assert end["body"] == b""


@pytest.mark.parametrize("behaviour", ["cut", "cutclean"])
async def test_a_cut_differs_from_a_clean_end(sandbox, behaviour):
    *_, last = await pieces_of(sandbox, behaviour, SSE)
    assert last.get("more_body", False) == (behaviour == "cut")


async def test_a_whole_answer_that_is_cut_is_shorter_than_announced(sandbox):
    start, *rest = await pieces_of(sandbox, "cut")
    announced = int(dict(start["headers"])[b"content-length"])
    assert 0 < sum(len(message["body"]) for message in rest) < announced
    assert rest[-1]["more_body"]
