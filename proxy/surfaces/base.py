"""What every surface view shares: the door, faults in dialect, one usage row."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, MethodNotAllowed as DRFMethod
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import credentials
from accounts.callers import Caller
from gemproxy.lib.network import client_ip
from gemproxy.lib.operators import may_operate
from proxy import errors
from proxy.calls import Call
from proxy.errors import BadRequest, Fault, Unauthenticated
from proxy.runtime import runtime
from proxy.surfaces.dialects import OPENAI, dialect_of, fault_response
from proxy.surfaces.schema import TokenAuthentication

DEEPEST = 200
#: Values and containers that a body may hold. No prompt has so many commas, and each
#: costs time and a hundred bytes, while the server can do nothing else.
MOST_VALUES = 2_000_000
MOST_CONTAINERS = 300_000
#: A larger refused body is not read again only to learn its model.
LARGEST_REREAD = 256 * 1024
Handler = Callable[..., Awaitable[HttpResponseBase]]


class Surface(APIView):
    """An async API view behind the one door.

    ``scope`` is what a token must have; None lets strangers in. A subclass sets
    ``surface`` (the name in the usage log) and may pin ``dialect``.
    """

    surface: ClassVar[str] = ""
    dialect: ClassVar[str] = ""
    scope: ClassVar[str | None] = "api"
    authentication_classes = [TokenAuthentication]

    async def dispatch(
        self, request: ASGIRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Let the caller in and run the handler of the method."""
        self.args, self.kwargs = args, kwargs
        self.headers = {}
        self.call: Call | None = None
        self.caller: Caller | None = None
        self.request = self.initialize_request(request, *args, **kwargs)
        try:
            await runtime.start()
            await self._enter(request)
            return await self._handler(request)(self.request, *args, **kwargs)
        except Fault as fault:
            return await self._refused(request, fault)
        except APIException as error:
            return await self._refused(request, _as_fault(error))

    def speaks(self, request: ASGIRequest) -> str:
        """Return the dialect of this request."""
        return self.dialect or dialect_of(
            request.path_info, request.headers, request.META["QUERY_STRING"]
        )

    def json(self) -> Any:
        """Return the parsed body; raise BadRequest."""
        return parse_json(self.request._request.content)

    def new_call(self, **fields: Any) -> Call:
        """Return a call of this request; it is what the usage row will be about."""
        assert self.caller is not None  # noqa: S101
        request = self.request._request
        self.call = Call(
            request_id=request.request_id,
            surface=self.surface,
            caller=self.caller,
            client_ip=address_of(request),
            user_agent=request.META.get("HTTP_USER_AGENT", "")[:200],
            deadline=deadline_of(request.META.get("HTTP_X_SERVER_TIMEOUT")),
            **fields,
        )
        return self.call

    async def _enter(self, request: ASGIRequest) -> None:
        if self.scope is None:
            return
        text = credentials(request.headers, request.META["QUERY_STRING"])
        if text:
            caller = await runtime.door.open(text)
        else:
            origin = request.META.get("HTTP_ORIGIN", "")
            caller = await runtime.door.listed(address_of(request), origin)
        if caller is None:
            raise Unauthenticated(
                "Incorrect API key provided: this token is not valid, has expired "
                "or was revoked."
                if text
                else "An API token is needed: send it as Authorization: Bearer, "
                "x-goog-api-key or x-api-key."
            )
        if self.scope == "operator":
            _check_operator(caller, address_of(request))
        self.caller = self.request.user = caller

    def _handler(self, request: ASGIRequest) -> Handler:
        method = request.method.lower()
        name = "get" if method == "head" else method
        handler = getattr(self, name, None)
        if handler is None or method not in self.http_method_names:
            raise errors.MethodNotAllowed(
                f"{request.method} is not allowed here; use {self._methods()}."
            )
        return handler

    def _methods(self) -> str:
        return ", ".join(m for m in self.allowed_methods if m != "OPTIONS")

    async def _refused(self, request: ASGIRequest, fault: Fault) -> HttpResponse:
        """Answer a fault; note it in the usage log if no one has yet."""
        if self.caller is not None and self.surface and self.call is None:
            model = str(self.kwargs.get("model") or _model_in(request.content))
            call = self.new_call(method="generateContent", model=model, body={})
            await runtime.gateway.refuse(call, fault)
        return fault_response(fault, self.speaks(request))

    options = None


def _model_in(content: bytes) -> str:
    """Return the model a refused body asks for, as far as that can be read."""
    if len(content) > LARGEST_REREAD:
        return ""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else ""


def _check_operator(caller: Caller, address: str) -> None:
    if caller.scope != "operator":
        raise errors.Forbidden("This needs an operator token.")
    if not may_operate(address):
        raise errors.Forbidden("Operator endpoints are not reachable from here.")


def parse_json(content: bytes) -> Any:
    """Parse a JSON body; raise BadRequest that says what is wrong with it."""
    if not content:
        raise BadRequest("The request body is empty; send JSON.", code="invalid_json")
    containers = content.count(b"[") + content.count(b"{")
    if containers > MOST_CONTAINERS or content.count(b",") > MOST_VALUES:
        raise BadRequest("The JSON holds too many values.", code="invalid_json")
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadRequest(
            f"The request body is not valid JSON: {error.msg} (line {error.lineno}, "
            f"column {error.colno}).",
            code="invalid_json",
        ) from None
    if containers > DEEPEST:
        check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raise BadRequest for JSON nested deeper than DEEPEST levels."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise BadRequest(
        f"The JSON is nested deeper than {DEEPEST} levels.", code="invalid_json"
    )


def address_of(request: ASGIRequest) -> str:
    """Return the client's address, as far as trusted proxies vouch for it."""
    return client_ip(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXY_HOPS,
    )


def deadline_of(text: str | None) -> float | None:
    """Read X-Server-Timeout (seconds); what is no number counts as not sent."""
    try:
        seconds = float(text) if text else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds < 86_400 else None


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


def _as_fault(error: APIException) -> Fault:
    if isinstance(error, DRFMethod):
        return errors.MethodNotAllowed(str(error.detail))
    return BadRequest(str(error.detail), status=error.status_code)


__all__ = ["OPENAI", "Request", "Surface", "address_of", "new_id", "parse_json"]
