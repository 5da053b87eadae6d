"""xAI's API: chat completions, pictures, responses and models, for bearer keys."""

import asyncio
import base64
import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from proxy.sandbox import pages, pictures, xai_responses, xai_words
from proxy.sandbox.answers import Answer
from proxy.sandbox.behaviours import Behaviour, Behaviours
from proxy.sandbox.exchange import Exchange, compact
from proxy.sandbox.sending import EVENTS_TYPE, EVER, between_bytes
from proxy.sandbox.xai_cards import GROKS, find_grok
from proxy.sandbox.xai_faults import (
    XAI_REFUSALS,
    XaiRefusal,
    is_well_formed,
    key_refused,
    no_credentials,
    no_model,
    overloaded,
)
from proxy.sandbox.xai_rules import (
    read_chat,
    read_pictures,
    read_response,
    read_text,
)

PREFIX = "/api.x.ai/"
_JSON = "application/json"
_KEPT = 200
_DRIP_BYTES, _DRIP_SECONDS = 8, 0.02
_STORED = re.compile(r"v1/responses/([\w-]+)")
_MODEL = re.compile(r"v1/(models|language-models|image-generation-models)/([\w.-]+)")
_CHALLENGE = "<!DOCTYPE html><title>Just a moment...</title><p>cf-ray: sandbox</p>\n"

Json = dict[str, Any]


class Xai:
    """The API below ``PREFIX``, with the pictures and responses it made."""

    def __init__(self, behaviours: Behaviours, pace: float) -> None:
        self._behaviours = behaviours
        self._pace = pace
        self._count = 0
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        #: id → (the key that made it, the response)
        self._responses: OrderedDict[str, tuple[str, Json]] = OrderedDict()

    async def answer(self, exchange: Exchange) -> None:
        """Answer one call, or refuse it as xAI does."""
        try:
            await self._answer(exchange, exchange.path.removeprefix(PREFIX))
        except XaiRefusal as refusal:
            await exchange.answer(refusal.status, compact(refusal.body()), _JSON)

    async def _answer(self, exchange: Exchange, path: str) -> None:
        drawn = self._pictures.get(path.removeprefix("pictures/"))
        if drawn is not None and exchange.method == "GET":
            await exchange.answer(200, drawn, "image/png")
            return
        runs = {
            "v1/chat/completions": self._chat,
            "v1/images/generations": self._draw,
            "v1/responses": self._respond,
        }
        run = runs.get(path)
        behaviour = self._enter(exchange, runs_model=run is not None)
        if await _without_api(exchange, behaviour):
            return
        if run is None:
            await exchange.answer(200, compact(self._look_up(exchange, path)), _JSON)
        elif exchange.method != "POST":
            raise XaiRefusal(405, "invalid-argument", "Method not allowed")
        else:
            await run(exchange, behaviour)

    def _enter(self, exchange: Exchange, *, runs_model: bool) -> Behaviour:
        key = key_of(exchange)
        if not key:
            raise no_credentials()
        if not is_well_formed(key):
            raise key_refused(key)
        if exchange.method == "POST" and not exchange.headers.get(
            "content-type", ""
        ).startswith(_JSON):
            text = "Expected request with `Content-Type: application/json`"
            raise XaiRefusal(415, "invalid-argument", text)
        behaviour = self._behaviours.take(key, "", runs_model=runs_model)
        make = XAI_REFUSALS.get(behaviour.name)
        if make is not None:
            raise make(behaviour.params)
        if behaviour.name == "flaky" and behaviour.calls % 2 == 0:
            raise overloaded()
        return behaviour

    def _look_up(self, exchange: Exchange, path: str) -> Json:
        lists: dict[str, Callable[[], Json]] = {
            "v1/models": lambda: {
                "object": "list",
                "data": [grok.listed() for grok in GROKS.values()],
            },
            "v1/language-models": lambda: _detailed(draws=False),
            "v1/image-generation-models": lambda: _detailed(draws=True),
        }
        if path in lists and exchange.method == "GET":
            return lists[path]()
        if path == "v1/tokenize-text" and exchange.method == "POST":
            return {"token_ids": xai_words.pieces(read_text(exchange.body))}
        if (match := _MODEL.fullmatch(path)) and exchange.method == "GET":
            grok = find_grok(match[2])
            if grok is None:
                raise no_model(match[2])
            return grok.listed() if match[1] == "models" else grok.detailed()
        if match := _STORED.fullmatch(path):
            return self._stored(exchange, match[1])
        raise XaiRefusal(404, "not-found", "Not Found")

    def _stored(self, exchange: Exchange, response_id: str) -> Json:
        owner, found = self._responses.get(response_id, ("", {}))
        if owner != key_of(exchange):
            text = f"Response with id={response_id} not found."
            raise XaiRefusal(404, "not-found", text)
        if exchange.method == "GET":
            return found
        if exchange.method != "DELETE":
            raise XaiRefusal(405, "invalid-argument", "Method not allowed")
        del self._responses[response_id]
        return {"id": response_id, "object": "response", "deleted": True}

    async def _chat(self, exchange: Exchange, behaviour: Behaviour) -> None:
        request, grok = read_chat(exchange.body)
        answer_id = self._new_id()
        question = xai_words.question_of(request, grok)
        answer = Answer(question, grok.card, answer_id)
        if not request.get("stream"):
            whole = xai_words.completion(answer, grok.id, answer_id)
            if behaviour.name == "nousage":
                del whole["usage"]
            await _send_whole(exchange, compact(whole), behaviour)
            return
        chunks = xai_words.chunks(answer, grok.id, answer_id)
        rows = [row for row in chunks if row["choices"] or behaviour.name != "nousage"]
        await self._send_stream(exchange, rows, behaviour, mark="[DONE]")

    async def _draw(self, exchange: Exchange, behaviour: Behaviour) -> None:
        request, grok = read_pictures(exchange.body)
        drawn = [
            await asyncio.to_thread(_picture, request, number)
            for number in range(request.get("n", 1))
        ]
        rows = [self._shown(exchange, request, data) for data in drawn]
        if grok.rewrites:
            text = f"A detailed picture: {request['prompt']}"
            rows = [{**row, "revised_prompt": text} for row in rows]
        await _send_whole(exchange, compact({"data": rows}), behaviour)

    def _shown(self, exchange: Exchange, request: Json, data: bytes) -> Json:
        if request.get("response_format") == "b64_json":
            encoded = base64.b64encode(data).decode()
            return {"b64_json": encoded, "mime_type": "image/png"}
        name = f"{hashlib.sha256(data).hexdigest()[:24]}.png"
        _keep(self._pictures, name, data)
        host = exchange.headers.get("host", "localhost")
        url = f"http://{host}{PREFIX}pictures/{name}"
        return {"url": url, "mime_type": "image/png"}

    async def _respond(self, exchange: Exchange, behaviour: Behaviour) -> None:
        request, grok = read_response(exchange.body)
        previous = request.get("previous_response_id")
        if previous:
            self._stored_before(exchange, previous)
        response_id = self._new_id()
        question = xai_words.question_of(xai_responses.as_chat(request), grok)
        made = Answer(question, grok.card, response_id).whole()
        parts = made["candidates"][0]["content"].get("parts", [])
        text = "".join(p.get("text", "") for p in parts if not p.get("thought"))
        whole = xai_responses.response(
            text, made["usageMetadata"], grok.id, response_id
        )
        if request.get("store", True):
            _keep(self._responses, response_id, (key_of(exchange), whole))
        if request.get("stream"):
            rows = list(xai_responses.events(whole))
            await self._send_stream(exchange, rows, behaviour)
        else:
            await _send_whole(exchange, compact(whole), behaviour)

    def _stored_before(self, exchange: Exchange, response_id: str) -> None:
        owner, _ = self._responses.get(response_id, ("", {}))
        if owner != key_of(exchange):
            text = f"Response with id={response_id} not found."
            raise XaiRefusal(404, "not-found", text)

    async def _send_stream(
        self,
        exchange: Exchange,
        rows: list[Json],
        behaviour: Behaviour,
        *,
        mark: str = "",
    ) -> None:
        await exchange.start(200, EVENTS_TYPE)
        most = behaviour.params.get("chunks", 2)
        broken = behaviour.name in ("stall", "cut", "cutclean", "errormid")
        for place, row in enumerate(islice(rows, most if broken else None)):
            await asyncio.sleep(self._pace if place else 0)
            await _write(exchange, _event(row), behaviour)
        if behaviour.name == "stall":
            await asyncio.sleep(EVER)
        if behaviour.name == "cut":
            return
        if behaviour.name == "errormid":
            await exchange.write(f"data: {compact(overloaded().body())}\n\n")
        if mark and not broken:
            await exchange.write(f"data: {mark}\n\n")
        await exchange.end()

    def _new_id(self) -> str:
        self._count += 1
        seed = hashlib.sha256(f"xai {self._count}".encode()).hexdigest()
        return f"{seed[:8]}-{seed[8:12]}-{seed[12:16]}-{seed[16:20]}-{seed[20:32]}"


def key_of(exchange: Exchange) -> str:
    """The key that a call carries, or an empty text."""
    scheme, _, key = exchange.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme == "Bearer" else ""


def _detailed(*, draws: bool) -> Json:
    rows = [grok.detailed() for grok in GROKS.values() if grok.draws == draws]
    return {"models": rows}


def _picture(request: Json, number: int) -> bytes:
    words = request["prompt"] if not number else f"{request['prompt']} ({number + 1})"
    return pictures.draw(words, request.get("aspect_ratio", ""))


def _keep(kept: OrderedDict[str, Any], name: str, value: Any) -> None:
    kept[name] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)


async def _without_api(exchange: Exchange, behaviour: Behaviour) -> bool:
    """Answer as what stands before the API does, if the behaviour is of that kind."""
    if behaviour.name == "html":
        await exchange.answer(502, pages.bad_gateway(), pages.HTML_TYPE)
    elif behaviour.name == "challenge":
        await exchange.answer(403, _CHALLENGE, pages.HTML_TYPE)
    elif behaviour.name == "emptybody":
        await exchange.answer(200, b"", _JSON)
    elif behaviour.name == "headstall":
        await asyncio.sleep(EVER)
    else:
        if behaviour.name == "slow":
            await asyncio.sleep(behaviour.seconds(30))
        return False
    return True


async def _send_whole(exchange: Exchange, text: str, behaviour: Behaviour) -> None:
    if behaviour.name == "stall":
        await asyncio.sleep(EVER)
    if behaviour.name == "errormid":
        raise overloaded()
    data = text.encode()
    await exchange.start(200, _JSON, len(data))
    if behaviour.name == "cut":
        await exchange.write(data[: len(data) // 2])
        return
    await _write(exchange, text, behaviour)
    await exchange.end()


def _event(row: Json) -> str:
    named = f"event: {row['type']}\n" if "type" in row else ""
    return f"{named}data: {compact(row)}\n\n"


async def _write(exchange: Exchange, text: str, behaviour: Behaviour) -> None:
    async for piece in _paced(_pieces(text, behaviour.name), behaviour):
        await exchange.write(piece)


async def _paced(pieces: Iterator[bytes], behaviour: Behaviour) -> AsyncIterator[bytes]:
    pauses = {"split": 0.001, "drip": behaviour.seconds(_DRIP_SECONDS)}
    for piece in pieces:
        yield piece
        await asyncio.sleep(pauses.get(behaviour.name, 0))


def _pieces(text: str, name: str) -> Iterator[bytes]:
    data = text.encode()
    if name == "split":
        yield from between_bytes(text)
    elif name == "drip":
        for start in range(0, len(data), _DRIP_BYTES):
            yield data[start : start + _DRIP_BYTES]
    else:
        yield data
