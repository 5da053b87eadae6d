"""The sandbox as an ASGI application: routing, keys, and how answers are sent."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from proxy.sandbox import behaviours, endpoints, pages
from proxy.sandbox.answers import Answer
from proxy.sandbox.behaviours import Behaviour, Break
from proxy.sandbox.control import PREFIX, control
from proxy.sandbox.endpoints import Call
from proxy.sandbox.exchange import (
    JSON_TYPE,
    ClientGone,
    Exchange,
    Message,
    Receive,
    Send,
    TooMuch,
    compact,
    pretty,
)
from proxy.sandbox.keys import is_well_formed
from proxy.sandbox.refusals import (
    Refusal,
    bearer_refused,
    field_violations,
    invalid_argument,
    key_invalid,
    key_missing,
)
from proxy.sandbox.state import State

_MODEL_CALL = re.compile(r"/(v1|v1beta|v1alpha)/models/([^/:]+):(\w+)")
_LIST = re.compile(r"/(v1|v1beta|v1alpha)/(models|tunedModels)")
_MODEL = re.compile(r"/(v1|v1beta|v1alpha)/models/([^/:]+)")
_QUERY = frozenset(
    {"key", "alt", "$alt", "prettyPrint", "fields", "quotaUser", "$.xgafv"}
)
_LIST_QUERY = _QUERY | {"pageSize", "pageToken"}
_LARGE = 64 * 1024
_EVER = 3600.0


def create_sandbox(
    *, pace: float = 0.0, seed_keys: Iterable[Mapping[str, Any]] = ()
) -> "Sandbox":
    """A sandbox with its own state.

    ``pace`` is the seconds between two chunks of a stream. ``seed_keys`` are bodies
    of ``POST /sandbox/keys`` that hold from the start and survive a reset.
    """
    return Sandbox(State(pace, seed_keys))


class Sandbox:
    """An imitation of the Generative Language API, callable by an ASGI server."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(Exchange(scope, send), receive)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, exchange: Exchange, receive: Receive) -> None:
        try:
            await exchange.read(receive)
        except ClientGone:
            return
        except TooMuch:
            text = "Request payload size exceeds the limit: 20971520 bytes."
            await exchange.answer_json(400, invalid_argument(text).body())
            return
        if exchange.path.startswith(PREFIX):
            await control(exchange, self.state)
            return
        self.state.note(exchange, _key_of(exchange))
        if await _leaves_first(receive, self._answer(exchange)):
            self.state.cancelled += 1
        if exchange.status:
            self.state.by_status[exchange.status] += 1

    async def _answer(self, exchange: Exchange) -> None:
        task = _route(exchange)
        if task is None:
            page = pages.not_found(exchange.path)
            await exchange.answer(404, page, pages.HTML_TYPE)
            return
        streams = isinstance(task, Call) and task.method == "streamGenerateContent"
        try:
            await self._perform(exchange, task)
        except Refusal as refusal:
            body: Any = refusal.body()
            if streams and exchange.query.get("alt") != "sse":
                body = [body]
            await exchange.answer_json(refusal.code, body)

    async def _perform(
        self, exchange: Exchange, task: "Call | Callable[[], dict[str, Any]]"
    ) -> None:
        key = _key_of(exchange)
        _check_access(exchange, key)
        runs_model = isinstance(task, Call) and task.runs_model
        behaviour = self.state.behaviours.take(key, runs_model=runs_model)
        model = task.model if isinstance(task, Call) else ""
        behaviours.refuse(behaviour, model)
        if behaviour.name == "html":
            await exchange.answer(502, pages.bad_gateway(), pages.HTML_TYPE)
            return
        _check_query(exchange)
        if not isinstance(task, Call):
            await exchange.answer_json(200, task())
            return
        made = await self._run(exchange, task, behaviour, key)
        if not isinstance(made, Answer):
            await exchange.answer_json(200, made)
        elif task.method == "streamGenerateContent":
            await self._stream(exchange, behaviours.stream(made, behaviour))
        else:
            await _send_whole(exchange, made, behaviour)

    async def _run(
        self, exchange: Exchange, call: Call, behaviour: Behaviour, key: str
    ) -> Answer | dict[str, Any]:
        if behaviour.name == "slow":
            await asyncio.sleep(behaviour.seconds(30))
        limited = behaviour.name == "limited"

        def admit(tokens: int) -> None:
            if limited:
                limits = behaviour.params
                self.state.limiter.admit(key, call.model, tokens, limits)

        response_id = self.state.new_response_id()
        if call.is_heavy or len(exchange.body) > _LARGE:
            return await asyncio.to_thread(
                endpoints.run, call, exchange.body, response_id, admit
            )
        return endpoints.run(call, exchange.body, response_id, admit)

    async def _stream(
        self, exchange: Exchange, chunks: Iterator[dict[str, Any] | Break]
    ) -> None:
        form = _SSE if exchange.query.get("alt") == "sse" else _ARRAY
        self.state.open_streams += 1
        try:
            await exchange.start(200, form.content_type)
            await exchange.write(form.opening)
            if await self._write_chunks(exchange, chunks, form):
                await exchange.write(form.closing)
                await exchange.end()
        finally:
            self.state.open_streams -= 1

    async def _write_chunks(
        self,
        exchange: Exchange,
        chunks: Iterator[dict[str, Any] | Break],
        form: "_Form",
    ) -> bool:
        """Write chunk by chunk; whether the stream may be ended properly."""
        for index, chunk in enumerate(chunks):
            if chunk is Break.STALL:
                await asyncio.sleep(_EVER)
            if isinstance(chunk, Break):
                return False
            await asyncio.sleep(self.state.pace if index else 0)
            await exchange.write(form.event(chunk, first=index == 0))
        return True


class _Form:
    """How a stream looks on the wire: as events, or as one JSON array."""

    def __init__(self, content_type: str, opening: str, closing: str) -> None:
        self.content_type = content_type
        self.opening = opening
        self.closing = closing

    def event(self, chunk: dict[str, Any], *, first: bool) -> str:
        """One chunk."""
        if not self.opening:
            return f"data: {compact(chunk)}\r\n\r\n"
        return ("" if first else "\n,\r\n") + pretty(chunk).rstrip("\n")


_SSE = _Form("text/event-stream", "", "")
_ARRAY = _Form(JSON_TYPE, "[", "\n]")


async def _send_whole(exchange: Exchange, made: Answer, behaviour: Behaviour) -> None:
    response = behaviours.whole(made, behaviour)
    if isinstance(response, Break):
        await asyncio.sleep(_EVER)
        return
    if behaviour.name != "cut":
        await exchange.answer_json(200, response)
        return
    data = pretty(response).encode()
    await exchange.start(200, JSON_TYPE, len(data))
    await exchange.write(data[: len(data) // 2])


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _leaves_first(receive: Receive, answering: Any) -> bool:
    """Answer, and stop doing so when the client leaves; whether it left."""
    work = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
            return False
        return True
    finally:
        work.cancel()
        leaving.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _key_of(exchange: Exchange) -> str:
    return exchange.headers.get("x-goog-api-key") or exchange.query.get("key", "")


def _check_access(exchange: Exchange, key: str) -> None:
    if "authorization" in exchange.headers:
        raise bearer_refused()
    if not key:
        raise key_missing()
    if not is_well_formed(key):
        raise key_invalid()


def _check_query(exchange: Exchange) -> None:
    known = _LIST_QUERY if exchange.method == "GET" else _QUERY
    unknown = [name for name in exchange.query if name not in known]
    if unknown:
        raise field_violations(("", _cannot_bind(name)) for name in unknown)


def _cannot_bind(name: str) -> str:
    return (
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query'
        f" parameter. Field '{name}' could not be found in request message."
    )


def _route(exchange: Exchange) -> "Call | Callable[[], dict[str, Any]] | None":
    """What a method and a path stand for; ``None`` for nothing."""
    if exchange.method == "POST":
        match = _MODEL_CALL.fullmatch(exchange.path)
        return endpoints.find_call(*match.groups()) if match else None
    if exchange.method != "GET":
        return None
    match = _LIST.fullmatch(exchange.path)
    if match:
        kind = match[2]
        return lambda: endpoints.list_models(kind, exchange.query)
    match = _MODEL.fullmatch(exchange.path)
    if match:
        version, model = match.groups()
        return lambda: endpoints.get_model(version, model)
    return None
