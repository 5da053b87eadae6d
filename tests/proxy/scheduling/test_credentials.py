"""Secrets that are renewed, as rows: claimed by one, never overwritten, never lost."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from django.db import Error as DatabaseTrouble

from accounts.credentials.cli_json import CliCredential, dumped
from accounts.models import Account, Change
from gemproxy.lib import clock, db
from gemproxy.lib.secrets import Sealed
from proxy.scheduling import credentials
from proxy.scheduling.credentials import AccountSecrets, shown_facts
from proxy.upstreams.oauth import StoreAway

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN = CliCredential(refresh_token="1//0gToken", email="ann@example.org")
OLD, NEW = dumped(LOGIN), dumped(replace(LOGIN, access_token="ya29.new"))


@pytest.fixture
def account() -> Account:
    made = Account.add(kind="code_assist", secret=OLD, facts={"tier": "t"})
    assert made is not None
    return made


async def facts(account: Account) -> dict[str, Any]:
    await db.run(account.refresh_from_db)
    return account.facts


async def test_what_is_stored_is_read(account: Account) -> None:
    assert await AccountSecrets().read(account.pk) == OLD


async def test_one_has_the_claim_until_it_gives_it_back(account: Account) -> None:
    first, second = AccountSecrets(), AccountSecrets()
    assert await first.claim(account.pk, 30) == OLD
    assert await second.claim(account.pk, 30) is None
    await second.release(account.pk)
    assert await second.claim(account.pk, 30) is None
    await first.release(account.pk)
    assert await second.claim(account.pk, 30) == OLD
    assert (await facts(account))["tier"] == "t"


async def test_many_who_claim_at_once_are_told_apart(account: Account) -> None:
    stores = [AccountSecrets() for _ in range(8)]
    found = await asyncio.gather(*[store.claim(account.pk, 30) for store in stores])
    assert sorted(found, key=bool) == [None] * 7 + [OLD]


async def test_a_claim_of_the_dead_ends_by_itself(account: Account) -> None:
    assert await AccountSecrets().claim(account.pk, -1) == OLD
    assert await AccountSecrets().claim(account.pk, 30) == OLD


async def test_a_secret_is_replaced_only_if_it_is_still_the_same(
    account: Account,
) -> None:
    store = AccountSecrets()
    assert await store.replace(account.pk, OLD, NEW)
    assert not await store.replace(account.pk, OLD, dumped(LOGIN))
    assert await store.read(account.pk) == NEW


async def test_processes_hear_of_a_new_secret_but_not_of_claims(
    account: Account,
) -> None:
    store = AccountSecrets()
    before = await db.run(Change.objects.count)
    await store.claim(account.pk, 30)
    await store.note(account.pk, {"tier": "u"})
    await store.release(account.pk)
    assert await db.run(Change.objects.count) == before
    await store.replace(account.pk, OLD, NEW)
    newest = await db.run(lambda: Change.objects.order_by("-id").first())
    assert (newest.topic, newest.key) == ("account", str(account.pk))


async def test_a_changed_refresh_token_is_known_again_by_its_fingerprint(
    account: Account,
) -> None:
    rotated = dumped(replace(LOGIN, refresh_token="1//0gOther"))
    await AccountSecrets().replace(account.pk, OLD, rotated)
    add = Account.add
    assert await db.run(add, kind="code_assist", secret=rotated) is None


async def test_an_access_token_does_not_change_the_fingerprint(
    account: Account,
) -> None:
    before = account.fingerprint
    await AccountSecrets().replace(account.pk, OLD, NEW)
    await db.run(account.refresh_from_db)
    assert account.fingerprint == before


async def test_facts_are_added_to_those_there_are(account: Account) -> None:
    store = AccountSecrets()
    await store.claim(account.pk, 30)
    await store.note(account.pk, {"project": "p"})
    found = await facts(account)
    assert (found["tier"], found["project"]) == ("t", "p")
    assert shown_facts(account) == {"tier": "t", "project": "p"}


@pytest.mark.parametrize("method", ["read", "claim", "replace", "release", "note"])
async def test_an_account_that_is_gone_is_told(method: str) -> None:
    more = {
        "claim": (30.0,),
        "replace": (OLD, NEW),
        "note": ({},),
    }.get(method, ())
    with pytest.raises(LookupError):
        await getattr(AccountSecrets(), method)(987_654, *more)


async def test_a_secret_that_no_key_opens_is_told(account: Account) -> None:
    rows = Account.objects.filter(pk=account.pk)
    await db.run(lambda: rows.update(secret=Sealed("garbage")))
    with pytest.raises(LookupError):
        await AccountSecrets().read(account.pk)


async def test_a_database_that_is_away_is_told(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseTrouble("gone")

    monkeypatch.setattr(credentials, "_read", away)
    with pytest.raises(StoreAway):
        await AccountSecrets().read(account.pk)


def test_facts_of_processes_are_not_shown() -> None:
    until = clock.now().timestamp()
    account = Account(facts={"_claim": {"until": until}, "email": "e"})
    assert shown_facts(account) == {"email": "e"}
    assert shown_facts(Account(facts=[])) == {}
