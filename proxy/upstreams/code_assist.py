"""The Code Assist backend, spoken with logins of Gemini CLI accounts."""

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import orjson

from accounts.credentials.cli_json import CliCredential
from gemproxy.lib import clock
from proxy.calls import Event
from proxy.errors import (
    AccountRefused,
    BadRequest,
    Fault,
    Overloaded,
    RateLimited,
    UpstreamFault,
)
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.code_assist_account import Place, discover
from proxy.upstreams.flights import Flights
from proxy.upstreams.http import Clients, foreign_faults, read_all
from proxy.upstreams.oauth import CredentialStore, Logins, OAuthClient, TokenEndpoint
from proxy.upstreams.streams import extensions, parsed, payloads
from proxy.wire.code_assist import count_request, generate_request, unwrapped
from proxy.wire.code_assist_errors import read_error, read_error_object
from proxy.wire.code_assist_tiers import model_ids

GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
_VERSION = "v1internal"
_STALE = "token_stale"
#: Refusals that another project of the same account may mend.
_OF_PROJECT = frozenset({"project_denied", "bad_project"})
_TRIAL = {
    "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
    "generationConfig": {"maxOutputTokens": 16},
}
_USUAL_MODEL = "gemini-2.5-flash"


class CodeAssist:
    """Speaks cloudcode-pa's v1internal.

    Envelope, methods and answers are those of Google's own client as it is published;
    the User-Agent says who we are.
    """

    kind: ClassVar[str] = "code_assist"
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {
            "tools",
            "json_schema",
            "images_in",
            "audio_in",
            "video_in",
            "files_in",
            "search",
            "code",
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
        token_url: str = GOOGLE_TOKENS,
        client: OAuthClient | None = None,
        store: CredentialStore | None = None,
    ) -> None:
        """``client`` is the OAuth client of logins without one; ``store`` keeps
        renewed tokens and what is found out about accounts."""
        self._clients = clients
        self._default_base_url = default_base_url
        self._user_agent = f"gemproxy/{version}" if version else "gemproxy"
        endpoint = TokenEndpoint(
            clients, token_url, client or OAuthClient(), self._user_agent
        )
        self.logins = Logins(endpoint, store)
        self._placings: Flights[CliCredential] = Flights()

    async def answer(self, account: AccountConfig, order: Order) -> Event:
        """Send the order; return the whole answer. Raises faults."""
        if order.method not in ("generateContent", "countTokens"):
            raise BadRequest(f"Gemini CLI accounts have no {order.method}.")
        response = await self._opened(account, order, order.method)
        data = await _whole(response)
        if order.method == "countTokens":
            return Event(orjson.dumps(data), data)
        return _event(data)

    async def stream(
        self, account: AccountConfig, order: Order
    ) -> AsyncIterator[list[Event]]:
        """Send a generateContent; yield its chunks, those of one read together.

        Closing the generator, or cancelling its consumer, aborts the connection.
        Raises faults, also for an ``error`` object in the middle of the stream.
        """
        response = await self._opened(account, order, "streamGenerateContent")
        async with aclosing(payloads(response)) as batches:
            async for batch in batches:
                events, fault = _events_of(batch)
                if events:
                    yield events
                if fault is not None:
                    raise fault

    async def probe(self, account: AccountConfig, timeouts: Timeouts) -> list[str]:
        """Find out tier and project anew, ask the model for a word, return the models.

        Raises the fault that is in the way. A spent quota or a busy model is none:
        such an account works.
        """
        login = await self.logins.fresh(account)
        place = await self._place(account, login, timeouts)
        # The token may have turned out stale on the way.
        login = await self.logins.fresh(account)
        if not login.email:
            email = await self.logins.endpoint.email(login, account.way)
            login = replace(login, email=email)
        login = await self._settled(account, login, place)
        models = await self._models(account, login, timeouts)
        await self._note(account, login, place, models)
        trial = _trial_model(models)
        order = Order(
            method="generateContent", model=trial, body=_TRIAL, timeouts=timeouts
        )
        try:
            with suppress(RateLimited, Overloaded):
                await self.answer(account, order)
        except AccountRefused:
            await self.logins.note(account, _looked_at())
            raise
        await self.logins.note(account, _looked_at())
        return models or [trial]

    async def renew(self, account: AccountConfig, ahead: float) -> bool:
        """Renew an access token that ends within ``ahead`` seconds; return whether it
        was. Raises faults."""
        before = self.logins.current(account).access_token
        return (await self.logins.fresh(account, ahead=ahead)).access_token != before

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self.logins.aclose()
        await self._placings.aclose()
        await self._clients.aclose()

    async def _opened(
        self, account: AccountConfig, order: Order, verb: str
    ) -> httpx.Response:
        """Return a good response, after one more try with a new token or project."""
        login = await self._ready(account, order.timeouts)
        response = await self._ask(account, login, order, verb)
        if response.status_code == 200:
            return response
        fault = await _refusal(response)
        mended = await self._mended(account, login, fault, order.timeouts)
        if mended is None:
            raise fault
        response = await self._ask(account, mended, order, verb)
        if response.status_code != 200:
            raise await _refusal(response)
        return response

    async def _ready(self, account: AccountConfig, timeouts: Timeouts) -> CliCredential:
        """Return the login with a token and a project."""
        login = await self.logins.fresh(account)
        if login.project_id:
            return login
        return await self._placings.share(
            account.id, lambda: self._placed(account, login, timeouts)
        )

    async def _mended(
        self,
        account: AccountConfig,
        login: CliCredential,
        fault: Fault,
        timeouts: Timeouts,
    ) -> CliCredential | None:
        """Return the login with what a refusal complains of made new, if it can be."""
        if fault.cause == _STALE:
            return await self.logins.fresh(account, refused=login.access_token)
        if fault.cause not in _OF_PROJECT:
            return None
        found = await self._placings.share(
            account.id, lambda: self._placed(account, login, timeouts)
        )
        return None if found.project_id == login.project_id else found

    async def _placed(
        self, account: AccountConfig, login: CliCredential, timeouts: Timeouts
    ) -> CliCredential:
        """Find the account's project anew; return the login with it."""
        place = await self._place(account, login, timeouts)
        login = await self.logins.fresh(account)
        await self._note(account, login, place, None)
        return await self._settled(account, login, place)

    async def _place(
        self, account: AccountConfig, login: CliCredential, timeouts: Timeouts
    ) -> Place:
        async def call(name: str, body: dict[str, Any] | None) -> dict[str, Any]:
            return await self._call(account, login, name, body, timeouts)

        return await discover(call, login.project_id)

    async def _settled(
        self, account: AccountConfig, login: CliCredential, place: Place
    ) -> CliCredential:
        found = replace(login, project_id=place.project)
        await self.logins.keep(account, found)
        return found

    async def _note(
        self,
        account: AccountConfig,
        login: CliCredential,
        place: Place,
        models: list[str] | None,
    ) -> None:
        standing = place.standing
        facts: dict[str, Any] = {
            "email": login.email,
            "project": place.project,
            "tier": standing.tier,
            "tier_name": standing.tier_name,
            "ineligible": [t.message or t.reason for t in standing.ineligible],
        }
        if models:
            facts["models"] = models
        await self.logins.note(account, facts)

    async def _models(
        self, account: AccountConfig, login: CliCredential, timeouts: Timeouts
    ) -> list[str]:
        """Return the models that the account's quotas name; none if nobody says."""
        body = {"project": login.project_id}
        try:
            quota = await self._call(
                account, login, "retrieveUserQuota", body, timeouts
            )
        except UpstreamFault:
            # The trial that follows tells what is wrong, if anything is.
            return []
        return model_ids(quota)

    async def _call(
        self,
        account: AccountConfig,
        login: CliCredential,
        name: str,
        body: dict[str, Any] | None,
        timeouts: Timeouts,
    ) -> dict[str, Any]:
        """Call a method with a body, or look at an operation without one; once more
        with a new token if the one at hand has ended before its time."""
        tail = f"/{name}" if body is None else f":{name}"
        response = await self._send(account, login, tail, body, timeouts)
        if response.status_code == 401:
            await response.aclose()
            login = await self.logins.fresh(account, refused=login.access_token)
            response = await self._send(account, login, tail, body, timeouts)
        return await _whole(response)

    async def _ask(
        self, account: AccountConfig, login: CliCredential, order: Order, verb: str
    ) -> httpx.Response:
        if verb == "countTokens":
            body = count_request(dict(order.body), model=order.model)
        else:
            body = generate_request(
                dict(order.body),
                model=order.model,
                project=login.project_id,
                prompt_id=str(uuid.uuid4()),
            )
        tail = f":{verb}" + ("?alt=sse" if verb == "streamGenerateContent" else "")
        return await self._send(account, login, tail, body, order.timeouts)

    async def _send(
        self,
        account: AccountConfig,
        login: CliCredential,
        tail: str,
        body: dict[str, Any] | None,
        timeouts: Timeouts,
    ) -> httpx.Response:
        base_url = (account.base_url or self._default_base_url).rstrip("/")
        streamed = tail.endswith("alt=sse")
        request = httpx.Request(
            "GET" if body is None else "POST",
            f"{base_url}/{_VERSION}{tail}",
            headers={
                "authorization": f"Bearer {login.access_token}",
                "content-type": "application/json",
                "accept": "*/*" if streamed else "application/json",
                # A compressed stream would hold chunks back.
                "accept-encoding": "identity" if streamed else "gzip, deflate",
                "user-agent": self._user_agent,
            },
            stream=httpx.ByteStream(b"" if body is None else _payload(body)),
            extensions=extensions(timeouts),
        )
        with foreign_faults():
            transport = self._clients.transport(account.proxy_url, account.ca_pem)
            return await transport.handle_async_request(request)


def _looked_at() -> dict[str, Any]:
    """Return the fact that an account was tried to an end, good or bad."""
    return {"checked_at": clock.now().isoformat()}


def _payload(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise BadRequest("The request holds what JSON cannot.") from None


async def _whole(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != 200:
        raise await _refusal(response)
    data = parsed(await read_all(response))
    if "error" in data and "done" not in data:
        raise read_error_object(data["error"], now=datetime.now(UTC))
    return data


async def _refusal(response: httpx.Response) -> Fault:
    body = await read_all(response)
    return read_error(
        response.status_code, body, response.headers, now=datetime.now(UTC)
    )


def _event(data: dict[str, Any]) -> Event:
    inner = unwrapped(data)
    return Event(orjson.dumps(inner), inner)


def _events_of(batch: list[bytes]) -> tuple[list[Event], Fault | None]:
    """Parse payloads up to the first that is an error; return that apart."""
    events: list[Event] = []
    for raw in batch:
        try:
            data = parsed(raw)
        except UpstreamFault as fault:
            return events, fault
        if "error" in data:
            return events, read_error_object(data["error"], now=datetime.now(UTC))
        event = _event(data)
        if event.data:
            events.append(event)
    return events, None


def _trial_model(models: list[str]) -> str:
    """Return a quick model among those that an account has."""
    if _USUAL_MODEL in models or not models:
        return _USUAL_MODEL
    return next((name for name in models if "flash" in name), models[0])
