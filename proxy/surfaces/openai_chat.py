"""POST /v1/chat/completions."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.callers import Caller
from gemproxy.lib import clock
from gemproxy.lib.asgi import StreamResponse
from gemproxy.lib.bodies import NoRoom
from gemproxy.lib.live import live
from gemproxy.lib.outbound import OutboundRefused, fetch_media
from proxy import delivery
from proxy.calls import Call
from proxy.errors import BadRequest, Busy, Fault
from proxy.fanout import answer_copies, stream_copies
from proxy.models import Route
from proxy.runtime import runtime
from proxy.surfaces.base import Surface, new_id
from proxy.surfaces.chat_history import with_history
from proxy.surfaces.chat_pictures import display_for
from proxy.surfaces.dialects import json_response
from proxy.surfaces.schema import body
from proxy.surfaces.streams import Opening, remarked
from proxy.tasks import gather
from proxy.wire.json_schemas import CHAT_ANSWER, CHAT_REQUEST
from proxy.wire.openai_answer import Style, render_chat
from proxy.wire.openai_chat import (
    ChatRequest,
    Fetch,
    missing_signatures,
    parse_chat,
    peek,
)
from proxy.wire.openai_stream import ChatStream
from proxy.wire.repair import repair

SIGNATURE_SECONDS = 24 * 3600
MEDIA_SECONDS = 20.0
MOST_FETCHES = 8
MEDIA_TYPES = ("image/", "audio/", "video/", "application/pdf", "text/plain")


class ChatCompletions(Surface):
    """Chat, whole or streamed, in OpenAI's dialect."""

    surface = "openai.chat"

    @extend_schema(
        summary="Chat completion",
        description="OpenAI's chat.completions request, answered whole or as "
        "server-sent events with `stream: true`.",
        request=body(CHAT_REQUEST),
        responses={200: CHAT_ANSWER},
    )
    async def post(self, _request: Request) -> HttpResponseBase:
        request = self.request._request
        chat = await read_chat(self.json(), self.caller, request.hold)
        style = style_of(chat, request)
        call = self.new_call(**chat_fields(chat))
        if call.stream:
            return await self._stream(call, style, chat.dropped)
        return await self._whole(call, style, chat.dropped)

    async def _whole(
        self, call: Call, style: Style, dropped: list[str]
    ) -> HttpResponseBase:
        gateway = runtime.gateway
        data, kept = await delivery.whole(
            gateway, call, lambda: answer_copies(gateway, call)
        )
        rendered, signatures = render_chat(data, style)
        await remember(call, signatures)
        return remarked(json_response(rendered), data, dropped, kept=kept)

    async def _stream(
        self, call: Call, style: Style, dropped: list[str]
    ) -> HttpResponseBase:
        gateway = runtime.gateway
        batches, kept = delivery.stream(
            gateway, call, lambda: stream_copies(gateway, call)
        )
        opening = Opening(batches)
        await opening.first(settings.STREAM_COMMIT_MS / 1000)
        response = StreamResponse(
            events(call, opening, ChatStream(style)),
            keep_alive=ChatStream.keep_alive,
            interval=settings.KEEP_ALIVE_SECONDS,
            release=opening.aclose,
        )
        return remarked(response, opening.head(), dropped, kept=kept)


async def read_chat(
    asked: Any, caller: Caller, hold: Callable[[int], None] | None = None
) -> ChatRequest:
    """Translate a chat request, with what must be looked up or fetched for it.

    ``hold`` is told how many bytes were fetched; it may raise NoRoom.
    """
    model = peek(asked)[0] or settings.DEFAULT_MODEL
    route = runtime.gateway.catalog.resolve(model)
    if route.category == Route.Category.IMAGE:
        asked = await with_history(asked, caller, hold)
    signatures = await recall(str(caller.user_id), missing_signatures(asked))
    chat = parse_chat(asked, upstream_model=route.upstream_model, signatures=signatures)
    chat.model = chat.model or model
    if route.category == Route.Category.IMAGE and not asked.get("modalities"):
        ask_for_pictures(chat)
    if len(chat.fetches) > MOST_FETCHES:
        raise BadRequest(
            f"A request may link to at most {MOST_FETCHES} pictures or files; "
            "send the others as data URLs.",
            param=chat.fetches[MOST_FETCHES].param,
        )
    await gather(*(inline(fetch, hold) for fetch in chat.fetches))
    return chat


def ask_for_pictures(chat: ChatRequest) -> None:
    """Have a picture model draw: some answer in words alone unless they are told."""
    config = chat.body.setdefault("generationConfig", {})
    if "responseMimeType" not in config:
        config["responseModalities"] = ["TEXT", "IMAGE"]
        chat.needs |= {"images_out"}


def chat_fields(chat: ChatRequest) -> dict[str, Any]:
    return {
        "method": "generateContent",
        "model": chat.model,
        "body": chat.body,
        "stream": chat.stream,
        "copies": chat.copies,
        "needs": chat.needs,
        "repair": repair,
    }


def style_of(chat: ChatRequest, request: HttpRequest) -> Style:
    targets = runtime.gateway.catalog.resolve(chat.model).targets
    elsewhere = settings.XAI_RESPONSE_FORMAT == "url"
    hosted = elsewhere and any(target.kind == "xai" for target in targets)
    display = display_for(request, hosted=hosted)
    return Style(
        images=display.way,
        absolute=display.absolute,
        id=new_id("chatcmpl-"),
        model=chat.model,
        created=int(clock.now().timestamp()),
        tool_names=chat.tool_names,
        wrapped_tools=chat.wrapped_tools,
        json_text=chat.json_text,
        legacy_functions=chat.legacy_functions,
        include_usage=chat.include_usage,
    )


async def events(
    call: Call, opening: Opening, stream: ChatStream
) -> AsyncIterator[bytes]:
    """Render the chunks of a call as OpenAI's events."""
    try:
        # With chunks at hand the role is told knowing what comes after it.
        if not opening.ready:
            yield stream.start()
        async for batch in opening.batches():
            rendered = stream.render([event.data for event in batch])
            if rendered:
                yield rendered
        await remember(call, stream.signatures)
        yield stream.finish()
    except Fault as fault:
        yield stream.fault(fault)


async def recall(owner: str, call_ids: list[str]) -> dict[str, str]:
    """Return the signatures we remember for tool calls of this owner."""
    if not call_ids:
        return {}
    found = await live().get_many([f"sig:{owner}:{call_id}" for call_id in call_ids])
    return {i: s for i, s in zip(call_ids, found, strict=True) if s}


async def remember(call: Call, signatures: dict[str, str]) -> None:
    """Keep signatures for clients that drop them."""
    if signatures:
        owner = call.caller.user_id
        values = {f"sig:{owner}:{i}": s for i, s in signatures.items()}
        await live().set_many(values, SIGNATURE_SECONDS)


async def inline(fetch: Fetch, hold: Callable[[int], None] | None = None) -> None:
    """Fetch media that a message links to and put it into its part."""
    try:
        mime, content = await fetch_media(
            fetch.url,
            max_bytes=settings.MAX_MEDIA_BYTES,
            timeout=MEDIA_SECONDS,
            allowed_types=MEDIA_TYPES,
        )
    except OutboundRefused as refusal:
        raise BadRequest(str(refusal), param=fetch.param, code="invalid_url") from None
    data = base64.b64encode(content).decode()
    try:
        if hold:
            hold(len(data))
    except NoRoom:
        raise Busy("Too many large requests at once; try again shortly.") from None
    fetch.part["inlineData"] = {"mimeType": mime, "data": data}
