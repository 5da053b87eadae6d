"""The Code Assist backend: an account's standing, joining a tier, and the model."""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

from proxy.sandbox import code_assist_faults as faults, shaping, tokens
from proxy.sandbox.answers import Answer
from proxy.sandbox.behaviours import Behaviour
from proxy.sandbox.catalogue import CARDS, Card, find_backend_card
from proxy.sandbox.exchange import Exchange
from proxy.sandbox.logins import project_of
from proxy.sandbox.protojson import decode_json, parse
from proxy.sandbox.refusals import Refusal, invalid_argument
from proxy.sandbox.sending import EVER, send_stream, send_whole
from proxy.sandbox.shaping import Chunk
from proxy.sandbox.state import State
from proxy.sandbox.validation import check_generate

PREFIX = "/v1internal"
_METHOD = re.compile(r"/v1internal:(\w+)")
_OPERATION = re.compile(r"/v1internal/(operations/[0-9a-z-]+)")
_BUSY_TEXT = "We're sorry... your network may be sending automated queries."
_SHAPING = (
    "stall",
    "cut",
    "cutclean",
    "malformed",
    "empty",
    "blocked",
    "safety",
    "maxtokens",
    "oneline",
    "nousage",
    "errormid",
    "slow",
    "split",
    "drip",
    "headstall",
    "automated",
)
#: What shows when the model is run, and what when the account introduces itself.
RUNNING = frozenset({*faults.REFUSALS, *_SHAPING})
STANDINGS = frozenset({"new", "joinfail", "consumer", "verify", "ownproject", "vpc"})
_POLLS = 2
_PLUGINS = ("PLUGIN_UNSPECIFIED", "GEMINI", "CLOUD_CODE")
_FREE = {"id": "free-tier", "name": "Gemini Code Assist for individuals"}
_STANDARD = {
    "id": "standard-tier",
    "name": "Gemini Code Assist Standard",
    "userDefinedCloudaicompanionProject": True,
}


async def answer(exchange: Exchange, state: State) -> None:
    """Answer one call below ``/v1internal``."""
    await _Backend(state).answer(exchange)


class _Backend:
    def __init__(self, state: State) -> None:
        self._state = state
        self._logins = state.logins

    async def answer(self, exchange: Exchange) -> None:
        """Answer one call, or refuse it as Google does."""
        try:
            login = self._enter(exchange)
            await self._answer(exchange, login)
        except Refusal as refusal:
            body: Any = refusal.body()
            if exchange.path.endswith(":streamGenerateContent"):
                body = [body]
            await exchange.answer_json(refusal.code, body)

    def _enter(self, exchange: Exchange) -> str:
        headers = exchange.headers
        token = headers.get("authorization", "").removeprefix("Bearer ")
        login = self._logins.login_of(token)
        if login is None or "x-goog-api-key" in headers:
            raise faults.stale_token()
        if "x-goog-user-project" in headers:
            raise faults.user_project_sent()
        return login

    async def _answer(self, exchange: Exchange, login: str) -> None:
        match = _OPERATION.fullmatch(exchange.path)
        if match and exchange.method == "GET":
            await exchange.answer_json(200, self._operation(match[1], login))
            return
        match = _METHOD.fullmatch(exchange.path)
        method = match[1] if match and exchange.method == "POST" else ""
        if method in ("generateContent", "streamGenerateContent"):
            await self._generate(exchange, login, method)
            return
        plain = self._plain().get(method)
        if plain is None:
            raise faults.model_missing()
        await exchange.answer_json(200, plain(exchange.body, login))

    def _plain(self) -> dict[str, Callable[[bytes, str], dict[str, Any]]]:
        return {
            "loadCodeAssist": self._load,
            "onboardUser": self._onboard,
            "countTokens": _count,
            "retrieveUserQuota": self._quota,
        }

    def _load(self, body: bytes, login: str) -> dict[str, Any]:
        request = parse("LoadCodeAssistRequest", decode_json(body))
        _check_metadata(request)
        name = self._logins.name_of(login)
        if name == "vpc":
            raise faults.security_policy()
        if name in ("new", "joinfail") and login not in self._logins.joined:
            return {"allowedTiers": [{**_FREE, "isDefault": True}, _STANDARD]}
        if name in ("consumer", "verify"):
            return {"ineligibleTiers": [_ineligible(name)]}
        found: dict[str, Any] = {"currentTier": _STANDARD, "gcpManaged": False}
        if name == "new":
            found["currentTier"] = _FREE
        if name != "ownproject":
            found["cloudaicompanionProject"] = project_of(login)
        return found

    def _onboard(self, body: bytes, login: str) -> dict[str, Any]:
        request = parse("OnboardUserRequest", decode_json(body))
        _check_metadata(request)
        if (
            request.get("tierId") == "free-tier"
            and "cloudaicompanionProject" in request
        ):
            raise faults.precondition()
        if self._logins.name_of(login) == "consumer":
            raise faults.not_licensed()
        return {"name": f"operations/{project_of(login)}"}

    def _operation(self, name: str, login: str) -> dict[str, Any]:
        project = project_of(login)
        if name != f"operations/{project}":
            raise faults.model_missing()
        self._logins.polls[login] += 1
        if self._logins.polls[login] < _POLLS:
            return {"name": name}
        if self._logins.name_of(login) == "joinfail":
            error = {"code": 7, "message": "Not eligible.", "details": []}
            return {"name": name, "done": True, "error": error}
        self._logins.joined.add(login)
        made = {"id": project, "name": project, "projectNumber": "123456789012"}
        response = {"cloudaicompanionProject": made}
        return {"name": name, "done": True, "response": response}

    def _quota(self, body: bytes, login: str) -> dict[str, Any]:
        request = parse("RetrieveUserQuotaRequest", decode_json(body))
        self._check_project(request.get("project", ""), login)
        models = [c for c in CARDS.values() if not c.draws and not c.is_gemma]
        usual = {"tokenType": "REQUESTS", "remainingFraction": 1}
        reset = {"resetTime": "2030-01-01T00:00:00Z"}
        chats = (card for card in models if card.supports("generateContent"))
        return {"buckets": [{"modelId": c.id, **usual, **reset} for c in chats]}

    def _check_project(self, project: str, login: str) -> None:
        own = self._logins.name_of(login) == "ownproject"
        if not project or (project != project_of(login) and not own):
            raise faults.wrong_project(project)

    async def _generate(self, exchange: Exchange, login: str, method: str) -> None:
        behaviour = self._logins.show(login, RUNNING)
        if await _before_the_api(exchange, behaviour):
            return
        make = faults.REFUSALS.get(behaviour.name)
        request, card = self._read(exchange.body, login)
        if make:
            raise make(behaviour.params, card.id)
        if behaviour.name == "slow":
            await asyncio.sleep(behaviour.seconds(30))
        answer = Answer(request, card, self._state.new_response_id())
        if method == "generateContent":
            whole = shaping.whole(answer, behaviour)
            if isinstance(whole, dict):
                whole = _wrapped(whole)
            await send_whole(exchange, whole, behaviour)
            return
        self._state.open_streams += 1
        try:
            chunks = _envelopes(shaping.stream(answer, behaviour))
            await send_stream(exchange, chunks, behaviour, self._state.pace)
        finally:
            self._state.open_streams -= 1

    def _read(self, body: bytes, login: str) -> tuple[dict[str, Any], Card]:
        """The checked request inside an envelope, and the model it is for."""
        envelope = parse("CaGenerateContentRequest", decode_json(body))
        card = _card(envelope.get("model", ""))
        self._check_project(envelope.get("project", ""), login)
        request: dict[str, Any] = envelope.get("request", {})
        _check_roles(request)
        check_generate(request, card)
        return request, card


async def _before_the_api(exchange: Exchange, behaviour: Behaviour) -> bool:
    if behaviour.name == "automated":
        await exchange.answer(429, f"<html>{_BUSY_TEXT}</html>", "text/html")
    elif behaviour.name == "headstall":
        await asyncio.sleep(EVER)
    else:
        return False
    return True


def _envelopes(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        yield _wrapped(chunk) if isinstance(chunk, dict) else chunk


def _wrapped(data: dict[str, Any]) -> dict[str, Any]:
    if "error" in data:
        return data
    inner = {name: value for name, value in data.items() if name != "responseId"}
    return {"response": inner, "traceId": data.get("responseId", "")}


def _card(model: str) -> Card:
    card = find_backend_card(model)
    if card is None or card.draws or not card.supports("generateContent"):
        raise faults.model_missing()
    return card


def _check_roles(request: dict[str, Any]) -> None:
    for content in request.get("contents", ()):
        if content.get("role") not in ("user", "model"):
            raise invalid_argument("Please use a valid role: user, model.")


def _check_metadata(request: dict[str, Any]) -> None:
    metadata = request.get("metadata")
    if not metadata or metadata.get("pluginType") not in _PLUGINS:
        raise invalid_argument("metadata.pluginType is not known")


def _ineligible(name: str) -> dict[str, Any]:
    tier = {"tierId": _FREE["id"], "tierName": _FREE["name"]}
    if name == "verify":
        return {
            **tier,
            "reasonCode": "VALIDATION_REQUIRED",
            "reasonMessage": "Verify your account to continue.",
            "validationUrl": faults.VERIFY,
        }
    text = (
        "This client is no longer supported for Gemini Code Assist for individuals."
        " Please migrate to Antigravity."
    )
    return {**tier, "reasonCode": "UNSUPPORTED_CLIENT", "reasonMessage": text}


def _count(body: bytes, login: str) -> dict[str, Any]:
    request = parse("CaCountTokenRequest", decode_json(body)).get("request", {})
    _card(request.get("model", "").removeprefix("models/"))
    _check_roles(request)
    return {"totalTokens": tokens.total(tokens.prompt_tokens(request))}
