"""The Gemini API of Google AI, spoken with an API key."""

import functools
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import httpx
import orjson

from proxy.calls import Event
from proxy.errors import AccountRefused, BadAnswer, BadRequest, Fault
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.http import Clients, foreign_faults, read_all
from proxy.upstreams.streams import check_type, decoded, extensions
from proxy.wire.google_errors import read_error, read_error_object
from proxy.wire.image_models import is_imagen
from proxy.wire.imagen import dropped_names, predict_answer, predict_request
from proxy.wire.remarks import remarks
from proxy.wire.sse import SSEDecoder

_VERSION_SUFFIX = re.compile(r"(?:/+v1(?:beta|alpha)?)+/*$")
_COUNT_WRAPPERS = ("generateContentRequest", "generate_content_request")
_PAGE_SIZE = 1000
_MOST_PAGES = 20


class GeminiAPI:
    """Speaks generativelanguage's REST API, always version v1beta.

    Paths, the ``x-goog-api-key`` header and the shapes of requests and answers come
    from the Gemini API reference. Bodies go out as they are, except that a model
    named inside one becomes the upstream model.
    """

    kind: ClassVar[str] = "gemini_api"
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {
            "tools",
            "json_schema",
            "images_in",
            "audio_in",
            "video_in",
            "files_in",
            "images_out",
            "audio_out",
            "search",
            "code",
            "thinking",
            "system",
            "stream",
            "embeddings",
            "count_tokens",
        }
    )

    def __init__(
        self, clients: Clients, default_base_url: str, *, version: str = ""
    ) -> None:
        """``default_base_url`` serves accounts without their own; any version at its
        end is ignored. ``version`` is ours, for the User-Agent."""
        self._clients = clients
        self._default_base_url = default_base_url
        self._user_agent = f"gemproxy/{version}" if version else "gemproxy"

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        """Send the order; return the whole answer. Raises faults."""
        if is_imagen(order.model):
            return await self._predicted(account, order)
        response = await self._post(account, order, order.method)
        return await _whole_answer(response)

    async def stream(
        self, account: AccountConfig, order: Order
    ) -> AsyncIterator[list[Event]]:
        """Send a generateContent; yield its chunks, those of one read together.

        Closing the generator, or cancelling its consumer, aborts the connection.
        Raises faults, also for an ``error`` object in the middle of the stream. What is
        predicted comes in one chunk.
        """
        if is_imagen(order.model):
            yield [await self._predicted(account, order)]
            return
        response = await self._post(account, order, "streamGenerateContent")
        if response.status_code != 200:
            raise await _refusal(response)
        body: Any = response.stream
        try:
            check_type(response)
            decoder = SSEDecoder()
            chunks = aiter(body)
            chunk, seen = b"-", False
            while chunk:
                with foreign_faults(in_body=True):
                    chunk = await anext(chunks, b"")
                events, fault = _events_of(decoded(decoder, chunk))
                if events:
                    seen = True
                    yield events
                _raise_any(fault or _stray_error(decoder))
            if decoder.stray and not seen:
                raise BadAnswer("The provider's stream was none.")
        finally:
            await body.aclose()

    async def probe(self, account: AccountConfig, timeouts: Timeouts) -> list[str]:
        """Return the names of all models that the key can see.

        Raises faults; a key that sees none is ``AccountRefused``.
        """
        names: list[str] = []
        token = ""
        for _ in range(_MOST_PAGES):
            page = await self._models_page(account, timeouts, token)
            names.extend(_names_on(page))
            token = str(page.get("nextPageToken") or "")
            if not token:
                break
        if not names:
            raise AccountRefused("The account sees no models.", code="no_models")
        return names

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._clients.aclose()

    async def _predicted(self, account: AccountConfig, order: Order) -> Event:
        """Return the answer of an Imagen model, which knows no method but predict."""
        if order.test:
            # A picture that nobody looks at would be paid for.
            await self.probe(account, order.timeouts)
            return _event({"candidates": [{"finishReason": "STOP", "index": 0}]})
        if order.method != "generateContent":
            raise BadRequest(f"Imagen models know no {order.method}.")
        asked = replace(order, body=predict_request(order.body, order.model))
        response = await self._post(account, asked, "predict")
        view = predict_answer((await _whole_answer(response)).data, order.model)
        return _event(view | remarks(dropped_names(order.body)))

    async def _post(
        self, account: AccountConfig, order: Order, verb: str
    ) -> httpx.Response:
        streamed = verb == "streamGenerateContent"
        base_url = account.base_url or self._default_base_url
        request = httpx.Request(
            "POST",
            _method_url(base_url, order.model, verb),
            headers=_headers(account.secret, self._user_agent, streamed),
            stream=httpx.ByteStream(_payload(order)),
            extensions=extensions(order.timeouts),
        )
        return await self._send(account, request)

    async def _models_page(
        self, account: AccountConfig, timeouts: Timeouts, token: str
    ) -> Mapping[str, Any]:
        query = {"pageSize": str(_PAGE_SIZE)} | ({"pageToken": token} if token else {})
        base_url = _origin(account.base_url or self._default_base_url)
        request = httpx.Request(
            "GET",
            f"{base_url}/v1beta/models?{urlencode(query)}",
            headers=_headers(account.secret, self._user_agent, False),
            extensions=extensions(timeouts),
        )
        return (await _whole_answer(await self._send(account, request))).data

    async def _send(
        self, account: AccountConfig, request: httpx.Request
    ) -> httpx.Response:
        with foreign_faults():
            transport = self._clients.transport(account.proxy_url, account.ca_pem)
            return await transport.handle_async_request(request)


def _origin(base_url: str) -> str:
    """Return the base URL without slashes and version at its end."""
    return _VERSION_SUFFIX.sub("", base_url).rstrip("/")


def _resource(model: str) -> str:
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"


@functools.lru_cache(maxsize=1024)
def _method_url(base_url: str, model: str, verb: str) -> httpx.URL:
    path = quote(_resource(model), safe="/")
    query = "?alt=sse" if verb == "streamGenerateContent" else ""
    return httpx.URL(f"{_origin(base_url)}/v1beta/{path}:{verb}{query}")


@functools.lru_cache(maxsize=1024)
def _headers(secret: str, user_agent: str, streamed: bool) -> httpx.Headers:
    return httpx.Headers(
        {
            "x-goog-api-key": secret,
            "content-type": "application/json",
            "accept": "*/*",
            # A compressed stream would hold chunks back.
            "accept-encoding": "identity" if streamed else "gzip, deflate",
            "user-agent": user_agent,
        }
    )


def _event(view: dict[str, Any]) -> Event:
    return Event(orjson.dumps(view), view)


def _payload(order: Order) -> bytes:
    body = order.body
    if order.method != "generateContent":
        body = _with_model(order)
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise BadRequest("The request holds what JSON cannot.") from None


def _with_model(order: Order) -> Mapping[str, Any]:
    """Return the body with the upstream model wherever the method wants a model."""
    body = dict(order.body)
    name = _resource(order.model)
    if order.method == "batchEmbedContents" and isinstance(body.get("requests"), list):
        body["requests"] = [
            {**item, "model": name} if isinstance(item, Mapping) else item
            for item in body["requests"]
        ]
    if order.method == "embedContent" and "model" in body:
        body["model"] = name
    if order.method == "countTokens":
        for key in _COUNT_WRAPPERS:
            if isinstance(body.get(key), Mapping):
                body[key] = {**body[key], "model": name}
    return body


async def _whole_answer(response: httpx.Response) -> Event:
    if response.status_code != 200:
        raise await _refusal(response)
    raw = await read_all(response)
    data = _parsed(raw)
    if "error" in data:
        raise read_error_object(data["error"], now=datetime.now(UTC))
    return Event(raw, data)


async def _refusal(response: httpx.Response) -> Fault:
    body = await read_all(response)
    return read_error(
        response.status_code, body, response.headers, now=datetime.now(UTC)
    )


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's answer was not JSON.") from None
    if not isinstance(data, dict):
        raise BadAnswer("The provider's answer was not a JSON object.")
    return data


def _names_on(page: Mapping[str, Any]) -> Iterator[str]:
    models = page.get("models", [])
    if not isinstance(models, list):
        raise BadAnswer("The provider's list of models was malformed.")
    for model in models:
        name = model.get("name") if isinstance(model, Mapping) else None
        if isinstance(name, str) and name:
            yield name.removeprefix("models/")


def _events_of(payloads: list[bytes]) -> tuple[list[Event], Fault | None]:
    """Parse payloads up to the first that is an error; return that apart."""
    events: list[Event] = []
    for raw in payloads:
        try:
            data = _parsed(raw)
        except BadAnswer as fault:
            return events, fault
        if "error" in data:
            return events, read_error_object(data["error"], now=datetime.now(UTC))
        events.append(Event(raw, data))
    return events, None


def _stray_error(decoder: SSEDecoder) -> Fault | None:
    """Read an error that came as bare JSON, without being an event, once complete."""
    if not decoder.stray:
        return None
    try:
        data = orjson.loads(decoder.stray)
    except orjson.JSONDecodeError:
        return None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict) or "error" not in data:
        return None
    return read_error_object(data["error"], now=datetime.now(UTC))


def _raise_any(fault: Fault | None) -> None:
    if fault is not None:
        raise fault
