"""The adapter of xAI: what it sends, what it makes of answers, and what it relays."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    Overloaded,
    UpstreamFault,
    UpstreamRefused,
)
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.http import Clients
from proxy.upstreams.xai import XAI
from proxy.upstreams.xai_relay import Cutter
from proxy.wire.xai_relay import NO_MODEL, RELAY, relay_body

KEY = "xai-" + "k" * 80
BODY = {"contents": [{"role": "user", "parts": [{"text": "hé"}]}]}
UNKNOWN_MODEL = {
    "code": "not-found",
    "error": "The model x does not exist or your team",
}


class Provider:
    """Answers from a list, keeps the requests with their bodies."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer: httpx.Response = self.answers.pop(0)
        return answer

    def adapter(self, base_url: str = "https://xai.test", **options: Any) -> XAI:
        transport = httpx.MockTransport(self)
        return XAI(Clients(lambda _proxy: transport), base_url, **options)

    def sent(self) -> Any:
        return orjson.loads(self.requests[-1].content)


def account(**fields: Any) -> AccountConfig:
    return AccountConfig(id=1, kind="xai", secret=KEY, **fields)


def order(model: str = "grok-4.3", body: Any = BODY, **fields: Any) -> Order:
    return Order(
        **{"method": "generateContent", "model": model, "body": body, **fields}
    )


def relaying(**fields: Any) -> Order:
    given = {
        "verb": "POST",
        "path": "/v1/chat/completions",
        "query": "",
        "headers": {"content-type": "application/json"},
        "content": b'{"a": "\xc3\xa9"}',
        **fields,
    }
    verb, path = given.pop("verb"), given.pop("path")
    return order(body=relay_body(verb, path, **given), method=RELAY)


def said(text: str = "hi", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def ok(data: Any) -> httpx.Response:
    return httpx.Response(200, json=data)


class Pieces(httpx.AsyncByteStream):
    """A body that comes in these pieces, then ends or breaks."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def streamed(*pieces: bytes) -> httpx.Response:
    headers = {"content-type": "text/event-stream"}
    return httpx.Response(200, headers=headers, stream=Pieces(*pieces))


def event(data: Any) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def delta(text: str, finish: str | None = None) -> dict[str, Any]:
    row = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {"id": "x", "choices": [row]}


async def drained(adapter: XAI, wanted: Order) -> list[Any]:
    return [batch async for batch in adapter.stream(account(), wanted)]


async def test_a_chat_goes_out_with_the_key_as_bearer() -> None:
    provider = Provider(ok(said()))
    found = await provider.adapter(version="1.2").answer(account(), order())
    (request,) = provider.requests
    assert str(request.url) == "https://xai.test/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "gemproxy/1.2"
    assert provider.sent()["messages"] == [{"role": "user", "content": "hé"}]
    assert found.data["candidates"][0]["content"]["parts"] == [{"text": "hi"}]
    assert orjson.loads(found.raw) == found.data


@pytest.mark.parametrize(
    "base", ["https://b.test/v1/", "https://b.test/", "https://b.test/v1"]
)
async def test_an_accounts_own_address_wins_with_or_without_version(base: str) -> None:
    provider = Provider(ok(said()))
    await provider.adapter().answer(account(base_url=base), order())
    assert str(provider.requests[0].url) == "https://b.test/v1/chat/completions"


async def test_pictures_are_generated_and_come_whole_in_a_stream_too() -> None:
    answer = {"data": [{"url": "https://a/1.png"}]}
    provider = Provider(ok(answer), ok(answer))
    adapter = provider.adapter()
    whole = await adapter.answer(account(), order("grok-2-image-1212"))
    ((chunk,),) = await drained(adapter, order("grok-2-image-1212"))
    assert whole.data == chunk.data
    assert {str(r.url.path) for r in provider.requests} == {"/v1/images/generations"}
    assert provider.sent() == {"model": "grok-2-image-1212", "prompt": "hé", "n": 1}


@pytest.mark.parametrize("shown", [None, True, False])
async def test_reasoning_is_passed_on_unless_nobody_wants_it(shown: Any) -> None:
    thinking = {} if shown is None else {"includeThoughts": shown}
    body = {**BODY, "generationConfig": {"thinkingConfig": thinking}}
    provider = Provider(ok(said(reasoning_content="hm")))
    found = await provider.adapter().answer(account(), order(body=body))
    parts = found.data["candidates"][0]["content"]["parts"]
    assert ({"text": "hm", "thought": True} in parts) is (shown is not False)


@pytest.mark.parametrize("method", ["embedContent", "batchEmbedContents"])
async def test_other_methods_are_refused(method: Any) -> None:
    with pytest.raises(BadRequest, match=method):
        await Provider().adapter().answer(account(), order(method=method))


async def test_what_json_cannot_hold_is_refused() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "\ud800"}]}]}
    with pytest.raises(BadRequest):
        await Provider().adapter().answer(account(), order(body=body))


async def test_a_stream_is_read_chunk_by_chunk_wherever_it_is_cut() -> None:
    raw = event(delta("é ")) + event(delta("b", "stop")) + b"data: [DONE]\n\n"
    for size in (1, 7, len(raw)):
        pieces = [raw[i : i + size] for i in range(0, len(raw), size)]
        batches = await drained(Provider(streamed(*pieces)).adapter(), order())
        parts = [
            e.data["candidates"][0]["content"]["parts"][0]["text"]
            for batch in batches
            for e in batch
        ]
        assert parts == ["é ", "b"]


async def test_a_call_that_no_finish_follows_is_still_passed_on() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    row = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    provider = Provider(streamed(event({"choices": [row]})))
    *_, (last,) = await drained(provider.adapter(), order())
    (part,) = last.data["candidates"][0]["content"]["parts"]
    assert part["functionCall"]["name"] == "f"


async def test_an_error_inside_a_stream_is_raised_after_what_came_before() -> None:
    broken = event(delta("a")) + event({"error": "The model is at capacity"})
    source = Provider(streamed(broken)).adapter().stream(account(), order())
    assert len(await anext(source)) == 1
    with pytest.raises(Overloaded):
        await anext(source)


async def test_leaving_a_stream_closes_its_connection() -> None:
    answer = streamed(event(delta("a")), event(delta("b")))
    source = Provider(answer).adapter().stream(account(), order())
    await anext(source)
    await source.aclose()
    assert answer.stream.closed


@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_are_raised_by_their_meaning(stream: bool) -> None:
    body = {"code": "x", "error": "Incorrect API key provided: xa***kk."}
    adapter = Provider(httpx.Response(400, json=body)).adapter()
    asked = drained(adapter, order()) if stream else adapter.answer(account(), order())
    with pytest.raises(AccountRefused) as caught:
        await asked
    assert caught.value.cause == "xai_key_refused"


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]"])
async def test_an_answer_that_is_none_is_a_bad_one(content: bytes) -> None:
    with pytest.raises(BadAnswer):
        await (
            Provider(httpx.Response(200, content=content))
            .adapter()
            .answer(account(), order())
        )


async def test_a_probe_names_the_models() -> None:
    provider = Provider(ok({"data": [{"id": "grok-4.3"}, {"id": ""}, 7]}))
    assert await provider.adapter().probe(account(), Timeouts()) == ["grok-4.3"]
    assert provider.requests[0].method == "GET"
    for empty, kind in (({"data": []}, AccountRefused), ({"data": 1}, BadAnswer)):
        with pytest.raises(kind):
            await Provider(ok(empty)).adapter().probe(account(), Timeouts())


async def test_what_relays_share_is_tested_by_listing_models() -> None:
    provider = Provider(ok({"data": [{"id": "grok-4.3"}]}))
    found = await provider.adapter().answer(account(), order(NO_MODEL))
    assert str(provider.requests[0].url) == "https://xai.test/v1/models"
    assert found.data["candidates"][0]["finishReason"] == "STOP"


async def test_a_relayed_request_goes_out_as_it_came() -> None:
    provider = Provider(httpx.Response(202, content=b' {"id": "r"} '))
    wanted = relaying(verb="PUT", path="/v1/responses/é", query="a=b%20c")
    found = await provider.adapter().answer(account(), wanted)
    (request,) = provider.requests
    assert request.method == "PUT"
    assert request.url.raw_path == b"/v1/responses/%C3%A9?a=b%20c"
    assert request.content == b'{"a": "\xc3\xa9"}'
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert found.raw == b' {"id": "r"} '
    assert found.data[RELAY]["status"] == 202


async def test_a_callers_header_cannot_replace_the_key() -> None:
    provider = Provider(ok({}))
    wanted = relaying(headers={"authorization": "Bearer other", "accept": "a/b"})
    await provider.adapter().answer(account(), wanted)
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert provider.requests[0].headers["accept"] == "a/b"


async def test_a_relayed_stream_keeps_every_byte_and_cuts_at_events_only() -> None:
    raw = (
        b": ping\n\nevent: x\ndata: 1\n\n"
        + event(delta("é"))
        + b'data: {"choices": []}\r\n\r\ndata: [DONE]\n\ntail'
    )
    for size in (1, 3, len(raw)):
        pieces = [raw[i : i + size] for i in range(0, len(raw), size)]
        batches = await drained(Provider(streamed(*pieces)).adapter(), relaying())
        found = [b"".join(e.raw for e in batch) for batch in batches]
        assert b"".join(found) == raw
        whole = [piece for piece in found if piece][:-1]
        assert all(piece.endswith((b"\n\n", b"\r\n\r\n")) for piece in whole)


async def test_a_relayed_error_in_a_stream_is_raised() -> None:
    good = event(delta("a"))
    raw = good + event({"error": "The model is at capacity"})
    source = Provider(streamed(raw)).adapter().stream(account(), relaying())
    assert [e.raw for e in await anext(source)] == [good]
    with pytest.raises(Overloaded):
        await anext(source)


async def test_a_model_that_the_caller_made_up_is_no_accounts_fault() -> None:
    for wanted, kind in ((order(), UpstreamFault), (relaying(), UpstreamRefused)):
        adapter = Provider(httpx.Response(404, json=UNKNOWN_MODEL)).adapter()
        with pytest.raises(UpstreamFault) as caught:
            await adapter.answer(account(), wanted)
        assert type(caught.value) is kind
        assert caught.value.status == 404


def test_the_cutter_holds_back_what_has_not_ended() -> None:
    cutter = Cutter()
    assert cutter.feed(b"data: 1\n") == b""
    assert cutter.feed(b"\ndata: 2") == b"data: 1\n\n"
    assert cutter.feed(b"\r\n\r") == b""
    assert cutter.feed(b"\nx") == b"data: 2\r\n\r\n"
    assert cutter.rest() == b"x"
    assert cutter.rest() == b""


KNOBS = {**BODY, "generationConfig": {"topK": 3}, "safetySettings": [{"category": "x"}]}


async def test_what_was_left_out_is_told_with_the_answer():
    provider = Provider(ok(said()))
    found = await provider.adapter().answer(account(), order(body=KNOBS))
    assert found.data["gemproxy"] == {"dropped": ["safetySettings", "topK"]}
    assert orjson.loads(found.raw) == found.data
    assert "top_k" not in provider.sent()


async def test_a_stream_tells_it_with_its_first_chunk_only():
    pieces = event(delta("a")), event(delta("b", "stop")), b"data: [DONE]\n\n"
    provider = Provider(streamed(*pieces))
    found = [
        each
        async for batch in provider.adapter().stream(account(), order(body=KNOBS))
        for each in batch
    ]
    assert ["gemproxy" in each.data for each in found] == [True, False]
    assert b'"dropped":["safetySettings","topK"]' in found[0].raw


def counting(**fields: Any) -> Order:
    return order(method="countTokens", **fields)


async def test_tokens_are_counted_by_xais_own_tokeniser():
    provider = Provider(ok({"token_ids": [{"token_id": n} for n in range(7)]}))
    found = await provider.adapter().answer(account(), counting())
    assert str(provider.requests[0].url) == "https://xai.test/v1/tokenize-text"
    assert provider.sent() == {"model": "grok-4.3", "text": "hé"}
    assert found.data["totalTokens"] >= 7
    assert found.data["gemproxy"] == {"usage": "estimated"}


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_model_without_a_tokeniser_is_guessed_at(status: int):
    error = httpx.Response(status, json=UNKNOWN_MODEL)
    found = await Provider(error).adapter().answer(account(), counting())
    assert found.data["totalTokens"] > 0


async def test_a_refused_key_is_one_for_counting_too():
    bad = {"code": "x", "error": "Incorrect API key provided: xai-x."}
    with pytest.raises(AccountRefused):
        await (
            Provider(httpx.Response(400, json=bad))
            .adapter()
            .answer(account(), counting())
        )


async def test_a_request_without_words_asks_nobody():
    parts = [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]
    provider = Provider()
    body = {"contents": [{"role": "user", "parts": parts}]}
    found = await provider.adapter().answer(account(), counting(body=body))
    assert found.data["totalTokens"] > 100
    assert provider.requests == []


@pytest.mark.parametrize("model", ["grok-2-image-1212", "grok-imagine-image-2.0"])
async def test_a_test_of_a_picture_model_makes_no_picture(model: str):
    provider = Provider(ok({"data": [{"id": model}]}))
    found = await provider.adapter().answer(account(), order(model=model, test=True))
    assert [(r.method, r.url.path) for r in provider.requests] == [
        ("GET", "/v1/models")
    ]
    assert found.data["candidates"][0]["finishReason"] == "STOP"


async def test_a_test_of_a_chat_model_asks_the_model_itself():
    provider = Provider(ok(said()))
    await provider.adapter().answer(account(), order(test=True))
    assert provider.requests[0].url.path == "/v1/chat/completions"
