"""Access tokens: made once for all, ahead of their end, and never lost."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from accounts.credentials.cli_json import dumped, loaded
from gemproxy.lib import clock
from proxy.errors import AccountRefused, ConnectFailed, Fault
from proxy.sandbox.logins import refresh_token
from proxy.upstreams.base import AccountConfig, Way
from proxy.upstreams.http import Clients
from proxy.upstreams.oauth import AHEAD, Logins, OAuthClient, StoreAway, TokenEndpoint
from tests.proxy.upstreams.logins import Memory, Stand, login


@pytest.fixture
def stand():
    return Stand()


def ending(seconds: float, **fields):
    """Return a login whose access token ends in so many seconds."""
    at = clock.now().timestamp() + seconds
    return login(access_token="ya29.old", expires_at=at, **fields)


def stored(stand, credential, account_id=1):
    stand.store.secrets[account_id] = dumped(credential)
    return AccountConfig(
        id=account_id, kind="code_assist", secret=stand.store.secrets[account_id]
    )


async def refused(stand, account):
    with pytest.raises(Fault) as caught:
        await stand.adapter.logins.fresh(account)
    return caught.value


async def test_a_token_with_time_left_is_used_as_it_is(stand):
    account = stored(stand, ending(AHEAD + 60))
    assert (await stand.adapter.logins.fresh(account)).access_token == "ya29.old"
    assert stand.refreshes(account) == 0


@pytest.mark.parametrize("seconds", [AHEAD - 5, 0, -1000])
async def test_a_token_is_renewed_ahead_of_its_end_and_stored(stand, seconds):
    account = stored(stand, ending(seconds))
    fresh = await stand.adapter.logins.fresh(account)
    assert fresh.access_token != "ya29.old"
    assert fresh.expires_at > clock.now().timestamp() + 3000
    assert stand.latest(account) == fresh
    assert stand.refreshes(account) == 1


async def test_many_who_need_a_token_make_one_renewal(stand):
    account = stand.account()
    asked = [stand.adapter.logins.fresh(account) for _ in range(50)]
    found = await asyncio.gather(*asked)
    assert len({each.access_token for each in found}) == 1
    assert stand.refreshes(account) == 1


async def test_processes_that_share_a_store_make_one_renewal(stand):
    account = stand.account()
    others = [stand.another() for _ in range(5)]
    found = await asyncio.gather(*[each.logins.fresh(account) for each in others])
    assert len({each.access_token for each in found}) == 1
    assert stand.refreshes(account) == 1
    assert stand.store.claims == {}


async def test_a_token_that_another_process_made_is_used(stand):
    account = stand.account()
    made = await stand.another().logins.fresh(account)
    assert await stand.adapter.logins.fresh(account) == made
    assert stand.refreshes(account) == 1


async def test_who_stops_waiting_does_not_stop_the_renewal(stand):
    account = stand.account()
    impatient = asyncio.ensure_future(stand.adapter.logins.fresh(account))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await stand.adapter.logins.fresh(account)
    assert stand.refreshes(account) == 1


async def test_a_refused_token_is_renewed_although_it_has_time_left(stand):
    account = stored(stand, ending(3000))
    fresh = await stand.adapter.logins.fresh(account, refused="ya29.old")
    assert fresh.access_token != "ya29.old"


async def test_a_refresh_token_that_google_changes_is_stored(stand):
    account = stand.account("rotating")
    fresh = await stand.adapter.logins.fresh(account)
    assert fresh.refresh_token != refresh_token("rotating")
    assert stand.latest(account).refresh_token == fresh.refresh_token
    # Requests that were leased before still bring the old secret.
    assert await stand.adapter.logins.fresh(account) == fresh


async def test_a_credential_that_was_replaced_meanwhile_is_not_overwritten(stand):
    account = stand.account()
    replaced = dumped(login(n=2))
    endpoint = stand.adapter.logins.endpoint
    refresh = endpoint.refresh

    async def slow(credential, proxy_url):
        made = await refresh(credential, proxy_url)
        stand.store.secrets[1] = replaced
        return made

    endpoint.refresh = slow
    await stand.adapter.logins.fresh(account)
    assert stand.store.secrets[1] == replaced


async def test_a_new_secret_takes_the_place_of_what_was_known(stand):
    account = stand.account()
    await stand.adapter.logins.fresh(account)
    other = stored(stand, login(n=2))
    found = await stand.adapter.logins.fresh(other)
    assert found.refresh_token == refresh_token(n=2)


async def test_a_store_that_is_away_costs_no_request(stand):
    account = stand.account()
    stand.store.away = True
    fresh = await stand.adapter.logins.fresh(account)
    assert fresh.access_token
    assert await stand.adapter.logins.fresh(account) == fresh
    assert stand.refreshes(account) == 1


async def test_without_a_store_a_token_lasts_in_memory():
    stand = Stand(stored=False)
    account = stand.account()
    first = await stand.adapter.logins.fresh(account)
    assert await stand.adapter.logins.fresh(account) == first
    assert stand.latest(account).access_token == ""


async def test_an_account_that_is_gone_is_refused(stand):
    account = stand.account()
    stand.store.secrets.clear()
    assert isinstance(await refused(stand, account), AccountRefused)


async def test_a_secret_that_is_no_login_is_refused(stand):
    account = AccountConfig(id=1, kind="code_assist", secret="AIzaSomething")
    assert (await refused(stand, account)).cause == "login_expired"


async def test_a_claim_that_is_never_given_up_is_not_waited_for_without_end(
    stand, monkeypatch
):
    monkeypatch.setattr("proxy.upstreams.oauth.CLAIM_SECONDS", 0.0)
    monkeypatch.setattr("proxy.upstreams.oauth.LOOK_AGAIN", 0.01)
    account = stand.account()
    stand.store.claims[1] = True
    assert (await refused(stand, account)).cause == "token_endpoint"


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("revoked", "login_expired"),
        ("rapt", "reauth_required"),
        ("badclient", "oauth_client"),
        ("deletedclient", "oauth_client"),
        ("strangeclient", "oauth_client"),
        ("policy", "login_policy"),
        ("tokendown", "token_endpoint"),
        ("tokenfail", "token_endpoint"),
    ],
)
async def test_every_refusal_of_the_endpoint_lands_under_its_cause(
    stand, behaviour, cause
):
    account = stand.account(behaviour)
    assert (await refused(stand, account)).cause == cause
    assert stand.store.claims == {}
    assert stand.latest(account) == loaded(account.secret)


async def test_a_failed_renewal_is_told_to_all_and_tried_anew_later(stand):
    account = stand.account("revoked")
    asked = [stand.adapter.logins.fresh(account) for _ in range(5)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in found} == {AccountRefused}
    stand.sandbox.state.logins.tell(
        {"login": refresh_token("revoked"), "behaviour": "ok"}, frozenset({"ok"})
    )
    assert (await stand.adapter.logins.fresh(account)).access_token


async def test_the_e_mail_address_comes_with_the_token(stand):
    account = stand.account()
    assert (await stand.adapter.logins.fresh(account)).email == "ok1@sandbox.example"


async def test_a_network_that_fails_is_the_ways_fault():
    def broken(request):
        raise httpx.ConnectError("no route")

    transport = httpx.MockTransport(broken)
    endpoint = TokenEndpoint(
        Clients(lambda _proxy: transport), "http://x/token", OAuthClient(), "t"
    )
    with pytest.raises(ConnectFailed):
        await endpoint.refresh(login(), Way())


async def test_renewals_go_out_by_the_accounts_own_proxy():
    used = []

    def transport(way):
        used.append(way.proxy_url)
        body = {"access_token": "a", "expires_in": 3599}
        return httpx.MockTransport(lambda _request: httpx.Response(200, json=body))

    endpoint = TokenEndpoint(Clients(transport), "http://x/token", OAuthClient(), "t")
    await Logins(endpoint, None).fresh(
        AccountConfig(
            id=1, kind="code_assist", secret=dumped(login()), proxy_url="http://p:1"
        )
    )
    assert used == ["http://p:1"]


async def test_a_token_whose_life_is_not_told_is_believed_for_a_while():
    transport = httpx.MockTransport(
        lambda _request: httpx.Response(200, json={"access_token": "a"})
    )
    endpoint = TokenEndpoint(
        Clients(lambda _proxy: transport), "http://x/token", OAuthClient(), "t"
    )
    made = await endpoint.refresh(login(), Way())
    assert made.expires_at > clock.now().timestamp() + AHEAD


async def test_what_is_found_out_is_kept_beside_newer_tokens(stand):
    account = stand.account(project_id="")
    before = await stand.adapter.logins.fresh(account)
    stand.store.secrets[1] = dumped(replace(before, access_token="ya29.newer"))
    await stand.adapter.logins.keep(account, replace(before, project_id="found-1"))
    assert stand.latest(account).project_id == "found-1"
    assert stand.latest(account).access_token == "ya29.newer"


async def test_what_is_found_out_is_not_kept_for_another_login(stand):
    account = stand.account()
    stand.store.secrets[1] = other = dumped(login(n=2))
    await stand.adapter.logins.keep(account, replace(login(), project_id="found-1"))
    assert stand.store.secrets[1] == other


async def test_facts_that_cannot_be_kept_harm_nobody(stand):
    account = stand.account()
    stand.store.away = True
    await stand.adapter.logins.note(account, {"tier": "x"})
    with pytest.raises(StoreAway):
        await Memory.note(stand.store, 1, {})
