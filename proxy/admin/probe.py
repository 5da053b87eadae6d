"""“Test now”: ask upstream accounts for their models and draw the conclusions."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asgiref.sync import async_to_sync

from accounts.models import Account
from gemproxy.lib import clock
from gemproxy.lib.secrets import SecretUnreadable
from proxy.errors import Fault, UpstreamTimeout
from proxy.scheduling.account_rows import UNREADABLE, config_of
from proxy.scheduling.pool import make_adapter
from proxy.upstreams.base import AccountConfig, Adapter, Timeouts
from proxy.upstreams.http import Clients
from proxy.upstreams.kinds import KINDS
from proxy.wire.causes import cause_of
from proxy.wire.verdicts import judge

SECONDS = 15.0
#: A new login may have to join a tier first, which takes Google some seconds.
LOGIN_SECONDS = 30.0
#: So many are asked at the same moment, and all of them within so many seconds.
AT_ONCE = 8
ALL_SECONDS = 60.0
LATER = "The job “renew logins” looks at it again within minutes."

#: The models that an account has, what is in the way, or None: there was no time.
Outcome = list[str] | Fault | None


@dataclass(frozen=True, slots=True)
class Tested:
    """How a test ended, in a sentence for the operator."""

    passed: bool
    text: str


def try_account(account: Account) -> Tested:
    """Call the provider once, within seconds, and move the account accordingly.

    A disabled account is tested but stays disabled: that was a person's decision.
    """
    return try_accounts([account])[0]


def try_accounts(accounts: Sequence[Account]) -> list[Tested]:
    """Do so with many accounts, some at the same moment; at most a minute in all."""
    found = {account.pk: _config(account) for account in accounts}
    readable = [config for config in found.values() if config is not None]
    outcomes = async_to_sync(_probe, force_new_loop=True)(readable) if readable else {}
    return [
        _refused(account, UNREADABLE, "The secret cannot be decrypted.")
        if found[account.pk] is None
        else _concluded(account, outcomes[account.pk])
        for account in accounts
    ]


def try_new(kind: str, accounts: Iterable[Account]) -> list[tuple[Account, Tested]]:
    """Try accounts that have just been stored, if their kind wants that."""
    if kind not in KINDS or not KINDS[kind].tried_at_once:
        return []
    fresh = list(accounts)
    for account in fresh:
        account.refresh_from_db()
    return list(zip(fresh, try_accounts(fresh), strict=True))


def _config(account: Account) -> AccountConfig | None:
    try:
        return config_of(account)
    except SecretUnreadable:
        return None


async def _probe(configs: list[AccountConfig]) -> dict[int, Outcome]:
    # The loop is this test's own, so its connections are as well.
    clients = Clients()
    kinds = {config.kind for config in configs}
    adapters = {kind: make_adapter(kind, clients) for kind in kinds}
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(config: AccountConfig) -> Outcome:
        async with gate:
            return await _asked(adapters[config.kind], config)

    tasks = {config.id: asyncio.create_task(one(config)) for config in configs}
    try:
        await asyncio.wait(tasks.values(), timeout=ALL_SECONDS)
        return {key: t.result() if t.done() else None for key, t in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for adapter in adapters.values():
            await adapter.aclose()


async def _asked(adapter: Adapter, config: AccountConfig) -> Outcome:
    login = config.kind == Account.Kind.CODE_ASSIST
    seconds = LOGIN_SECONDS if login else SECONDS
    timeouts = Timeouts(first_byte=seconds, idle=seconds, total=seconds)
    try:
        async with asyncio.timeout(seconds):
            return await adapter.probe(config, timeouts)
    except TimeoutError:
        return UpstreamTimeout()
    except Fault as fault:
        return fault


def _concluded(account: Account, outcome: Outcome) -> Tested:
    if isinstance(outcome, list):
        return _passed(account, len(outcome))
    if outcome is None:
        return Tested(False, _with_job(account, "There was no time to test it."))
    verdict = judge(outcome, now=clock.now())
    if verdict.attention:
        return _refused(account, verdict.cause, outcome.message, verdict.link)
    todo = cause_of(verdict.cause, of_account=True).action
    _note(account, f"test_{verdict.cause}", todo)
    return Tested(False, _with_job(account, f"{outcome.message} {todo}"))


def _with_job(account: Account, text: str) -> str:
    """Say who looks at a new account again, if somebody does."""
    waits = account.state == Account.State.NEW
    watched = waits and account.kind == Account.Kind.CODE_ASSIST
    return f"{text} {LATER}" if watched else text


def _passed(account: Account, models: int) -> Tested:
    if account.state == Account.State.DISABLED:
        _note(account, "test_passed")
        return Tested(True, f"It works, {models} models; it stays disabled.")
    if not account.move(Account.State.ACTIVE):
        _note(account, "test_passed")
    return Tested(True, f"It works, {models} models.")


def _refused(account: Account, code: str, message: str, link: str = "") -> Tested:
    todo = cause_of(code, of_account=True).action
    disabled = account.state == Account.State.DISABLED
    if disabled or not account.move(
        Account.State.NEEDS_ATTENTION, cause=code, advice=todo, link=link
    ):
        _note(account, code, todo)
    return Tested(False, f"{message} {todo}")


def _note(account: Account, cause: str, todo: str = "") -> None:
    account.events.create(state=account.state, cause=cause, advice=todo)
