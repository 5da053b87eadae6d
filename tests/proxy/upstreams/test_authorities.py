"""Accounts whose connections trust authorities of their own, for every kind."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import orjson
import pytest

from accounts.credentials.cli_json import CliCredential, dumped
from proxy.errors import ConnectFailed
from proxy.sandbox.web_authority import Authority
from proxy.upstreams.authorities import Bundles, tls_context, tls_context_with
from proxy.upstreams.base import AccountConfig, Order, Timeouts, Way
from proxy.upstreams.code_assist import CodeAssist
from proxy.upstreams.gemini_api import GeminiAPI
from proxy.upstreams.http import Clients
from proxy.upstreams.oauth import OAuthClient, TokenEndpoint
from proxy.upstreams.xai import XAI
from tests.proxy.upstreams.servers import HTTPProxy, HTTPServer
from tests.proxy.upstreams.web_accounts import PAGE, order, served, text_of

AUTHORITY = Authority(["localhost"])
PEM = AUTHORITY.pem.decode()
OTHER = Authority(["elsewhere"]).pem.decode()
ADAPTERS = {"gemini_api": GeminiAPI, "xai": XAI, "code_assist": CodeAssist}
LOGIN = CliCredential(
    refresh_token="1//r",
    client_id="i",
    client_secret="s",
    access_token="ya29.a",
    expires_at=9_999_999_999.0,
    project_id="p-1",
    email="a@b.test",
)
SAID = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]
}
CHOICE = {"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}
BODY = {**SAID, "response": SAID, "choices": [CHOICE], "access_token": "ya29.new"}
ASKED = Order(
    method="generateContent",
    model="grok-4.3",
    body={"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    timeouts=Timeouts(connect=5, first_byte=5, idle=5, total=10),
)


async def answer(peer: Any, _received: Any) -> None:
    peer.send_whole(orjson.dumps(BODY))


@pytest.fixture
async def google() -> AsyncIterator[HTTPServer]:
    async with HTTPServer(answer, tls=AUTHORITY.context()) as server:
        yield server


def account(kind: str, url: str, ca_pem: str, **fields: Any) -> AccountConfig:
    secret = dumped(LOGIN) if kind == "code_assist" else "xai-" + "k" * 40
    return AccountConfig(
        id=1, kind=kind, secret=secret, base_url=url, ca_pem=ca_pem, **fields
    )


@pytest.mark.parametrize("kind", ADAPTERS)
async def test_an_account_trusts_its_own_authority(kind, google, clients):
    adapter = ADAPTERS[kind](clients, "https://nowhere.test")
    event = await adapter.answer(account(kind, google.url, PEM), ASKED)
    assert text_of(event.data) == "hi"


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("ca_pem", ["", OTHER], ids=["none", "another"])
async def test_others_do_not_trust_it(kind, ca_pem, google, clients):
    adapter = ADAPTERS[kind](clients, "https://nowhere.test")
    # A connection that a neighbour has open must not be taken for it.
    await adapter.answer(account(kind, google.url, PEM), ASKED)
    with pytest.raises(ConnectFailed, match="certificate is not trusted"):
        await adapter.answer(account(kind, google.url, ca_pem), ASKED)


async def test_it_holds_through_a_proxy(google, clients):
    async with HTTPProxy() as proxy:
        way = {"proxy_url": f"http://127.0.0.1:{proxy.port}"}
        adapter = GeminiAPI(clients, "https://nowhere.test")
        asked = account("gemini_api", google.url, PEM, **way)
        assert text_of((await adapter.answer(asked, ASKED)).data) == "hi"
        await clients.aclose()
    assert proxy.seen == [f"CONNECT 127.0.0.1:{google.port} HTTP/1.1"]


async def test_a_sign_in_is_renewed_where_the_account_trusts(google, clients):
    endpoint = TokenEndpoint(clients, f"{google.url}/token", OAuthClient(), "t")
    made = await endpoint.refresh(LOGIN, Way(ca_pem=PEM))
    assert made.access_token == "ya29.new"
    with pytest.raises(ConnectFailed):
        await endpoint.refresh(LOGIN, Way())


async def test_the_account_decides_how_its_sign_in_is_renewed(google, clients):
    adapter = CodeAssist(clients, google.url, token_url=f"{google.url}/token")
    assert await adapter.renew(account("code_assist", google.url, PEM), 1e10)
    with pytest.raises(ConnectFailed):
        await adapter.renew(account("code_assist", google.url, ""), 2e10)


async def test_one_pool_of_connections_serves_accounts_that_trust_alike():
    made: list[Way] = []

    def make(way: Way) -> httpx.MockTransport:
        made.append(way)
        return httpx.MockTransport(lambda _request: httpx.Response(200))

    clients = Clients(make)
    first = clients.transport("http://p:1", PEM)
    assert clients.transport("http://p:1", "".join(PEM)) is first
    assert clients.transport("http://p:1") is not first
    assert clients.transport("", PEM) is not first
    assert [(way.proxy_url, way.ca_pem) for way in made] == [
        ("http://p:1", PEM),
        ("http://p:1", ""),
        ("", PEM),
    ]
    assert "p:1" not in repr(made)


def test_contexts_know_the_usual_authorities_and_are_made_once():
    context = tls_context_with(PEM)
    assert context is tls_context_with(PEM)
    more = len(context.get_ca_certs()) - len(tls_context().get_ca_certs())
    assert more == 1


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


async def test_a_web_account_trusts_its_own_authority(site):
    adapter = site.adapter()
    adapter._bundles = Bundles()
    pem = Path(site.ca_file).read_text()
    trusting = site.account(ca_pem=pem)
    try:
        assert text_of((await adapter.answer(trusting, order())).data)
        with pytest.raises(ConnectFailed):
            await adapter.answer(site.account(ca_pem=OTHER), order())
    finally:
        await adapter.aclose()


async def test_a_web_session_ends_when_the_authorities_change(site):
    adapter = site.adapter()
    config = site.account()
    try:
        pages = site.count(PAGE)
        await adapter.answer(config, order())
        changed = site.account_of(_psid(config), id=config.id, ca_pem=OTHER)
        # The file that stands for the known authorities is still trusted beside them.
        assert text_of((await adapter.answer(changed, order())).data)
        assert site.count(PAGE) == pages + 2
    finally:
        await adapter.aclose()


def _psid(config: AccountConfig) -> str:
    from accounts.credentials.websession import load_session

    return load_session(config.secret).cookies.psid


def test_a_bundle_is_private_and_holds_known_and_own_authorities():
    bundles = Bundles()
    path = Path(bundles.path(PEM))
    assert path.read_bytes() == Path(certifi.where()).read_bytes().rstrip() + (
        b"\n" + PEM.encode()
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert bundles.path(PEM) == str(path)
    assert bundles.path(OTHER) != str(path)
    bundles.close()


def test_a_file_takes_the_place_of_the_known_authorities(tmp_path: Path):
    file = tmp_path / "ca.pem"
    file.write_text(OTHER)
    bundles = Bundles(str(file))
    assert bundles.path("") == str(file)
    assert Path(bundles.path(PEM)).read_text() == OTHER.rstrip() + "\n" + PEM
    bundles.close()


def test_without_authorities_the_library_chooses():
    assert Bundles().path("") == ""


def test_a_bundle_that_was_tidied_away_is_written_again():
    bundles = Bundles()
    path = Path(bundles.path(PEM))
    path.unlink()
    assert Path(bundles.path(PEM)).exists()
    Path(bundles.path(PEM)).unlink()
    path.parent.rmdir()
    assert Path(bundles.path(PEM)).exists()
    bundles.close()


@pytest.mark.parametrize("ends", ["closed", "forgotten"])
def test_bundles_leave_no_file_behind(ends: str):
    bundles = Bundles()
    folder = Path(bundles.path(PEM)).parent
    if ends == "closed":
        bundles.close()
        bundles.close()
    else:
        del bundles
    assert not folder.exists()


def test_many_threads_get_one_whole_file():
    bundles = Bundles()

    async def all_at_once() -> list[str]:
        works = (asyncio.to_thread(bundles.path, PEM) for _ in range(20))
        return await asyncio.gather(*works)

    paths = set(asyncio.run(all_at_once()))
    assert len(paths) == 1
    assert Path(paths.pop()).read_text().endswith(PEM)
    bundles.close()
