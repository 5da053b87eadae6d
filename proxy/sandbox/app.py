"""The sandbox as an ASGI application: routing, keys, and how answers are sent."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.sandbox import behaviours, code_assist, endpoints, oauth, pages, shaping, xai
from proxy.sandbox.answers import Answer
from proxy.sandbox.behaviours import Behaviour
from proxy.sandbox.control import PREFIX, control
from proxy.sandbox.endpoints import Call
from proxy.sandbox.exchange import (
    ClientGone,
    Exchange,
    Message,
    Receive,
    Send,
    TooMuch,
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
from proxy.sandbox.sending import EVER, form_of, send_stream, send_whole
from proxy.sandbox.state import State

_MODEL_CALL = re.compile(r"/(v1|v1beta|v1alpha)/models/([^/:]+):(\w+)")
_LIST = re.compile(r"/(v1|v1beta|v1alpha)/(models|tunedModels)")
_MODEL = re.compile(r"/(v1|v1beta|v1alpha)/models/([^/:]+)")
_QUERY = frozenset(
    {"key", "alt", "$alt", "prettyPrint", "fields", "quotaUser", "$.xgafv"}
)
_LIST_QUERY = _QUERY | {"pageSize", "pageToken"}
_LARGE = 64 * 1024


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
        if exchange.path in oauth.PATHS:
            await oauth.answer(exchange, self.state.logins)
            return
        if exchange.path.startswith(code_assist.PREFIX):
            await code_assist.answer(exchange, self.state)
            return
        if exchange.path.startswith(xai.PREFIX):
            await self.state.xai.answer(exchange)
            return
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
        model = task.model if isinstance(task, Call) else ""
        behaviour = self.state.behaviours.take(key, model, runs_model=runs_model)
        behaviours.refuse(behaviour, model)
        if await _without_api(exchange, behaviour):
            return
        _check_query(exchange)
        if not isinstance(task, Call):
            await exchange.answer_json(200, task())
            return
        made = await self._run(exchange, task, behaviour, key)
        if not isinstance(made, Answer):
            await exchange.answer_json(200, made)
        elif task.method == "streamGenerateContent":
            await self._stream(exchange, made, behaviour)
        else:
            await send_whole(exchange, shaping.whole(made, behaviour), behaviour)

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
        self, exchange: Exchange, answer: Answer, behaviour: Behaviour
    ) -> None:
        self.state.open_streams += 1
        try:
            chunks = shaping.stream(answer, behaviour)
            await send_stream(exchange, chunks, behaviour, self.state.pace)
        finally:
            self.state.open_streams -= 1


async def _without_api(exchange: Exchange, behaviour: Behaviour) -> bool:
    """Answer as what stands before the API does, if the behaviour is of that kind."""
    if behaviour.name == "html":
        await exchange.answer(502, pages.bad_gateway(), pages.HTML_TYPE)
    elif behaviour.name == "bare":
        await exchange.answer(429, b"", pages.HTML_TYPE)
    elif behaviour.name == "emptybody":
        await exchange.answer(200, b"", form_of(exchange).content_type)
    elif behaviour.name == "headstall":
        await asyncio.sleep(EVER)
    else:
        return False
    return True


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
    if exchange.path.startswith(xai.PREFIX):
        return xai.key_of(exchange)
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
