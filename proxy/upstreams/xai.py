"""xAI's API, spoken with a key of xAI's."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
import orjson

from proxy.calls import Event
from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    Fault,
    UpstreamFault,
    UpstreamRefused,
)
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.http import Clients, foreign_faults, read_all
from proxy.upstreams.streams import extensions, parsed, payloads
from proxy.upstreams.xai_relay import relayed_events
from proxy.wire.gemini_answer import Json, mapping
from proxy.wire.remarks import remarks
from proxy.wire.xai_answer import ChatReader
from proxy.wire.xai_dropped import dropped_names
from proxy.wire.xai_errors import read_error, read_error_object
from proxy.wire.xai_images import image_answer, image_request
from proxy.wire.xai_models import makes_pictures
from proxy.wire.xai_relay import NO_MODEL, RELAY, content_of, whole_view
from proxy.wire.xai_request import chat_request
from proxy.wire.xai_tokens import token_count, token_request

_CHAT, _IMAGES, _MODELS = "/v1/chat/completions", "/v1/images/generations", "/v1/models"
_TOKENS = "/v1/tokenize-text"
_VERSION_SUFFIX = re.compile(r"(?:/+v1)?/*$")
_JSON_TYPE = {"content-type": "application/json"}


class XAI:
    """Speaks xAI's REST API: chat completions and image generation.

    Orders of the method ``relay`` carry a request of xAI's own (``wire.xai_relay``);
    their events hold the bytes of its answer untouched, beside what they mean.
    """

    kind: ClassVar[str] = "xai"
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {
            "tools",
            "json_schema",
            "images_in",
            "images_out",
            "thinking",
            "system",
            "stream",
            "count_tokens",
        }
    )

    def __init__(
        self,
        clients: Clients,
        default_base_url: str,
        *,
        version: str = "",
        pictures: str = "url",
    ) -> None:
        """``default_base_url`` serves accounts without their own; a ``/v1`` at its
        end is ignored. ``version`` is ours, for the User-Agent. ``pictures`` is the
        response_format that is asked for: ``url`` or ``b64_json``."""
        self._clients = clients
        self._default_base_url = default_base_url
        self._pictures = pictures
        self._user_agent = f"gemproxy/{version}" if version else "gemproxy"

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        """Send the order; return the whole answer. Raises faults."""
        if order.method == RELAY:
            return await self._relayed(account, order)
        draws = makes_pictures(order.model)
        if order.model == NO_MODEL or (order.test and draws):
            # The first asks only for what relays share, as there is no such model; the
            # other would pay for a picture that nobody looks at.
            await self.probe(account, order.timeouts)
            return _event({"candidates": [{"finishReason": "STOP", "index": 0}]})
        if order.method == "countTokens":
            return _event(token_count(order.body, await self._counted(account, order)))
        path = _IMAGES if draws else _CHAT
        body = _translated(order)
        if draws and self._pictures != "url":
            body["response_format"] = self._pictures
        response = await self._post(account, path, body, order.timeouts)
        data = await _whole(response)
        view = image_answer(data, order.model) if draws else _reader(order).read(data)
        return _event(view | remarks(dropped_names(order.body, order.model)))

    async def stream(
        self, account: AccountConfig, order: Order
    ) -> AsyncIterator[list[Event]]:
        """Send a generateContent or relay; yield its chunks, those of one read
        together. Pictures come whole.

        Closing the generator, or cancelling its consumer, aborts the connection.
        Raises faults, also for an error in the middle of the stream.
        """
        if order.method == RELAY:
            response = await self._relay(account, order, streamed=True)
            source = relayed_events(await _passed(response))
        elif makes_pictures(order.model):
            yield [await self.answer(account, order)]
            return
        else:
            body = _translated(order, stream=True)
            response = await self._post(
                account, _CHAT, body, order.timeouts, streamed=True
            )
            dropped = dropped_names(order.body, order.model)
            source = _chunks(await _accepted(response), _reader(order), dropped)
        async with aclosing(source) as batches:
            async for batch in batches:
                yield batch

    async def probe(self, account: AccountConfig, timeouts: Timeouts) -> list[str]:
        """Return the names of all models that the key can see.

        Raises faults; a key that sees none is ``AccountRefused``.
        """
        response = await self._send(account, "GET", _MODELS, b"", {}, timeouts)
        rows = (await _whole(response)).get("data")
        if not isinstance(rows, list):
            raise BadAnswer("The provider's list of models was malformed.")
        names = [str(mapping(row).get("id") or "") for row in rows]
        if not any(names):
            raise AccountRefused("The account sees no models.", code="no_models")
        return [name for name in names if name]

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._clients.aclose()

    async def _counted(self, account: AccountConfig, order: Order) -> Json | None:
        """Return how xAI cuts the words of a request; None where it cannot."""
        body = token_request(order.body, order.model)
        if not body:
            return None
        try:
            return await _whole(
                await self._post(account, _TOKENS, body, order.timeouts)
            )
        except (UpstreamRefused, UpstreamFault) as fault:
            if fault.status not in (400, 404, 405, 422):
                raise
            # Not every model has a tokeniser there; the account is none the worse.
            return None

    async def _relayed(self, account: AccountConfig, order: Order) -> Event:
        response = await _passed(await self._relay(account, order))
        raw = await read_all(response)
        kind = response.headers.get("content-type", "")
        head = {"status": response.status_code, "content_type": kind}
        return Event(raw, {**whole_view(raw), RELAY: head})

    async def _relay(
        self, account: AccountConfig, order: Order, *, streamed: bool = False
    ) -> httpx.Response:
        body = order.body
        query = f"?{body['query']}" if body["query"] else ""
        return await self._send(
            account,
            body["verb"],
            quote(body["path"], safe="/:") + query,
            content_of(body),
            body["headers"],
            order.timeouts,
            streamed=streamed,
        )

    async def _post(
        self,
        account: AccountConfig,
        path: str,
        body: Json,
        timeouts: Timeouts,
        *,
        streamed: bool = False,
    ) -> httpx.Response:
        try:
            content = orjson.dumps(body)
        except orjson.JSONEncodeError:
            raise BadRequest("The request holds what JSON cannot.") from None
        return await self._send(
            account, "POST", path, content, _JSON_TYPE, timeouts, streamed=streamed
        )

    async def _send(
        self,
        account: AccountConfig,
        verb: str,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
        timeouts: Timeouts,
        *,
        streamed: bool = False,
    ) -> httpx.Response:
        base_url = account.base_url or self._default_base_url
        request = httpx.Request(
            verb,
            _VERSION_SUFFIX.sub("", base_url) + path,
            headers={
                "accept": "*/*",
                **headers,
                "authorization": f"Bearer {account.secret}",
                # A compressed stream would hold chunks back.
                "accept-encoding": "identity" if streamed else "gzip, deflate",
                "user-agent": self._user_agent,
            },
            stream=httpx.ByteStream(content),
            extensions=extensions(timeouts),
        )
        with foreign_faults():
            transport = self._clients.transport(account.proxy_url, account.ca_pem)
            return await transport.handle_async_request(request)


def _translated(order: Order, *, stream: bool = False) -> Json:
    if order.method != "generateContent":
        raise BadRequest(f"xAI models know no {order.method}.")
    if makes_pictures(order.model):
        return image_request(order.body, order.model)
    return chat_request(order.body, order.model, stream=stream)


def _reader(order: Order) -> ChatReader:
    """Reasoning is passed on unless the caller wants none."""
    config = mapping(order.body.get("generationConfig"))
    thinking = mapping(config.get("thinkingConfig"))
    return ChatReader(thoughts=thinking.get("includeThoughts") is not False)


def _event(view: Json) -> Event:
    return Event(orjson.dumps(view), view)


async def _accepted(response: httpx.Response) -> httpx.Response:
    """Return the response if it is no refusal; raise the fault that it means."""
    if response.is_success:
        return response
    body = await read_all(response)
    raise read_error(response.status_code, body, response.headers)


async def _passed(response: httpx.Response) -> httpx.Response:
    """The same for a relay, whose caller himself named the model."""
    try:
        return await _accepted(response)
    except UpstreamFault as fault:
        if fault.code != "model_not_found":
            raise
        raise UpstreamRefused(fault.message, status=404, code=fault.code) from fault


async def _whole(response: httpx.Response) -> Json:
    data = parsed(await read_all(await _accepted(response)))
    if data.get("error"):
        raise read_error_object(data)
    return data


async def _chunks(
    response: httpx.Response, reader: ChatReader, dropped: list[str]
) -> AsyncIterator[list[Event]]:
    """Yield the chunks of a chat completion in the middle language; the first tells
    what was left out."""
    said = remarks(dropped)
    async with aclosing(payloads(response)) as batches:
        async for batch in batches:
            events, fault = _events_of(batch, reader)
            if events and said:
                events[0], said = _event(events[0].data | said), {}
            if events:
                yield events
            if fault:
                raise fault
    rest = reader.rest()
    if rest:
        yield [_event(rest)]


def _events_of(
    batch: list[bytes], reader: ChatReader
) -> tuple[list[Event], Fault | None]:
    """Read payloads up to the first that is an error; return that apart."""
    events: list[Event] = []
    for raw in batch:
        try:
            data = parsed(raw)
            if data.get("error"):
                raise read_error_object(data)
            view: dict[str, Any] = reader.read(data)
        except Fault as fault:
            return events, fault
        if view:
            events.append(_event(view))
    return events, None
