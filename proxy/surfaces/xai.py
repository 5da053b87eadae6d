"""xAI's own API below /xai: passed on untouched, on the pool's keys or the caller's."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from gemproxy.lib import clock
from gemproxy.lib.asgi import StreamResponse
from gemproxy.lib.live import live
from gemproxy.lib.network import is_inside
from proxy import delivery, relay
from proxy.calls import Call, Event
from proxy.catalog import RoutePlan
from proxy.errors import BadRequest, Fault, Forbidden, NotFound
from proxy.gateway import Batches
from proxy.runtime import runtime
from proxy.surfaces.base import Surface, address_of, check_depth, new_id
from proxy.surfaces.chat_pictures import Display
from proxy.surfaces.dialects import OPENAI, json_response
from proxy.surfaces.openai_chat import events
from proxy.surfaces.streams import Opening, remarked
from proxy.upstreams.kinds import valid_xai_key
from proxy.wire.error_bodies import openai_error
from proxy.wire.openai_answer import Style, render_chat
from proxy.wire.openai_chat import parse_chat
from proxy.wire.openai_stream import ChatStream
from proxy.wire.xai_images import joined
from proxy.wire.xai_models import draws_in_chat
from proxy.wire.xai_relay import NO_MODEL, RELAY, relay_body

CHAT, RESPONSES = "v1/chat/completions", "v1/responses"
#: What may be asked on a key of the pool: nothing that belongs to one key's owner,
#: such as files, batches and the key itself.
SHARED = (
    CHAT,
    RESPONSES,
    "v1/images/generations",
    "v1/images/edits",
    "v1/models",
    "v1/language-models",
    "v1/image-generation-models",
    "v1/tokenize-text",
)
OWN_KEY = "x-xai-api-key"
BEARER = "bearer xai-"
PASSED = ("content-type", "accept", "x-grok-conv-id", "openai-beta")
#: xAI keeps responses for 30 days.
RESPONSE_SECONDS = 30 * 86_400
NO_RESPONSE = "No such response; it may be another caller's, or too old."


def brings_key(headers: Mapping[str, str]) -> str:
    """Return the key of xAI's that stands where a token would, if that is allowed."""
    authorization = headers.get("authorization", "")
    if not settings.XAI_CALLER_KEYS or not authorization.lower().startswith(BEARER):
        return ""
    return authorization.partition(" ")[2].strip()


def may_bring_key(address: str) -> bool:
    """Return whether callers from this address need no token beside a key."""
    return is_inside(address, settings.XAI_CALLER_IPS)


class Relay(Surface):
    """Every method below /xai/v1/; grok-2-image also makes pictures by chat."""

    surface = "xai"
    dialect = OPENAI
    schema = None
    #: The caller's own key of xAI's, if there is one.
    _key = ""

    async def relay(self, _request: Request, path: str) -> HttpResponseBase:
        """Pass the request on, and its answer back."""
        request = self.request._request
        path = _checked(path)
        asked = _object_in(request)
        model = _text(asked, "model")
        stream = asked.get("stream") is True
        if path == CHAT and draws_in_chat(model):
            return await self._pictures(asked, model, stream=stream)
        if not self._key:
            await self._check_shared(path, asked)
        call = self.new_call(
            method=RELAY,
            model=model or NO_MODEL,
            body=_passed(request, path),
            stream=stream,
            route=relay.plan_of(model, runtime.gateway.catalog),
            sticky=f"{self.caller.key}:responses" if _is_response(path) else "",
        )
        keeps = path == RESPONSES and not self._key
        return await (self._stream(call, keeps) if stream else self._whole(call, keeps))

    get = post = put = patch = delete = relay

    async def _enter(self, request: ASGIRequest) -> None:
        key = brings_key(request.headers)
        if key:
            address = address_of(request)
            if not may_bring_key(address):
                raise Forbidden("Keys of xAI alone are not taken from this address.")
            self.caller = self.request.user = await runtime.door.guest(address)
        else:
            await super()._enter(request)
            key = request.headers.get(OWN_KEY, "").strip()
        self._key = _valid_key(key) if key else ""

    async def _check_shared(self, path: str, asked: Mapping[str, Any]) -> None:
        """Keep callers to what can be shared, and apart from each other."""
        if not any(path == own or path.startswith(f"{own}/") for own in SHARED):
            raise NotFound(f"/xai/{path} is only for your own key, in {OWN_KEY}.")
        named = [_text(asked, "previous_response_id")] if asked else []
        if _is_response(path):
            named.append(path.removeprefix(RESPONSES).strip("/").partition("/")[0])
        for response_id in filter(None, named):
            (owner,) = await live().get_many([_kept_name(response_id)])
            if owner != self.caller.key:
                raise NotFound(NO_RESPONSE)

    async def _whole(self, call: Call, keeps: bool) -> HttpResponseBase:
        if self._key:
            account = relay.own_account(self._key)
            event = await relay.answer(runtime.gateway, call, account)
        else:
            event = await runtime.gateway.answer(call)
        if keeps:
            await _keep(call, [event])
        head = event.data[RELAY]
        return HttpResponse(
            event.raw, status=head["status"], content_type=head["content_type"]
        )

    async def _stream(self, call: Call, keeps: bool) -> HttpResponseBase:
        opening = Opening(self._batches(call))
        await opening.first(settings.STREAM_COMMIT_MS / 1000)
        return StreamResponse(
            _bytes(call, opening, keeps),
            keep_alive=ChatStream.keep_alive,
            interval=settings.KEEP_ALIVE_SECONDS,
            release=opening.aclose,
        )

    def _batches(self, call: Call) -> Batches:
        if self._key:
            account = relay.own_account(self._key)
            return relay.stream(runtime.gateway, call, account)
        return runtime.gateway.stream(call)

    def _drawn_by(self, model: str) -> RoutePlan:
        plan = relay.plan_of(model, runtime.gateway.catalog)
        if not self._key and plan.targets[0].upstream_model == NO_MODEL:
            raise NotFound(f"The model {model[:120]!r} does not exist here.")
        # It draws, whatever the route of that name is for.
        return replace(plan, category="image")

    async def _pictures(
        self, asked: dict[str, Any], model: str, *, stream: bool
    ) -> HttpResponseBase:
        """Make pictures of a chat's last words; they come as Markdown."""
        count = asked.get("n")
        asked = {name: value for name, value in asked.items() if name != "n"}
        chat = parse_chat(asked, upstream_model=model, signatures={})
        config = {"candidateCount": 1 if count is None else count}
        call = self.new_call(
            method="generateContent",
            model=model,
            body={"contents": chat.body["contents"], "generationConfig": config},
            stream=stream,
            route=self._drawn_by(model),
        )
        style = Style(
            id=new_id("chatcmpl-"),
            model=model,
            created=int(clock.now().timestamp()),
            tool_names={},
            include_usage=chat.include_usage,
            images="markdown",
            absolute=Display("markdown", self.request._request).absolute,
        )
        batches, kept = delivery.stream(
            runtime.gateway, call, lambda: self._batches(call)
        )
        opening = Opening(_in_one(batches))
        if not stream:
            (batch,) = [batch async for batch in opening.batches()]
            rendered = json_response(render_chat(batch[0].data, style)[0])
            return remarked(rendered, {}, kept=kept)
        await opening.first(settings.STREAM_COMMIT_MS / 1000)
        response = StreamResponse(
            events(call, opening, ChatStream(style)),
            keep_alive=ChatStream.keep_alive,
            interval=settings.KEEP_ALIVE_SECONDS,
            release=opening.aclose,
        )
        return remarked(response, {}, kept=kept)


def _checked(path: str) -> str:
    """Return the path below the host; raise NotFound for what is not the API's.

    A slash at its end says nothing, and goes.
    """
    version, _, rest = path.partition("/")
    segments = rest.removesuffix("/").split("/")
    odd = any(segment in ("", ".", "..") for segment in segments)
    if version != "v1" or odd or not path.isascii() or "\\" in path:
        raise NotFound(f"There is nothing at /xai/{path[:200]}.")
    return "/".join((version, *segments))


def _object_in(request: ASGIRequest) -> dict[str, Any]:
    """Return the body if it is a JSON object; xAI says what is wrong with others."""
    try:
        data = orjson.loads(request.content) if request.content else {}
    except orjson.JSONDecodeError:
        return {}
    check_depth(data)
    return data if isinstance(data, dict) else {}


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    return value if isinstance(value, str) else ""


def _passed(request: ASGIRequest, path: str) -> dict[str, Any]:
    given = request.headers
    return relay_body(
        request.method,
        f"/{path}",
        query=_query(request.META["QUERY_STRING"]),
        headers={name: given[name] for name in PASSED if name in given},
        content=request.content,
    )


def _query(text: str) -> str:
    """Return a query as it came, but for ``key``: that is a token of the gateway's."""
    pairs = text.split("&")
    return "&".join(p for p in pairs if unquote_plus(p.partition("=")[0]) != "key")


def _is_response(path: str) -> bool:
    return path == RESPONSES or path.startswith(f"{RESPONSES}/")


def _valid_key(key: str) -> str:
    try:
        return valid_xai_key(key)
    except ValueError as error:
        raise BadRequest(str(error), param=OWN_KEY) from None


def _kept_name(response_id: str) -> str:
    return f"xai:response:{response_id[:200]}"


async def _keep(call: Call, found: list[Event]) -> None:
    """Remember whose a response is, so that nobody else asks for it."""
    names = {event.data.get("responseId") for event in found} - {None}
    if names:
        owners = {_kept_name(str(name)): call.caller.key for name in names}
        await live().set_many(owners, RESPONSE_SECONDS)


async def _bytes(call: Call, opening: Opening, keeps: bool) -> AsyncIterator[bytes]:
    """Yield the bytes of a stream as they came; a fault becomes an error event."""
    try:
        async for batch in opening.batches():
            if keeps:
                await _keep(call, batch)
            raw = b"".join([event.raw for event in batch])
            if raw:
                yield raw
    except Fault as fault:
        yield b"data: %b\n\n" % orjson.dumps(openai_error(fault, in_frame=True))


async def _in_one(source: Batches) -> Batches:
    """Yield batches with all the pictures of an answer in one candidate."""
    try:
        async for batch in source:
            yield [Event(b"", joined(event.data)) for event in batch]
    finally:
        await source.aclose()
