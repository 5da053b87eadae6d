"""For operators: cookies of web accounts in, and whether they still work."""

import asyncio
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts import websessions
from accounts.credentials.cookies import WebCookies, read_cookie_object, read_cookies
from accounts.credentials.websession import forecast
from accounts.models import Account
from gemproxy.lib import clock, db
from gemproxy.lib.secrets import SecretUnreadable
from proxy.errors import Fault
from proxy.runtime import runtime
from proxy.scheduling.account_rows import UNREADABLE, config_of
from proxy.scheduling.store import Store
from proxy.surfaces.base import Surface
from proxy.surfaces.dialects import OPENAI, json_response
from proxy.surfaces.schema import body
from proxy.upstreams.base import AccountConfig, Timeouts
from proxy.wire.causes import cause_of
from proxy.wire.json_schemas import ANY_OBJECT
from proxy.wire.verdicts import judge

CHECK = Timeouts(connect=10.0, first_byte=30.0, idle=30.0, total=60.0)
AT_ONCE = 8
BY = "api"
#: The account's row, and what to ask with; None if its secret cannot be read.
Row = tuple[Account, AccountConfig | None]


class Refused(Exception):
    """What was given cannot be stored; the status and the words for it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Cookies(Surface):
    """POST /api/cookies: new cookies for a web account."""

    scope = "operator"
    dialect = OPENAI

    @extend_schema(
        summary="Set the cookies of a web account",
        description="`{cookies, account?}` → `{success, message}`. `cookies` is an "
        "object of names and values, a list as browser extensions export it, or any "
        "text that the admin's form takes. `account` is an id or a label; without it "
        "the account whose session it is, else the only one, else a new one.",
        request=body(ANY_OBJECT),
        responses={200: ANY_OBJECT, 400: ANY_OBJECT, 404: ANY_OBJECT, 409: ANY_OBJECT},
    )
    async def post(self, _request: Request) -> HttpResponse:
        try:
            cookies, name = _read(self.json())
            message = await db.run(_store, cookies, name)
        except Refused as refusal:
            answer = {"success": False, "message": refusal.message}
            return json_response(answer, status=refusal.status)
        return json_response({"success": True, "message": message})


class CookiesStatus(Surface):
    """GET /api/cookies/status: do the web accounts' cookies work?"""

    scope = "operator"
    dialect = OPENAI

    @extend_schema(
        summary="Test the cookies of all web accounts",
        description="Asks the site now. → `{valid, message, accounts}`; `valid` tells "
        "whether at least one works.",
        responses={200: ANY_OBJECT},
    )
    async def get(self, _request: Request) -> HttpResponse:
        rows = await db.run(_rows)
        places = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(_tested(row, places) for row in rows))
        working = sum(entry["valid"] for entry in found)
        message = f"{working} of {len(found)} web accounts work."
        if not found:
            message = "There is no web account."
        return json_response(
            {"valid": working > 0, "message": message, "accounts": list(found)}
        )


def _read(asked: Any) -> tuple[WebCookies, str]:
    if not isinstance(asked, dict) or "cookies" not in asked:
        raise Refused(400, "Send an object with `cookies`.")
    given, name = asked["cookies"], asked.get("account", "")
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise Refused(400, "`account` must be an id or a label.")
    try:
        read = read_cookies if isinstance(given, str) else read_cookie_object
        return read(given), str(name).strip()
    except ValueError as error:
        raise Refused(400, str(error)) from error


def _store(cookies: WebCookies, name: str) -> str:
    """Store cookies; return what was done in words."""
    try:
        account = websessions.chosen(name, cookies)
        if account is not None and websessions.replace(account.pk, cookies, by=BY):
            return f"The cookies of {account} (id {account.pk}) were replaced."
        made = websessions.add(cookies)
    except websessions.Ambiguous as error:
        raise Refused(409, str(error)) from error
    except LookupError as error:
        raise Refused(404, str(error.args[0])) from error
    except ValueError as error:
        raise Refused(409, str(error)) from error
    if made is None:
        raise Refused(409, "Somebody else stored these cookies just now.")
    return f"A web account was added (id {made.pk})."


def _rows() -> list[Row]:
    return [
        (row, _config(row)) for row in Account.objects.filter(kind=websessions.KIND)
    ]


def _config(row: Account) -> AccountConfig | None:
    try:
        return config_of(row)
    except SecretUnreadable:
        return None


async def _tested(row: Row, places: asyncio.Semaphore) -> dict[str, Any]:
    account, config = row
    cause, message = UNREADABLE, cause_of(UNREADABLE).action
    if config is not None:
        async with places:
            cause, message = await _asked(config)
    known = await db.run(_known, account)
    return {
        "id": account.pk,
        "label": account.label,
        "valid": not cause,
        "cause": cause,
        "message": message,
        **known,
    }


async def _asked(config: AccountConfig) -> tuple[str, str]:
    """Return the cause of trouble, "" for none, and words for the operator."""
    adapter = runtime.gateway.pool.adapter(config.kind)
    try:
        models = await adapter.probe(config, CHECK)
    except Fault as fault:
        verdict = judge(fault, now=clock.now())
        advice = cause_of(verdict.cause, of_account=True).action
        if verdict.attention:
            await db.run(
                Store().set_aside, config.id, verdict.cause, advice, verdict.link
            )
        return verdict.cause, f"{fault.message} {advice}"
    return "", f"It works, {len(models)} models."


def _known(account: Account) -> dict[str, Any]:
    """Return what is on record of an account's cookies; times in epoch seconds."""
    row = Account.objects.filter(pk=account.pk).first() or account
    try:
        session = websessions.session_of(row)
    except (ValueError, SecretUnreadable):
        return {"state": row.state}
    return {
        "state": row.state,
        "pasted_at": session.pasted_at or None,
        "rotated_at": session.rotated_at or None,
        "last_rotation": session.result or None,
        "forecast": forecast(session),
    }
