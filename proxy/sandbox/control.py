"""The control endpoints: how a test tells the sandbox what to do, and asks it."""

import json
from typing import Any
from urllib.parse import unquote

from proxy.sandbox import code_assist, oauth
from proxy.sandbox.exchange import Exchange
from proxy.sandbox.keys import label
from proxy.sandbox.logins import email_of
from proxy.sandbox.state import State

PREFIX = "/sandbox/"


async def control(exchange: Exchange, state: State) -> None:
    """Answer one call under ``/sandbox/``."""
    status, data = _act(exchange, state)
    await exchange.answer_json(status, data)


def _act(exchange: Exchange, state: State) -> tuple[int, Any]:
    action = exchange.path.removeprefix(PREFIX)
    wanted = (exchange.method, action.partition("/")[0])
    if wanted == ("GET", "stats"):
        return 200, state.stats()
    if wanted == ("GET", "requests"):
        return _last_requests(exchange, state)
    if wanted == ("POST", "reset"):
        state.reset()
        return 200, {}
    if wanted == ("POST", "keys"):
        return _tell(exchange, state)
    if wanted == ("POST", "logins"):
        return _tell_login(exchange, state)
    if wanted == ("DELETE", "keys"):
        known = state.behaviours.forget(unquote(action.removeprefix("keys/")))
        return (200, {}) if known else (404, {"error": "unknown key"})
    return 404, {"error": "unknown control endpoint"}


def _last_requests(exchange: Exchange, state: State) -> tuple[int, Any]:
    last = exchange.query.get("last", "1")
    if not last.isdecimal():
        return 400, {"error": "last must be a number"}
    received = list(state.received)
    return 200, {"requests": received[max(0, len(received) - int(last)) :]}


def _tell_login(exchange: Exchange, state: State) -> tuple[int, Any]:
    """Set what a login does; with ``expire`` its access tokens end at once."""
    try:
        wish = json.loads(exchange.body)
        if not isinstance(wish, dict):
            raise TypeError("an object is expected")
        if wish.pop("expire", False):
            state.logins.end_access(wish["login"])
        names = code_assist.RUNNING | code_assist.STANDINGS | oauth.NAMES | {"ok"}
        behaviour = state.logins.tell(wish, names)
    except (KeyError, ValueError, TypeError) as error:
        return 400, {"error": str(error)}
    return 200, {"login": email_of(wish["login"]), "behaviour": behaviour.name}


def _tell(exchange: Exchange, state: State) -> tuple[int, Any]:
    try:
        wish = json.loads(exchange.body)
        if not isinstance(wish, dict):
            raise TypeError("an object is expected")
        behaviour = state.behaviours.tell(wish)
    except (ValueError, TypeError) as error:
        return 400, {"error": str(error)}
    return 200, {"key": label(wish["key"]), "behaviour": behaviour.name}
