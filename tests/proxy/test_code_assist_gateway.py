"""Gemini CLI accounts behind the whole gateway, on the sandbox."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from accounts.credentials.cli_json import loaded
from accounts.models import Account
from gemproxy.lib import db
from proxy.catalog import Catalog
from proxy.cli_logins import import_logins
from proxy.errors import Fault, NoAccount, UpstreamFault
from proxy.gateway import Gateway
from proxy.ledger import Ledger
from proxy.models import Route
from proxy.sandbox.keys import sandbox_key
from proxy.sandbox.logins import project_of, refresh_token, sandbox_login
from proxy.scheduling.pool import Pool
from proxy.scheduling.store import Store
from proxy.upstreams.http import Clients
from tests.proxy.house import call
from tests.proxy.sandbox.calling import text_of
from tests.proxy.sandbox.serving import Served, serve

MODEL = "gemini-2.5-flash"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def google(served: Served, settings: Any) -> Served:
    settings.REDIS_URL = ""
    settings.QUEUE_MAX_WAIT_MS = 0
    settings.CODE_ASSIST_BASE_URL = served.url
    settings.GEMINI_BASE_URL = served.url
    settings.OAUTH_TOKEN_URL = f"{served.url}/token"
    return served


@pytest.fixture
def routes(transactional_db: None) -> None:
    Route.objects.all().delete()
    Route.objects.create(name=MODEL)


def add(*behaviours: str) -> list[Account]:
    """Store accounts, their projects known, each numbered by its place."""
    logins = [
        {
            **sandbox_login(name, number),
            "project_id": project_of(refresh_token(name, number)),
        }
        for number, name in enumerate(behaviours, 1)
    ]
    return list(import_logins(json.dumps(logins)).added)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Gateway]:
    catalog, pool = Catalog(), Pool(Clients(), store=Store())
    await db.run(catalog.load)
    await db.run(pool.load)
    gateway = Gateway(catalog, pool, Ledger(folder, 2.0))
    gateway.ledger.start()
    try:
        yield gateway
    finally:
        await gateway.tasks.finish(5)
        await pool.aclose()
        gateway.ledger.stop(5)


async def ask(gateway: Gateway, **fields: Any) -> str:
    event = await gateway.answer(call(model=MODEL, body=HELLO, **fields))
    return text_of(event.data)


async def state(account: Account) -> tuple[str, str]:
    await db.run(account.refresh_from_db)
    return account.state, account.state_cause


async def test_it_answers_whole_and_streamed_and_counts(
    routes: None, tmp_path: Path
) -> None:
    await db.run(add, "ok")
    async with running(tmp_path) as gateway:
        whole = await ask(gateway)
        asked = call(model=MODEL, body=HELLO, stream=True)
        events = [e async for batch in gateway.stream(asked) for e in batch]
        assert "".join(text_of(event.data) for event in events) == whole
        counted = call(model=MODEL, body=HELLO, method="countTokens")
        assert (await gateway.answer(counted)).data["totalTokens"] > 0


async def test_a_search_alias_is_served_with_sources(
    routes: None, tmp_path: Path
) -> None:
    await db.run(add, "ok")
    async with running(tmp_path) as gateway:
        asked = call(model=f"{MODEL}-search", body=HELLO)
        event = await gateway.answer(asked)
        assert event.data["candidates"][0]["groundingMetadata"]


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("license", "no_license"),
        ("terms", "tos_violation"),
        ("validation", "validation_required"),
        ("revoked", "login_expired"),
        ("rapt", "reauth_required"),
    ],
)
async def test_an_account_that_is_refused_is_set_aside_and_another_answers(
    routes: None, tmp_path: Path, behaviour: str, cause: str
) -> None:
    bad, good = await db.run(add, behaviour, "ok")
    await db.run(lambda: Account.objects.filter(pk=good.pk).update(priority=1))
    async with running(tmp_path) as gateway:
        assert await ask(gateway)
    assert await state(bad) == ("needs_attention", cause)
    assert (await state(good))[0] in ("new", "active")


async def test_a_spent_quota_rests_one_model_of_the_account(
    routes: None, tmp_path: Path
) -> None:
    (account,) = await db.run(add, "exhausted")
    async with running(tmp_path) as gateway:
        with pytest.raises(Fault) as caught:
            await ask(gateway)
        assert caught.value.status == 429
    rest = await db.run(account.cool_downs.get)
    assert (rest.model, rest.cause) == (MODEL, "quota_exhausted")


async def test_what_such_accounts_do_not_take_goes_to_another_kind(
    routes: None, tmp_path: Path
) -> None:
    def both() -> None:
        add("ok")
        route = Route.objects.get(name=MODEL)
        route.targets.create(position=30, upstream_model=MODEL)
        Account.add(kind="gemini_api", secret=sandbox_key())

    await db.run(both)
    body = {**HELLO, "serviceTier": "flex"}
    async with running(tmp_path) as gateway:
        event = await gateway.answer(call(model=MODEL, body=body))
        assert text_of(event.data)


async def test_what_nobody_takes_is_a_clear_refusal(
    routes: None, tmp_path: Path
) -> None:
    await db.run(add, "ok", "ok")
    body = {**HELLO, "serviceTier": "flex"}
    async with running(tmp_path) as gateway:
        with pytest.raises(UpstreamFault) as caught:
            await gateway.answer(call(model=MODEL, body=body))
        assert caught.value.status == 400
        assert "serviceTier" in caught.value.message
        # Nobody was blamed for it.
        assert await ask(gateway)


async def test_the_days_first_hundred_are_asked_of_a_login_and_no_more(
    routes: None, tmp_path: Path
) -> None:
    def pro() -> None:
        Route.objects.create(name="gemini-2.5-pro")
        add("ok")

    await db.run(pro)
    async with running(tmp_path) as gateway:
        members = gateway.pool._roster.members.values()
        assert [(one.tier, one.limits.rpd) for one in members] == [("", None)]
        for _ in range(100):
            await gateway.answer(call(model="gemini-2.5-pro", body=HELLO))
        with pytest.raises(Fault) as caught:
            await gateway.answer(call(model="gemini-2.5-pro", body=HELLO))
        assert caught.value.status == 429
        assert await ask(gateway)


async def test_many_requests_on_many_accounts_renew_each_login_once(
    routes: None, tmp_path: Path, google: Served
) -> None:
    await db.run(add, *["ok"] * 30)
    logins = google.app.state.logins
    logins.refreshes.clear()
    async with running(tmp_path) as gateway:
        before = len(asyncio.all_tasks())
        found = await asyncio.gather(*[ask(gateway) for _ in range(200)])
        assert all(found)
        assert await gateway.tasks.finish(20) == 0
        assert len(asyncio.all_tasks()) <= before + 1
    assert set(logins.refreshes.values()) == {1}
    rows = await db.run(lambda: list(Account.objects.all()))
    stored = [loaded(row.secret.reveal()).access_token for row in rows]
    assert sum(map(bool, stored)) == len(logins.refreshes)


async def test_without_any_account_of_its_kinds_a_route_says_so(
    routes: None, tmp_path: Path
) -> None:
    (account,) = await db.run(add, "ok")
    await db.run(account.disable, "olga")
    async with running(tmp_path) as gateway:
        with pytest.raises(NoAccount):
            await ask(gateway)
